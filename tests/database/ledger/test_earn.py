"""Earning: one lot per command, many commands in one call, and every way of asking twice."""

from datetime import date

import msgspec
import pytest

from koinon.database import Connection
from koinon.ledger.operations import PROBLEMS, UnknownAccount, require_posted
from tests.kit.ledger import Coalition, books, journal_id, lots, movements, statuses, wallet


async def test_an_earn_makes_a_lot(connection: Connection, coalition: Coalition, account: int) -> None:
    """One earn makes one lot, one journal, one movement from issued to wallet, one mark for the log."""
    earn = coalition.earn(account, 120, date(2027, 3, 2), version=4, member_id=77, place_id=5, reason="till")

    outcome = await coalition.one(connection, earn)

    assert outcome.answer == {
        "account_id": account,
        "journal_id": outcome.answer["journal_id"],
        "window_no": 1,
        "points": 120,
        "balance": 120,
        "expires_on": "2027-03-02",
        "version": 4,
    }
    assert await wallet(connection, account, coalition.unit_id) == (120, 0)
    lot = await connection.fetchrow("SELECT * FROM ledger.lot WHERE account_id = $1", account)
    expected = {
        "unit_id": coalition.unit_id,
        "issuer_id": coalition.grocer,
        "issuer_version": 4,
        "contributor_id": 77,
        "purchase_id": None,
        "issued_at": coalition.now,
        "expires_on": date(2027, 3, 2),
        "quantity": 120,
        "remaining": 120,
        "held": 0,
        "origin_lot_id": None,
    }
    assert {name: lot[name] for name in expected} == expected
    journal = await connection.fetchrow("SELECT * FROM ledger.journal WHERE account_id = $1", account)
    assert journal["journal_id"] == journal_id(outcome) == lot["journal_id"]
    assert (journal["kind"], journal["window_no"], journal["caller"], journal["member_id"], journal["place_id"]) == (
        "earn",
        1,
        coalition.caller,
        77,
        5,
    )
    assert await movements(connection, outcome) == [("issued", "wallet", 120, coalition.grocer, 4, None, None)]
    marks = await connection.fetch(
        "SELECT journal_id, window_no, leaf_index FROM ledger.outbox WHERE account_id = $1", account
    )
    assert [tuple(mark) for mark in marks] == [(lot["journal_id"], 1, None)]


async def test_points_that_never_expire(connection: Connection, coalition: Coalition, account: int) -> None:
    """Without a day of expiry the lot is valid for ever, and the answer says so."""
    outcome = await coalition.one(connection, coalition.earn(account, 1))

    assert outcome.answer["expires_on"] is None
    assert await connection.fetchval("SELECT expires_on = 'infinity' FROM ledger.lot WHERE account_id = $1", account)


async def test_many_in_one_call(connection: Connection, coalition: Coalition, account: int) -> None:
    """A call's earns run on in their order, account by account, and every balance is the one after its own earn."""
    other = await coalition.account(connection)
    plan = [(account, 10), (other, 1), (account, 20), (other, 2), (account, 30)]

    outcomes = await coalition.post(connection, *(coalition.earn(to, points) for to, points in plan))

    assert statuses(outcomes) == ["posted"] * 5
    assert [outcome.answer["balance"] for outcome in outcomes] == [10, 1, 30, 3, 60]
    assert await lots(connection, account) == [(10, 10, 0), (20, 20, 0), (30, 30, 0)]
    assert await wallet(connection, account, coalition.unit_id) == (60, 0)
    assert await wallet(connection, other, coalition.unit_id) == (3, 0)
    versions = await connection.fetch(
        "SELECT version FROM ledger.wallet WHERE account_id = ANY($1) ORDER BY version DESC", [account, other]
    )
    assert [row["version"] for row in versions] == [3, 2]


async def test_the_same_earn_twice_in_one_call(connection: Connection, coalition: Coalition, account: int) -> None:
    """The first is posted, the second is answered with the first's answer."""
    earn = coalition.earn(account, 10)

    first, between, second = await coalition.post(connection, earn, coalition.earn(account, 5), earn)

    assert (first.status, between.status, second.status) == ("posted", "posted", "replayed")
    assert second.answer == first.answer
    assert await wallet(connection, account, coalition.unit_id) == (15, 0)


async def test_a_retry_gets_the_same_answer(connection: Connection, coalition: Coalition, account: int) -> None:
    """A replay later, after other business, answers what was answered then, balance and all; nothing is written."""
    earn = coalition.earn(account, 10)
    first = await coalition.one(connection, earn)
    await coalition.one(connection, coalition.earn(account, 90))
    before = await books(connection)

    (again,) = await coalition.post(connection, earn)

    assert again.status == "replayed"
    assert again.answer == first.answer
    assert again.answer["balance"] == 10
    assert await books(connection) == before


