"""A programme whose night fails is set aside alone, longer each time, and goes on when it can."""

import asyncio
from datetime import datetime, timedelta
from typing import Any, NoReturn

import asyncpg
import pytest

from koinon.clock import machine_now
from koinon.database import pool
from koinon.ledger import jobs
from koinon.ledger.alerts import NOBODYS_FAULT, each_programme, pause_after
from koinon.problems import ServiceUnavailable
from tests.kit.ledger import Coalition
from tests.kit.terms import NOW

NEXT_DAY = NOW + timedelta(days=1)


@pytest.fixture
async def programmes(database: asyncpg.Pool) -> list[Coalition]:
    """Give three programmes whose day has passed; the second one is the one that will fail."""
    found = []
    async with database.acquire() as connection:
        for _ in range(3):
            found.append(await Coalition().found(connection))
            await connection.execute(
                "UPDATE parties.programme SET clock_at = $2 WHERE programme_id = $1", found[-1].programme_id, NEXT_DAY
            )
    return found


def failing(monkeypatch: pytest.MonkeyPatch, name: str, programme_id: int, error: Exception) -> None:
    """Let one of the jobs' operations fail for one programme."""
    honest = getattr(jobs, name)

    async def sometimes(asked: int, *more: Any) -> Any:
        if asked == programme_id:
            raise error
        return await honest(asked, *more)

    monkeypatch.setattr(jobs, name, sometimes)


async def states() -> dict[int, list[str]]:
    """Return the states of every programme's windows, the oldest first."""
    rows = await pool().fetch(
        "SELECT programme_id, array_agg(state ORDER BY window_no) AS states FROM ledger.settlement_window GROUP BY 1"
    )
    return {row["programme_id"]: row["states"] for row in rows}


async def standing() -> list[asyncpg.Record]:
    """Return the alerts that stand."""
    found: list[asyncpg.Record] = await pool().fetch("SELECT * FROM ledger.alert WHERE cleared_at IS NULL")
    return found


@pytest.mark.parametrize(
    ("operation", "work", "left"),
    [
        ("flip_window", "flip windows", ["OPEN"]),
        ("close_flipped_windows", "close windows", ["CLOSING", "OPEN"]),
    ],
)
async def test_one_that_fails_stops_no_other(
    programmes: list[Coalition], monkeypatch: pytest.MonkeyPatch, operation: str, work: str, left: list[str]
) -> None:
    """The others' windows are closed; the alert tells nothing inside; after its pause it is tried again, and goes."""
    _, poor, _ = programmes
    failing(monkeypatch, operation, poor.programme_id, ValueError("a secret of the machine"))
    now = machine_now()

    assert await jobs.close_all(now)

    assert await states() == {each.programme_id: left if each is poor else ["CLOSED", "OPEN"] for each in programmes}
    (alert,) = await standing()
    assert (alert["programme_id"], alert["work"], alert["tries"]) == (poor.programme_id, work, 1)
    assert alert["explanation"] == f"{work}: something unexpected happened; the worker's log says what"
    assert alert["retry_at"] == now + timedelta(minutes=1)

    monkeypatch.undo()
    assert not await jobs.close_all(now + timedelta(seconds=59)), "it waits its minute"
    assert (await states())[poor.programme_id] == left
    assert await jobs.close_all(now + timedelta(minutes=1))
    assert (await states())[poor.programme_id] == ["CLOSED", "OPEN"]
    assert await standing() == []


async def test_the_pauses_grow_to_an_hour(programmes: list[Coalition], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried after 1, 2, 4 … minutes, at last hourly, never before; a new trouble is a new alert."""
    poor = programmes[1]
    tried: list[datetime] = []
    failing(monkeypatch, "close_flipped_windows", poor.programme_id, ValueError())
    now = machine_now()
    pauses = []
    for _ in range(9):
        await jobs.close_all(now)
        tried.append(now)
        (alert,) = await standing()
        assert not await jobs.close_all(alert["retry_at"] - timedelta(microseconds=1))
        pauses.append((alert["retry_at"] - now) / timedelta(minutes=1))
        now = alert["retry_at"]

    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert (alert["tries"], alert["raised_at"], alert["tried_at"]) == (9, tried[0], tried[-1])
    assert pause_after(10**6) == timedelta(hours=1)

    monkeypatch.undo()
    await jobs.close_all(now)
    assert await standing() == []
    failing(monkeypatch, "flip_window", poor.programme_id, ValueError())
    await pool().execute(
        "UPDATE parties.programme SET clock_at = clock_at + interval '1 day' WHERE programme_id = $1", poor.programme_id
    )  # fmt: skip
    await jobs.close_all(now)
    (alert,) = await standing()
    assert alert["tries"] == 1
    assert await pool().fetchval("SELECT count(*) FROM ledger.alert") == 2


async def test_one_that_hangs_is_cut_off(programmes: list[Coalition]) -> None:
    """A programme that takes longer than it may is cut off and set aside, and the others have their turn."""
    seen: list[int] = []

    async def act(programme: asyncpg.Record) -> bool:
        if programme["programme_id"] == programmes[1].programme_id:
            await asyncio.Event().wait()
        seen.append(programme["programme_id"])
        return True

    assert await each_programme("a work", act, machine_now(), seconds=0.05)

    assert sorted(seen) == sorted(each.programme_id for each in programmes if each is not programmes[1])
    (alert,) = await standing()
    assert alert["explanation"] == "a work: it took too long; the worker's log says what"


async def test_who_failed_before_comes_after_the_others(programmes: list[Coalition]) -> None:
    """One that fails again and again is tried after those that never did, so that its slowness costs them nothing."""
    order: list[int] = []
    poor = programmes[0].programme_id

    async def act(programme: asyncpg.Record) -> bool:
        order.append(programme["programme_id"])
        if programme["programme_id"] == poor:
            raise ValueError
        return False

    now = machine_now()
    assert not await each_programme("a work", act, now)
    order.clear()
    await each_programme("a work", act, now + timedelta(minutes=1))

    assert order[-1] == poor
    assert len(order) == 3


@pytest.mark.parametrize(
    "error", [ConnectionRefusedError(), asyncpg.ConnectionDoesNotExistError(), ServiceUnavailable()]
)
async def test_what_is_no_programmes_fault_sets_none_aside(programmes: list[Coalition], error: Exception) -> None:
    """A database that is away is the worker's trouble: it is told, and no programme waits an hour for it."""

    async def act(_: asyncpg.Record) -> NoReturn:
        raise error

    with pytest.raises(NOBODYS_FAULT):
        await each_programme("a work", act, machine_now())

    assert await pool().fetchval("SELECT count(*) FROM ledger.alert") == 0
