"""Captures and releases: a reserved redemption is burnt whole or given back, once, by the brand that reserved it."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest
import structlog
from litestar import Litestar

from koinon import ids
from koinon.database import transaction
from koinon.members import vault
from koinon.members.vault import destroy_key
from tests.kit.nights import close_window_early, lines_of, of_window, statement, work_the_night
from tests.kit.scheme import assert_field, assert_refused, contract_body, unchanged
from tests.kit.town import NOW, Town


async def test_a_capture_burns_what_was_reserved(town: Town, database: asyncpg.Pool) -> None:
    """The points are gone, issuer and acceptor stand in the movement, and the receipt says accepted."""
    ada = await town.person()
    await town.grocer.earned(ada, 100)
    redemption = await town.cafe.reserved(ada, 30)
    answer = await town.cafe.capture(redemption)

    body = answer.json()
    assert answer.status_code == 201
    assert (body["redemption"], body["state"], body["points"], body["balance"]) == (redemption, "captured", 30, 70)
    assert body["expires_at"] is None
    receipt = body["receipt"]
    assert (receipt["effect"], receipt["partner"], receipt["points"], receipt["window"]) == (
        "accepted",
        "cafe",
        "30",
        "1",
    )
    assert await ada.balance() == (70, 0)
    movement = await database.fetchrow(
        "SELECT m.*, i.code AS issuer, a.code AS acceptor FROM ledger.movement m "
        "JOIN parties.partner i ON i.partner_id = m.issuer_id JOIN parties.partner a ON a.partner_id = m.acceptor_id "
        "WHERE m.credit_kind = 'honoured'"
    )
    assert (movement["amount"], movement["issuer"], movement["acceptor"]) == (30, "grocer", "cafe")


async def test_the_ends_of_a_redemption_are_journalled_for_its_member_and_place(
    town: Town, database: asyncpg.Pool
) -> None:
    """Capture, release and undoing: whoever ends it, the books say whose it was, where, and why it was undone."""
    ada = await town.person()
    await town.grocer.earned(ada, 100)
    kept = await town.cafe.reserved(ada, 10, place=town.cafe.place, receipt="T-1")
    await town.cafe.release(await town.cafe.reserved(ada, 20, place=town.cafe.place))
    await town.cafe.capture(kept)
    await town.cafe.reverse(redemption=kept, reason="cancelled")
    rows = await database.fetch("SELECT kind, member_id, place_id, reason FROM ledger.journal WHERE kind <> 'earn'")

    member_id = ids.private("mem", ada.member)
    assert {(row["member_id"], row["place_id"]) for row in rows} == {(member_id, town.cafe.place_id)}
    assert {row["kind"]: row["reason"] for row in rows} == {
        "hold": None,
        "release": None,
        "capture": None,
        "reverse_burn": "cancelled",
    }


async def test_a_brand_reads_its_redemptions(town: Town) -> None:
    """With the till's receipt, the member of staff who attested, and how it ended; another brand's is unknown."""
    ada, kiosk = await town.person(), await town.shop("kiosk", attested_points_per_day=100)
    await town.grocer.earned(ada, 100)
    word = {"staff": {"name": "Sam at till 3"}}
    answer = await kiosk.reserve(points=10, member=ada.member, proof=word, place=kiosk.place, receipt="T-1")
    redemption = answer.json()["redemption"]
    open_one = {
        "redemption": redemption,
        "state": "reserved",
        "points": 10,
        "proof": "staff",
        "attested_by": "Sam at till 3",
        "place": kiosk.place,
        "receipt": "T-1",
        "occurred_at": "2026-03-02T09:00:00Z",
        "expires_at": "2026-03-02T09:30:00Z",
    }
    path = f"/v1/redemptions/{redemption}"
    assert (await kiosk.api.get(path)).json() == open_one
    await kiosk.capture(redemption)
    assert (await kiosk.api.get(path)).json() == open_one | {"state": "captured"}
    await kiosk.reverse(redemption=redemption)
    assert (await kiosk.api.get(path)).json() == open_one | {"state": "reversed"}
    assert_refused(await town.grocer.api.get(path), 404, "unknown-redemption")
    assert_refused(await town.cafe.api.get("/v1/redemptions/red_1"), 404, "unknown-redemption")


async def test_a_till_s_receipt_lies_under_the_member_s_key(town: Town, database: asyncpg.Pool) -> None:
    """The database holds none in clear; once the key is gone the redemption is read without it, and none is kept."""
    ada = await town.person()
    await town.grocer.earned(ada, 100, receipt="Table 7, Mrs Byron")
    redemption = await town.cafe.reserved(ada, 10, receipt="Table 8, Mrs Byron")
    path = f"/v1/redemptions/{redemption}"
    assert (await town.cafe.api.get(path)).json()["receipt"] == "Table 8, Mrs Byron"
    async with transaction() as connection:
        for table in ("offers.till_sighting", "ledger.hold"):
            row = await connection.fetchval(f"SELECT t::text FROM {table} t")  # noqa: S608  # names of this test
            assert "Byron" not in row
            assert b"Byron".hex() not in row
        await destroy_key(connection, ids.private("mem", ada.member))

    read = await town.cafe.api.get(path)
    assert (read.status_code, read.json()["receipt"], read.json()["points"]) == (200, None, 10)
    await town.grocer.earned(ada, 5, receipt="Table 9, Mrs Byron")
    again = await town.cafe.reserved(ada, 10, receipt="Table 9, Mrs Byron")
    assert (await town.cafe.api.get(f"/v1/redemptions/{again}")).json()["receipt"] is None
    kept = "SELECT count(*) FROM offers.till_sighting WHERE sealed_receipt IS NOT NULL"
    assert await database.fetchval(kept) == 1


async def test_a_key_that_does_not_open_refuses_no_purchase(
    town: Town, database: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The points are given and paid with; the receipt is not kept, and the log says so."""
    ada = await town.person()
    logged = structlog.testing.LogCapture()
    monkeypatch.setattr(vault, "log", structlog.wrap_logger(None, processors=[logged]))
    await database.execute("UPDATE members.member_key SET wrapped = set_byte(wrapped, 20, get_byte(wrapped, 20) # 1)")

    await town.grocer.earned(ada, 100, receipt="T-1")
    redemption = await town.cafe.reserved(ada, 10, receipt="T-2")

    assert await ada.balance() == (90, 10)
    assert (await town.cafe.api.get(f"/v1/redemptions/{redemption}")).json()["receipt"] is None
    assert [(entry["event"], entry["field"], entry["member"]) for entry in logged.entries] == [
        ("a text was not kept", "earning receipt", ada.member),
        ("a text was not kept", "redemption receipt", ada.member),
    ]


