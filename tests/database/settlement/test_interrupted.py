"""Runs that are stopped, interrupted, or made twice: an alert or nothing, then the same as if nothing had happened."""

import asyncio
import importlib
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import asyncpg
import pytest

import koinon_verify
from koinon.clock import machine_now
from koinon.database import pool
from settlement.books import UnknownWindow, WindowNotSealed, WindowOutOfOrder
from settlement.jobs import settle, settle_next
from settlement.operations import BooksDoNotFit, PoolDoesNotHold, calculate_run
from settlement.publishing import publish_part
from tests.database.settlement.test_nights import archived
from tests.kit.settlement import Coalition, nets, recorded, states
from tests.kit.terms import S1

A, B, C = "brand-a", "brand-b", "brand-c"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("remaining = remaining - 1", "1000 points are outstanding by the lines, 999 by the lots"),
        ("issuer_version = 9", "brand-c has no contract version 9"),
    ],
)
async def test_a_changed_lot_stops_the_run(coalition: Coalition, database_url: str, change: str, reason: str) -> None:
    """The lots disagree with the log: no run, an alert that says why, once; put right, the run is made and it goes."""
    await coalition.s1_day()
    await coalition.close()
    await coalition.seal()
    before = await recorded()
    owner = await asyncpg.connect(database_url)
    lots = await owner.fetch("SELECT lot_id, remaining, issuer_version FROM ledger.lot WHERE remaining > 0")
    await owner.execute(f"UPDATE ledger.lot SET {change} WHERE remaining > 0")  # noqa: S608  # a change of ours

    for _ in range(2):
        with pytest.raises((PoolDoesNotHold, BooksDoNotFit), match=reason):
            await calculate_run(coalition.programme_id, 1)
        await coalition.finish()

    assert await recorded() == before
    (alert,) = await pool().fetch("SELECT * FROM settlement.alert")
    assert alert["code"] in {"pool-does-not-hold", "books-do-not-fit"}
    assert reason in alert["explanation"]
    assert alert["cleared_at"] is None
    assert alert["tried_at"] > alert["raised_at"]
    assert alert["tries"] == 2

    await owner.execute(
        "UPDATE ledger.lot SET remaining = $2, issuer_version = $3 WHERE lot_id = $1",
        lots[0]["lot_id"], lots[0]["remaining"], lots[0]["issuer_version"],
    )  # fmt: skip
    await owner.close()
    await calculate_run(coalition.programme_id, 1)
    await coalition.finish()
    assert await states() == ["CALCULATED", "PUBLISHED"]
    assert await pool().fetchval("SELECT cleared_at IS NOT NULL FROM settlement.alert")


async def test_another_reason_is_another_alert(coalition: Coalition, database_url: str) -> None:
    """An alert whose reason changed is cleared, and the new reason stands."""
    await coalition.s1_day()
    await coalition.close()
    await coalition.seal()
    owner = await asyncpg.connect(database_url)
    for _ in range(2):
        await owner.execute("UPDATE ledger.lot SET remaining = remaining - 1 WHERE remaining > 0")
        with pytest.raises(PoolDoesNotHold):
            await calculate_run(coalition.programme_id, 1)
    await owner.close()

    rows = await pool().fetch(
        "SELECT explanation, tries, cleared_at IS NULL AS stands FROM settlement.alert ORDER BY 2, 1"
    )
    assert [(row["explanation"].rpartition(", ")[2], row["stands"], row["tries"]) for row in rows] == [
        ("999 by the lots.", False, 1),
        ("998 by the lots.", True, 2),
    ]


