"""The logs over HTTP: what anyone may read (C2SP tlog-tiles). They show nobody's business.

The live log stands under `/log`, a sandbox programme's under `/log/sandbox/{programme}`.
"""

from typing import Any

from litestar import Request, Response, Router, get
from litestar.params import FromPath

from koinon.audit.logs import LIVE_LOG, log_key, sandbox_log
from koinon.audit.stored import statements
from koinon.audit.tiles import TILE_WIDTH, pack_entries, parse_tile_path
from koinon.audit.tree import HASH_BYTES
from koinon.database import pool
from koinon.http.openapi import refusals
from koinon.problems import InvalidInput, NotFound
from koinon.runtime import runtime_of

IMMUTABLE = {"Cache-Control": "public, max-age=31536000, immutable"}
FRESH = {"Cache-Control": "no-cache"}
FOR_A_DAY = {"Cache-Control": "public, max-age=86400"}

Asking = Request[Any, Any, Any]


class UnknownTile(NotFound):
    """The path is not a tile's, or the log is not that large yet."""

    code = "unknown-tile"
    title = "There is no such tile"


class UnknownLog(NotFound):
    """No sandbox programme has this id: every live programme's log is the one at `/log`."""

    code = "unknown-log"
    title = "There is no such log"


@get(
    "/checkpoint",
    opt={"public": True},
    operation_id="logCheckpoint",
    summary="The log's signed checkpoint",
    media_type="text/plain",
    responses=refusals(NotFound),
)
async def checkpoint() -> Response[str]:
    """Return the last signed checkpoint, a C2SP signed note; its leaves are all to be had."""
    return await _checkpoint(LIVE_LOG)


@get(
    "/vkey",
    opt={"public": True},
    operation_id="logKey",
    summary="The log's public key",
    media_type="text/plain",
    responses=refusals(),
    sync_to_thread=False,
)
def vkey(request: Asking) -> Response[str]:
    """Return the key that signs checkpoints, as text `name+id+base64`.

    `koinon verify --key` pins it. Keep it once, and compare it with what the operator gave you by another way.
    """
    return _vkey(request, LIVE_LOG)


@get(
    "/tile/{path:path}",
    opt={"public": True},
    operation_id="logTile",
    summary="A tile of the log",
    media_type="application/octet-stream",
    responses=refusals(UnknownTile, InvalidInput),
)
async def tile(path: FromPath[str]) -> Response[bytes]:
    """Return a tile of hashes, or of entries (`entries/…`), whole or partial (`….p/W`)."""
    return await _tile(LIVE_LOG, path)


@get(
    "/sandbox/{programme:str}/checkpoint",
    opt={"public": True},
    operation_id="sandboxLogCheckpoint",
    summary="A sandbox log's signed checkpoint",
    media_type="text/plain",
    responses=refusals(UnknownLog, NotFound, InvalidInput),
)
async def sandbox_checkpoint(programme: FromPath[str]) -> Response[str]:
    """Return the last signed checkpoint of a sandbox programme's own log."""
    return await _checkpoint(await _opened(programme))


@get(
    "/sandbox/{programme:str}/vkey",
    opt={"public": True},
    operation_id="sandboxLogKey",
    summary="A sandbox log's public key",
    media_type="text/plain",
    responses=refusals(UnknownLog, InvalidInput),
)
async def sandbox_vkey(request: Asking, programme: FromPath[str]) -> Response[str]:
    """Return the key of a sandbox programme's log; the live log's key signs nothing of a sandbox."""
    return _vkey(request, await _opened(programme))


@get(
    "/sandbox/{programme:str}/tile/{path:path}",
    opt={"public": True},
    operation_id="sandboxLogTile",
    summary="A tile of a sandbox log",
    media_type="application/octet-stream",
    responses=refusals(UnknownLog, UnknownTile, InvalidInput),
)
async def sandbox_tile(programme: FromPath[str], path: FromPath[str]) -> Response[bytes]:
    """Return a tile of a sandbox programme's log."""
    return await _tile(await _opened(programme), path)


async def _opened(programme: str) -> int:
    """Return the log of a sandbox programme; raises UnknownLog."""
    try:
        log_id = sandbox_log(programme)
    except ValueError:
        raise UnknownLog from None
    if log_id == LIVE_LOG or await pool().fetchrow(statements["log_state"], log_id) is None:
        raise UnknownLog
    return log_id


async def _checkpoint(log_id: int) -> Response[str]:
    state = await pool().fetchrow(statements["log_state"], log_id)
    if state["note"] is None:
        raise NotFound("nothing was signed yet")
    return Response(state["note"], media_type="text/plain", headers=FRESH)


def _vkey(request: Asking, log_id: int) -> Response[str]:
    return Response(log_key(runtime_of(request), log_id).text, media_type="text/plain", headers=FOR_A_DAY)


async def _tile(log_id: int, path: str) -> Response[bytes]:
    try:
        address = parse_tile_path("tile/" + str(path).lstrip("/"))
    except ValueError:
        raise UnknownTile from None
    state = await pool().fetchrow(statements["log_state"], log_id)
    count = state["signed_size"] >> (8 * (address.level or 0))
    if address.index * TILE_WIDTH + address.width > count:
        raise UnknownTile
    if address.level is None:
        first = address.index * TILE_WIDTH
        rows = await pool().fetch(statements["entries"], log_id, first, first + address.width)
        data = pack_entries(row["leaf"] for row in rows)
    else:
        hashes = await pool().fetchval(statements["tile"], log_id, address.level, address.index)
        data = hashes[: address.width * HASH_BYTES]
    return Response(data, media_type="application/octet-stream", headers=IMMUTABLE)


router = Router(
    "/log",
    route_handlers=[checkpoint, vkey, tile, sandbox_checkpoint, sandbox_vkey, sandbox_tile],
    tags=["log"],
)
