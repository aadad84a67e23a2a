"""What tests stand on: how properties look for their exception, a real PostgreSQL server, and a fresh database each."""

import os
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, core, settings
from hypothesis.database import DirectoryBasedExampleDatabase
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

from koinon.app import functions
from koinon.database import connected
from koinon.database.migrate import migrate
from tests.server import running_server

ROOT = Path(__file__).resolve().parent.parent
FOUND = ROOT / "var" / "examples"

# A check that lets a change in says the same every time: of a property it tries examples that follow from the test
# alone, and no clock judges how fast they come. A test says how many it wants, and nothing else.
settings.register_profile(
    "repeatable",
    database=None,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
# `make test-long` looks elsewhere at every run, keeps what failed, and begins with that the next time.
settings.register_profile(
    "random", settings.get_profile("repeatable"), database=DirectoryBasedExampleDatabase(FOUND), derandomize=False
)
# Who only asks whether a test fails needs neither the smallest example of it nor to know that the machine is busy.
settings.register_profile(
    "unshrunk",
    derandomize=True,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option by which properties look at random."""
    parser.addoption("--seed", type=int, help="look for exceptions to properties at random, from this whole number")


def pytest_configure(config: pytest.Config) -> None:
    """Choose how properties look for their exception."""
    if config.getoption("seed") is None:
        # Hypothesis also draws from the constants of whatever modules are loaded, and those are others where one test
        # runs alone, or where other tests ran before.
        providers._get_local_constants = Constants
    else:
        settings.load_profile("random")


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say from where properties look, so that they can look from there again."""
    seed = config.getoption("seed")
    return seed and f"properties: at random from --seed={seed}; what fails is kept in {FOUND.relative_to(ROOT)}"


def look_from(seed: int | None) -> None:
    """Let this thread's next properties that look at random look from a seed, or from anywhere.

    Hypothesis's own decorator and option for a seed would keep nothing of what they find.
    """
    core.threadlocal._hypothesis_global_random = None if seed is None else random.Random(seed)  # noqa: S311  # examples are no secret


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let every test look from the given seed, whatever ran before it."""
    look_from(item.config.getoption("seed"))


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Count in a worker what it leaves out: its terminal is the controller's, which sees no items."""
    told = getattr(items[0].config, "workeroutput", {}) if items else {}
    told["deselected"] = told.get("deselected", 0) + len(items)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Show in the last line what the workers left out, which is the same for each."""
    left_out = getattr(node, "workeroutput", {}).get("deselected", 0)
    terminal = node.config.pluginmanager.get_plugin("terminalreporter")
    if left_out and terminal is not None:
        terminal.stats["deselected"] = [SimpleNamespace()] * left_out


@pytest.fixture(scope="session")
def seed(pytestconfig: pytest.Config) -> int | None:
    """Give the whole number from which properties look at random, or None when they look where they always do."""
    chosen: int | None = pytestconfig.getoption("seed")
    return chosen


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """Give the URL of a real PostgreSQL server that lives as long as the session."""
    with running_server() as url:
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
            await self.drop(name)

    async def drop(self, name: str) -> None:
        """Drop a database that is not worth emptying."""
        await self._server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
async def databases(server_url: str) -> AsyncIterator[Databases]:
    """Give the session's databases, copies of one that was migrated."""
    server = await asyncpg.connect(server_url)
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
