"""Staff of a brand over HTTP."""

from typing import Any

from litestar import Request, Response, Router, post
from litestar.params import FromPath, JSONBody

from koinon import ids
from koinon.identity.guards import require
from koinon.identity.model import Caller
from koinon.parties import staff
from koinon.parties.operations import UnknownPartner
from koinon.parties.staff import NewStaff, OperatorStaffElsewhere, Staff
from koinon.web.openapi import Keyed, writes
from koinon.web.requests import once, write_of


@post(
    "/partners/{partner:str}/staff",
    guards=[require("partners:write")],
    operation_id="addStaff",
    summary="Give a person a role at a brand",
    operation_class=Keyed,
    responses=writes(201, Staff, UnknownPartner, OperatorStaffElsewhere),
)
async def add_staff(
    request: Request[Caller, Any, Any], partner: FromPath[str], data: JSONBody[NewStaff]
) -> Response[bytes]:
    """Let a person sign in for a brand, in a role: owner, marketing, finance, developer or support."""
    try:
        partner_id = ids.private("par", partner)
    except ValueError:
        raise UnknownPartner from None
    return await once(
        await write_of(request, data), 201, lambda connection: staff.add_staff(connection, partner_id, data)
    )


router = Router("/v1", route_handlers=[add_staff], tags=["parties"])
