"""Partners: the brands of a programme."""

from datetime import datetime
from typing import Annotated

import msgspec
import schwifty
from schwifty.exceptions import SchwiftyException

from koinon import ids
from koinon.database import Connection, add_unless, on
from koinon.fields import BrandName, Code, Line, PartnerCode, PartnerId, ProgrammeId
from koinon.parties import tables
from koinon.parties.contacts import ContactInvalid, email_address
from koinon.parties.model import HOUSES
from koinon.parties.operations import partner_row, programme_row
from koinon.problems import Conflict, InvalidInput, Refused, field_error, invalid_field
from koinon.web.cursors import Page, page_of

POINTS_MAXIMUM = 10**12


class PartnerCodeTaken(Conflict):
    """Another partner of the programme has the code."""

    code = "partner-code-taken"
    title = "Another partner of this programme has this code"


class PartnerCodeReserved(Refused):
    """The code names a party of settlement that is no brand."""

    code = "partner-code-reserved"
    title = "This code names a party of settlement: operator, pool, margin or breakage"


class IbanInvalid(InvalidInput):
    """The account number is no IBAN: its country, length, form or check digits are wrong."""

    code = "iban-invalid"
    title = "The account number is not a valid IBAN"


class NewPartner(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A brand that joins a programme; `attested_points_per_day` caps redemptions on its staff's word alone."""

    programme: ProgrammeId
    code: Annotated[Code, msgspec.Meta(examples=["grocer"])]
    brand: Annotated[Line, msgspec.Meta(examples=["Corner Grocer"])]
    iban: Annotated[str, msgspec.Meta(max_length=50, examples=["FI21 1234 5600 0007 85"])]
    contact_email: Annotated[str, msgspec.Meta(max_length=320, examples=["finance@grocer.example"])]
    attested_points_per_day: Annotated[int, msgspec.Meta(ge=0, le=POINTS_MAXIMUM, examples=[20_000])] = 0


class Partner(msgspec.Struct, frozen=True, kw_only=True):
    """A partner; `operator` tells whether it is the operator's own."""

    partner: PartnerId
    programme: ProgrammeId
    code: PartnerCode
    brand: BrandName
    iban: Annotated[str, msgspec.Meta(examples=["FI21 1234 5600 0007 85"])] | None
    contact_email: Annotated[str, msgspec.Meta(examples=["finance@grocer.example"])] | None
    operator: Annotated[bool, msgspec.Meta(examples=[False])]
    attested_points_per_day: Annotated[int, msgspec.Meta(examples=[20000])]
    created_at: datetime


async def create_partner(connection: Connection, asked: NewPartner) -> Partner:
    """Make a partner of a programme in the caller's transaction.

    Raises InvalidInput, IbanInvalid, UnknownProgramme, PartnerCodeReserved, PartnerCodeTaken.
    """
    try:
        programme_id = ids.private("pro", asked.programme)
    except ValueError as error:
        raise invalid_field("/programme", str(error)) from None
    if asked.code in HOUSES:
        raise PartnerCodeReserved(partner_code=asked.code)
    iban = _iban(asked.iban)
    try:
        contact_email = email_address(asked.contact_email)
    except ContactInvalid as error:
        raise invalid_field("/contact_email", str(error), "email-invalid") from None
    await programme_row(connection, programme_id)
    joined = tables.Partner(
        partner_id=ids.new_id(),
        programme_id=programme_id,
        code=asked.code,
        brand=asked.brand,
        iban=iban,
        contact_email=contact_email,
        operator=False,
        attested_points_per_day=asked.attested_points_per_day,
    )
    row = await add_unless(connection, joined, tables.Partner.programme_id, tables.Partner.code)
    if row is None:
        raise PartnerCodeTaken(partner_code=asked.code)
    return _partner(row)


async def partner(connection: Connection, partner_id: int) -> Partner:
    """Return a partner; raises UnknownPartner."""
    return _partner(await partner_row(connection, partner_id))


async def partners(connection: Connection, programme_id: int | None, after: int | None, limit: int) -> Page[Partner]:
    """Return a page of partners by code, of one programme or of all; the cursor is the last one's id.

    Raises UnknownPartner for a cursor that is no partner.
    """
    code, partner_id = tables.Partner.code, tables.Partner.partner_id
    query = tables.Partner.objects().order_by(code, partner_id).limit(limit + 1)
    if programme_id is not None:
        query = query.where(tables.Partner.programme_id == programme_id)
    if after is not None:
        last = await partner_row(connection, after)
        query = query.where((code > last.code) | ((code == last.code) & (partner_id > last.partner_id)))
    return page_of(await on(connection, query), limit, _partner, lambda row: ids.public("par", row.partner_id))


def _iban(text: str) -> str:
    try:
        return str(schwifty.IBAN(text).compact)
    except SchwiftyException:
        raise IbanInvalid(errors=[field_error("/iban", IbanInvalid.title, IbanInvalid.code)]) from None


def _partner(row: tables.Partner) -> Partner:
    return Partner(
        partner=ids.public("par", row.partner_id),
        programme=ids.public("pro", row.programme_id),
        code=row.code,
        brand=row.brand,
        iban=row.iban,
        contact_email=row.contact_email,
        operator=row.operator,
        attested_points_per_day=row.attested_points_per_day,
        created_at=row.created_at,
    )
