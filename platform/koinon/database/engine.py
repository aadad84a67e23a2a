"""The database: one pool a process, and transactions that Piccolo's queries and named SQL share."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeAlias, TypeVar

import asyncpg
from piccolo.engine.postgres import PostgresEngine
from piccolo.querystring import QueryString

from koinon.database.bounded import BoundedPool


class Engine(PostgresEngine):
    """Piccolo's engine, which connects when the pool opens, and runs the application's queries where they are told."""

    apart_pool: asyncpg.Pool | None = None
    joining_only: bool = False

    async def check_version(self) -> None:
        """Leave the version alone: at import there is no server to ask."""

    async def start_connection_pool(self, **settings: Any) -> None:
        """Open the pool that nobody waits at for ever."""
        self.pool = await BoundedPool(**settings)

    async def run_querystring(self, querystring: QueryString, in_pool: bool = True) -> Any:  # noqa: FBT001, FBT002  # Piccolo's own signature
        """Run a query on the connection that it joins; raises RuntimeError when the application's joins none.

        Alone it would take another connection than the one that its caller holds and may wait behind it, and what it
        wrote would stand whatever becomes of the caller's transaction.
        """
        if self.joining_only and self.current_transaction.get() is None:
            message = "a query of Piccolo's runs on the caller's connection, by `on`"
            raise RuntimeError(message)
        return await super().run_querystring(querystring, in_pool)


# Piccolo's tables name this engine; its connection settings come with `connected`.
DB = Engine(config={}, extensions=())

APPLICATION_ROLE = "koinon_app"
STATEMENT_TIMEOUT_SECONDS = 30
IDLE_IN_TRANSACTION_TIMEOUT_SECONDS = 60
APART_CONNECTIONS = 2
ACQUIRE_TIMEOUT_SECONDS = 5.0
ATTEMPTS = 5
RACES = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
"""What a transaction fails by when others were faster, and not by anything that is wrong with it."""

Connection: TypeAlias = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy


Done = TypeVar("Done")


class DatabaseUrlInvalid(Exception):
    """A database's URL cannot be read."""


class Joined(NamedTuple):
    """What Piccolo's queries look for to join a transaction."""

    connection: Any


@asynccontextmanager
async def connected(
    url: str,
    *,
    role: str | None = APPLICATION_ROLE,
    min_size: int = 2,
    max_size: int = 16,
    acquire_timeout_seconds: float = ACQUIRE_TIMEOUT_SECONDS,
) -> AsyncIterator[asyncpg.Pool]:
    """Open the process's pool for as long as the block runs.

    Every connection works as `role`, which cannot change or delete a journal. Time-outs bound how long a writer can
    keep a closing window waiting; whoever waits for a connection longer than `acquire_timeout_seconds` gets
    ServiceUnavailable. Raises DatabaseUrlInvalid, and what the server or the network answers.
    """
    server_settings = {
        "application_name": "koinon",
        "statement_timeout": f"{STATEMENT_TIMEOUT_SECONDS}s",
        "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_TIMEOUT_SECONDS}s",
        "timezone": "UTC",
        "jit": "off",
    }
    if role is not None:
        server_settings["role"] = role
    DB.config = {"dsn": url}
    # A migration is Piccolo's own command, which records what it did by queries of its own.
    DB.joining_only = role is not None
    try:
        await DB.start_connection_pool(
            dsn=url, min_size=min_size, max_size=max_size, server_settings=server_settings, init=_prepare, reset=_leave,
            acquire_timeout_seconds=acquire_timeout_seconds,
        )  # fmt: skip
    except ValueError:  # asyncpg reads the URL before it opens anything
        raise DatabaseUrlInvalid from None
    DB.apart_pool = BoundedPool(
        url, min_size=0, max_size=APART_CONNECTIONS, server_settings=server_settings, reset=_leave,
        acquire_timeout_seconds=acquire_timeout_seconds,
    )  # fmt: skip
    try:
        async with DB.apart_pool:
            yield pool()
    finally:
        DB.apart_pool = None
        await DB.close_connection_pool()


async def _prepare(connection: asyncpg.Connection) -> None:
    # No jsonb codec: with one, Piccolo writes doubly encoded JSON. JSON travels as text and msgspec reads it.
    await connection.execute("SELECT 1")


async def _leave(_: asyncpg.Connection) -> None:
    # A transaction that is left open is rolled back before this. Nothing else is to be reset, and asking for it would
    # cost every caller a round trip: no session of the application's sets, listens, or locks beyond a transaction.
    pass


def pool() -> asyncpg.Pool:
    """Return the process's pool; raises RuntimeError when the database is not connected."""
    if DB.pool is None:
        message = "the database is not connected"
        raise RuntimeError(message)
    return DB.pool


@asynccontextmanager
async def apart() -> AsyncGenerator[Connection]:
    """Run the block in a transaction of its own, which stands whatever becomes of the one that the caller has open.

    Its connections are not the pool's: were they, callers who hold all of the pool's while they wait here would wait
    for ever. The block must not wait for what the caller's own transaction has locked.
    """
    if DB.apart_pool is None:
        message = "the database is not connected"
        raise RuntimeError(message)
    async with DB.apart_pool.acquire() as connection, connection.transaction():
        yield connection


@asynccontextmanager
async def transaction() -> AsyncGenerator[Connection]:
    """Run the block in one READ COMMITTED transaction; within another, in a savepoint.

    It yields the asyncpg connection; Piccolo's queries inside the block use the same one. Piccolo's own transaction
    is not used: it loses its connection when a COMMIT fails, and an inner block that failed is committed with the
    outer one.
    """
    outer = DB.current_transaction.get()
    if outer is not None:
        async with outer.connection.transaction():
            yield outer.connection
        return
    async with pool().acquire() as connection, connection.transaction():
        token = DB.current_transaction.set(Joined(connection))  # type: ignore[arg-type]  # all that Piccolo asks of it
        try:
            yield connection
        finally:
            DB.current_transaction.reset(token)


async def raced(operation: Callable[[Connection], Awaitable[Done]]) -> Done:
    """Run an operation in a transaction of its own, and all of it again when it lost a race, ATTEMPTS times at most.

    What it does outside of the transaction it does once more. Raises one of RACES when it lost every time.
    """
    for attempt in range(ATTEMPTS):
        try:
            async with transaction() as connection:
                return await operation(connection)
        except RACES:
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError  # pragma: no cover
