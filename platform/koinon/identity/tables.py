"""Staff, their grants, clients and sources as Piccolo sees them (configuration and back office; the schema is SQL)."""

from piccolo.columns import JSONB, Array, BigInt, Bytea, ForeignKey, OnDelete, Text, Timestamptz
from piccolo.table import Table

from koinon.database import DB, RecordedAt
from koinon.parties.tables import Partner, Programme


class Staff(Table, tablename="staff", schema="identity", db=DB):
    """A person who works for the operator or for brands, known by their address."""

    staff_id = BigInt(primary_key=True, default=None)
    email = Text(default=None)
    name = Text(default=None)
    created_at = RecordedAt()


class StaffGrant(Table, tablename="staff_grant", schema="identity", db=DB):
    """A role of a person at a partner; without a partner it is the operator's."""

    grant_id = BigInt(primary_key=True, default=None)
    staff_id = ForeignKey(Staff, on_delete=OnDelete.restrict, null=False, default=None)
    partner_id = ForeignKey(Partner, on_delete=OnDelete.restrict, null=True, default=None)
    role = Text(default=None)
    created_at = RecordedAt()
    ended_at = Timestamptz(null=True, default=None)


class Client(Table, tablename="client", schema="identity", db=DB):
    """A system that calls with a key of its own: of a member of the operator's staff, or of a partner."""

    client_id = BigInt(primary_key=True, default=None)
    name = Text(default=None)
    kind = Text(default=None)
    staff_id = ForeignKey(Staff, on_delete=OnDelete.restrict, null=True, default=None)
    partner_id = ForeignKey(Partner, on_delete=OnDelete.restrict, null=True, default=None)
    programme_id = ForeignKey(Programme, on_delete=OnDelete.restrict, null=True, default=None)
    public_jwk = JSONB(default=None)
    scopes = Array(Text(default=None), default=None)
    created_at = RecordedAt()
    revoked_at = Timestamptz(null=True, default=None)


class Source(Table, tablename="source", schema="identity", db=DB):
    """A processor of a programme; its secrets are sealed, the newest first."""

    source_id = BigInt(primary_key=True, default=None)
    programme_id = ForeignKey(Programme, on_delete=OnDelete.restrict, null=False, default=None)
    name = Text(default=None)
    secrets = Array(Bytea(default=None), default=None)
    public_key = Bytea(null=True, default=None)
    created_at = RecordedAt()
