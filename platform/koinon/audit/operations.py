"""What the rest of the platform asks of the log: open one, hand in a leaf, and read what the leaves come to."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from koinon.audit.stored import statements
from koinon.database import Connection


async def open_log(connection: Connection, *, programme_id: int, mode: str) -> None:
    """Give a new programme its log, in the caller's transaction: a sandbox programme an empty one of its own."""
    if mode != "live":
        await connection.execute(statements["open_log"], programme_id)


async def log_of(connection: Connection, programme_id: int) -> int:
    """Return the log that a programme's leaves go to."""
    log_id: int = await connection.fetchval(statements["log_of"], programme_id)
    return log_id


async def submit(connection: Connection, programme_id: int, submission_id: UUID, leaf: bytes) -> None:
    """Hand in a leaf for a programme's log, in the caller's transaction; the sequencer gives it its place."""
    await connection.execute(statements["submit"], submission_id, programme_id, leaf)


async def positions(connection: Connection, programme_id: int, window_no: int) -> Sequence[asyncpg.Record]:
    """Return a sealed window's points by partner, effect, version and counterparty, from the running totals."""
    rows: list[asyncpg.Record] = await connection.fetch(statements["positions"], programme_id, window_no)
    return rows


async def partner_positions(connection: Connection, partner_id: int, after_window: int) -> Sequence[asyncpg.Record]:
    """Return the same of one partner in every window after one, as far as the log has come."""
    rows: list[asyncpg.Record] = await connection.fetch(statements["partner_positions"], partner_id, after_window)
    return rows
