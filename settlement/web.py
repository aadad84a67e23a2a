"""Settlement over HTTP: windows, runs and approvals for the operator; statements and bundles for each partner."""

import re
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import Stream

from koinon import ids
from koinon.audit.model import Statement
from koinon.callers.guards import require
from koinon.callers.model import Caller
from koinon.database import Connection, pool
from koinon.fields import ProgrammeId
from koinon.http.cursors import Page, PageCursor, PageLimit
from koinon.http.openapi import Keyed, gives, reads, writes
from koinon.http.requests import once, write_of
from koinon.parties.operations import UnknownPartner, UnknownProgramme, programme_row
from koinon.problems import NotAllowed, invalid_field
from settlement.delivered import Expected, Published, UnknownStatement, bundle_parts, expected, published
from settlement.examples import APPROVED, CALCULATED, NIGHT
from settlement.operations import (
    AlreadyApproved,
    MakerIsChecker,
    RunNotPublished,
    UnknownRun,
    WindowNotBegun,
    approve_run,
    ask_for_run,
)
from settlement.runs import Run, RunSummary, Window, run, runs, window, windows

PAGE = 50
PRIVATE = "private, no-cache"
JSON_LINES = "application/jsonl"
VKEY = "https://c2sp.org/signed-note"
"""The relation of a statement to the key of its log: that specification says what the key's text is."""

Asking = Request[Caller, Any, Any]
WindowNumber = Annotated[
    int | None,
    QueryParameter(ge=1, le=2**63 - 1, required=False, description="Without it, the last window that was published."),
]
OfPartner = Annotated[
    str | None, QueryParameter(max_length=64, required=False, description="For the operator: whose statement.")
]


class NewRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The programme whose open window is to be closed and settled now."""

    programme: ProgrammeId


@get(
    "/windows",
    guards=[require("settlement:operate")],
    operation_id="listWindows",
    summary="List a programme's windows",
    responses=reads(UnknownProgramme),
)
async def list_windows(
    programme: FromQuery[str], limit: FromQuery[PageLimit] = PAGE, cursor: FromQuery[PageCursor] = None
) -> Page[Window]:
    """List a programme's windows, the newest first, each with its run or with what stands against one."""
    before = window_cursor(cursor)
    async with pool().acquire() as connection:
        return await windows(connection, await _programme(connection, programme), before, limit)


@post(
    "/runs",
    status_code=202,
    guards=[require("settlement:operate")],
    operation_id="askForRun",
    summary="Close the open window now and settle it",
    operation_class=Keyed,
    responses=writes(
        202,
        Window,
        UnknownProgramme,
        WindowNotBegun,
        example={"state": "CLOSING", "closed_at": None, "run": None, "run_state": None},
    ),
)
async def ask_run(request: Asking, data: JSONBody[NewRun]) -> Response[bytes]:
    """Close the open window before its night; the worker seals it and calculates its run.

    Whoever asks is the run's maker and cannot approve it. What is posted from now on belongs to the next window.
    """
    staff_id = _staff(request)
    programme_id = _asked("pro", data.programme, "/programme")

    async def close(connection: Connection) -> Window:
        return await window(connection, programme_id, await ask_for_run(connection, programme_id, staff_id))

    return await once(await write_of(request, data), 202, close)


@get(
    "/runs",
    guards=[require("settlement:operate")],
    operation_id="listRuns",
    summary="List a programme's runs",
    responses=reads(UnknownProgramme),
)
async def list_runs(
    programme: FromQuery[str], limit: FromQuery[PageLimit] = PAGE, cursor: FromQuery[PageCursor] = None
) -> Page[RunSummary]:
    """List a programme's runs, the newest window first."""
    after = None if cursor is None else _asked("run", cursor, "/cursor")
    async with pool().acquire() as connection:
        return await runs(connection, await _programme(connection, programme), after, limit)


@get(
    "/runs/{run_id:str}",
    guards=[require("settlement:operate")],
    operation_id="readRun",
    summary="Read a run",
    responses=gives(200, Run, "The run.", example=CALCULATED) | reads(UnknownRun),
)
async def read_run(run_id: FromPath[str]) -> Run:
    """Read a run: the nets of all parties, which sum to zero, the pool's check, its state and its approvals."""
    async with pool().acquire() as connection:
        return await run(connection, run_named(run_id))


@post(
    "/runs/{run_id:str}/approvals",
    guards=[require("settlement:approve")],
    operation_id="approveRun",
    summary="Approve a run",
    operation_class=Keyed,
    responses=writes(201, Run, UnknownRun, MakerIsChecker, AlreadyApproved, RunNotPublished, example=APPROVED),
)
async def add_approval(request: Asking, run_id: FromPath[str]) -> Response[bytes]:
    """Approve a published run as its second person: never the one who asked for it."""
    staff_id, approved = _staff(request), run_named(run_id)

    async def approve(connection: Connection) -> Run:
        await approve_run(connection, approved, staff_id)
        return await run(connection, approved)

    return await once(await write_of(request, None), 201, approve)


