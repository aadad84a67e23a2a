"""Lock step: one session is stopped at a point while another runs into it; both go on in an order that is known.

Sessions stop at real locks: at a row that a test holds, or behind a transaction that it has not yet ended. Whether one
waits is asked of the database, again and again until it does: nothing here depends on how long anything takes.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from typing import Any, TypeVar

import asyncpg

from koinon.database import Connection, transaction

Result = TypeVar("Result")

PATIENCE_SECONDS = 30
WAITING = "SELECT EXISTS (SELECT FROM pg_stat_activity a WHERE $1::integer = ANY (pg_blocking_pids(a.pid)))"

WAITING_ALL = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0
"""


class Went(AssertionError):
    """Who should have waited went on: what makes it wait is gone."""


class Waited(AssertionError):
    """Who should have gone past what another holds waits for it."""


class _WentDown(Exception):
    """Nobody commits any more."""


def aside(work: Coroutine[Any, Any, Result]) -> "asyncio.Task[Result]":
    """Let work run beside the caller, in transactions of its own whatever the caller has open."""
    return asyncio.get_running_loop().create_task(work, context=Context())


@asynccontextmanager
async def given_up() -> AsyncIterator[Connection]:
    """Run the block in a transaction that is rolled back at its end, as that of a process that went down."""
    with suppress(_WentDown):
        async with transaction() as connection:
            yield connection
            raise _WentDown


@asynccontextmanager
async def holding(holder: Connection, lock: str, *values: object) -> AsyncIterator[None]:
    """Let a session hold for the block what a statement locks."""
    async with holder.transaction():
        await holder.execute(lock, *values)
        yield


async def waits_for(holder: Connection, waiting: "asyncio.Task[Any]", observer: asyncpg.Pool | Connection) -> None:
    """Return once some session waits for what a session holds; raise Went when the work ends without."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await observer.fetchval(WAITING, holder.get_server_pid()):
            if waiting.done():
                raise Went(f"it ended without waiting: {waiting!r}")
            await asyncio.sleep(0)


async def passes(holder: Connection, passing: "asyncio.Task[Result]", observer: asyncpg.Pool | Connection) -> Result:
    """Return what work comes to that waits for nothing a session holds; raise Waited when it does."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not passing.done():
            if await observer.fetchval(WAITING, holder.get_server_pid()):
                passing.cancel()
                raise Waited("it should have gone past what another holds")
            await asyncio.sleep(0)
    return passing.result()


async def all_wait(observer: asyncpg.Pool | Connection, *waiting: "asyncio.Task[Any]") -> None:
    """Return once as many sessions wait for others as there are pieces of work; raise Went when one ends without."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await observer.fetchval(WAITING_ALL) < len(waiting):
            for each in waiting:
                if each.done():
                    raise Went(f"it ended without waiting: {each!r}")
            await asyncio.sleep(0)
