"""Members, contacts and consents as Piccolo sees them (back office; the schema is SQL)."""

from piccolo.columns import UUID, BigInt, Bytea, ForeignKey, OnDelete, Text, Timestamptz
from piccolo.table import Table

from koinon.database import DB, RecordedAt
from koinon.parties.tables import Partner


class Member(Table, tablename="member", schema="members", db=DB):
    """A person of a programme, with the account that holds their points.

    Their key has no table here: no back office shows it.
    """

    member_id = BigInt(primary_key=True, default=None)
    programme_id = BigInt(default=None)
    account_id = BigInt(default=None)
    sealed_name = Bytea(null=True, default=None)
    locale = Text(null=True, default=None)
    enrolled_by = BigInt(default=None)
    enrolled_at = Timestamptz(default=None)
    recorded_at = RecordedAt()


class Contact(Table, tablename="contact", schema="members", db=DB):
    """What one member of a programme is reached at; its key in the database is (contact_hash, programme_id)."""

    contact_hash = Bytea(primary_key=True, default=None)
    programme_id = BigInt(default=None)
    kind = Text(default=None)
    member_id = BigInt(default=None)
    sealed_value = Bytea(default=None)


class ConsentText(Table, tablename="consent_text", schema="members", db=DB):
    """The words that members consented to, once each."""

    text_sha256 = Bytea(primary_key=True, default=None)
    body = Text(default=None)


class Consent(Table, tablename="consent", schema="members", db=DB):
    """A member's consent for one partner and purpose; its key in the database is (member_id, receipt_id)."""

    member_id = ForeignKey(Member, on_delete=OnDelete.restrict, null=False, default=None, primary_key=True)
    receipt_id = UUID(default=None)
    partner_id = ForeignKey(Partner, on_delete=OnDelete.restrict, null=False, default=None)
    purpose = Text(default=None)
    text_sha256 = ForeignKey(ConsentText, on_delete=OnDelete.restrict, null=False, default=None)
    locale = Text(default=None)
    channel = Text(null=True, default=None)
    given_at = Timestamptz(default=None)
    recorded_at = RecordedAt()


class ConsentWithdrawal(Table, tablename="consent_withdrawal", schema="members", db=DB):
    """The end of a consent; its key in the database is (member_id, receipt_id)."""

    member_id = BigInt(primary_key=True, default=None)
    receipt_id = UUID(default=None)
    withdrawn_at = Timestamptz(default=None)
    recorded_at = RecordedAt()
