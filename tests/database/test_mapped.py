"""Piccolo's queries: on the caller's connection, in the caller's transaction, with the database's own clock."""

from datetime import UTC, datetime

import asyncpg
import pytest
import time_machine

from koinon.database import Connection, add, add_unless, apart, on, pool, transaction
from koinon.identity.tables import Staff
from koinon.ids import new_id

PROCESS = "SELECT pg_backend_pid() AS process"
NAMES = "SELECT name FROM identity.staff ORDER BY name"


def person(name: str) -> Staff:
    """Return a row that is not written yet."""
    return Staff(staff_id=new_id(), email=f"{name.lower()}@koinon.example", name=name)


async def same_process(connection: Connection) -> bool:
    """Tell whether a query of Piccolo's runs in the connection's own server process."""
    (row,) = await on(connection, Staff.raw(PROCESS))
    return bool(row["process"] == await connection.fetchval(PROCESS))


async def test_a_query_runs_on_the_given_connection(database: asyncpg.Pool) -> None:
    """Without a transaction, in one, and apart from one that is open: never on another connection."""
    async with pool().acquire() as connection:
        assert await same_process(connection)
    async with transaction() as connection, apart() as other:
        assert await same_process(connection)
        assert await same_process(other)
        assert await same_process(connection)


async def fail_after(name: str) -> None:
    """Write a row in a transaction, or in a savepoint of the one that is open, and fail."""
    async with transaction() as connection:
        await add(connection, person(name))
        raise ZeroDivisionError


async def test_a_write_falls_with_its_transaction(database: asyncpg.Pool) -> None:
    """What a savepoint or a transaction takes back, Piccolo's rows are taken back with."""
    async with transaction() as connection:
        await add(connection, person("Anna"))
        with pytest.raises(ZeroDivisionError):
            await fail_after("Ben")
    with pytest.raises(ZeroDivisionError):
        await fail_after("Cleo")

    assert [row["name"] for row in await database.fetch(NAMES)] == ["Anna"]


async def test_a_query_that_joins_nothing_is_refused(database: asyncpg.Pool) -> None:
    """Neither a read nor a write takes a connection by itself."""
    with pytest.raises(RuntimeError, match="caller's connection"):
        await Staff.objects()
    with pytest.raises(RuntimeError, match="caller's connection"):
        await Staff.insert(person("Anna"))

    assert await database.fetch(NAMES) == []


async def test_the_database_dates_a_row(database: asyncpg.Pool) -> None:
    """A row says when it was written by the database's clock, whatever this machine's says."""
    before = await database.fetchval("SELECT clock_timestamp()")
    with time_machine.travel(datetime(2001, 1, 1, tzinfo=UTC)):
        async with transaction() as connection:
            written = await add(connection, person("Anna"))

    assert before < written.created_at < await database.fetchval("SELECT clock_timestamp()")
    assert written.created_at == await database.fetchval("SELECT created_at FROM identity.staff")


async def test_a_row_is_added_unless_it_is_there(database: asyncpg.Pool) -> None:
    """Another with the same in a unique column stays as it is; without one, the row is returned as it stands."""
    async with transaction() as connection:
        first = await add_unless(connection, person("Anna"), Staff.email)
        second = await add_unless(connection, person("ANNA"), Staff.email)

    assert first is not None
    assert (first.name, second) == ("Anna", None)
    assert [row["name"] for row in await database.fetch(NAMES)] == ["Anna"]
