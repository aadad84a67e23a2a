"""Programmes over HTTP: opened whole or not at all, and a sandbox's clock that only goes forward."""

import asyncio
from datetime import UTC, date, datetime
from typing import Any

import asyncpg
import httpx

from koinon import ids
from tests.kit.scheme import NOW, assert_field, assert_refused, open_scheme, programme_body, unchanged
from tests.web.conftest import Callers, problem_of

LATE = datetime(2026, 3, 2, 22, 30, tzinfo=UTC)


async def test_a_programme_is_opened_whole(callers: Callers, database: asyncpg.Pool) -> None:
    """It has its unit, its operator's own partner, and a window dated in its zone by its own clock."""
    operator = await callers.operator()
    answer = await operator.post("/v1/programmes", programme_body(clock_at="2026-03-02T22:30:00Z"))

    made = answer.json()
    assert answer.status_code == 201
    assert made == {
        "programme": made["programme"],
        "code": "league",
        "name": "The League",
        "mode": "sandbox",
        "time_zone": "Europe/Helsinki",
        "settlement_currency": "EUR",
        "face_value_per_point": "0.005",
        "expiry_months": 24,
        "unit": "points",
        "operator": made["operator"],
        "clock_at": "2026-03-02T22:30:00Z",
        "now": "2026-03-02T22:30:00Z",
    }
    programme_id = ids.private("pro", made["programme"])
    row = await database.fetchrow("SELECT * FROM parties.programme")
    assert (row["programme_id"], row["face_value_num"], row["face_value_den"]) == (programme_id, 1, 2)
    assert [tuple(unit) for unit in await database.fetch("SELECT * FROM ledger.unit")] == [
        (row["unit_id"], programme_id, "points")
    ]
    partner = await database.fetchrow("SELECT * FROM parties.partner")
    assert (partner["partner_id"], partner["code"], partner["operator"], partner["iban"]) == (
        ids.private("par", made["operator"]),
        "operator",
        True,
        None,
    )
    window = await database.fetchrow("SELECT * FROM ledger.settlement_window")
    assert (window["window_no"], window["business_date"], window["state"], window["opened_at"]) == (
        1,
        date(2026, 3, 3),
        "OPEN",
        LATE,
    )


async def test_a_live_programme_has_the_machines_time(callers: Callers, database: asyncpg.Pool) -> None:
    """Without a test clock, now is now."""
    operator = await callers.operator()
    before = datetime.now(UTC)
    made = (await operator.post("/v1/programmes", programme_body(mode="live", clock_at=..., expiry_months=None))).json()

    assert made["clock_at"] is None
    assert made["expiry_months"] is None
    assert before <= datetime.fromisoformat(made["now"]) <= datetime.now(UTC)
    assert await database.fetchval("SELECT state FROM ledger.settlement_window") == "OPEN"


async def test_a_retry_opens_nothing_more(callers: Callers, database: asyncpg.Pool) -> None:
    """The same key and content is answered the same again; with other content it is refused."""
    operator = await callers.operator()
    first = await operator.post("/v1/programmes", programme_body(), key="k")
    async with unchanged(database):
        again = await operator.post("/v1/programmes", programme_body(), key="k")
        other = await operator.post("/v1/programmes", programme_body(name="Another"), key="k")

    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["Idempotent-Replayed"] == "true"
    assert_refused(other, 409, "idempotency-key-reused")


WRONG_FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"code": "L"}, "/code"),
    ({"code": "-league"}, "/code"),
    ({"code": "league\n"}, "/code"),
    ({"name": ""}, "/name"),
    ({"name": "a\u0000b"}, "/name"),
    ({"mode": "test"}, "/mode"),
    ({"time_zone": "Europe/Atlantis"}, "/time_zone"),
    ({"time_zone": "../../etc/passwd"}, "/time_zone"),
    ({"time_zone": "a\u0000b"}, "/time_zone"),
    ({"time_zone": ""}, "/time_zone"),
    ({"time_zone": "localtime"}, "/time_zone"),
    ({"time_zone": "right/Europe/Helsinki"}, "/time_zone"),
    ({"settlement_currency": "XXX"}, "/settlement_currency"),
    ({"settlement_currency": "eur"}, "/settlement_currency"),
    ({"face_value_per_point": "0"}, "/face_value_per_point"),
    ({"face_value_per_point": "-0.01"}, "/face_value_per_point"),
    ({"face_value_per_point": "1e-2"}, "/face_value_per_point"),
    ({"face_value_per_point": "0.000000001"}, "/face_value_per_point"),
    ({"face_value_per_point": "1000000"}, "/face_value_per_point"),
    ({"face_value_per_point": 0.01}, "/face_value_per_point"),
    ({"expiry_months": 0}, "/expiry_months"),
    ({"expiry_months": 1.5}, "/expiry_months"),
    ({"expiry_months": 10**20}, "/expiry_months"),
    ({"clock_at": "2026-03-02T09:00:00"}, "/clock_at"),
    ({"clock_at": "1999-12-31T23:59:59Z"}, "/clock_at"),
    ({"clock_at": "0001-01-01T00:00:00+14:00"}, "/clock_at"),
    ({"clock_at": "yesterday"}, "/clock_at"),
]


