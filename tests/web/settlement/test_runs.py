"""Windows and runs over HTTP: asked for, calculated by the worker, approved by a second person."""

import asyncio
from datetime import datetime

import asyncpg
import pytest

from koinon.audit.logs import checkpoint_path
from koinon.clock import machine_now
from koinon.ids import new_id, public
from settlement.operations import calculate_run
from tests.kit.scheme import assert_field, assert_refused, unchanged
from tests.kit.settlement import Coalition
from tests.web.conftest import Callers
from tests.web.settlement.conftest import League


async def test_an_operator_closes_the_day_and_another_approves_it(league: League) -> None:
    """The window is closed at once; the worker seals it and makes the run; a second person approves it."""
    await league.coalition.s1_day()
    asked = await league.ask(league.anna)

    assert asked.status_code == 202
    assert asked.json() | {"flipped_at": None, "opened_at": None} == {
        "programme": league.programme, "window": 1, "business_date": "2026-03-02", "state": "CLOSING",
        "opened_at": None, "flipped_at": None, "closed_at": None, "run": None, "run_state": None, "alert": None,
    }  # fmt: skip
    late = await league.coalition.earn("brand-a", 10)
    assert late.answer["window_no"] == 2
    await league.work()

    windows = (await league.anna.get("/v1/settlement/windows", programme=league.programme)).json()["items"]
    assert [(each["window"], each["state"], each["run_state"]) for each in windows] == [
        (2, "OPEN", None),
        (1, "SEALED", "PUBLISHED"),
    ]
    run = await league.run()
    approved = await league.approve(league.otto, run)
    assert approved.status_code == 201
    assert approved.json() == (await league.anna.get(f"/v1/settlement/runs/{run}")).json()
    found = approved.json()
    assert (found["state"], found["made_by"], found["window"], found["version"]) == (
        "APPROVED",
        league.anna.name,
        1,
        1,
    )
    assert [(each["staff"], each["decision"]) for each in found["approvals"]] == [(league.otto.name, "approved")]


async def test_a_window_says_what_keeps_it_in_the_log(
    league: League, database: asyncpg.Pool, database_url: str
) -> None:
    """A journal without a leaf stands at its own window, and a log that is not signed where a run waits for it."""
    await league.coalition.s1_day()
    owner = await asyncpg.connect(database_url)
    await owner.execute("UPDATE ledger.journal SET kind = 'adjust' WHERE kind = 'hold'")
    await league.coalition.seal()

    async def alerts() -> list[str | None]:
        listed = await league.anna.get("/v1/settlement/windows", programme=league.programme)
        return [None if each["alert"] is None else each["alert"]["code"] for each in listed.json()["items"]]

    assert await alerts() == ["no-leaf"]
    await league.coalition.night()
    assert await alerts() == [None, "no-leaf"]
    await owner.execute("UPDATE ledger.journal SET kind = 'hold' WHERE kind = 'adjust'")
    await owner.execute("UPDATE audit.alert SET retry_at = tried_at")
    await owner.close()
    checkpoint_path(league.coalition.runtime.settings, league.coalition.programme_id).unlink()
    await league.coalition.finish()
    assert await alerts() == [None, "not-signed"]
    assert await database.fetchval("SELECT state FROM settlement.run") == "CALCULATED"


async def test_a_run_shows_every_partys_net(settled: League) -> None:
    """S-1 to the cent, in minor units: brands first, then the houses; the pool's check says why it holds."""
    run = (await settled.anna.get(f"/v1/settlement/runs/{await settled.run()}")).json()

    points = ("party", "issued", "honoured", "accepted", "expired", "pays_minor", "receives_minor", "net_minor")
    assert [tuple(party[name] for name in points) for party in run["parties"]] == [
        ("brand-a", 10_000, 10_000, 0, 0, 10_000, 0, -10_000),
        ("brand-b", 0, 0, 6_000, 0, 0, 5_100, 5_100),
        ("brand-c", 4_000, 3_000, 7_000, 0, 4_000, 5_950, 1_950),
        ("breakage", None, None, None, None, 0, 0, 0),
        ("margin", None, None, None, None, 0, 0, 0),
        ("operator", None, None, None, None, 0, 2_100, 2_100),
        ("pool", None, None, None, None, 11_050, 11_900, 850),
    ]
    assert run["parties"][0]["partner"] == settled.partner("brand-a")
    assert run["parties"][0]["brand"] == "Brand-A"
    assert (run["programme_code"], run["currency"], run["made_by"]) == ("league", "USD", "platform")
    assert run["pool"] == {
        "holds": True, "balance_minor": 850, "worth": "850", "apart": "0", "allowed": "2", "outstanding_points": 1_000,
        "explanation": "The pool holds 8.50 USD, and 1,000 outstanding points are worth 8.5 USD: "
        "0 minor units apart, where the rounding of 4 cells allows 2.",
    }  # fmt: skip


