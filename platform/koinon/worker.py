"""The worker: repeats every context's jobs until it is told to stop. Several workers share the work."""

import asyncio
import signal

import structlog

from koinon.context import Job
from koinon.database import connected
from koinon.runtime import Runtime

log = structlog.get_logger(__name__)

FAILURE_PAUSE_SECONDS = 2.0


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
    """Run one job's slices until `stopping`; a failure is logged and tried again after a pause."""
    while not stopping.is_set():
        try:
            pause = 0.0 if await job.run(runtime) else job.idle_seconds
        except Exception:
            log.exception("job failed", job=job.name)
            pause = FAILURE_PAUSE_SECONDS
        if pause:
            try:
                await asyncio.wait_for(stopping.wait(), pause)
            except TimeoutError:
                continue
