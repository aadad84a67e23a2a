"""A migration that meets a lock: writers behind it would wait as long as it does, so it gives up after its time-out."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from koinon.app import functions
from koinon.database import migrate as module
from koinon.database.migrate import LOCK_TIMEOUT, MIGRATION_LOCK, MigrationFailed, migrate

SHORT = "200ms"
PATIENCE_SECONDS = 120
FUNCTION = "CREATE OR REPLACE FUNCTION ledger.held_up() RETURNS integer LANGUAGE sql AS 'SELECT {}'"
UNDONE = """
DELETE FROM migration WHERE name = 'm0002_payment_account_cards';
ALTER TABLE offers.payment_account DROP COLUMN card_keys;
CREATE INDEX card_par ON offers.card (programme_id, par) WHERE par IS NOT NULL AND unlinked_at IS NULL;
"""
COLUMNS = "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'offers' AND column_name = 'card_keys'"


@pytest.fixture
async def behind(server_url: str) -> AsyncIterator[str]:
    """Give the URL of a database that lacks the migration that adds a column to the payment accounts."""
    server = await asyncpg.connect(server_url)
    await server.execute("CREATE DATABASE test_locked")
    url = server_url.replace("/postgres?", "/test_locked?")
    await migrate(url, functions())
    owner = await asyncpg.connect(url)
    await owner.execute(UNDONE)
    await owner.close()
    yield url
    await server.execute("DROP DATABASE test_locked WITH (FORCE)")
    await server.close()


async def test_a_migration_gives_up_at_a_lock(behind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session reads a table that a migration changes: it fails after the time-out, nothing changed, and then runs."""
    assert LOCK_TIMEOUT == "5s"
    monkeypatch.setattr(module, "LOCK_TIMEOUT", SHORT)
    reader, watcher = await asyncpg.connect(behind), await asyncpg.connect(behind)
    done = await watcher.fetch("SELECT name, app_name FROM migration ORDER BY id")
    reading = reader.transaction()
    await reading.start()
    await reader.fetch("SELECT * FROM offers.payment_account")

    begun = time.monotonic()
    with pytest.raises(MigrationFailed, match=f"another session held for more than {SHORT} .*lock timeout"):
        await asyncio.wait_for(migrate(behind, functions()), PATIENCE_SECONDS)

    assert time.monotonic() - begun >= 0.2
    assert await watcher.fetch("SELECT name, app_name FROM migration ORDER BY id") == done
    assert await watcher.fetchval(COLUMNS) == 0
    # It let go of the lock among migrations as well.
    assert await watcher.fetchval("SELECT pg_try_advisory_lock($1)", MIGRATION_LOCK)
    await watcher.execute("SELECT pg_advisory_unlock($1)", MIGRATION_LOCK)

    await reading.rollback()
    await migrate(behind, functions())
    assert await watcher.fetchval(COLUMNS) == 1
    await reader.close()
    await watcher.close()


async def test_functions_give_up_at_a_lock(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session creates the same function and does not end: the migrate fails, and the function stays what it was."""
    monkeypatch.setattr(module, "LOCK_TIMEOUT", SHORT)
    (tmp_path / "functions.sql").write_text(FUNCTION.format(2))
    other = await asyncpg.connect(database_url)
    await other.execute(FUNCTION.format(1))
    changing = other.transaction()
    await changing.start()
    await other.execute(FUNCTION.format(3))

    with pytest.raises(MigrationFailed, match=f"another session held for more than {SHORT}"):
        await asyncio.wait_for(migrate(database_url, [tmp_path / "functions.sql"]), PATIENCE_SECONDS)

    await changing.rollback()
    assert await other.fetchval("SELECT ledger.held_up()") == 1
    await other.execute("DROP FUNCTION ledger.held_up")
    await other.close()
