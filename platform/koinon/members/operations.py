"""Members: enrolling a person once in a programme, and keeping what they consented to, for whom and until when."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import asyncpg
import msgspec

from koinon import ids
from koinon.contacts import ContactInvalid, email_address, phone_number
from koinon.database import Connection, add, add_unless, beside, on
from koinon.fields import Body, BrandName, Digest, Label, Line, Locale, MemberId, PartnerCode, named
from koinon.http.cursors import Page, page_of
from koinon.keyring import Keyring
from koinon.ledger.operations import open_account
from koinon.members import tables
from koinon.members.directory import ContactKind, contact_hash
from koinon.members.tables import ConsentWithdrawal, Contact, Member
from koinon.members.vault import MemberKey, keep_key
from koinon.parties.operations import TermsInForce, programme_now, terms_in_force
from koinon.problems import Conflict, InvalidInput, NotFound, field_error, invalid_field
from koinon.references import record_in_path

statements = beside(__file__)

CONSENTS_MAXIMUM = 20
ATTEMPTS = 5


TextDigest = Annotated[
    Digest, msgspec.Meta(examples=["28923a18eaa5bcfc67b7c4fa6a92176ba15a6df792514acbe361e2601e594c50"])
]
ConsentId = Annotated[str, named("A consent's receipt", "con_0895hzvjw4s6581kg9mfmm0fvq8jsdmj9fez8ww")]


class UnknownMember(NotFound):
    """No member of the programme has this id."""

    code = "unknown-member"
    title = "There is no such member"


class UnknownConsent(NotFound):
    """No consent of the member has this receipt."""

    code = "unknown-consent"
    title = "There is no such consent"


class ConsentWithdrawn(Conflict):
    """A consent ends once."""

    code = "consent-withdrawn"
    title = "This consent was withdrawn before"


class ContactMissing(InvalidInput):
    """A person is enrolled by something to reach them at."""

    code = "contact-missing"
    title = "Give an e-mail address, a telephone number, or both"


class ContactsOfTwoMembers(Conflict):
    """The address and the number are known, and are two people's."""

    code = "contacts-of-two-members"
    title = "The e-mail address and the telephone number belong to two members; enrol by one of them"


class NewConsent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A consent as the person was asked for it: the purpose, the words themselves, and where it was given."""

    purpose: Annotated[Label, msgspec.Meta(examples=["offers-by-mail"])]
    text: Annotated[Body, msgspec.Meta(examples=["I agree to get offers of Corner Grocer by e-mail."])]
    locale: Annotated[Locale, msgspec.Meta(examples=["en"])]
    channel: Annotated[Label, msgspec.Meta(examples=["till"])] | None = None


class NewMember(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A person who joins the programme at a partner, and what they consent to for that partner."""

    email: Annotated[str, msgspec.Meta(max_length=320, examples=["ada@example.org"])] | None = None
    phone: Annotated[str, msgspec.Meta(max_length=40, examples=["+358401234567"])] | None = None
    name: Annotated[Line, msgspec.Meta(examples=["Ada Virtanen"])] | None = None
    locale: Annotated[Locale, msgspec.Meta(examples=["en"])] | None = None
    consents: Annotated[list[NewConsent], msgspec.Meta(max_length=CONSENTS_MAXIMUM)] = []


class ConsentReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """What proves a consent: its receipt, its purpose, the SHA-256 (hex) of the words, and the programme's time."""

    receipt: ConsentId
    purpose: Annotated[str, msgspec.Meta(examples=["offers-by-mail"])]
    text_sha256: TextDigest
    given_at: datetime