async def test_the_maker_is_never_the_checker(league: League, database: asyncpg.Pool) -> None:
    """Whoever asked for a run cannot approve it, from whatever key or browser; nothing changes."""
    await league.ask(league.anna)
    await league.work()
    run = await league.run()
    browser = await league.callers.staff("anna@koinon.example")

    async with unchanged(database):
        assert_refused(await league.approve(league.anna, run), 403, "maker-is-checker")
        assert_refused(await league.approve(browser, run), 403, "maker-is-checker")
    with pytest.raises(asyncpg.CheckViolationError):
        await database.execute(
            "INSERT INTO settlement.approval SELECT run_id, maker_staff_id, maker_staff_id, 'approved', now()"
            " FROM settlement.run"
        )
    assert (await league.approve(await league.callers.staff("otto@koinon.example"), run)).status_code == 201


async def test_the_nights_run_needs_one_person(settled: League, database: asyncpg.Pool) -> None:
    """A run that the schedule made is approved by anyone once; a retry is the same answer, a second yes is refused."""
    run = await settled.run()
    first = await settled.approve(settled.anna, run, key="yes")
    assert first.status_code == 201
    async with unchanged(database):
        again = await settled.approve(settled.anna, run, key="yes")
        assert (again.status_code, again.json()) == (201, first.json())
        assert_refused(await settled.approve(settled.anna, run), 409, "already-approved")
        assert_refused(await settled.approve(settled.otto, run), 409, "run-not-published", state="APPROVED")


async def test_only_a_published_run_is_approved(league: League, database: asyncpg.Pool) -> None:
    """A run whose bundles are not out yet waits; a run that does not exist is unknown."""
    await league.coalition.s1_day()
    await league.coalition.close()
    await league.coalition.seal()
    run = public("run", await calculate_run(league.coalition.programme_id, 1))
    async with unchanged(database):
        assert_refused(await league.approve(league.anna, run), 409, "run-not-published", state="CALCULATED")
        assert_refused(await league.approve(league.anna, public("run", new_id())), 404, "unknown-run")
        assert_refused(await league.approve(league.anna, "run_nonsense"), 404, "unknown-run")
        assert_refused(await league.anna.get("/v1/settlement/runs/run_nonsense"), 404, "unknown-run")


async def test_a_day_is_closed_once(league: League, database: asyncpg.Pool) -> None:
    """Asked again, the same key is answered the same; another key is told that today's window was closed."""
    first = await league.ask(league.anna, key="close")
    async with unchanged(database):
        again = await league.ask(league.anna, key="close")
        assert (again.status_code, again.json()) == (202, first.json())
        assert_refused(await league.ask(league.otto), 409, "window-not-begun", today="2026-03-02")
    await league.work()
    assert (await league.anna.get("/v1/settlement/runs", programme=league.programme)).json()["items"][0]["window"] == 1


async def test_what_stops_a_run_is_seen(league: League, database_url: str) -> None:
    """A window whose pool does not hold shows the reason, and no run."""
    await league.coalition.s1_day()
    owner = await asyncpg.connect(database_url)
    await owner.execute("UPDATE ledger.lot SET remaining = remaining - 1 WHERE remaining > 0")
    await owner.close()
    await league.ask(league.anna)
    await league.work()

    listed = (await league.anna.get("/v1/settlement/windows", programme=league.programme)).json()["items"][1]
    assert (listed["state"], listed["run"], listed["alert"]["code"]) == ("SEALED", None, "pool-does-not-hold")
    assert listed["alert"]["explanation"].endswith("1000 points are outstanding by the lines, 999 by the lots.")
    assert listed["alert"]["tries"] == 1
    assert datetime.fromisoformat(listed["alert"]["retry_at"]) > machine_now()