async def test_a_wrong_field_is_named(callers: Callers, database: asyncpg.Pool) -> None:
    """Nothing is opened, and the answer points at the field."""
    operator = await callers.operator()
    async with unchanged(database):
        for changes, pointer in WRONG_FIELDS:
            assert_field(await operator.post("/v1/programmes", programme_body(**changes)), pointer)


async def test_refusals_have_codes(callers: Callers, database: asyncpg.Pool) -> None:
    """A machine can tell the refusals apart."""
    refusals: list[tuple[dict[str, Any], int, str]] = [
        ({"time_zone": "Mars/Olympus"}, 400, "unknown-time-zone"),
        ({"settlement_currency": "XAU"}, 400, "unknown-currency"),
        ({"mode": "live"}, 409, "programme-is-live"),
        ({"name": ...}, 400, "invalid-input"),
        ({"unknown": 1}, 400, "invalid-input"),
    ]
    operator = await callers.operator()
    async with unchanged(database):
        for changes, status, code in refusals:
            assert_refused(await operator.post("/v1/programmes", programme_body(**changes)), status, code)


async def test_a_code_is_taken_once(callers: Callers, database: asyncpg.Pool) -> None:
    """A second programme with a code is refused, also when both come at once."""
    operator = await callers.operator()
    answers = await asyncio.gather(*(operator.post("/v1/programmes", programme_body(name=f"P{n}")) for n in range(6)))

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409, 409]
    for answer in answers:
        if answer.status_code == 409:
            assert_refused(answer, 409, "programme-code-taken", programme_code="league")
    assert await database.fetchval("SELECT count(*) FROM parties.programme") == 1
    assert await database.fetchval("SELECT count(*) FROM ledger.unit") == 1
    assert await database.fetchval("SELECT count(*) FROM ledger.settlement_window") == 1


async def test_a_write_needs_its_key(callers: Callers, database: asyncpg.Pool) -> None:
    """Without an Idempotency-Key nothing is written."""
    operator = await callers.operator()
    async with unchanged(database):
        answer = await operator.client.post("/v1/programmes", json=programme_body(), headers=operator.headers)

    assert_refused(answer, 400, "idempotency-key-missing")


async def test_only_the_operator_opens_programmes(
    callers: Callers, client: httpx.AsyncClient, database: asyncpg.Pool
) -> None:
    """A partner lacks the scope, and nobody is nobody."""
    scheme = await open_scheme(callers)
    shop = await scheme.api_of(await scheme.partner())
    async with unchanged(database):
        refused = await shop.post("/v1/programmes", programme_body(code="mine"))
        nobody = await client.post("/v1/programmes", json=programme_body(code="mine"), headers={"Idempotency-Key": "k"})
        moved = await shop.post(f"/v1/programmes/{scheme.programme}/clock", {"at": "2026-03-03T09:00:00Z"})

    assert_refused(refused, 403, "scope-missing", missing_scopes=["programmes:write"])
    assert problem_of(nobody) == (401, "not-authenticated")
    assert_refused(moved, 403, "scope-missing")


async def test_a_sandbox_clock_moves_forward(callers: Callers, database: asyncpg.Pool) -> None:
    """It is set as asked, to where it stands too; with its offset, it is one instant."""
    scheme = await open_scheme(callers)
    path = f"/v1/programmes/{scheme.programme}/clock"

    moved = await scheme.operator.post(path, {"at": "2026-03-03T02:00:00+02:00"})
    assert (moved.status_code, moved.json()["now"]) == (201, "2026-03-03T00:00:00Z")
    assert (await scheme.operator.post(path, {"at": "2026-03-03T00:00:00Z"})).status_code == 201
    assert await database.fetchval("SELECT clock_at FROM parties.programme") == datetime(2026, 3, 3, tzinfo=UTC)
    read = await scheme.operator.get(f"/v1/programmes/{scheme.programme}")
    assert (read.status_code, read.json()["clock_at"]) == (200, "2026-03-03T00:00:00Z")


