"""Writes that lose a race: they run again as a whole, and who loses every time is told to come back."""

import asyncio
from typing import Any

import asyncpg
import httpx
import pytest
from litestar import Litestar, Response, Router, post

from koinon.callers.model import Caller
from koinon.database import ATTEMPTS, RACES, Connection
from koinon.http.requests import Write, once
from tests.kit.scheme import unchanged
from tests.web.conftest import problem_of

LOCK = "SELECT pg_advisory_xact_lock($1)"


def write_of(key: str) -> Write:
    """Return a write of somebody's."""
    caller = Caller(kind="operator", name="stf_1", scopes=frozenset())
    return Write(caller=caller, key=key, content_hash="00" * 32)


async def test_two_writes_in_two_orders(app: Litestar, database: asyncpg.Pool) -> None:
    """Of two that wait for each other, one runs again: both are answered, each with a request of its own."""
    ran: list[str] = []
    met = asyncio.Barrier(2)

    async def ask(key: str, first: int, second: int) -> Response[bytes]:
        async def operation(connection: Connection) -> dict[str, str]:
            ran.append(key)
            await connection.execute(LOCK, first)
            if ran.count(key) == 1:
                await met.wait()
            await connection.execute(LOCK, second)
            return {"key": key}

        return await once(write_of(key), 201, operation)

    answers = await asyncio.gather(ask("a", 1, 2), ask("b", 2, 1))
    assert [(answer.status_code, answer.content) for answer in answers] == [
        (201, b'{"key":"a"}'),
        (201, b'{"key":"b"}'),
    ]
    assert len(ran) == 3
    assert await database.fetchval("SELECT count(*) FROM koinon.request WHERE status = 201") == 2


@pytest.mark.parametrize("race", RACES)
async def test_a_write_that_loses_every_race(
    app: Litestar, client: httpx.AsyncClient, database: asyncpg.Pool, race: Any
) -> None:
    """It is tried a few times, leaves nothing, and its caller is told when to send it again."""
    tries = []

    @post("/", opt={"public": True})
    async def losing() -> Response[bytes]:
        """Lose."""

        async def operation(_: Connection) -> None:
            tries.append(1)
            raise race

        return await once(write_of("a"), 201, operation)

    app.register(Router(f"/losing/{race.__name__}", route_handlers=[losing]))
    async with unchanged(database):
        answer = await client.post(f"/losing/{race.__name__}")
    assert problem_of(answer) == (503, "service-unavailable")
    assert answer.headers["Retry-After"] == "1"
    assert len(tries) == ATTEMPTS
