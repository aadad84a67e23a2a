"""Places and their network identities as Piccolo sees them."""

from piccolo.columns import BigInt, ForeignKey, OnDelete, Text, Timestamptz
from piccolo.table import Table

from koinon.database import DB, RecordedAt
from koinon.parties.tables import Partner, Programme


class Place(Table, tablename="place", schema="places", db=DB):
    """Where cards are taken, with its own time zone."""

    place_id = BigInt(primary_key=True, default=None)
    partner_id = ForeignKey(Partner, on_delete=OnDelete.restrict, null=False, default=None)
    programme_id = ForeignKey(Programme, on_delete=OnDelete.restrict, null=False, default=None)
    name = Text(default=None)
    time_zone = Text(default=None)
    created_at = RecordedAt()


class NetworkIdentity(Table, tablename="network_identity", schema="places", db=DB):
    """What a network calls a place, for a span of time."""

    identity_id = BigInt(primary_key=True, default=None)
    programme_id = ForeignKey(Programme, on_delete=OnDelete.restrict, null=False, default=None)
    place_id = ForeignKey(Place, on_delete=OnDelete.restrict, null=False, default=None)
    identity_key = Text(default=None)
    valid_from = Timestamptz(default=None)
    valid_until = Timestamptz(null=True, default=None)
