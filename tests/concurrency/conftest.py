"""A coalition on a fresh database, and sessions of its own for what several do at once."""

from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest

from koinon.database import APPLICATION_ROLE, Connection
from tests.kit.ledger import Coalition

Open = Callable[[], Awaitable[Connection]]


@pytest.fixture
async def session(database_url: str) -> AsyncIterator[Open]:
    """Give a function that opens another session as the application's role."""
    opened: list[Connection] = []

    async def open_session() -> Connection:
        connection = await asyncpg.connect(
            database_url, server_settings={"role": APPLICATION_ROLE, "timezone": "UTC", "jit": "off"}
        )
        opened.append(connection)
        return connection

    yield open_session
    for connection in opened:
        connection.terminate()


@pytest.fixture
async def coalition(database: asyncpg.Pool) -> Coalition:
    """Give a sandbox programme with three brands and an open window, in the process's pool's database."""
    async with database.acquire() as connection:
        return await Coalition().found(connection)
