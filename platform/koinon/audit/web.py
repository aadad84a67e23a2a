"""The log over HTTP: what anyone may read (C2SP tlog-tiles). It shows nobody's business."""

from typing import Any

from litestar import Request, Response, Router, get
from litestar.params import FromPath

from koinon.audit.signing import log_key
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


class UnknownTile(NotFound):
    """The path is not a tile's, or the log is not that large yet."""

    code = "unknown-tile"
    title = "There is no such tile"


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
    state = await pool().fetchrow(statements["log_state"])
    if state["note"] is None:
        raise NotFound("nothing was signed yet")
    return Response(state["note"], media_type="text/plain", headers=FRESH)


@get(
    "/vkey",
    opt={"public": True},
    operation_id="logKey",
    summary="The log's public key",
    media_type="text/plain",
    responses=refusals(),
    sync_to_thread=False,
)
def vkey(request: Request[Any, Any, Any]) -> Response[str]:
    """Return the key that signs checkpoints, as text `name+id+base64`.

    `koinon verify --key` pins it. Keep it once, and compare it with what the operator gave you by another way.
    """
    return Response(log_key(runtime_of(request)).text, media_type="text/plain", headers=FOR_A_DAY)


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
    try:
        address = parse_tile_path("tile/" + str(path).lstrip("/"))
    except ValueError:
        raise UnknownTile from None
    state = await pool().fetchrow(statements["log_state"])
    count = state["signed_size"] >> (8 * (address.level or 0))
    if address.index * TILE_WIDTH + address.width > count:
        raise UnknownTile
    if address.level is None:
        first = address.index * TILE_WIDTH
        rows = await pool().fetch(statements["entries"], first, first + address.width)
        data = pack_entries(row["leaf"] for row in rows)
    else:
        hashes = await pool().fetchval(statements["tile"], address.level, address.index)
        data = hashes[: address.width * HASH_BYTES]
    return Response(data, media_type="application/octet-stream", headers=IMMUTABLE)


router = Router("/log", route_handlers=[checkpoint, vkey, tile], tags=["log"])