async def test_windows_are_calculated_in_order_and_sealed(coalition: Coalition) -> None:
    """A window that is open, unknown, or whose predecessor has no run is refused, and nothing is recorded."""
    await coalition.s1_day()
    with pytest.raises(WindowNotSealed):
        await calculate_run(coalition.programme_id, 1)
    with pytest.raises(UnknownWindow):
        await calculate_run(coalition.programme_id, 3)
    await coalition.close()
    await coalition.close()
    await coalition.seal()
    before = await recorded()

    with pytest.raises(WindowOutOfOrder):
        await calculate_run(coalition.programme_id, 2)

    assert await recorded() == before
    await coalition.finish()
    assert await pool().fetchval("SELECT array_agg(window_no ORDER BY calculated_at) FROM settlement.run") == [1, 2]


async def test_a_crash_while_recording_leaves_nothing(coalition: Coalition, database_url: str) -> None:
    """A run whose recording fails half way is not there at all; the same call again records it."""
    await coalition.s1_day()
    await coalition.close()
    await coalition.seal()
    before = await recorded()
    owner = await asyncpg.connect(database_url)
    await owner.execute("REVOKE INSERT ON settlement.statement FROM koinon_app")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await calculate_run(coalition.programme_id, 1)
    assert await recorded() == before
    await owner.execute("GRANT INSERT ON settlement.statement TO koinon_app")
    await owner.close()

    await coalition.finish()

    assert await nets() == {A: -10_000, B: 5_100, C: 1_950, "operator": 2_100, "pool": 850}
    assert await pool().fetchval("SELECT count(*) FROM audit.submission") == 1


async def test_a_crash_between_bundles_is_resumed(coalition: Coalition) -> None:
    """Publishing goes on where it was cut off: what was archived stays as it is, and no run is published half."""
    await coalition.s1_day()
    await coalition.close()
    await coalition.seal()
    run_id = await calculate_run(coalition.programme_id, 1)
    assert not await publish_part(coalition.runtime, run_id), "the log has not signed the run's leaf"
    await coalition.seal()
    assert await publish_part(coalition.runtime, run_id)
    (first,) = await pool().fetch("SELECT * FROM settlement.bundle")
    assert await states() == ["CALCULATED"]
    await coalition.earn(A, 1)  # the log grows, and is signed anew
    await coalition.finish()
    await coalition.finish()

    assert await states() == ["CALCULATED", "PUBLISHED"]
    bundles = await pool().fetch("SELECT * FROM settlement.bundle")
    assert len(bundles) == 3
    assert first in bundles
    assert await calculate_run(coalition.programme_id, 1) == run_id


async def test_windows_are_published_in_order(coalition: Coalition, tmp_path: Path) -> None:
    """A run waits until every earlier window's is published, lest its bundles lie under smaller checkpoints."""
    await coalition.s1_day()
    await coalition.close()
    await coalition.earn(A, 100)
    await coalition.close()
    await coalition.seal()
    first, second = [await calculate_run(coalition.programme_id, window) for window in (1, 2)]
    await coalition.seal()

    assert not await publish_part(coalition.runtime, second)
    assert await publish_part(coalition.runtime, first)
    assert not await publish_part(coalition.runtime, second)
    assert await settle(coalition.runtime)
    assert await pool().fetchval("SELECT array_agg(DISTINCT run_id) FROM settlement.bundle") == [first]

    await coalition.earn(A, 1)  # the log grows, and is signed anew, between the bundles
    await coalition.finish()
    assert await pool().fetchval("SELECT count(*) FROM settlement.run WHERE state = 'PUBLISHED'") == 2
    for partner_id in coalition.partners.values():
        paths = [tmp_path / f"{window}.bundle" for window in (1, 2)]
        for window, path in enumerate(paths, 1):
            await asyncio.to_thread(path.write_bytes, await archived(partner_id, window))
        report = koinon_verify.verify_bundle(paths[1], previous=paths[0])
        assert (report.problems, report.notes) == ([], [])