async def test_the_same_key_for_another_content(connection: Connection, coalition: Coalition, account: int) -> None:
    """Same key, other points: a conflict, in the same call or later, and nothing is written."""
    earn, other = coalition.earn(account, 10, key="k"), coalition.earn(account, 11, key="k")
    first, clash = await coalition.post(connection, earn, other)
    before = await books(connection)

    (later,) = await coalition.post(connection, other)

    assert (first.status, clash.status, later.status) == ("posted", "conflict", "conflict")
    assert clash.answer == later.answer == {"code": "idempotency-key-reused"}
    assert await books(connection) == before
    assert await wallet(connection, account, coalition.unit_id) == (10, 0)


async def test_the_same_key_for_another_member(connection: Connection, coalition: Coalition, account: int) -> None:
    """A retry with the same key for another account is another content: 409, and the other account gets nothing."""
    other = await coalition.account(connection)
    await coalition.one(connection, coalition.earn(account, 10, key="k"))
    before = await books(connection)

    (outcome,) = await coalition.post(connection, coalition.earn(other, 10, key="k"))

    assert outcome.status == "conflict"
    with pytest.raises(PROBLEMS["idempotency-key-reused"]) as refusal:
        require_posted(outcome)
    assert refusal.value.status == 409
    assert await books(connection) == before


async def test_the_same_key_of_another_caller(connection: Connection, coalition: Coalition, account: int) -> None:
    """Keys are a caller's own: two callers may use the same one."""
    outcomes = await coalition.post(
        connection, coalition.earn(account, 10, key="k"), coalition.earn(account, 10, key="k", caller="par_other")
    )

    assert statuses(outcomes) == ["posted", "posted"]
    assert await wallet(connection, account, coalition.unit_id) == (20, 0)


async def test_an_unknown_account(connection: Connection, coalition: Coalition, account: int) -> None:
    """An account or a unit that is not there is refused alone; its neighbours in the call are posted."""
    before = await books(connection)

    refused = await coalition.post(connection, coalition.earn(5, 10), coalition.earn(account, 10, unit_id=6))

    assert statuses(refused) == ["unknown-account", "unknown-account"]
    assert await books(connection) == before
    with pytest.raises(UnknownAccount):
        require_posted(refused[0])

    mixed = await coalition.post(
        connection, coalition.earn(account, 1), coalition.earn(5, 10), coalition.earn(account, 2)
    )

    assert statuses(mixed) == ["posted", "unknown-account", "posted"]
    assert await wallet(connection, account, coalition.unit_id) == (3, 0)


@pytest.mark.parametrize("points", [0, -1, -(2**62)])
async def test_points_are_positive(connection: Connection, coalition: Coalition, account: int, points: int) -> None:
    """An earn of no or negative points is refused and leaves nothing, not even its key."""
    before = await books(connection)

    (outcome,) = await coalition.post(connection, coalition.earn(account, points, key="k"))

    assert (outcome.status, outcome.answer) == ("refused", {"code": "points-not-positive"})
    assert await books(connection) == before
    await coalition.one(connection, coalition.earn(account, 5, key="k"))


async def test_a_refused_earn_before_a_good_one_of_its_key(
    connection: Connection, coalition: Coalition, account: int
) -> None:
    """A call is its commands one after the other: the refused one left no key, so the next may use it."""
    bad, good = coalition.earn(account, 0, key="k"), coalition.earn(account, 5, key="k")

    outcomes = await coalition.post(connection, bad, good, bad)

    assert statuses(outcomes) == ["points-not-positive", "posted", "idempotency-key-reused"]


async def test_a_refusal_says_its_facts(coalition: Coalition) -> None:
    """Every code that posting answers with has a problem of its own, with a stable code and a title."""
    codes = set(PROBLEMS)

    assert {problem.code for problem in PROBLEMS.values()} == codes
    assert all(problem.status in {404, 409, 422} and problem.title for problem in PROBLEMS.values())


async def test_the_hash_is_of_everything_but_the_key(coalition: Coalition) -> None:
    """The kit's hashes tell two contents apart, and not two keys: the tests above rest on it."""
    first, same, other = coalition.earn(1, 10, key="a"), coalition.earn(1, 10, key="b"), coalition.earn(2, 10, key="a")

    assert first.content_hash == same.content_hash != other.content_hash
    assert msgspec.structs.replace(first, key="b") == same
