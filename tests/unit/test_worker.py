"""The worker repeats its jobs: a slice has a deadline, and what fails is tried less and less often."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from koinon import worker
from koinon.context import Job
from koinon.ledger.operations import Ledger
from koinon.runtime import Runtime
from koinon.settings import Settings
from koinon.worker import pause_after, repeat

RUNTIME = Runtime(Settings(), None, [Ledger()])  # type: ignore[arg-type]  # the jobs use none of it


def job(run: Callable[[Runtime], Awaitable[bool]], deadline_seconds: float = 30) -> Job:
    """Return a job that pauses for as good as nothing."""
    return Job(name="a job", run=run, idle_seconds=0.001, deadline_seconds=deadline_seconds)


def test_the_pauses_grow() -> None:
    """After failures in a row: 2, 4, 8 … seconds, a minute at most."""
    assert [pause_after(failures) for failures in range(1, 8)] == [2, 4, 8, 16, 32, 60, 60]
    assert pause_after(10**6) == 60


async def test_a_slice_that_overruns_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is cancelled where it stands, logged as cut off, and the next slice runs after a pause."""
    monkeypatch.setattr(worker, "FAILURE_PAUSE_SECONDS", 0.001)
    stopping, cut_off, slices = asyncio.Event(), 0, 0

    async def run(_: Runtime) -> bool:
        nonlocal cut_off, slices
        slices += 1
        if slices == 3:
            stopping.set()
            return True
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cut_off += 1
            raise
        return True

    with capture_logs() as logs:
        await repeat(job(run, deadline_seconds=0.02), RUNTIME, stopping)

    assert (slices, cut_off) == (3, 2)
    assert [(each["event"], each["failures"]) for each in logs] == [("job cut off", 1), ("job cut off", 2)]
    assert {each["deadline_seconds"] for each in logs} == {0.02}


async def test_failures_in_a_row_are_counted_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each failure in a row lengthens the pause; one slice that goes well, and the next failure is the first again."""
    pauses: list[int] = []

    def counted(failures: int) -> float:
        pauses.append(failures)
        return 0.001

    monkeypatch.setattr(worker, "pause_after", counted)
    stopping, fates = asyncio.Event(), iter("FFFWFIFS")

    async def run(_: Runtime) -> bool:
        fate = next(fates)
        if fate == "S":
            stopping.set()
        if fate == "F":
            raise TimeoutError  # a time-out of its own, and not the deadline
        return fate == "W"

    with capture_logs() as logs:
        await repeat(job(run), RUNTIME, stopping)

    assert pauses == [1, 2, 3, 1, 1]
    assert {each["event"] for each in logs} == {"job failed"}


async def test_a_stop_waits_for_no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is told to stop stops, however long its job would have paused."""
    monkeypatch.setattr(worker, "pause_after", lambda _: 3600.0)
    stopping, failed = asyncio.Event(), asyncio.Event()

    async def run(_: Runtime) -> bool:
        failed.set()
        raise ValueError

    task = asyncio.create_task(repeat(job(run), RUNTIME, stopping))
    await failed.wait()
    stopping.set()
    await asyncio.wait_for(task, 30)


async def test_every_job_has_a_deadline() -> None:
    """No job of the installation may run for ever."""
    from koinon.app import jobs  # noqa: PLC0415  # the composition root is heavy

    assert jobs()
    assert all(0 < each.deadline_seconds <= 3600 for each in jobs())