async def test_a_log_that_was_rewritten_is_not_published(coalition: Coalition, database_url: str) -> None:
    """A bundle that would accuse the log is not made: the run waits, with an alert."""
    await coalition.s1_day()
    await coalition.night()
    owner = await asyncpg.connect(database_url)
    await owner.execute("UPDATE settlement.bundle_checkpoint SET size = 3, root = sha256('another log')")
    await owner.close()
    await coalition.earn(A, 1)
    await coalition.night()

    assert await pool().fetchval("SELECT state FROM settlement.run WHERE window_no = 2") == "CALCULATED"
    assert await pool().fetchval("SELECT code FROM settlement.alert WHERE window_no = 2") == "unexpected"
    assert await pool().fetchval("SELECT count(*) FROM settlement.bundle_checkpoint") == 3, "no bundle was begun"


async def broken(*_: Any) -> NoReturn:
    """Fail as nobody foresaw."""
    raise ValueError("a secret of the machine")


@pytest.mark.parametrize("place", ["settlement.operations.read_books", "settlement.publishing.signed_log"])
async def test_what_nobody_foresaw_stops_one_programme(
    coalition: Coalition, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """The other programmes are settled, the stopped one has an alert that tells nothing inside, and goes on later."""
    module, _, name = place.rpartition(".")
    honest = getattr(importlib.import_module(module), name)
    other = await Coalition(coalition.runtime).found("other", "EUR")
    await other.brand("shop-a", **S1)
    await other.earn("shop-a", 100)
    await coalition.s1_day()
    await coalition.close()
    await other.close()

    async def sometimes(*asked: Any, **named: Any) -> Any:
        stopped = coalition.programme_id in asked
        return await (broken if stopped else honest)(*asked, **named)

    monkeypatch.setattr(place, sometimes)
    await coalition.finish()

    published = await pool().fetch("SELECT programme_id FROM settlement.run WHERE state = 'PUBLISHED'")
    assert [row["programme_id"] for row in published] == [other.programme_id]
    (alert,) = await pool().fetch("SELECT * FROM settlement.alert")
    assert (alert["programme_id"], alert["window_no"], alert["code"]) == (coalition.programme_id, 1, "unexpected")
    assert alert["explanation"] == "Something unexpected happened; the worker's log says what"
    monkeypatch.undo()
    assert not await settle(coalition.runtime), "it is tried again after a while"
    later = machine_now() + timedelta(minutes=1)
    while await settle_next(coalition.runtime, later):
        await coalition.seal()
    assert await pool().fetchval("SELECT count(*) FROM settlement.run WHERE state = 'PUBLISHED'") == 2
    assert await pool().fetchval("SELECT bool_and(cleared_at IS NOT NULL) FROM settlement.alert")


async def test_a_bill_that_no_column_holds_stops_the_run(bare: Coalition) -> None:
    """Points whose price is more than can be written stop their programme with an alert that says so."""
    await bare.brand(A, price="10000", fee="0", issue_share="1", honour="0")
    for _ in range(10):
        await bare.earn(A, 10**12)
    await bare.night()

    (alert,) = await pool().fetch("SELECT code, explanation FROM settlement.alert")
    assert alert["code"] == "books-do-not-fit"
    assert alert["explanation"] == f"issue_funding of {A}, version 1, comes to {10**19}"
    assert await pool().fetchval("SELECT count(*) FROM settlement.run") == 0


async def test_two_workers_make_one_run(coalition: Coalition) -> None:
    """Calculated and published by several workers at once, a window has one run, one leaf, a bundle each."""
    await coalition.s1_day()
    await coalition.close()
    await coalition.seal()
    made = await asyncio.gather(*(calculate_run(coalition.programme_id, 1) for _ in range(4)))
    await coalition.seal()
    while any(await asyncio.gather(*(publish_part(coalition.runtime, made[0]) for _ in range(3)))):
        pass

    assert len(set(made)) == 1
    assert await pool().fetchval("SELECT count(*) FROM audit.submission") == 1
    assert await pool().fetchval("SELECT count(*) FROM settlement.bundle") == 3
    assert await states() == ["CALCULATED", "PUBLISHED"]


async def test_a_stopped_programme_does_not_stop_another(coalition: Coalition, database_url: str) -> None:
    """While one programme's pool does not hold, the other's window is settled."""
    other = await Coalition(coalition.runtime).found("other", "EUR")
    await other.brand("shop-a", **S1)
    await other.earn("shop-a", 100)
    await coalition.s1_day()
    owner = await asyncpg.connect(database_url)
    await owner.execute(
        "UPDATE ledger.lot SET remaining = remaining - 1 WHERE remaining > 1 AND account_id = $1", coalition.account_id
    )
    await owner.close()
    await coalition.close()
    await other.close()
    await coalition.finish()

    rows = await pool().fetch("SELECT programme_id FROM settlement.run")
    assert [row["programme_id"] for row in rows] == [other.programme_id]
    assert await pool().fetchval("SELECT programme_id FROM settlement.alert") == coalition.programme_id


async def test_a_stopped_run_is_tried_less_and_less_often(
    coalition: Coalition, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minute after the first failure, then after twice as long each time, at last hourly; once it goes, it goes."""
    await coalition.s1_day()
    await coalition.close()
    await coalition.seal()
    monkeypatch.setattr("settlement.operations.read_books", broken)
    now, pauses = machine_now(), []
    for tries in range(1, 10):
        assert await settle_next(coalition.runtime, now)
        (alert,) = await pool().fetch("SELECT * FROM settlement.alert")
        assert (alert["tries"], alert["cleared_at"]) == (tries, None)
        pauses.append(alert["retry_at"] - alert["tried_at"])
        now = alert["retry_at"]
        assert not await settle_next(coalition.runtime, now - timedelta(microseconds=1)), "it is not tried before"

    assert [pause / timedelta(minutes=1) for pause in pauses] == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    monkeypatch.undo()
    while await settle_next(coalition.runtime, now):
        await coalition.seal()
    assert await states() == ["CALCULATED", "PUBLISHED"]
    assert await pool().fetchval("SELECT bool_and(cleared_at IS NOT NULL) FROM settlement.alert")


@pytest.mark.parametrize("place", ["settlement.operations.read_books", "settlement.publishing.signed_log"])
async def test_a_run_that_hangs_is_cut_off(coalition: Coalition, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """A run or a bundle that takes longer than it may is set aside with an alert; the other programme is settled."""
    module, _, name = place.rpartition(".")
    honest = getattr(importlib.import_module(module), name)
    other = await Coalition(coalition.runtime).found("other", "EUR")
    await other.brand("shop-a", **S1)
    await other.earn("shop-a", 100)
    await coalition.s1_day()
    await coalition.close()
    await other.close()
    await coalition.seal()
    slow = coalition.programme_id

    async def hanging(*asked: Any, **named: Any) -> Any:
        if any(each == slow for each in asked):
            await asyncio.Event().wait()
        return await honest(*asked, **named)

    monkeypatch.setattr(place, hanging)
    now = machine_now()
    while await settle_next(coalition.runtime, now, seconds=1):
        await coalition.seal()

    published = await pool().fetch("SELECT programme_id FROM settlement.run WHERE state = 'PUBLISHED'")
    assert [row["programme_id"] for row in published] == [other.programme_id]
    (alert,) = await pool().fetch("SELECT programme_id, code, explanation, tries FROM settlement.alert")
    assert tuple(alert) == (slow, "took-too-long", "It took longer than it may", 1)


async def test_a_database_that_is_away_stops_no_programme(
    coalition: Coalition, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is no programme's fault goes to the worker, which waits; no alert stands against a window for it."""
    await coalition.s1_day()
    await coalition.close()
    await coalition.seal()

    async def away(*_: Any) -> NoReturn:
        raise ConnectionRefusedError

    monkeypatch.setattr("settlement.operations.read_books", away)
    with pytest.raises(ConnectionRefusedError):
        await settle(coalition.runtime)

    assert await pool().fetchval("SELECT count(*) FROM settlement.alert") == 0
