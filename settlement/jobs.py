"""What the worker does for settlement: calculate the runs of sealed windows, and publish them once they are signed."""

import asyncio
from collections.abc import Awaitable
from datetime import datetime
from typing import Any

import asyncpg
import structlog

from koinon.clock import machine_now
from koinon.database import pool
from koinon.ledger.alerts import NOBODYS_FAULT
from koinon.runtime import Runtime
from settlement.books import statements
from settlement.operations import RunStopped, TookTooLong, Unexpected, calculate_run, raise_alert
from settlement.publishing import publish_part

WINDOW_SECONDS = 900.0
"""How long a window's run, or a part of its publication, may take; longer than any one statement (READING_TIMEOUT)."""

log = structlog.get_logger(__name__)


async def settle(runtime: Runtime) -> bool:
    """Publish a part of a run that waits for it, else calculate the next sealed window's run.

    What stops one programme does not stop the others: an alert says that it is stopped, and until when it is left
    alone; `koinon settle` tries at once.
    """
    return await settle_next(runtime, machine_now())


async def settle_next(runtime: Runtime, now: datetime, *, seconds: float = WINDOW_SECONDS) -> bool:
    """Do the next piece of work that is not set aside at `now`, the machine's time; tells whether there was any.

    One that is stopped is a piece too: whoever waits behind it has its turn at once, in a slice of its own.
    """
    for run in await pool().fetch(statements["runs_to_publish"], now):
        if await _tried(run, publish_part(runtime, run["run_id"]), seconds):
            return True
    for window in await pool().fetch(statements["windows_due"], now):
        return await _tried(window, calculate_run(window["programme_id"], window["window_no"]), seconds)
    return False


async def _tried(window: asyncpg.Record, work: Awaitable[Any], seconds: float) -> bool:
    """Tell whether the work on a window did anything, or was stopped."""
    place = window["programme_id"], window["window_no"]
    try:
        async with asyncio.timeout(seconds):
            return bool(await work)
    except RunStopped:
        return True  # the alert says why, and the log too
    except NOBODYS_FAULT:
        raise
    except TimeoutError:
        await raise_alert(*place, TookTooLong())
        return True
    except Exception:
        log.exception("settlement failed", programme_id=place[0], window=place[1])
        await raise_alert(*place, Unexpected())
        return True
