"""The worker: repeats every context's jobs until it is told to stop. Several workers share the work."""

import asyncio
import signal

import structlog

from koinon.context import Job
from koinon.database import connected
from koinon.runtime import Runtime

log = structlog.get_logger(__name__)

FAILURE_PAUSE_SECONDS = 2.0
FAILURE_PAUSE_SECONDS_MAXIMUM = 60.0


def pause_after(failures: int) -> float:
    """Return how long a job waits after so many failed slices in a row: twice as long each time, a minute at most."""
    return min(FAILURE_PAUSE_SECONDS * 2.0 ** min(failures - 1, 20), FAILURE_PAUSE_SECONDS_MAXIMUM)


async def work(runtime: Runtime, jobs: list[Job], url: str) -> None:
    """Run the jobs side by side until SIGTERM or SIGINT; a slice that has begun is ended first."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with connected(url, max_size=max(runtime.settings.pool_size, len(jobs) + 2)), asyncio.TaskGroup() as group:
        log.info("worker started", jobs=[job.name for job in jobs])
        for job in jobs:
            group.create_task(repeat(job, runtime, stopping), name=job.name)
    log.info("worker stopped")


async def repeat(job: Job, runtime: Runtime, stopping: asyncio.Event) -> None:
    """Run one job's slices until `stopping`.

    A slice that outlives its deadline is cut off; like one that fails, it is logged and tried again after a pause that
    grows while nothing but failures follow.
    """
    failures = 0
    while not stopping.is_set():
        deadline = asyncio.timeout(job.deadline_seconds)
        try:
            async with deadline:
                worked = await job.run(runtime)
        except Exception:
            failures += 1
            if deadline.expired():
                log.exception("job cut off", job=job.name, deadline_seconds=job.deadline_seconds, failures=failures)
            else:
                log.exception("job failed", job=job.name, failures=failures)
            pause = pause_after(failures)
        else:
            failures = 0
            pause = 0.0 if worked else job.idle_seconds
        if pause:
            try:
                await asyncio.wait_for(stopping.wait(), pause)
            except TimeoutError:
                continue
