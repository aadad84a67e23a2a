"""What the worker does for settlement: calculate the runs of sealed windows, and publish them once they are signed."""

from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

import asyncpg
import structlog

from koinon.clock import machine_now
from koinon.database import pool
from koinon.runtime import Runtime
from settlement.books import statements
from settlement.operations import RunStopped, Unexpected, calculate_run, raise_alert
from settlement.publishing import publish_part

STOPPED_RETRY = timedelta(minutes=1)
"""How long a window whose run was stopped waits before it is tried again; `koinon settle` tries at once."""

log = structlog.get_logger(__name__)


async def settle(runtime: Runtime) -> bool:
    """Publish a part of a run that waits for it, else calculate the next sealed window's run.

    What stops one programme does not stop the others: an alert says that it is stopped.
    """
    tried_before = machine_now() - STOPPED_RETRY
    for run in await pool().fetch(statements["runs_to_publish"], tried_before):
        if await _unless_stopped(run, publish_part(runtime, run["run_id"])):
            return True
    worked = False
    for window in await pool().fetch(statements["windows_due"], tried_before):
        calculated = await _unless_stopped(window, calculate_run(window["programme_id"], window["window_no"]))
        worked = worked or calculated is not None
    return worked


async def _unless_stopped(window: asyncpg.Record, work: Awaitable[Any]) -> Any:
    """Return what the work on a window returns, or None when it was stopped."""
    try:
        return await work
    except RunStopped:
        return None  # the alert says why, and the log too
    except Exception:
        log.exception("settlement failed", programme_id=window["programme_id"], window=window["window_no"])
        await raise_alert(window["programme_id"], window["window_no"], Unexpected())
        return None
