"""Programmes over HTTP."""

import re
from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from koinon.callers.guards import require
from koinon.callers.model import Caller
from koinon.database import pool
from koinon.http.cursors import Page, PageCursor, PageLimit
from koinon.http.openapi import Keyed, reads, writes
from koinon.http.requests import once, write_of
from koinon.parties import programmes
from koinon.parties.operations import UnknownProgramme
from koinon.parties.programmes import (
    ClockMove,
    ClockMovesForward,
    NewProgramme,
    Openings,
    Programme,
    ProgrammeCodeTaken,
    ProgrammeIsLive,
    UnknownCurrency,
    UnknownTimeZone,
)
from koinon.problems import invalid_field
from koinon.references import id_in_path
from koinon.runtime import runtime_of

PAGE = 50

Asking = Request[Caller, Any, Any]


@post(
    "/programmes",
    guards=[require("programmes:write")],
    operation_id="createProgramme",
    summary="Open a programme",
    operation_class=Keyed,
    responses=writes(201, Programme, ProgrammeCodeTaken, ProgrammeIsLive, UnknownCurrency, UnknownTimeZone),
)
async def create_programme(request: Asking, data: JSONBody[NewProgramme]) -> Response[bytes]:
    """Open a programme, with its unit, its operator's own partner, and its first settlement window."""
    openings = runtime_of(request)[Openings]
    return await once(
        await write_of(request, data), 201, lambda connection: programmes.create_programme(connection, data, openings)
    )


@get(
    "/programmes",
    guards=[require("programmes:write")],
    operation_id="listProgrammes",
    summary="List programmes",
    responses=reads(),
)
async def list_programmes(limit: FromQuery[PageLimit] = PAGE, cursor: FromQuery[PageCursor] = None) -> Page[Programme]:
    """List programmes by code."""
    if cursor is not None and not re.fullmatch(r"[a-z0-9-]{1,40}", cursor):
        raise invalid_field("/cursor", "not a cursor of this list")
    async with pool().acquire() as connection:
        return await programmes.programmes(connection, cursor, limit)


@get(
    "/programmes/{programme:str}",
    guards=[require("programmes:write")],
    operation_id="readProgramme",
    summary="Read a programme",
    responses=reads(UnknownProgramme),
)
async def read_programme(programme: FromPath[str]) -> Programme:
    """Read a programme and its time."""
    async with pool().acquire() as connection:
        return await programmes.programme(connection, id_in_path("pro", programme, UnknownProgramme))


@post(
    "/programmes/{programme:str}/clock",
    guards=[require("programmes:write")],
    operation_id="moveClock",
    summary="Move a sandbox programme's test clock",
    operation_class=Keyed,
    responses=writes(
        201,
        Programme,
        UnknownProgramme,
        ProgrammeIsLive,
        ClockMovesForward,
        example={"clock_at": "2026-03-02T22:00:00Z", "now": "2026-03-02T22:00:00Z"},
    ),
)
async def move_clock(request: Asking, programme: FromPath[str], data: JSONBody[ClockMove]) -> Response[bytes]:
    """Set a sandbox programme's test clock, never back; a live programme refuses."""
    programme_id = id_in_path("pro", programme, UnknownProgramme)
    return await once(
        await write_of(request, data), 201, lambda connection: programmes.move_clock(connection, programme_id, data)
    )


router = Router(
    "/v1",
    route_handlers=[create_programme, list_programmes, read_programme, move_clock],
    tags=["parties"],
)
