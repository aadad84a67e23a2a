"""A coalition of a test's own, in a database that these tests share, and a connection as the application's role."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from koinon.database import APPLICATION_ROLE, Connection
from tests.conftest import Databases
from tests.kit.ledger import Coalition


@pytest.fixture(scope="session")
async def ledger_url(databases: Databases) -> AsyncIterator[str]:
    """Give the URL of one migrated database for all tests that bring a coalition of their own."""
    name = await databases.take()
    yield databases.url_of(name)
    await databases.give_back(name)


@pytest.fixture
async def connection(ledger_url: str) -> AsyncIterator[Connection]:
    """Give a connection that may do what the application may, and no more."""
    connection = await asyncpg.connect(ledger_url, server_settings={"role": APPLICATION_ROLE, "timezone": "UTC"})
    yield connection
    await connection.close()


@pytest.fixture
async def coalition(connection: Connection) -> Coalition:
    """Give a sandbox programme with three brands and an open window."""
    return await Coalition().found(connection)


@pytest.fixture
async def account(connection: Connection, coalition: Coalition) -> int:
    """Give an account with an empty wallet."""
    return await coalition.account(connection)
