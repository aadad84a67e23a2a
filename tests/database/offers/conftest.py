"""The database of these tests, whose invariants are looked for after each of them."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

import offers
from koinon.database import beside, connected
from koinon.ledger import invariants

INVARIANTS = beside(offers.__file__, "invariants.sql")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    """Give the process's pool on a fresh database; whatever a test does there, what must hold still holds after it."""
    async with connected(database_url) as pool:
        yield pool
        async with pool.acquire() as connection:
            assert await invariants.check(connection) == []
            assert await invariants.check(connection, None, INVARIANTS) == []
