"""Staff of a brand over HTTP."""

from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from koinon.callers.guards import require
from koinon.callers.model import Caller
from koinon.database import pool
from koinon.http.cursors import Page, PageCursor, PageLimit
from koinon.http.openapi import Keyed, reads, writes
from koinon.http.requests import once, write_of
from koinon.identity.operations import GrantEnded, LastOperator, UnknownGrant
from koinon.parties.operations import UnknownPartner
from koinon.references import id_in_field, id_in_path
from partners import staff
from partners.staff import EndedStaff, ListedStaff, NewStaff, OperatorStaffElsewhere, Staff
from partners.web import PAGE, own_partner

Asking = Request[Caller, Any, Any]


@post(
    "/partners/{partner:str}/staff",
    guards=[require("partners:write")],
    operation_id="addStaff",
    summary="Give a person a role at a brand",
    operation_class=Keyed,
    responses=writes(201, Staff, UnknownPartner, OperatorStaffElsewhere),
)
async def add_staff(request: Asking, partner: FromPath[str], data: JSONBody[NewStaff]) -> Response[bytes]:
    """Let a person sign in for a brand, in a role: owner, marketing, finance, developer or support."""
    partner_id = id_in_path("par", partner, UnknownPartner)
    return await once(
        await write_of(request, data), 201, lambda connection: staff.add_staff(connection, partner_id, data)
    )


@get(
    "/partners/{partner:str}/staff",
    guards=[require("staff:read")],
    operation_id="listStaff",
    summary="List a partner's staff",
    responses=reads(UnknownPartner),
)
async def list_staff(
    request: Asking, partner: FromPath[str], limit: FromQuery[PageLimit] = PAGE, cursor: FromQuery[PageCursor] = None
) -> Page[ListedStaff]:
    """List who may sign in for a partner, in which role, and who could before; a brand's owner sees its own staff.

    The staff of the operator's own partner are the operators, who are the same in every programme.
    """
    after = 0 if cursor is None else id_in_field("grt", cursor, "/cursor")
    async with pool().acquire() as connection:
        return await staff.staff(connection, own_partner(request, partner), after, limit)


@post(
    "/partners/{partner:str}/staff/{grant:str}/ends",
    guards=[require("partners:write")],
    operation_id="endStaff",
    summary="Take a person's role back",
    operation_class=Keyed,
    responses=writes(201, EndedStaff, UnknownPartner, UnknownGrant, GrantEnded, LastOperator),
)
async def end_staff(request: Asking, partner: FromPath[str], grant: FromPath[str]) -> Response[bytes]:
    """End a role of a person at a partner: they are signed out there at once, and may sign in by what is left to them.

    With the operator's role, at the operator's own partner, the person's keys end too; the last operator stays.
    """
    partner_id, grant_id = id_in_path("par", partner, UnknownPartner), id_in_path("grt", grant, UnknownGrant)
    return await once(
        await write_of(request, None), 201, lambda connection: staff.end_staff(connection, partner_id, grant_id)
    )


router = Router("/v1", route_handlers=[add_staff, list_staff, end_staff], tags=["parties"])
