"""Programmes, partners and contracts as Piccolo sees them (configuration and back office; the schema is SQL)."""

from piccolo.columns import BigInt, Boolean, ForeignKey, Integer, OnDelete, Text, Timestamptz
from piccolo.table import Table

from koinon.database import DB, RecordedAt


class Programme(Table, tablename="programme", schema="parties", db=DB):
    """The coalition's scheme: units, time zone, settlement currency, expiry and face value of a point."""

    programme_id = BigInt(primary_key=True, default=None)
    code = Text(default=None)
    name = Text(default=None)
    mode = Text(default=None)
    time_zone = Text(default=None)
    settlement_currency = Text(default=None)
    expiry_months = Integer(null=True, default=None)
    face_value_num = BigInt(default=None)
    face_value_den = BigInt(default=None)
    unit_id = BigInt(default=None)
    operator_id = BigInt(default=None)
    clock_at = Timestamptz(null=True, default=None)
    created_at = RecordedAt()


class Partner(Table, tablename="partner", schema="parties", db=DB):
    """A brand of a programme; the operator is one too."""

    partner_id = BigInt(primary_key=True, default=None)
    programme_id = ForeignKey(Programme, on_delete=OnDelete.restrict, null=False, default=None)
    code = Text(default=None)
    brand = Text(default=None)
    iban = Text(null=True, default=None)
    contact_email = Text(null=True, default=None)
    operator = Boolean(default=None)
    attested_points_per_day = BigInt(default=None)
    created_at = RecordedAt()


class Contract(Table, tablename="contract", schema="parties", db=DB):
    """One version of a partner's terms, in minor units per point; its key in the database is (partner_id, version)."""

    partner_id = ForeignKey(Partner, on_delete=OnDelete.restrict, null=False, default=None, primary_key=True)
    version = Integer(default=None)
    currency = Text(default=None)
    price_num = BigInt(default=None)
    price_den = BigInt(default=None)
    fee_num = BigInt(default=None)
    fee_den = BigInt(default=None)
    issue_share_num = BigInt(default=None)
    issue_share_den = BigInt(default=None)
    honour_num = BigInt(default=None)
    honour_den = BigInt(default=None)
    effective_from = Timestamptz(default=None)
    created_at = RecordedAt()