async def test_a_clock_never_goes_back(callers: Callers, database: asyncpg.Pool) -> None:
    """A second earlier is refused with both instants."""
    scheme = await open_scheme(callers)
    async with unchanged(database):
        answer = await scheme.operator.post(f"/v1/programmes/{scheme.programme}/clock", {"at": "2026-03-02T08:59:59Z"})

    assert_refused(answer, 409, "clock-moves-forward", now="2026-03-02T09:00:00+00:00", at="2026-03-02T08:59:59+00:00")


async def test_a_sandbox_without_a_clock_starts_from_the_machines(callers: Callers, database: asyncpg.Pool) -> None:
    """Its test clock cannot be set before what it has lived by until now."""
    scheme = await open_scheme(callers, clock_at=...)
    async with unchanged(database):
        answer = await scheme.operator.post(f"/v1/programmes/{scheme.programme}/clock", {"at": NOW})

    assert_refused(answer, 409, "clock-moves-forward")


async def test_a_live_clock_is_not_moved(callers: Callers, database: asyncpg.Pool) -> None:
    """A live programme refuses any time."""
    scheme = await open_scheme(callers, mode="live", clock_at=...)
    async with unchanged(database):
        answer = await scheme.operator.post(f"/v1/programmes/{scheme.programme}/clock", {"at": "2100-01-01T00:00:00Z"})

    assert_refused(answer, 409, "programme-is-live")


async def test_a_clock_stands_at_an_instant(callers: Callers, database: asyncpg.Pool) -> None:
    """No offset, a year beyond the calendar, or no instant: refused."""
    scheme = await open_scheme(callers)
    async with unchanged(database):
        for at in ("2026-03-03T00:00:00", "2200-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "noon", None):
            assert_field(await scheme.operator.post(f"/v1/programmes/{scheme.programme}/clock", {"at": at}), "/at")


async def test_movers_of_a_clock_come_one_at_a_time(callers: Callers, database: asyncpg.Pool) -> None:
    """However they interleave, the clock ends at the latest time, and whoever would have turned it back is refused."""
    scheme = await open_scheme(callers)
    times = [f"2026-03-02T{hour:02}:00:00Z" for hour in (20, 11, 19, 12, 18, 13, 17, 14, 16, 15)]
    answers = await asyncio.gather(
        *(scheme.operator.post(f"/v1/programmes/{scheme.programme}/clock", {"at": at}) for at in times)
    )

    assert answers[0].status_code == 201
    for answer in answers:
        assert answer.status_code == 201 or problem_of(answer) == (409, "clock-moves-forward")
    assert await database.fetchval("SELECT clock_at FROM parties.programme") == datetime(2026, 3, 2, 20, tzinfo=UTC)


async def test_an_unknown_programme(callers: Callers, database: asyncpg.Pool) -> None:
    """What is no programme's id, or nobody's, is not found."""
    operator = await callers.operator()
    async with unchanged(database):
        for programme in ("pro_0000000000001", "pro_zzzzzzzzzzzzz", "pro_fzzzzzzzzzzzz", "par_0000000000001", "x"):
            read = await operator.get(f"/v1/programmes/{programme}")
            moved = await operator.post(f"/v1/programmes/{programme}/clock", {"at": NOW})

            assert_refused(read, 404, "unknown-programme")
            assert_refused(moved, 404, "unknown-programme")


async def test_programmes_come_a_page_at_a_time(callers: Callers) -> None:
    """Pages follow one another by code without a gap or a double."""
    operator = await callers.operator()
    for code in ("cc", "aa", "ee", "bb", "dd"):
        await operator.post("/v1/programmes", programme_body(code=code))

    seen, cursor = [], None
    while True:
        page = (await operator.get("/v1/programmes", limit=2, **({"cursor": cursor} if cursor else {}))).json()
        seen.append([item["code"] for item in page["items"]])
        if (cursor := page["next"]) is None:
            break
    assert seen == [["aa", "bb"], ["cc", "dd"], ["ee"]]


async def test_a_page_has_bounds(callers: Callers) -> None:
    """A limit or cursor out of range is refused."""
    operator = await callers.operator()
    queries: list[dict[str, Any]] = [
        {"limit": 0},
        {"limit": 201},
        {"limit": "x"},
        {"cursor": "A B"},
        {"cursor": "x\u0000"},
    ]
    for query in queries:
        assert problem_of(await operator.get("/v1/programmes", **query)) == (400, "invalid-input")