class Enrolment(msgspec.Struct, frozen=True, kw_only=True):
    """A member and the consents that this request gave; `new` is false for a person that the programme knew."""

    member: MemberId
    consents: list[ConsentReceipt]
    new: bool


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """A consent with its end, if it was withdrawn."""

    receipt: ConsentId
    partner: PartnerCode
    brand: BrandName
    purpose: Annotated[str, msgspec.Meta(examples=["offers-by-mail"])]
    text_sha256: TextDigest
    locale: Annotated[str, msgspec.Meta(examples=["en"])]
    channel: Annotated[str, msgspec.Meta(examples=["till"])] | None
    given_at: datetime
    withdrawn_at: datetime | None


class Withdrawal(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a consent."""

    receipt: ConsentId
    withdrawn_at: datetime


class _Raced(Exception):
    """Somebody else claimed a contact meanwhile."""


class _Contact(msgspec.Struct, frozen=True):
    """A contact in the form that is stored, and the hash by which it is known."""

    digest: bytes
    kind: ContactKind
    value: str


async def enrol(connection: Connection, keys: Keyring, partner_id: int, asked: NewMember) -> Enrolment:
    """Enrol a person at a partner in the caller's transaction, with an account and an empty wallet.

    A person that the programme knows by the address or the number is the same member: only the consents are added.
    A second contact of a known person is not added, since nobody has shown that it is theirs. Raises ContactMissing,
    ContactsOfTwoMembers, InvalidInput.
    """
    given = _contacts(asked)
    place = await terms_in_force(connection, partner_id)
    contacts = [
        _Contact(contact_hash(keys.secret, place.programme_id, kind, value), kind, value)
        for kind, value in given.items()
    ]
    member_id, new = await _member(connection, keys, place, asked, contacts)
    receipts = await _consent(connection, member_id, place, asked.consents)
    return Enrolment(member=ids.public("mem", member_id), consents=receipts, new=new)


async def withdraw(connection: Connection, *, programme_id: int, member_id: int, receipt: str) -> Withdrawal:
    """End a member's consent in the caller's transaction, as of now; raises UnknownConsent, ConsentWithdrawn."""
    owner_id, receipt_id = record_in_path("con", receipt, UnknownConsent)
    given = (tables.Consent.member_id == member_id) & (tables.Consent.receipt_id == receipt_id)
    if owner_id != member_id or not await on(connection, tables.Consent.exists().where(given)):
        raise UnknownConsent
    now = await programme_now(connection, programme_id)
    end = ConsentWithdrawal(member_id=member_id, receipt_id=receipt_id, withdrawn_at=now)
    if await add_unless(connection, end, ConsentWithdrawal.member_id, ConsentWithdrawal.receipt_id) is None:
        ended = (ConsentWithdrawal.member_id == member_id) & (ConsentWithdrawal.receipt_id == receipt_id)
        (known,) = await on(connection, ConsentWithdrawal.objects().where(ended))
        raise ConsentWithdrawn(receipt=receipt, withdrawn_at=known.withdrawn_at.isoformat())
    return Withdrawal(receipt=receipt, withdrawn_at=now)


async def check_member(connection: Connection, programme_id: int, member_id: int) -> None:
    """Raise UnknownMember unless somebody of the programme has this id."""
    known = (Member.programme_id == programme_id) & (Member.member_id == member_id)
    if not await on(connection, Member.exists().where(known)):
        raise UnknownMember


async def consents(
    connection: Connection, member_id: int, partner_id: int | None, after: UUID | None, limit: int
) -> Page[Consent]:
    """Return a page of a member's consents, the newest first, for one partner or all; the cursor is a receipt."""
    rows = await connection.fetch(statements["consents"], member_id, partner_id, after, limit + 1)
    return page_of(rows, limit, _consent_of, lambda row: _consent_of(row).receipt)


def _contacts(asked: NewMember) -> dict[ContactKind, str]:
    """Return kind → contact in the form that is stored; raises ContactMissing, InvalidInput."""
    contacts: dict[ContactKind, str] = {}
    try:
        if asked.email is not None:
            contacts["email"] = email_address(asked.email)
    except ContactInvalid as error:
        raise invalid_field("/email", str(error), "email-invalid") from None
    try:
        if asked.phone is not None:
            contacts["phone"] = phone_number(asked.phone)
    except ContactInvalid as error:
        raise invalid_field("/phone", str(error), "phone-invalid") from None
    if not contacts:
        raise ContactMissing(errors=[field_error("/email", ContactMissing.title, ContactMissing.code)])
    return contacts


async def _member(
    connection: Connection, keys: Keyring, place: TermsInForce, asked: NewMember, contacts: Sequence[_Contact]
) -> tuple[int, bool]:
    """Return (member, whether they are new) of these contacts."""
    known = (Contact.programme_id == place.programme_id) & Contact.contact_hash.is_in(
        [contact.digest for contact in contacts]
    )
    for _ in range(ATTEMPTS):
        owners = {contact.member_id for contact in await on(connection, Contact.objects().where(known))}
        if len(owners) > 1:
            raise ContactsOfTwoMembers
        if owners:
            return owners.pop(), False
        try:
            # A savepoint: of two contacts, one may have been claimed by somebody else a moment ago.
            async with connection.transaction():
                return await _add_member(connection, keys, place, asked, contacts), True
        except _Raced:
            continue
    raise AssertionError  # pragma: no cover  # contacts are never taken away, so a lost race is seen at the next look


async def _add_member(
    connection: Connection, keys: Keyring, place: TermsInForce, asked: NewMember, contacts: Sequence[_Contact]
) -> int:
    member_id, account_id = ids.new_id(), ids.new_id()
    key = MemberKey.draw(member_id)
    # In one order, so that two who cross do not deadlock.
    claims = [
        Contact(
            contact_hash=contact.digest,
            programme_id=place.programme_id,
            kind=contact.kind,
            member_id=member_id,
            sealed_value=key.seal(contact.kind, contact.value),
        )
        for contact in sorted(contacts, key=lambda contact: contact.digest)
    ]
    claim = Contact.insert(*claims).on_conflict((Contact.contact_hash, Contact.programme_id), "DO NOTHING")
    if len(await on(connection, claim.returning(Contact.contact_hash))) < len(contacts):
        raise _Raced
    member = Member(
        member_id=member_id,
        programme_id=place.programme_id,
        account_id=account_id,
        sealed_name=None if asked.name is None else key.seal("name", asked.name),
        locale=asked.locale,
        enrolled_by=place.partner_id,
        enrolled_at=place.now,
    )
    await add(connection, member)
    await keep_key(connection, keys.masters, key)
    await open_account(
        connection, account_id=account_id, programme_id=place.programme_id, unit_id=place.unit_id, now=place.now
    )
    return member_id


async def _consent(
    connection: Connection, member_id: int, place: TermsInForce, asked: list[NewConsent]
) -> list[ConsentReceipt]:
    if not asked:
        return []
    receipt_ids = [ids.new_record_id() for _ in asked]
    await connection.execute(
        statements["add_consents"],
        member_id,
        place.partner_id,
        place.now,
        receipt_ids,
        [each.purpose for each in asked],
        [each.text for each in asked],
        [each.locale for each in asked],
        [each.channel for each in asked],
    )
    return [
        ConsentReceipt(
            receipt=ids.public_record("con", member_id, receipt_id),
            purpose=each.purpose,
            text_sha256=hashlib.sha256(each.text.encode()).hexdigest(),
            given_at=place.now,
        )
        for receipt_id, each in zip(receipt_ids, asked, strict=True)
    ]


def _consent_of(row: asyncpg.Record) -> Consent:
    return Consent(
        receipt=ids.public_record("con", row["member_id"], row["receipt_id"]),
        partner=row["partner"],
        brand=row["brand"],
        purpose=row["purpose"],
        text_sha256=row["text_sha256"].hex(),
        locale=row["locale"],
        channel=row["channel"],
        given_at=row["given_at"],
        withdrawn_at=row["withdrawn_at"],
    )
