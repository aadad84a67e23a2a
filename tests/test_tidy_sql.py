"""The rules of the house for SQL: statements that prepare, schemas with one owner, keys that can be distributed."""

import re
from pathlib import Path

import asyncpg

from koinon.database.statements import read

ROOT = Path(__file__).resolve().parent.parent
SOURCE_FOLDERS = ("platform", "partners", "settlement", "offers")

# Database functions and grants are created by every migrate; every other SQL file of a package holds named statements.
STATEMENT_FILES = sorted(
    path
    for folder in SOURCE_FOLDERS
    for path in (ROOT / folder).rglob("*.sql")
    if path.name not in {"functions.sql", "views.sql"} and path.parent.name != "migrations"
)

# Hot tables, which a distributed database shards, and the column that every key of theirs starts with. Everything
# else is small, written rarely, and copied to every shard.
HOT_TABLES = {
    "ledger.account": "account_id",
    "ledger.wallet": "account_id",
    "ledger.lot": "account_id",
    "ledger.journal": "account_id",
    "ledger.movement": "account_id",
    "ledger.hold": "account_id",
    "ledger.hold_lot": "account_id",
    "ledger.outbox": "account_id",
    "offers.card": "card_key",
    "offers.payment_account": "par_key",
    "offers.message": "source_id",
    "offers.inbox": "card_key",
    "offers.lane": "account_id",
    "offers.payment": "account_id",
    "offers.payment_key": "account_id",
    "offers.payment_message": "account_id",
    "offers.purchase": "account_id",
    "offers.till_sighting": "account_id",
    "offers.activation": "account_id",
    "offers.decision": "account_id",
    "offers.reward": "account_id",
    "offers.budget": "offer_id",
    "offers.budget_share": "offer_id",
}
# Indexes that serve a queue by arrival or by programme, of what is not done yet, or is done and to be forgotten: a
# shard serves its own part of the queue by its own index, and an index that is not unique need not name the shard.
QUEUE_INDEXES = {"offers.inbox_arrived", "offers.inbox_done", "offers.purchase_waiting", "ledger.outbox_unmarked"}
SMALL_TABLES = {
    "ledger.unit",
    "ledger.settlement_window",
    "ledger.alert",
    "offers.catalogue",
    "offers.offer",
    "offers.offer_version",
}


def name_of(path: Path) -> str:
    """Return a path as it is named from the root."""
    return path.relative_to(ROOT).as_posix()


def test_every_sql_file_is_known() -> None:
    """A file of named statements starts with a heading, and no name stands in it twice."""
    assert STATEMENT_FILES
    for path in STATEMENT_FILES:
        names = [statement.name for statement in read(path)]

        assert names, f"{name_of(path)} holds no statement"
        assert len(names) == len(set(names)), f"{name_of(path)} holds a name twice"


async def test_every_statement_prepares(database: asyncpg.Pool) -> None:
    """Each named statement is valid against the migrated schema, and the application's role may run it."""
    wrong = []
    async with database.acquire() as connection:
        for path in STATEMENT_FILES:
            for statement in read(path):
                try:
                    await connection.prepare(statement.sql)
                    await connection.execute(f"EXPLAIN (GENERIC_PLAN) {statement.sql}")
                except asyncpg.PostgresError as error:
                    wrong.append(f"{name_of(path)}: {statement.name}: {error}")

    assert wrong == []


def owner_of(path: Path) -> str:
    """Return the schema that the package of an SQL file owns: the one of its name, or the core's own for requests."""
    first, *rest = path.relative_to(ROOT).parts
    package = rest[1] if first == "platform" else first
    return {"idempotency": "koinon"}.get(package, package)


async def test_a_schema_is_read_by_its_views_and_written_by_its_owner(database: asyncpg.Pool) -> None:
    """No statement or function of a package names another one's table; views and functions are what owners offer.

    Requests are the exception: whoever writes records its request in the very statement that writes.
    """
    schemas = {
        row["nspname"]
        for row in await database.fetch("SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|info)'")
    }
    tables = {
        row["name"]
        for row in await database.fetch("SELECT oid::regclass::text AS name FROM pg_class WHERE relkind = 'r'")
    }
    files = [
        path for folder in SOURCE_FOLDERS for path in (ROOT / folder).rglob("*.sql") if path.parent.name != "migrations"
    ]
    named = re.compile(rf"\b((?:{'|'.join(sorted(schemas))})\.[a-z_]+)\b(?!\()")
    foreign = {
        f"{name_of(path)}: {name}"
        for path in files
        for name in named.findall(re.sub(r"--[^\n]*", "", path.read_text(encoding="utf-8")))
        if name in tables - {"koinon.request"} and not name.startswith(f"{owner_of(path)}.")
    }

    assert len(files) > 30
    assert foreign == set()


async def test_hot_keys_start_with_their_shard(database: asyncpg.Pool) -> None:
    """Every primary key, unique key, index and foreign key of a hot table starts with the column it is sharded by.

    An index of a queue does not; it must be of a part of the table and not unique.
    """
    keys = await database.fetch(
        """
        SELECT i.indrelid::regclass::text AS hot, i.indexrelid::regclass::text AS key, a.attname AS first,
            i.indpred IS NOT NULL AND NOT i.indisunique AS may_be_queue
        FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        WHERE i.indrelid::regclass::text = ANY($1::text[])
        UNION ALL
        SELECT c.conrelid::regclass::text, c.conname, a.attname, false
        FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
        WHERE c.contype = 'f' AND c.conrelid::regclass::text = ANY($1::text[])
        """,
        list(HOT_TABLES),
    )

    assert {key["hot"] for key in keys} == set(HOT_TABLES)
    others = [key for key in keys if key["first"] != HOT_TABLES[key["hot"]]]
    assert {key["key"] for key in others} == QUEUE_INDEXES
    assert [dict(key) for key in others if not key["may_be_queue"]] == []


async def test_no_table_of_points_or_purchases_is_unsorted(database: asyncpg.Pool) -> None:
    """A new table of the ledger or the offers says whether it is hot before it is taken."""
    tables = await database.fetch(
        """
        SELECT oid::regclass::text AS name FROM pg_class
        WHERE relkind = 'r' AND relnamespace IN ('ledger'::regnamespace, 'offers'::regnamespace)
        """
    )

    assert {table["name"] for table in tables} == set(HOT_TABLES) | SMALL_TABLES


async def test_the_schema_can_be_distributed(database: asyncpg.Pool) -> None:
    """No trigger, rule, deferrable constraint or sequence: none of them works over several shards."""
    found = await database.fetch(
        """
        SELECT 'trigger' AS kind, tgname::text AS name FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL SELECT 'rule', rulename FROM pg_rules WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
        UNION ALL SELECT 'deferrable', conname FROM pg_constraint WHERE condeferrable
        UNION ALL SELECT 'sequence', sequencename FROM pg_sequences WHERE sequencename <> 'migration_id_seq'
        """
    )

    # Piccolo's record of migrations has a sequence; it is exempt by name, and means nothing.
    assert [tuple(row) for row in found] == []


async def test_no_column_is_a_float(database: asyncpg.Pool) -> None:
    """Points and money are whole numbers, and rates exact ratios: no column can hold anything less exact."""
    floats = await database.fetch(
        """
        SELECT table_schema, table_name, column_name FROM information_schema.columns
        WHERE table_schema NOT IN ('pg_catalog', 'information_schema')
            AND data_type IN ('real', 'double precision', 'money')
        """
    )

    assert [tuple(row) for row in floats] == []
