"""Migrations: any number of times, from any number of processes, and Piccolo's tables are what they made."""

import asyncio
import os
import sys

import asyncpg
import pytest
from piccolo.columns import Column, OnDelete
from piccolo.table import Table

from koinon.app import functions
from koinon.database import RecordedAt
from koinon.database.migrate import MIGRATION_LOCK, migrate
from koinon.piccolo_conf import APP_REGISTRY

TABLES: list[type[Table]] = [table for app in APP_REGISTRY.app_configs.values() for table in app.table_classes]

PATIENCE_SECONDS = 120
WAITING = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)"
COLUMNS = """
SELECT column_name, data_type, is_nullable = 'YES' AS nullable FROM information_schema.columns
WHERE table_schema = $1 AND table_name = $2
"""
TYPES = {
    "BIGINT": {"bigint"},
    "INTEGER": {"integer"},
    "SMALLINT": {"smallint"},
    "TEXT": {"text"},
    "VARCHAR": {"text", "character varying"},
    "BOOLEAN": {"boolean"},
    "DATE": {"date"},
    "TIMESTAMPTZ": {"timestamp with time zone"},
    "UUID": {"uuid"},
    "BYTEA": {"bytea"},
    "JSONB": {"jsonb"},
    "TEXT[]": {"ARRAY"},
    "BYTEA[]": {"ARRAY"},
}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
async def test_a_piccolo_table_is_what_the_migrations_made(database: asyncpg.Pool, table: type[Table]) -> None:
    """Every column of the database stands in the Piccolo table, with its type and whether it may be null."""
    meta = table._meta
    made = {row["column_name"]: row for row in await database.fetch(COLUMNS, meta.schema, meta.tablename)}
    mapped: dict[str, Column] = {column._meta.db_column_name: column for column in meta.columns}

    assert set(mapped) == set(made)
    for name, column in mapped.items():
        assert made[name]["data_type"] in TYPES[column.column_type.upper()], name
        assert made[name]["nullable"] == column._meta.null, name


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_a_piccolo_table_makes_up_no_value(table: type[Table]) -> None:
    """What is not given is null or missed, but for the database's own clock; no row goes with another one."""
    for column in table._meta.columns:
        assert isinstance(column, RecordedAt) or column.get_default_value() is None, column._meta.name
    for key in table._meta.foreign_key_columns:
        assert key._foreign_key_meta.on_delete is OnDelete.restrict, key._meta.name


async def test_migrating_again_changes_nothing(database_url: str) -> None:
    """A second migrate finds every migration done, and creates the same functions again."""
    connection = await asyncpg.connect(database_url)
    done = "SELECT name, app_name FROM migration ORDER BY id"
    before = await connection.fetch(done)

    await migrate(database_url, functions())

    assert await connection.fetch(done) == before
    assert len(before) >= 5
    await connection.close()


async def test_two_processes_migrate_one_database_in_turn(server_url: str) -> None:
    """Two deploying processes that start together end with every migration run once."""
    name = "test_two_migrators"
    connection = await asyncpg.connect(server_url)
    await connection.execute(f"CREATE DATABASE {name}")
    url = server_url.replace("/postgres?", f"/{name}?")
    environment = os.environ | {"KOINON_DATABASE_URL": url}
    migrators = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "koinon", "migrate", env=environment, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(2)
    ]
    outputs = [await migrator.communicate() for migrator in migrators]

    assert [migrator.returncode for migrator in migrators] == [0, 0]
    assert [output for output, _ in outputs] == [b"the database is at this release\n"] * 2
    migrated = await asyncpg.connect(url)
    names = await migrated.fetch("SELECT name, app_name, count(*) AS times FROM migration GROUP BY 1, 2")
    assert {row["times"] for row in names} == {1}
    await migrated.close()
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


async def test_a_migration_waits_for_the_one_that_holds_the_lock(database_url: str) -> None:
    """While another session holds the migration lock, a migrate does not begin."""
    other = await asyncpg.connect(database_url)
    await other.execute("SELECT pg_advisory_lock($1)", MIGRATION_LOCK)
    waiting = asyncio.create_task(migrate(database_url, []))

    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await other.fetchval(WAITING):
            assert not waiting.done()
    await other.execute("SELECT pg_advisory_unlock($1)", MIGRATION_LOCK)
    await waiting
    await other.close()


async def test_payment_accounts_name_the_cards_that_were_linked_before(server_url: str) -> None:
    """An installation whose cards were linked before payment accounts named them: each names its active ones."""
    name = "test_cards_before"
    connection = await asyncpg.connect(server_url)
    await connection.execute(f"CREATE DATABASE {name}")
    url = server_url.replace("/postgres?", f"/{name}?")
    await migrate(url, functions())
    migrated = await asyncpg.connect(url)
    await migrated.execute(
        """
        DELETE FROM migration WHERE name = 'm0002_payment_account_cards';
        ALTER TABLE offers.payment_account DROP COLUMN card_keys;
        CREATE INDEX card_par ON offers.card (programme_id, par) WHERE par IS NOT NULL AND unlinked_at IS NULL;
        INSERT INTO offers.card (card_key, link_id, programme_id, source_id, token, par, member_id,
            linked_at, unlinked_at)
        SELECT g, uuidv7(), 1, 1, 'tok-' || g, CASE WHEN g < 4 THEN 'P' END, 1, now(),
            CASE WHEN g = 2 THEN now() END
        FROM generate_series(1, 4) g;
        INSERT INTO offers.payment_account (par_key, link_id, programme_id, par, member_id, ended_at)
        VALUES (1, uuidv7(), 1, 'P', 1, NULL), (2, uuidv7(), 1, 'Q', 1, now());
        """
    )

    await migrate(url, functions())

    rows = await migrated.fetch("SELECT par, card_keys FROM offers.payment_account ORDER BY par")
    assert [tuple(row) for row in rows] == [("P", [1, 3]), ("Q", [])]
    await migrated.close()
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()
