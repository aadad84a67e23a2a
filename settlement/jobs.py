"""What the worker does for settlement: calculate the runs of sealed windows, and publish them once they are signed."""

from datetime import timedelta

from koinon.clock import machine_now
from koinon.database import pool
from koinon.runtime import Runtime
from settlement.books import statements
from settlement.operations import RunStopped, calculate_run
from settlement.publishing import publish_part

STOPPED_RETRY = timedelta(minutes=1)
"""How long a window whose run was stopped waits before it is tried again; `koinon settle` tries at once."""


async def settle(runtime: Runtime) -> bool:
    """Publish a part of a run that waits for it, else calculate the next sealed window's run."""
    for row in await pool().fetch(statements["runs_to_publish"]):
        if await publish_part(runtime, row["run_id"]):
            return True
    worked = False
    for window in await pool().fetch(statements["windows_due"], machine_now() - STOPPED_RETRY):
        try:
            await calculate_run(window["programme_id"], window["window_no"])
        except RunStopped:
            continue  # the alert says why, and the log too; the other programmes are settled all the same
        worked = True
    return worked
