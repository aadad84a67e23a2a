"""Staff of a brand: who may sign in for it, in which role."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from koinon import ids
from koinon.callers.model import Role
from koinon.contacts import ContactInvalid, email_address
from koinon.database import Connection, on
from koinon.fields import GrantId, Line, PartnerId, StaffId
from koinon.http.cursors import Page, page_of
from koinon.identity.operations import UnknownGrant, end_grant, grant_role, make_staff
from koinon.identity.tables import StaffGrant
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
    name: Annotated[Line, msgspec.Meta(examples=["Anna Laine"])]
    role: Annotated[BrandRole, msgspec.Meta(examples=["finance"])]


class Staff(msgspec.Struct, frozen=True, kw_only=True):
    """A person with a role at a brand; `grant` names that they have it, so that it can be ended.

    Who is known by the address already keeps their name. At the operator's own partner the role is the operator's.
    """

    grant: GrantId
    staff: StaffId
    partner: PartnerId
    role: Annotated[Role, msgspec.Meta(examples=["finance"])]


class ListedStaff(Staff, frozen=True, kw_only=True):
    """A person with a role, by name and address, since when, and until when if it was taken back."""

    name: Annotated[str, msgspec.Meta(examples=["Anna Korhonen"])]
    email: Annotated[str, msgspec.Meta(examples=["anna@grocer.example"])]
    created_at: datetime
    ended_at: datetime | None


class EndedStaff(Staff, frozen=True, kw_only=True):
    """A role that was taken back."""

    ended_at: datetime


async def add_staff(connection: Connection, partner_id: int, asked: NewStaff) -> Staff:
    """Give a person a role at a brand in the caller's transaction; a second time changes nothing.

    Raises UnknownPartner, OperatorStaffElsewhere, InvalidInput.
    """
    if (await partner_row(connection, partner_id)).operator:
        raise OperatorStaffElsewhere
    try:
        address = email_address(asked.email)
    except ContactInvalid as error:
        raise invalid_field("/email", str(error), "email-invalid") from None
    staff_id = await make_staff(connection, email=address, name=asked.name)
    grant_id = await grant_role(connection, staff_id=staff_id, role=asked.role, partner_id=partner_id)
    return Staff(
        grant=ids.public("grt", grant_id),
        staff=ids.public("stf", staff_id),
        partner=ids.public("par", partner_id),
        role=asked.role,
    )


async def end_staff(connection: Connection, partner_id: int, grant_id: int) -> EndedStaff:
    """Take a person's role at a partner back in the caller's transaction, and sign them out there at once.

    Raises UnknownPartner, UnknownGrant, GrantEnded, LastOperator.
    """
    holder_id = await _holder_id(connection, partner_id)
    own = StaffGrant.exists().where(StaffGrant.grant_id == grant_id, StaffGrant.partner_id == holder_id)
    if not await on(connection, own):
        raise UnknownGrant
    ended = await end_grant(connection, grant_id)
    return EndedStaff(
        grant=ids.public("grt", grant_id),
        staff=ids.public("stf", ended.staff_id),
        partner=ids.public("par", partner_id),
        role=msgspec.convert(ended.role, Role),
        ended_at=ended.ended_at,
    )


async def staff(connection: Connection, partner_id: int, after: int, limit: int) -> Page[ListedStaff]:
    """Return a page of a partner's staff, those whose role ended too; the cursor is the last one's grant.

    Raises UnknownPartner.
    """
    holder_id = await _holder_id(connection, partner_id)
    query = StaffGrant.select(
        *StaffGrant.all_columns(),
        StaffGrant.staff_id.name.as_alias("name"),
        StaffGrant.staff_id.email.as_alias("email"),
    ).where(StaffGrant.partner_id == holder_id, StaffGrant.grant_id > after)
    rows = await on(connection, query.order_by(StaffGrant.grant_id).limit(limit + 1))

    def listed(row: Mapping[str, Any]) -> ListedStaff:
        return ListedStaff(
            grant=ids.public("grt", row["grant_id"]),
            staff=ids.public("stf", row["staff_id"]),
            partner=ids.public("par", partner_id),
            role=row["role"],
            name=row["name"],
            email=row["email"],
            created_at=row["created_at"],
            ended_at=row["ended_at"],
        )

    return page_of(rows, limit, listed, lambda row: ids.public("grt", row["grant_id"]))


async def _holder_id(connection: Connection, partner_id: int) -> int | None:
    """Return which partner's roles its staff have; those of the operator's own partner are the operator's, of none."""
    return None if (await partner_row(connection, partner_id)).operator else partner_id
