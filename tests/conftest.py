"""What tests stand on: a real PostgreSQL server for the session, and a fresh migrated database for a test."""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import hypothesis
import pytest

from koinon.app import functions
from koinon.database import connected
from koinon.database.embedded import embedded_server
from koinon.database.migrate import migrate

# A check that lets a change in must not depend on the draw; elsewhere every run looks at other examples.
hypothesis.settings.register_profile("repeatable", derandomize=True)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("repeatable")


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


class Databases:
    """Migrated databases of a server: each test has one of its own, emptied and given to the next one after it.

    Emptying takes milliseconds where making one anew takes a copy of ten megabytes. A database in which a test has
    made or dropped a relation is not given on.
    """

    TEMPLATE = "koinon_template"
    RELATIONS = """
    SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname NOT LIKE 'pg_%'
    """
    EMPTY = """
    DO $$
    DECLARE
        name text;
    BEGIN
        SET LOCAL session_replication_role = replica;
        FOR name IN
            SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables
            WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema', 'public')
                AND (table_schema, table_name) <> ('settlement', 'run_transition') -- what the migrations wrote
        LOOP
            EXECUTE 'DELETE FROM ' || name;
        END LOOP;
        INSERT INTO audit.log (log_id) VALUES (1);
    END
    $$
    """

    def __init__(self, server: asyncpg.Connection, url: str, relations: int) -> None:
        self._server = server
        self._url = url
        self._relations = relations
        self._free: list[str] = []
        self._made = 0

    def url_of(self, name: str) -> str:
        """Return the URL of a database."""
        return database_of(self._url, name)

    async def take(self) -> str:
        """Return the name of an empty, migrated database that nobody else has."""
        if self._free:
            return self._free.pop()
        self._made += 1
        name = f"test_{self._made}"
        await self._server.execute(f"CREATE DATABASE {name} TEMPLATE {self.TEMPLATE} STRATEGY file_copy")
        return name

    async def give_back(self, name: str) -> None:
        """Empty a database for the next test, or drop it when it is not what it was."""
        await self._server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()",
            name,
        )
        connection = await asyncpg.connect(self.url_of(name))
        try:
            same = await connection.fetchval(self.RELATIONS) == self._relations
            if same:
                await connection.execute(self.EMPTY)
                self._free.append(name)
        finally:
            await connection.close()
        if not same:
            await self._server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
async def databases(server_url: str) -> AsyncIterator[Databases]:
    """Give the session's databases, copies of one that was migrated."""
    server = await asyncpg.connect(server_url)
    # This server does not outlive the session: what a crash of the whole system would keep is not tested here.
    for setting in ("fsync", "full_page_writes"):
        await server.execute(f"ALTER SYSTEM SET {setting} = off")
    await server.execute("SELECT pg_reload_conf()")
    await server.execute(f"CREATE DATABASE {Databases.TEMPLATE}")
    url = database_of(server_url, Databases.TEMPLATE)
    await migrate(url, functions())
    migrated = await asyncpg.connect(url)
    relations = await migrated.fetchval(Databases.RELATIONS)
    await migrated.close()
    yield Databases(server, server_url, relations)
    await server.close()


@pytest.fixture
async def database_url(databases: Databases) -> AsyncIterator[str]:
    """Give the URL of an empty migrated database of this test's own."""
    name = await databases.take()
    yield databases.url_of(name)
    await databases.give_back(name)


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