@get(
    "/statements",
    guards=[require("settlement:read")],
    operation_id="readStatement",
    summary="Read a published statement",
    responses=gives(200, Statement, "The statement, with its digest as ETag.", example=NIGHT)
    | reads(UnknownStatement, UnknownPartner),
)
async def read_statement(
    request: Asking, window: FromQuery[WindowNumber] = None, partner: FromQuery[OfPartner] = None
) -> Response[bytes]:
    """Read a partner's statement: the canonical bytes that the log's run leaf commits to; amounts in minor units.

    The header `Link` names the public key of the programme's log.
    """
    statement = await _published(request, window, partner)
    headers = _tagged(statement.sha256, statement)
    if _known(request, statement.sha256):
        return Response(b"", status_code=304, headers=headers)
    return Response(statement.content, media_type="application/json", headers=headers)


@get(
    "/statements/bundle",
    guards=[require("settlement:read")],
    operation_id="readBundle",
    summary="Download a published bundle",
    responses=gives(200, str, "The bundle, a line a part, with its digest as ETag.", media_type=JSON_LINES)
    | reads(UnknownStatement, UnknownPartner),
)
async def read_bundle(
    request: Asking, window: FromQuery[WindowNumber] = None, partner: FromQuery[OfPartner] = None
) -> Response[Any]:
    """Download a partner's bundle, which `koinon verify` checks alone: the very bytes that were published.

    The header `Link` names the public key of the programme's log.
    """
    statement = await _published(request, window, partner)
    headers = _tagged(statement.bundle_sha256, statement)
    if _known(request, statement.bundle_sha256):
        return Response(b"", status_code=304, headers=headers)
    headers |= {
        "Content-Disposition": f'attachment; filename="{statement.bundle_name}"',
        "Content-Length": str(statement.bundle_bytes),
    }
    return Stream(bundle_parts(statement), media_type=JSON_LINES, headers=headers)


@get(
    "/expected",
    guards=[require("settlement:read")],
    operation_id="readExpected",
    summary="Read tonight's expected net",
    responses=reads(UnknownPartner),
)
async def read_expected(request: Asking, partner: FromQuery[OfPartner] = None) -> Expected:
    """Read what a partner would pay and receive if the open window closed now, as far as the log has come."""
    async with pool().acquire() as connection:
        return await expected(connection, _partner(request, partner))


async def _published(request: Asking, window_no: int | None, partner: str | None) -> Published:
    async with pool().acquire() as connection:
        return await published(connection, _partner(request, partner), window_no)


def _partner(request: Asking, text: str | None) -> int:
    """Return whose statement is asked for; to a partner there is none but its own."""
    own = request.user.partner_id
    if request.user.kind == "operator":
        if text is None:
            raise invalid_field("/partner", "the operator names the partner")
        return _asked("par", text, "/partner")
    if own is None or (text is not None and text != ids.public("par", own)):
        raise UnknownPartner
    return own


def _staff(request: Asking) -> int:
    if request.user.staff_id is None:
        raise NotAllowed("a person has to do this")
    return request.user.staff_id


async def _programme(connection: Connection, text: str) -> int:
    programme_id = _asked("pro", text, "/programme")
    await programme_row(connection, programme_id)
    return programme_id


def window_cursor(text: str | None) -> int | None:
    """Return the number of the window that a list's cursor names; raises InvalidInput."""
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", text, re.ASCII):
        raise invalid_field("/cursor", "not a cursor of this list")
    return int(text)


def run_named(text: str) -> int:
    """Return the run that a path names; raises UnknownRun."""
    try:
        return ids.private("run", text)
    except ValueError:
        raise UnknownRun from None


def _asked(prefix: str, text: str, pointer: str) -> int:
    try:
        return ids.private(prefix, text)
    except ValueError as error:
        raise invalid_field(pointer, str(error)) from None


def _tagged(digest: str, statement: Published) -> dict[str, str]:
    return {"ETag": f'"{digest}"', "Cache-Control": PRIVATE, "Link": f'<{statement.vkey_path}>; rel="{VKEY}"'}


def _known(request: Asking, digest: str) -> bool:
    """Tell whether the caller has these bytes already (RFC 9110 §13.1.2)."""
    given = request.headers.get("If-None-Match", "")
    return given.strip() == "*" or f'"{digest}"' in {tag.strip().removeprefix("W/") for tag in given.split(",")}


router = Router(
    "/v1/settlement",
    route_handlers=[
        list_windows,
        ask_run,
        list_runs,
        read_run,
        add_approval,
        read_statement,
        read_bundle,
        read_expected,
    ],
    tags=["settlement"],
)
