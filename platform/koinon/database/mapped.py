"""Piccolo's queries, on the connection that the caller has, and so in the caller's transaction."""

from collections.abc import Awaitable
from typing import TypeVar

from piccolo.columns import Column, Timestamptz
from piccolo.custom_types import TableInstance
from piccolo.querystring import QueryString

from koinon.database.engine import DB, Connection, Joined

Answer = TypeVar("Answer")

CLOCK = QueryString("clock_timestamp()")
"""The database's own clock, as the value of a column."""


class RecordedAt(Timestamptz):
    """When a row was written; the database says it, by its own clock."""

    def __init__(self) -> None:
        super().__init__(default=None)
        # Piccolo writes every column; its default would be the clock of the machine that sends the query.
        self.default = QueryString("DEFAULT")

    @property
    def column_type(self) -> str:
        """Return the type in the database, which Piccolo takes from the class's name."""
        return "TIMESTAMPTZ"


async def on(connection: Connection, query: Awaitable[Answer]) -> Answer:
    """Run one of Piccolo's queries on a connection, and so in the transaction that it is in."""
    token = DB.current_transaction.set(Joined(connection))  # type: ignore[arg-type]  # all that Piccolo asks of it
    try:
        return await query
    finally:
        DB.current_transaction.reset(token)


async def add(connection: Connection, row: TableInstance) -> TableInstance:
    """Write a row, and return it as the database has it."""
    query = type(row).insert(row).returning(*type(row).all_columns())
    (made,) = await on(connection, query)
    return type(row)(**made, _exists_in_db=True)


async def add_unless(connection: Connection, row: TableInstance, *taken: Column) -> TableInstance | None:
    """Write a row unless another has the same in these unique columns; return it as the database has it, or None."""
    query = type(row).insert(row).on_conflict(target=taken, action="DO NOTHING")
    made = await on(connection, query.returning(*type(row).all_columns()))
    return type(row)(**made[0], _exists_in_db=True) if made else None
