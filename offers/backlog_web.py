"""What a programme's worker has still to do or has set aside, and what its purchases have come to, over HTTP."""

from datetime import date
from typing import Annotated, Any

import asyncpg
import msgspec
from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from koinon import ids
from koinon.callers.guards import require
from koinon.callers.model import Caller
from koinon.database import beside, pool
from koinon.http.openapi import Keyed, reads, writes
from koinon.http.requests import once, write_of
from koinon.parties.operations import UnknownProgramme
from offers.queues import Retries, SetAside, set_aside, try_again

Waiting = Annotated[int, msgspec.Meta(examples=[0])]
statements = beside(__file__, "backlog.sql")


class Backlog(msgspec.Struct, frozen=True, kw_only=True):
    """What waits for the worker, all in one look: nothing of a programme's day is under way when all four are 0.

    `inbox`: card messages not yet folded. `unrewarded`: purchases about which more is known than was rewarded.
    `unlogged`: journals without their leaf. `unsealed`: windows that were flipped and are not yet sealed.
    `window` is open; `business_date` is its day, which follows the programme's clock once the worker has seen it.
    `set_aside` waits for a person: what failed too often, and is not in the counts any more.
    """

    inbox: Waiting
    unrewarded: Waiting
    unlogged: Waiting
    unsealed: Waiting
    window: Annotated[int, msgspec.Meta(examples=[1])]
    business_date: date
    set_aside: list[SetAside]


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What a programme's purchases have come to: `rewards` counts those that give points, posted or pending.

    `posted_points` stand in the ledger, less what refunds took back; `available_points` and `held_points` are in all
    wallets now.
    """

    purchases: Annotated[int, msgspec.Meta(examples=[1840])]
    rewards: Annotated[int, msgspec.Meta(examples=[1216])]
    posted_points: Annotated[int, msgspec.Meta(examples=[250000])]
    pending_points: Annotated[int, msgspec.Meta(examples=[31000])]
    accounts: Annotated[int, msgspec.Meta(examples=[640])]
    available_points: Annotated[int, msgspec.Meta(examples=[128500])]
    held_points: Annotated[int, msgspec.Meta(examples=[1500])]


@get(
    "/programmes/{programme:str}/backlog",
    guards=[require("settlement:operate")],
    operation_id="readBacklog",
    summary="Read what the worker has still to do",
    responses=reads(UnknownProgramme),
)
async def read_backlog(programme: FromPath[str]) -> Backlog:
    """Read how much of a programme waits for the worker, which window is open, and what was set aside and why."""
    row = await _row("backlog", programme)
    async with pool().acquire() as connection:
        aside = await set_aside(connection, _programme_id(programme))
    return Backlog(
        inbox=row["inbox"],
        unrewarded=row["unrewarded"],
        unlogged=row["unlogged"],
        unsealed=row["unsealed"],
        window=row["window_no"],
        business_date=row["business_date"],
        set_aside=aside,
    )


@post(
    "/programmes/{programme:str}/backlog/retries",
    guards=[require("settlement:operate")],
    operation_id="retryBacklog",
    summary="Try again what was set aside",
    operation_class=Keyed,
    responses=writes(201, Retries, UnknownProgramme),
)
async def retry_backlog(request: Request[Caller, Any, Any], programme: FromPath[str]) -> Response[bytes]:
    """Let the worker try again all that it set aside: once its cause is mended, nothing of it is lost."""
    await _row("backlog", programme)
    programme_id = _programme_id(programme)
    return await once(await write_of(request, None), 201, lambda connection: try_again(connection, programme_id))


@get(
    "/programmes/{programme:str}/figures",
    guards=[require("settlement:operate")],
    operation_id="readFigures",
    summary="Read what purchases have come to",
    responses=reads(UnknownProgramme),
)
async def read_figures(programme: FromPath[str]) -> Figures:
    """Read how many purchases were rewarded with how many points, and what the wallets hold."""
    await _row("backlog", programme)
    row = await _row("figures", programme)
    return Figures(**dict(row))


def _programme_id(programme: str) -> int:
    try:
        return ids.private("pro", programme)
    except ValueError:
        raise UnknownProgramme from None


async def _row(statement: str, programme: str) -> asyncpg.Record:
    row = await pool().fetchrow(statements[statement], _programme_id(programme))
    if row is None:
        raise UnknownProgramme
    return row


router = Router("/v1", route_handlers=[read_backlog, retry_backlog, read_figures], tags=["operations"])
