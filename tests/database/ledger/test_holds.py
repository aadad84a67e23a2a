"""Holds: points reserved for a till, soonest expiry first, captured or released whole and once."""

from datetime import date, timedelta

import pytest

from koinon.database import Connection
from koinon.ids import new_record_id
from koinon.ledger.model import Outcome
from tests.kit.ledger import Coalition, books, hold_id, lots, movements, statuses, wallet
from tests.kit.terms import TODAY

SOON, LATER = date(2026, 4, 1), date(2026, 12, 1)


async def hold_state(connection: Connection, hold: Outcome) -> str:
    """Return the state of a hold."""
    state: str = await connection.fetchval("SELECT state FROM ledger.hold WHERE hold_id = $1", hold_id(hold))
    return state


async def test_a_hold_takes_the_soonest_expiry_over_all_issuers(
    connection: Connection, coalition: Coalition, account: int
) -> None:
    """Whoever issued them: what expires first is held first, then what was earned first, and the last lot in part."""
    kit = coalition
    await kit.post(
        connection,
        kit.earn(account, 10, None),
        kit.earn(account, 20, LATER, partner_id=kit.fuel, version=2),
        kit.earn(account, 30, SOON, occurred_at=kit.now + timedelta(hours=1)),
        kit.earn(account, 40, SOON, partner_id=kit.fuel, version=3),
    )

    outcome = await kit.one(connection, kit.hold(account, 75, place_id=9, member_id=8))

    assert {name: outcome.answer[name] for name in ("window_no", "points", "balance", "expires_at", "version")} == {
        "window_no": 1,
        "points": 75,
        "balance": 25,
        "expires_at": "2026-03-02T09:30:00+00:00",
        "version": 7,
    }
    assert await lots(connection, account) == [(10, 10, 0), (20, 20, 5), (30, 30, 30), (40, 40, 40)]
    assert await wallet(connection, account, kit.unit_id) == (25, 75)
    assert await movements(connection, outcome) == [
        ("wallet", "held", 40, kit.fuel, 3, kit.cafe, 7),
        ("wallet", "held", 30, kit.grocer, 1, kit.cafe, 7),
        ("wallet", "held", 5, kit.fuel, 2, kit.cafe, 7),
    ]
    hold = await connection.fetchrow("SELECT * FROM ledger.hold WHERE account_id = $1", account)
    assert (hold["acceptor_id"], hold["acceptor_version"], hold["amount"], hold["state"], hold["place_id"]) == (
        kit.cafe,
        7,
        75,
        "reserved",
        9,
    )
    parts = await connection.fetch("SELECT amount FROM ledger.hold_lot WHERE account_id = $1 ORDER BY 1", account)
    assert [part["amount"] for part in parts] == [5, 30, 40]


async def test_a_second_hold_takes_what_the_first_left(
    connection: Connection, coalition: Coalition, account: int
) -> None:
    """What one till holds no other till can hold, in one call or in two."""
    await coalition.one(connection, coalition.earn(account, 100))

    outcomes = await coalition.post(
        connection, coalition.hold(account, 60), coalition.hold(account, 41), coalition.hold(account, 40)
    )

    assert statuses(outcomes) == ["posted", "insufficient-balance", "posted"]
    assert outcomes[1].answer == {"code": "insufficient-balance", "available": 40, "points": 41}
    assert await wallet(connection, account, coalition.unit_id) == (0, 100)


async def test_a_hold_above_the_balance(connection: Connection, coalition: Coalition, account: int) -> None:
    """One point more than there is: refused with what there is, and nothing changed."""
    await coalition.one(connection, coalition.earn(account, 100))
    before = await books(connection)

    (outcome,) = await coalition.post(connection, coalition.hold(account, 101))

    assert outcome.status == "refused"
    assert outcome.answer == {"code": "insufficient-balance", "available": 100, "points": 101}
    assert await books(connection) == before


async def test_due_lots_are_not_spendable(connection: Connection, coalition: Coalition, account: int) -> None:
    """A lot is valid up to the day before its expiry: on the day itself no till can hold it."""
    await coalition.post(
        connection, coalition.earn(account, 10, TODAY), coalition.earn(account, 20, TODAY + timedelta(days=1))
    )
    before = await books(connection)

    (outcome,) = await coalition.post(connection, coalition.hold(account, 21))

    assert outcome.answer == {"code": "insufficient-balance", "available": 20, "points": 21}
    assert await books(connection) == before
    await coalition.one(connection, coalition.hold(account, 20))
    assert await lots(connection, account) == [(10, 10, 0), (20, 20, 20)]


