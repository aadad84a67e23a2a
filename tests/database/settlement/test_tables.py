"""Piccolo's tables of settlement are the migrated ones."""

import asyncpg

from settlement.piccolo_app import APP_CONFIG

TYPES = {
    "BIGINT": "bigint",
    "INTEGER": "integer",
    "TEXT": "text",
    "UUID": "uuid",
    "TIMESTAMPTZ": "timestamp with time zone",
}


async def test_the_tables_are_those_of_the_schema(database: asyncpg.Pool) -> None:
    """Every column that Piccolo knows is there, with its type and whether it may be null, and no other."""
    assert APP_CONFIG.table_classes
    for table in APP_CONFIG.table_classes:
        rows = await database.fetch(
            "SELECT column_name, data_type, is_nullable = 'YES' AS nullable FROM information_schema.columns"
            " WHERE table_schema = 'settlement' AND table_name = $1",
            table._meta.tablename,
        )

        assert {
            (column._meta.name, TYPES[column.column_type], column._meta.null) for column in table._meta.columns
        } == {tuple(row) for row in rows}