async def test_an_end_takes_no_body(town: Town, database: asyncpg.Pool) -> None:
    """Points beside a capture would be ignored: it is refused, and an empty object is as good as nothing."""
    ada = await town.person()
    await town.grocer.earned(ada, 100)
    redemption = await town.cafe.reserved(ada, 30)
    path = f"/v1/redemptions/{redemption}"
    async with unchanged(database):
        for end in ("captures", "releases"):
            assert_field(await town.cafe.api.post(f"{path}/{end}", {"points": 5}), "")
    assert (await town.cafe.api.post(f"{path}/captures", {})).status_code == 201


async def test_a_release_gives_the_points_back(town: Town) -> None:
    """To the same lots; nothing was burnt, and the receipt says released."""
    ada = await town.person()
    await town.grocer.earned(ada, 100)
    redemption = await town.cafe.reserved(ada, 30)
    body = (await town.cafe.release(redemption)).json()
    assert (body["state"], body["points"], body["balance"], body["receipt"]["effect"]) == (
        "released",
        30,
        100,
        "released",
    )
    assert await ada.balance() == (100, 0)


async def test_a_retry_is_answered_the_same(town: Town, database: asyncpg.Pool) -> None:
    """A capture and a release under their keys again."""
    ada = await town.person()
    await town.grocer.earned(ada, 100)
    burnt, back = await town.cafe.reserved(ada, 30), await town.cafe.reserved(ada, 30)
    first = [await town.cafe.capture(burnt, key="c"), await town.cafe.release(back, key="r")]
    async with unchanged(database):
        again = [await town.cafe.capture(burnt, key="c"), await town.cafe.release(back, key="r")]
        assert_refused(await town.cafe.capture(back, key="c"), 409, "idempotency-key-reused")
    assert [answer.json() for answer in again] == [answer.json() for answer in first]
    assert {answer.headers.get("Idempotent-Replayed") for answer in again} == {"true"}


async def test_a_redemption_ends_once(town: Town, database: asyncpg.Pool) -> None:
    """Captured or released, it is not open any more."""
    ada = await town.person()
    await town.grocer.earned(ada, 100)
    burnt, back = await town.cafe.captured(ada, 10), await town.cafe.reserved(ada, 10)
    await town.cafe.release(back)
    async with unchanged(database):
        for redemption, state in ((burnt, "captured"), (back, "released")):
            for end in (town.cafe.capture, town.cafe.release):
                assert_refused(await end(redemption), 409, "redemption-not-open", state=state)


async def test_a_capture_and_a_release_at_once(town: Town) -> None:
    """Ten of each: one ends it, the others come too late."""
    ada = await town.person()
    await town.grocer.earned(ada, 100)
    redemption = await town.cafe.reserved(ada, 30)
    ends = [town.cafe.capture(redemption) if number % 2 else town.cafe.release(redemption) for number in range(20)]
    answers = await asyncio.gather(*ends)
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    ended = next(answer.json() for answer in answers if answer.status_code == 201)
    assert await ada.balance() == ((70, 0) if ended["state"] == "captured" else (100, 0))


