"""Staff of a brand: who may sign in for it, in which role."""

from typing import Annotated, Literal

import msgspec

from koinon import ids
from koinon.database import Connection
from koinon.fields import Line
from koinon.identity.operations import grant_role, make_staff
from koinon.parties.contacts import ContactInvalid, email_address
from koinon.parties.operations import partner_row
from koinon.problems import Refused, invalid_field

BrandRole = Literal["owner", "marketing", "finance", "developer", "support"]


class OperatorStaffElsewhere(Refused):
    """The operator's staff are made on the operator's own machine, never over HTTP."""

    code = "operator-staff-elsewhere"
    title = "Staff of the operator are made by `koinon keys operator`"


class NewStaff(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A person who works for a brand; they sign in with a code that is mailed to the address."""

    email: Annotated[str, msgspec.Meta(max_length=320, examples=["anna@grocer.example"])]
    name: Line
    role: BrandRole


class Staff(msgspec.Struct, frozen=True, kw_only=True):
    """A person with a role at a brand; who is known by the address already keeps their name."""

    staff: str
    partner: str
    role: BrandRole


async def add_staff(connection: Connection, partner_id: int, asked: NewStaff) -> Staff:
    """Give a person a role at a brand in the caller's transaction; a second time changes nothing.

    Raises UnknownPartner, OperatorStaffElsewhere, InvalidInput.
    """
    if (await partner_row(connection, partner_id))["operator"]:
        raise OperatorStaffElsewhere
    try:
        address = email_address(asked.email)
    except ContactInvalid as error:
        raise invalid_field("/email", str(error), "email-invalid") from None
    staff_id = await make_staff(connection, email=address, name=asked.name)
    await grant_role(connection, staff_id=staff_id, role=asked.role, partner_id=partner_id)
    return Staff(staff=ids.public("stf", staff_id), partner=ids.public("par", partner_id), role=asked.role)
