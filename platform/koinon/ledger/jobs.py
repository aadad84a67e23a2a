"""What the worker does for the ledger: close the night, expire what is due, give back what tills forgot."""

from collections.abc import Sequence
from datetime import date, datetime

import asyncpg
import structlog

from koinon.clock import business_date, business_now, machine_now
from koinon.database import pool
from koinon.idempotency.model import content_hash
from koinon.ledger.alerts import each_programme
from koinon.ledger.model import AnyCommand, Expire, Release
from koinon.ledger.operations import close_flipped_windows, flip_window, post_now, statements
from koinon.runtime import Runtime

log = structlog.get_logger(__name__)

SLICE = 100
PLATFORM = "platform"

FLIP, CLOSE, EXPIRE, RELEASE = "flip windows", "close windows", "expire lots", "release holds"


async def close_due_windows(_: Runtime) -> bool:
    """Close the open window of every programme whose business date has passed.

    Safe from several workers at once and after a crash at any point: the flip happens once, the close waits for the
    barrier whoever flipped. All are flipped before the first is waited for: no day ends late for another's sake.
    """
    return await close_all(machine_now())


async def close_all(now: datetime) -> bool:
    """Close what is due of every programme that is not set aside at `now`, the machine's time."""
    flipped = await each_programme(FLIP, _flip, now)
    return await each_programme(CLOSE, _close, now) or flipped


async def _flip(programme: asyncpg.Record) -> bool:
    now = business_now(programme["clock_at"])
    today = business_date(now, programme["time_zone"])
    if programme["open_date"] is None or programme["open_date"] >= today:
        return False
    return await flip_window(programme["programme_id"], today, now) is not None


async def _close(programme: asyncpg.Record) -> bool:
    if not programme["closing"]:
        return False
    closed = await close_flipped_windows(programme["programme_id"], business_now(programme["clock_at"]))
    log.info("windows closed", programme_id=programme["programme_id"], closed=closed)
    return bool(closed)


async def close_window(programme_id: int, today: date, now: datetime) -> list[int]:
    """Flip a programme's window when its date is before `today`, close what was flipped, and return its numbers."""
    flipped = await flip_window(programme_id, today, now)
    closed = await close_flipped_windows(programme_id, now)
    if flipped is not None or closed:
        log.info("windows closed", programme_id=programme_id, flipped=flipped, closed=closed)
    return closed


async def expire_due_lots(_: Runtime) -> bool:
    """Expire the lots that are due on their programme's business date, one bounded slice of accounts a programme."""
    return await each_programme(EXPIRE, _expire, machine_now())


async def _expire(programme: asyncpg.Record) -> bool:
    now = business_now(programme["clock_at"])
    today = business_date(now, programme["time_zone"])
    due = await pool().fetch(statements["accounts_due"], programme["programme_id"], today, SLICE)
    commands = [
        Expire(
            caller=PLATFORM,
            key=f"expire:{row['account_id']}:{row['unit_id']}:{today}:{row['lots']}",
            content_hash=content_hash("expire"),
            account_id=row["account_id"],
            unit_id=row["unit_id"],
            occurred_at=now,
            today=today,
        )
        for row in due
    ]
    return await _post(programme, commands)


async def release_due_holds(_: Runtime) -> bool:
    """Give back what holds that ran out still hold, one bounded slice a programme."""
    return await each_programme(RELEASE, _release, machine_now())


async def _release(programme: asyncpg.Record) -> bool:
    now = business_now(programme["clock_at"])
    due = await pool().fetch(statements["holds_due"], programme["programme_id"], now, SLICE)
    commands = [
        Release(
            caller=PLATFORM,
            key=f"release:{row['account_id']}:{row['hold_id']}",
            content_hash=content_hash("release"),
            account_id=row["account_id"],
            unit_id=row["unit_id"],
            occurred_at=now,
            hold_id=row["hold_id"],
            reason="hold-ran-out",
        )
        for row in due
    ]
    return await _post(programme, commands)


async def _post(programme: asyncpg.Record, commands: Sequence[AnyCommand]) -> bool:
    if not commands:
        return False
    outcomes = await post_now(programme["programme_id"], commands)
    return any(outcome.status == "posted" for outcome in outcomes)