async def test_only_who_reserved_may_end(town: Town, database: asyncpg.Pool) -> None:
    """To any other brand there is no such redemption, and to nobody one that never was."""
    ada = await town.person()
    await town.grocer.earned(ada, 100)
    redemption = await town.cafe.reserved(ada, 30)
    async with unchanged(database):
        for shop, name in (
            (town.grocer, redemption),
            (town.cafe, "red_" + "0" * 39),
            (town.cafe, redemption[:-1] + ("0" if redemption[-1] != "0" else "8")),
            (town.cafe, "red_1"),
            (town.cafe, "ern" + redemption[3:]),
        ):
            assert_refused(await shop.capture(name), 404, "unknown-redemption")
            assert_refused(await shop.release(name), 404, "unknown-redemption")


async def test_a_capture_after_the_close(town: Town, app: Litestar, database: asyncpg.Pool) -> None:
    """It lands in the next window, before and after the closed one's run; of that one no row changes any more."""
    ada = await town.person()
    await town.grocer.earned(ada, 1000)
    early, late = await town.cafe.reserved(ada, 200), await town.cafe.reserved(ada, 100)
    assert await close_window_early(town.scheme.programme_id, "Europe/Helsinki", NOW) == [1]
    movements = (await of_window(1))["movements"]
    first = await town.cafe.capture(early)
    assert (first.status_code, first.json()["receipt"]["window"]) == (201, "2")
    await work_the_night(app.state.runtime)

    closed = await of_window(1)
    assert closed["movements"] == movements
    assert {name: len(rows) for name, rows in closed.items()} == {
        "movements": 3, "seals": 3, "runs": 1, "run_event": 2, "line": 2, "net": 6, "statement": 2, "bundle": 2,
        "bundle_part": 2, "approval": 0,
    }  # fmt: skip
    assert (await statement("cafe", 1))["points"] == {"issued": "0", "honoured": "0", "accepted": "0", "expired": "0"}

    second = await town.cafe.capture(late)
    assert (second.status_code, second.json()["receipt"]["window"]) == (201, "2")
    assert await of_window(1) == closed
    assert await close_window_early(town.scheme.programme_id, "Europe/Helsinki", NOW + timedelta(days=1)) == [2]
    await work_the_night(app.state.runtime)

    assert await of_window(1) == closed
    assert (await statement("cafe", 2))["points"] == {"issued": "0", "honoured": "0", "accepted": "300", "expired": "0"}
    assert lines_of(await statement("cafe", 2)) == [("reimbursement", "1", "300", "255")]
    assert [
        tuple(row)
        for row in await database.fetch(
            "SELECT credit_kind, amount, window_no FROM ledger.movement ORDER BY journal_id"
        )
    ] == [
        ("wallet", 1000, 1),
        ("held", 200, 1),
        ("held", 100, 1),
        ("honoured", 200, 2),
        ("honoured", 100, 2),
    ]


async def test_receipts_name_the_contract_version(town: Town) -> None:
    """A hold freezes its acceptor's version: capture, reversal and retry say it, also under a later contract."""
    ada = await town.person()
    await town.grocer.earned(ada, 100)
    later = contract_body(effective_from="2026-03-02T09:10:00Z", honour="0.0080")
    signed = await town.scheme.operator.post(f"/v1/partners/{town.cafe.partner}/contracts", later)
    assert (signed.status_code, signed.json()["version"]) == (201, 2)
    asked = {"points": 30, "proof": {"pay_code": await ada.pay_code()}}
    held = (await town.cafe.reserve(key="first", **asked)).json()
    await town.move_clock("2026-03-02T09:10:00Z")

    assert held["receipt"]["version"] == "1"
    assert (await town.cafe.reserve(key="first", **asked)).json() == held
    assert (await town.cafe.capture(held["redemption"])).json()["receipt"]["version"] == "1"
    undone = (await town.cafe.reverse(redemption=held["redemption"])).json()
    assert [each["version"] for each in undone["receipts"]] == ["1"]
    redemption = await town.cafe.reserved(ada, 20)
    assert (await town.cafe.release(redemption)).json()["receipt"]["version"] == "2"
    earned = (await town.cafe.earn(ada, points=5, occurred_at="2026-03-02T09:05:00Z")).json()
    assert [each["version"] for each in earned["receipts"]] == ["1"]
    undone = (await town.cafe.reverse(earning=earned["earning"])).json()
    assert [(each["points"], each["version"]) for each in undone["receipts"]] == [("-5", "1")]