async def test_what_stops_the_close_is_seen(league: League, database: asyncpg.Pool) -> None:
    """What the ledger cannot do for a programme stands against the window that is to be closed next, and no other."""
    await league.coalition.close()
    await database.execute(
        "INSERT INTO ledger.alert (alert_id, programme_id, work, explanation, tries, raised_at, tried_at, retry_at)"
        " VALUES (1, $1, 'close windows', 'close windows: it took too long', 4, now(), now(), now())",
        league.coalition.programme_id,
    )

    listed = (await league.anna.get("/v1/settlement/windows", programme=league.programme)).json()["items"]
    assert [each["window"] for each in listed if each["alert"]] == [2]
    assert {name: listed[0]["alert"][name] for name in ("code", "explanation", "tries")} == {
        "code": "unexpected", "explanation": "close windows: it took too long", "tries": 4,
    }  # fmt: skip


async def test_lists_come_in_pages(settled: League) -> None:
    """Windows and runs come newest first, a page at a time; a stranger's cursor is refused."""
    await settled.coalition.night()
    for path, cursor in (("windows", "2"), ("runs", None)):
        where = f"/v1/settlement/{path}"
        first = (await settled.anna.get(where, programme=settled.programme, limit=2 if path == "windows" else 1)).json()
        rest = (await settled.anna.get(where, programme=settled.programme, cursor=first["next"])).json()
        assert cursor is None or first["next"] == cursor
        assert [each["window"] for each in first["items"] + rest["items"]] == ([3, 2, 1] if cursor else [2, 1])
        assert rest["next"] is None
        assert_field(await settled.anna.get(where, programme=settled.programme, cursor="x"), "/cursor")


async def test_a_programme_is_named(league: League, database: asyncpg.Pool) -> None:
    """A programme that does not exist, or no programme at all, is refused."""
    stranger = public("pro", new_id())
    async with unchanged(database):
        for path in ("windows", "runs"):
            assert_refused(
                await league.anna.get(f"/v1/settlement/{path}", programme=stranger), 404, "unknown-programme"
            )
            assert_field(await league.anna.get(f"/v1/settlement/{path}", programme="league"), "/programme")
            assert_field(await league.anna.get(f"/v1/settlement/{path}"), "/programme")
        asked = await league.anna.post("/v1/settlement/runs", {"programme": stranger})
        assert_refused(asked, 404, "unknown-programme")
        assert_field(await league.anna.post("/v1/settlement/runs", {"programme": "league"}), "/programme")


async def test_runs_are_the_operators_alone(settled: League, callers: Callers, database: asyncpg.Pool) -> None:
    """No brand, no member and nobody sees runs or moves them; reading alone does not let an operator close a day."""
    run = await settled.run()
    shop, reader = settled.shops["brand-a"], await callers.operator(scopes=frozenset({"settlement:read"}))
    member = await settled.member()
    reads = ["/v1/settlement/windows", "/v1/settlement/runs", f"/v1/settlement/runs/{run}"]
    async with unchanged(database):
        for caller in (shop, reader, member):
            for path in reads:
                answer = await caller.get(path, programme=settled.programme)
                assert_refused(answer, 403, "scope-missing", missing_scopes=["settlement:operate"])
            assert_refused(await settled.ask(caller), 403, "scope-missing")
            assert_refused(await settled.approve(caller, run), 403, "scope-missing")
        for path in reads:
            assert (await settled.callers.client.get(path)).status_code == 401


async def test_one_programmes_runs_are_not_anothers(settled: League) -> None:
    """A list holds the runs of the programme that was asked for."""
    other = await Coalition(settled.coalition.runtime).found("other")
    await other.night()

    listed = (await settled.anna.get("/v1/settlement/runs", programme=settled.programme)).json()["items"]
    assert [each["programme"] for each in listed] == [settled.programme]


async def test_two_people_at_once_approve_once(settled: League, database: asyncpg.Pool) -> None:
    """Of two approvals at the same moment one is taken, and the other is told that nothing waits any more."""
    run = await settled.run()
    answers = await asyncio.gather(settled.approve(settled.anna, run), settled.approve(settled.otto, run))

    assert sorted(answer.status_code for answer in answers) == [201, 409]
    assert await database.fetchval("SELECT count(*) FROM settlement.approval") == 1
    assert await database.fetchval("SELECT count(*) FROM settlement.run_event WHERE state = 'APPROVED'") == 1
