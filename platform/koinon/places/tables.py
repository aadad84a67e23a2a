"""Places and their network identities as Piccolo sees them."""

from piccolo.columns import BigInt, Text, Timestamptz
from piccolo.table import Table

from koinon.database.engine import DB


class Place(Table, tablename="place", schema="places", db=DB):
    """Where cards are taken, with its own time zone."""

    place_id = BigInt(primary_key=True, default=None)
    partner_id = BigInt(default=None)
    programme_id = BigInt(default=None)
    name = Text(default=None)
    time_zone = Text(default=None)
    created_at = Timestamptz()


class NetworkIdentity(Table, tablename="network_identity", schema="places", db=DB):
    """What a network calls a place, for a span of time."""

    identity_id = BigInt(primary_key=True, default=None)
    programme_id = BigInt(default=None)
    place_id = BigInt(default=None)
    identity_key = Text(default=None)
    valid_from = Timestamptz(default=None)
    valid_until = Timestamptz(null=True, default=None)
