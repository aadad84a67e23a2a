"""A brand joins a programme."""

from typing import Annotated

import msgspec
import schwifty
from schwifty.exceptions import SchwiftyException

from koinon import ids
from koinon.contacts import ContactInvalid, email_address
from koinon.database import Connection, add_unless
from koinon.fields import Code, Line, ProgrammeId
from koinon.parties import tables
from koinon.parties.model import HOUSES
from koinon.parties.operations import programme_row
from koinon.parties.partners import Partner, partner_of
from koinon.problems import Conflict, InvalidInput, Refused, field_error, invalid_field
from koinon.references import id_in_field

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


async def create_partner(connection: Connection, asked: NewPartner) -> Partner:
    """Make a partner of a programme in the caller's transaction.

    Raises InvalidInput, IbanInvalid, UnknownProgramme, PartnerCodeReserved, PartnerCodeTaken.
    """
    programme_id = id_in_field("pro", asked.programme, "/programme")
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
    return partner_of(row)


def _iban(text: str) -> str:
    try:
        return str(schwifty.IBAN(text).compact)
    except SchwiftyException:
        raise IbanInvalid(errors=[field_error("/iban", IbanInvalid.title, IbanInvalid.code)]) from None