async def test_a_proof_pays_once(connection: Connection, coalition: Coalition, account: int) -> None:
    """The same pay code again is refused, also after its hold was released; attested holds have none and may repeat."""
    await coalition.one(connection, coalition.earn(account, 100))
    code = {"proof_kind": "pay_code", "proof_ref": "code-1"}
    first = await coalition.one(connection, coalition.hold(account, 10, **code))
    await coalition.one(connection, coalition.release(account, first))
    before = await books(connection)

    (outcome,) = await coalition.post(connection, coalition.hold(account, 10, **code))

    assert (outcome.status, outcome.answer) == ("refused", {"code": "proof-already-used"})
    assert await books(connection) == before
    outcomes = await coalition.post(connection, coalition.hold(account, 1), coalition.hold(account, 1))
    assert statuses(outcomes) == ["posted", "posted"]


async def test_another_accounts_proof_is_its_own(connection: Connection, coalition: Coalition, account: int) -> None:
    """A proof is one account's: another account's may carry the same reference."""
    other = await coalition.account(connection)
    await coalition.post(connection, coalition.earn(account, 10), coalition.earn(other, 10))

    outcomes = await coalition.post(
        connection,
        coalition.hold(account, 10, proof_kind="pay_code", proof_ref="code"),
        coalition.hold(other, 10, proof_kind="pay_code", proof_ref="code"),
    )

    assert statuses(outcomes) == ["posted", "posted"]


@pytest.mark.parametrize("points", [0, -5])
async def test_a_hold_of_nothing(connection: Connection, coalition: Coalition, account: int, points: int) -> None:
    """A hold of no or negative points is refused alone; it does not spoil its neighbours' call."""
    before = await books(connection)
    (outcome,) = await coalition.post(connection, coalition.hold(account, points))
    assert (outcome.status, outcome.answer) == ("refused", {"code": "points-not-positive"})
    assert await books(connection) == before

    outcomes = await coalition.post(connection, coalition.earn(account, 5), coalition.hold(account, points))

    assert statuses(outcomes) == ["posted", "points-not-positive"]


async def test_a_hold_for_an_unknown_account(connection: Connection, coalition: Coalition) -> None:
    """Nothing can be held where no account is."""
    before = await books(connection)

    (outcome,) = await coalition.post(connection, coalition.hold(5, 10))

    assert (outcome.status, outcome.answer) == ("refused", {"code": "unknown-account"})
    assert await books(connection) == before


async def test_a_capture_burns_what_is_held(connection: Connection, coalition: Coalition, account: int) -> None:
    """A capture is whole, at the version that the hold froze, lot by lot as held."""
    kit = coalition
    await kit.post(connection, kit.earn(account, 30, LATER), kit.earn(account, 50, SOON, partner_id=kit.fuel))
    hold = await kit.one(connection, kit.hold(account, 60))

    capture = await kit.one(connection, kit.capture(account, hold))

    assert (capture.answer["points"], capture.answer["balance"], capture.answer["version"]) == (60, 20, 7)
    assert capture.answer["hold_id"] == hold.answer["hold_id"]
    assert await lots(connection, account) == [(30, 20, 0), (50, 0, 0)]
    assert await wallet(connection, account, kit.unit_id) == (20, 0)
    assert await hold_state(connection, hold) == "captured"
    assert await movements(connection, capture) == [
        ("held", "honoured", 50, kit.fuel, 1, kit.cafe, 7),
        ("held", "honoured", 10, kit.grocer, 1, kit.cafe, 7),
    ]


async def test_a_capture_of_another_partners_hold(connection: Connection, coalition: Coalition, account: int) -> None:
    """Another brand's hold is as unknown as one that never was, and so is one under another account or unit."""
    kit = coalition
    other = await kit.account(connection)
    unit = await kit.second_unit(connection, account)
    await kit.one(connection, kit.earn(account, 10))
    hold = await kit.one(connection, kit.hold(account, 10))
    nowhere = Outcome("posted", {"hold_id": str(new_record_id())})
    before = await books(connection)

    outcomes = await kit.post(
        connection,
        kit.capture(account, hold, partner_id=kit.fuel),
        kit.release(account, hold, partner_id=kit.fuel),
        kit.capture(account, nowhere),
        kit.capture(other, hold),
        kit.capture(account, hold, unit_id=unit),
        kit.release(account, hold, unit_id=unit),
    )

    assert statuses(outcomes) == ["unknown-redemption"] * 6
    assert await books(connection) == before


