"""Places and their network identities over HTTP."""

from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from koinon.callers.guards import require
from koinon.callers.model import Caller
from koinon.database import pool
from koinon.http.cursors import Page, PageCursor, PageLimit
from koinon.http.openapi import Keyed, reads, writes
from koinon.http.requests import once, write_of
from koinon.parties.operations import UnknownPartner
from koinon.parties.programmes import UnknownTimeZone
from koinon.places import operations
from koinon.places.operations import (
    IdentityEnds,
    IdentityTaken,
    NewEnd,
    NewIdentity,
    NewPlace,
    Place,
    UnknownIdentity,
    UnknownPlace,
)
from koinon.references import id_in_field, id_in_path

PAGE = 50

Asking = Request[Caller, Any, Any]


@post(
    "/places",
    guards=[require("places:write")],
    operation_id="createPlace",
    summary="Add a place",
    operation_class=Keyed,
    responses=writes(201, Place, UnknownPartner, UnknownTimeZone, IdentityTaken),
)
async def create_place(request: Asking, data: JSONBody[NewPlace]) -> Response[bytes]:
    """Add a place of a partner with what the networks call it, each name for a span of time."""
    return await once(await write_of(request, data), 201, lambda connection: operations.create_place(connection, data))


@get(
    "/places",
    guards=[require("places:write")],
    operation_id="listPlaces",
    summary="List places",
    responses=reads(),
)
async def list_places(
    partner: FromQuery[str | None] = None,
    limit: FromQuery[PageLimit] = PAGE,
    cursor: FromQuery[PageCursor] = None,
) -> Page[Place]:
    """List places with their identities, of one partner or of all."""
    partner_id = None if partner is None else id_in_field("par", partner, "/partner")
    after = 0 if cursor is None else id_in_field("pla", cursor, "/cursor")
    async with pool().acquire() as connection:
        return await operations.places(connection, partner_id, after, limit)


@get(
    "/places/{place:str}",
    guards=[require("places:write")],
    operation_id="readPlace",
    summary="Read a place",
    responses=reads(UnknownPlace),
)
async def read_place(place: FromPath[str]) -> Place:
    """Read a place with its identities."""
    async with pool().acquire() as connection:
        return await operations.place(connection, id_in_path("pla", place, UnknownPlace))


@post(
    "/places/{place:str}/identities",
    guards=[require("places:write")],
    operation_id="addIdentity",
    summary="Add what a network calls a place",
    operation_class=Keyed,
    responses=writes(201, Place, UnknownPlace, IdentityTaken),
)
async def add_identity(request: Asking, place: FromPath[str], data: JSONBody[NewIdentity]) -> Response[bytes]:
    """Add a network's name of a place for a span of time; a name that is another place's then is refused."""
    place_id = id_in_path("pla", place, UnknownPlace)
    return await once(
        await write_of(request, data), 201, lambda connection: operations.add_identity(connection, place_id, data)
    )


@post(
    "/places/{place:str}/identities/{identity:str}/ends",
    guards=[require("places:write")],
    operation_id="endIdentity",
    summary="End what a network calls a place",
    operation_class=Keyed,
    responses=writes(201, Place, UnknownPlace, UnknownIdentity, IdentityEnds),
)
async def end_identity(
    request: Asking, place: FromPath[str], identity: FromPath[str], data: JSONBody[NewEnd]
) -> Response[bytes]:
    """Tell until when a network's name is this place's, once; from that moment on it may be another place's."""
    place_id, identity_id = id_in_path("pla", place, UnknownPlace), id_in_path("nid", identity, UnknownIdentity)
    return await once(
        await write_of(request, data),
        201,
        lambda connection: operations.end_identity(connection, place_id, identity_id, data),
    )


router = Router(
    "/v1", route_handlers=[create_place, list_places, read_place, add_identity, end_identity], tags=["places"]
)
