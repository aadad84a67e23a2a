"""What tests stand on: a real PostgreSQL server for the session, and a fresh migrated database for a test."""

import os
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from koinon.app import functions
from koinon.database import connected
from koinon.database.embedded import embedded_server
from koinon.database.migrate import migrate

TEMPLATE = "koinon_template"


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """Give the URL of a real PostgreSQL server that lives as long as the session."""
    # Not in pytest's own folder: the next pytest to start closes that to other users, and the server, which runs as
    # one of them when the tests run as root, would lose its data under its feet.
    with tempfile.TemporaryDirectory(prefix="koinon-tests-") as folder, embedded_server(Path(folder)) as url:
        yield url


def database_of(url: str, name: str) -> str:
    """Return the URL of another database of the same server."""
    return url.replace("/postgres?", f"/{name}?")


@pytest.fixture(scope="session")
async def template(server_url: str) -> str:
    """Give the name of a migrated, empty database that others are copied from."""
    connection = await asyncpg.connect(server_url)
    await connection.execute(f"CREATE DATABASE {TEMPLATE}")
    await connection.close()
    await migrate(database_of(server_url, TEMPLATE), functions())
    return TEMPLATE


@pytest.fixture
async def database_url(server_url: str, template: str) -> AsyncIterator[str]:
    """Give the URL of a fresh migrated database of this test's own."""
    name = f"test_{uuid.uuid4().hex}"
    connection = await asyncpg.connect(server_url)
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    yield database_of(server_url, name)
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    """Give the process's pool on a fresh database, as the application's role."""
    async with connected(database_url) as pool:
        yield pool


@pytest.fixture(scope="session")
def vectors() -> Path:
    """Give the folder of third-party test vectors that KOINON_VECTORS names, or skip."""
    return _named_folder("KOINON_VECTORS", "third-party test vectors")


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Give the folder of public data that KOINON_DATA names, or skip."""
    return _named_folder("KOINON_DATA", "public card data")


def _named_folder(variable: str, what: str) -> Path:
    name = os.environ.get(variable)
    if not name:
        pytest.skip(f"{variable} does not name a folder of {what}")
    folder = Path(name)
    assert folder.is_dir(), f"{variable} names {folder}, which is not a folder"
    return folder