@pytest.mark.parametrize("first", ["captured", "released"])
async def test_a_hold_ends_once(connection: Connection, coalition: Coalition, account: int, first: str) -> None:
    """What was captured or released can be neither any more, and the refusal says which it was."""
    kit = coalition
    await kit.one(connection, kit.earn(account, 10))
    hold = await kit.one(connection, kit.hold(account, 10))
    await kit.one(connection, kit.capture(account, hold) if first == "captured" else kit.release(account, hold))
    before = await books(connection)

    outcomes = await kit.post(connection, kit.capture(account, hold), kit.release(account, hold))

    assert [outcome.answer for outcome in outcomes] == [{"code": "redemption-not-open", "state": first}] * 2
    assert await books(connection) == before


async def test_a_capture_before_the_hold_runs_out(connection: Connection, coalition: Coalition, account: int) -> None:
    """The last instant before a hold runs out still captures it."""
    kit = coalition
    await kit.one(connection, kit.earn(account, 10))
    command = kit.hold(account, 10)
    hold = await kit.one(connection, command)
    last = command.hold_expires_at - timedelta(microseconds=1)

    await kit.one(connection, kit.capture(account, hold, occurred_at=last))

    assert await wallet(connection, account, kit.unit_id) == (0, 0)
    assert await hold_state(connection, hold) == "captured"


@pytest.mark.parametrize("after", [timedelta(), timedelta(microseconds=1)])
async def test_a_capture_when_the_hold_has_run_out(
    connection: Connection, coalition: Coalition, account: int, after: timedelta
) -> None:
    """On the very instant it has run out, given back or not: no capture any more, and the release gives all back."""
    kit = coalition
    await kit.one(connection, kit.earn(account, 10))
    command = kit.hold(account, 10)
    hold = await kit.one(connection, command)
    at = command.hold_expires_at + after
    before = await books(connection)

    (refused,) = await kit.post(connection, kit.capture(account, hold, occurred_at=at))

    assert (refused.status, refused.answer) == ("refused", {"code": "redemption-not-open", "state": "expired"})
    assert await books(connection) == before
    await kit.one(connection, kit.release(account, hold, partner_id=None, occurred_at=at))
    assert await wallet(connection, account, kit.unit_id) == (10, 0)


async def test_capture_and_release_in_one_call(connection: Connection, coalition: Coalition, account: int) -> None:
    """In one call too, the first of them ends the hold."""
    kit = coalition
    await kit.one(connection, kit.earn(account, 10))
    hold = await kit.one(connection, kit.hold(account, 10))

    outcomes = await kit.post(connection, kit.release(account, hold), kit.capture(account, hold))

    assert statuses(outcomes) == ["posted", "redemption-not-open"]
    assert await wallet(connection, account, kit.unit_id) == (10, 0)


async def test_a_release_gives_back(connection: Connection, coalition: Coalition, account: int) -> None:
    """A release puts every point back into the lot that it came from."""
    kit = coalition
    await kit.post(connection, kit.earn(account, 30, LATER), kit.earn(account, 50, SOON))
    hold = await kit.one(connection, kit.hold(account, 60))

    release = await kit.one(connection, kit.release(account, hold))

    assert (release.answer["points"], release.answer["balance"], release.answer["version"]) == (60, 80, 7)
    assert await lots(connection, account) == [(30, 30, 0), (50, 50, 0)]
    assert await wallet(connection, account, kit.unit_id) == (80, 0)
    assert await hold_state(connection, hold) == "released"
    assert await movements(connection, release) == [
        ("held", "wallet", 50, kit.grocer, 1, kit.cafe, 7),
        ("held", "wallet", 10, kit.grocer, 1, kit.cafe, 7),
    ]


async def test_the_platform_releases_what_a_till_forgot(
    connection: Connection, coalition: Coalition, account: int
) -> None:
    """Without a partner the platform releases any hold; the movement still names the brand that held."""
    kit = coalition
    await kit.one(connection, kit.earn(account, 10))
    hold = await kit.one(connection, kit.hold(account, 10))

    release = await kit.one(connection, kit.release(account, hold, partner_id=None, caller=f"platform_{account}"))

    assert await movements(connection, release) == [("held", "wallet", 10, kit.grocer, 1, kit.cafe, 7)]
    assert await connection.fetchval("SELECT state FROM ledger.hold WHERE account_id = $1", account) == "released"
