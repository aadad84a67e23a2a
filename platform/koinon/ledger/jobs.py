"""What the worker does for the ledger: close the night, expire what is due, give back what tills forgot."""

from datetime import date, datetime

import structlog

from koinon.clock import business_date, business_now
from koinon.database import pool
from koinon.idempotency.model import content_hash
from koinon.ledger.model import Expire, Release
from koinon.ledger.operations import close_flipped_windows, flip_window, post_now, statements
from koinon.runtime import Runtime

log = structlog.get_logger(__name__)

SLICE = 100
PLATFORM = "platform"

PROGRAMMES = "SELECT programme_id, code, time_zone, clock_at, unit_id FROM parties.programme ORDER BY code"


async def close_due_windows(_: Runtime) -> bool:
    """Close the open window of every programme whose business date has passed.

    Safe from several workers at once and after a crash at any point: the flip happens once, the close waits for the
    barrier whoever flipped.
    """
    worked = False
    for programme in await pool().fetch(PROGRAMMES):
        now = business_now(programme["clock_at"])
        worked |= bool(await close_window(programme["programme_id"], business_date(now, programme["time_zone"]), now))
    return worked


async def close_window(programme_id: int, today: date, now: datetime) -> list[int]:
    """Flip a programme's window when its date is before `today`, close what was flipped, and return its numbers."""
    flipped = await flip_window(programme_id, today, now)
    closed = await close_flipped_windows(programme_id, now)
    if flipped is not None or closed:
        log.info("windows closed", programme_id=programme_id, flipped=flipped, closed=closed)
    return closed


async def expire_due_lots(_: Runtime) -> bool:
    """Expire the lots that are due on their programme's business date, one bounded slice of accounts a programme."""
    worked = False
    for programme in await pool().fetch(PROGRAMMES):
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
        if commands:
            outcomes = await post_now(programme["programme_id"], commands)
            worked |= any(outcome.status == "posted" for outcome in outcomes)
    return worked


async def release_due_holds(_: Runtime) -> bool:
    """Give back what holds that ran out still hold, one bounded slice a programme."""
    worked = False
    for programme in await pool().fetch(PROGRAMMES):
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
        if commands:
            outcomes = await post_now(programme["programme_id"], commands)
            worked |= any(outcome.status == "posted" for outcome in outcomes)
    return worked
