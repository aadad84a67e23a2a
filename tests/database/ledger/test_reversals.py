"""Reversals: of an earn, from the lots that it made; of a purchase, the newest lots first; of a burn, the same lots."""

from datetime import date, timedelta
from uuid import UUID

import pytest

from koinon.database import Connection
from koinon.ids import new_record_id
from koinon.ledger.model import Outcome
from koinon.ledger.operations import statements
from tests.kit.ledger import Coalition, books, hold_id, lots, movements, statuses, wallet
from tests.kit.terms import TODAY

LATER = date(2026, 12, 1)


async def spend(connection: Connection, coalition: Coalition, account: int, points: int) -> Outcome:
    """Hold and capture points at the café; return the capture."""
    hold = await coalition.one(connection, coalition.hold(account, points))
    return await coalition.one(connection, coalition.capture(account, hold))


async def purchase(connection: Connection, coalition: Coalition, account: int, *points: int) -> UUID:
    """Earn for one purchase in several lots, a minute apart; return the purchase."""
    purchase_id = new_record_id()
    for minute, part in enumerate(points):
        at = coalition.now + timedelta(minutes=minute)
        await coalition.one(
            connection, coalition.earn(account, part, purchase_id=purchase_id, occurred_at=at, version=minute + 1)
        )
    return purchase_id


async def test_an_unspent_earn_is_reversed_whole(connection: Connection, coalition: Coalition, account: int) -> None:
    """The lot gives back all it has, to its issuer, under the version that it was issued under."""
    earn = await coalition.one(connection, coalition.earn(account, 30, LATER, version=4))
    await coalition.one(connection, coalition.earn(account, 5))

    outcome = await coalition.one(connection, coalition.reverse_earn(account, earn))

    assert (outcome.answer["points"], outcome.answer["balance"], outcome.answer["version"]) == (30, 5, 4)
    assert await lots(connection, account) == [(30, 0, 0), (5, 5, 0)]
    assert await wallet(connection, account, coalition.unit_id) == (5, 0)
    assert await movements(connection, outcome) == [("wallet", "issued", 30, coalition.grocer, 4, None, None)]
    journal = await connection.fetchrow(
        "SELECT kind, reverses FROM ledger.journal WHERE account_id = $1 AND reverses IS NOT NULL", account
    )
    assert (journal["kind"], str(journal["reverses"])) == ("reverse_earn", earn.answer["journal_id"])


async def test_a_spent_earn_is_not_reversed(connection: Connection, coalition: Coalition, account: int) -> None:
    """Points that were spent, or that a till holds, cannot be taken back: refused with what is left."""
    earn = await coalition.one(connection, coalition.earn(account, 30))
    await spend(connection, coalition, account, 10)
    await coalition.one(connection, coalition.hold(account, 5))
    before = await books(connection)

    (outcome,) = await coalition.post(connection, coalition.reverse_earn(account, earn))

    assert (outcome.status, outcome.answer) == (
        "refused",
        {"code": "points-already-spent", "points": 30, "available": 15},
    )
    assert await books(connection) == before


async def test_a_spent_earn_is_clipped(connection: Connection, coalition: Coalition, account: int) -> None:
    """Clipping takes what is left; when nothing is left there is nothing to reverse."""
    earn = await coalition.one(connection, coalition.earn(account, 30))
    await spend(connection, coalition, account, 10)
    gone = await coalition.one(connection, coalition.earn(account, 7, TODAY + timedelta(days=1)))
    await spend(connection, coalition, account, 7)

    clipped = await coalition.one(connection, coalition.reverse_earn(account, earn, shortfall="clip"))

    assert (clipped.answer["points"], clipped.answer["balance"]) == (20, 0)
    assert await lots(connection, account) == [(30, 0, 0), (7, 0, 0)]
    before = await books(connection)
    (nothing,) = await coalition.post(connection, coalition.reverse_earn(account, gone, shortfall="clip"))
    assert (nothing.status, nothing.answer) == ("refused", {"code": "nothing-to-reverse"})
    assert await books(connection) == before


async def test_an_earn_is_reversed_once(connection: Connection, coalition: Coalition, account: int) -> None:
    """A second reversal under another key is refused, in the same call or later."""
    earn = await coalition.one(connection, coalition.earn(account, 30))

    first, second = await coalition.post(
        connection, coalition.reverse_earn(account, earn), coalition.reverse_earn(account, earn)
    )

    assert (first.status, second.answer) == ("posted", {"code": "already-reversed"})
    before = await books(connection)
    (third,) = await coalition.post(connection, coalition.reverse_earn(account, earn, shortfall="clip"))
    assert third.answer == {"code": "already-reversed"}
    assert await books(connection) == before


async def test_an_earn_that_is_not_the_partners(connection: Connection, coalition: Coalition, account: int) -> None:
    """Another brand's earning is unknown, reversed before or not, and so is one of another account or none."""
    other = await coalition.account(connection)
    earn, reversed_earn = await coalition.post(connection, coalition.earn(account, 30), coalition.earn(account, 9))
    await coalition.one(connection, coalition.reverse_earn(account, reversed_earn))
    before = await books(connection)

    outcomes = await coalition.post(
        connection,
        coalition.reverse_earn(account, earn, partner_id=coalition.fuel),
        coalition.reverse_earn(account, reversed_earn, partner_id=coalition.fuel),
        coalition.reverse_earn(other, earn),
        coalition.reverse_earn(account),
        coalition.reverse_earn(account, purchase_id=new_record_id()),
    )

    assert statuses(outcomes) == ["unknown-earning"] * 5
    assert await books(connection) == before


async def test_a_purchase_gives_back_its_newest_lots_first(
    connection: Connection, coalition: Coalition, account: int
) -> None:
    """A partial refund takes from the purchase's last lot backwards, each at its own version; the answer names none."""
    bought = await purchase(connection, coalition, account, 10, 20, 30)

    outcome = await coalition.one(connection, coalition.reverse_earn(account, purchase_id=bought, points=35))

    assert (outcome.answer["points"], outcome.answer["balance"], outcome.answer["version"]) == (35, 25, None)
    assert await lots(connection, account) == [(10, 10, 0), (20, 15, 0), (30, 0, 0)]
    assert await movements(connection, outcome) == [
        ("wallet", "issued", 30, coalition.grocer, 3, None, None),
        ("wallet", "issued", 5, coalition.grocer, 2, None, None),
    ]


async def test_a_purchase_is_reversed_in_parts(connection: Connection, coalition: Coalition, account: int) -> None:
    """Without points, what is not yet taken back goes; after that there is nothing to reverse, and never more."""
    bought = await purchase(connection, coalition, account, 10, 20)
    await coalition.one(connection, coalition.reverse_earn(account, purchase_id=bought, points=12))

    rest = await coalition.one(connection, coalition.reverse_earn(account, purchase_id=bought))

    assert (rest.answer["points"], rest.answer["balance"]) == (18, 0)
    assert rest.answer["version"] is None
    assert await lots(connection, account) == [(10, 0, 0), (20, 0, 0)]
    before = await books(connection)
    outcomes = await coalition.post(
        connection,
        coalition.reverse_earn(account, purchase_id=bought),
        coalition.reverse_earn(account, purchase_id=bought, points=1),
        coalition.reverse_earn(account, purchase_id=bought, points=1, shortfall="clip"),
    )
    assert statuses(outcomes) == ["nothing-to-reverse"] * 3
    assert await books(connection) == before


async def test_a_purchase_gives_back_no_more_than_it_earned(
    connection: Connection, coalition: Coalition, account: int
) -> None:
    """More than the purchase earned is refused, or clipped to it; other lots are not touched."""
    bought = await purchase(connection, coalition, account, 10)
    await coalition.one(connection, coalition.earn(account, 100))
    before = await books(connection)

    (outcome,) = await coalition.post(connection, coalition.reverse_earn(account, purchase_id=bought, points=11))

    assert outcome.answer == {"code": "points-already-spent", "points": 11, "available": 10}
    assert await books(connection) == before
    await coalition.one(connection, coalition.reverse_earn(account, purchase_id=bought, points=11, shortfall="clip"))
    assert await lots(connection, account) == [(10, 0, 0), (100, 100, 0)]


@pytest.mark.parametrize("points", [0, -3])
async def test_a_reversal_of_nothing(connection: Connection, coalition: Coalition, account: int, points: int) -> None:
    """A reversal of no or negative points is refused: it would give points."""
    bought = await purchase(connection, coalition, account, 10)
    before = await books(connection)

    (outcome,) = await coalition.post(connection, coalition.reverse_earn(account, purchase_id=bought, points=points))

    assert (outcome.status, outcome.answer) == ("refused", {"code": "points-not-positive"})
    assert await books(connection) == before


async def test_a_burn_is_undone_lot_by_lot(connection: Connection, coalition: Coalition, account: int) -> None:
    """The same lots get back what they gave, at the versions of the capture."""
    kit = coalition
    await kit.post(connection, kit.earn(account, 30, LATER), kit.earn(account, 50, date(2026, 4, 1), version=2))
    capture = await spend(connection, kit, account, 60)

    outcome = await kit.one(connection, kit.reverse_burn(account, capture))

    assert (outcome.answer["points"], outcome.answer["balance"], outcome.answer["version"]) == (60, 80, 7)
    assert await lots(connection, account) == [(30, 30, 0), (50, 50, 0)]
    assert await wallet(connection, account, kit.unit_id) == (80, 0)
    assert await movements(connection, outcome) == [
        ("honoured", "wallet", 50, kit.grocer, 2, kit.cafe, 7),
        ("honoured", "wallet", 10, kit.grocer, 1, kit.cafe, 7),
    ]


async def test_a_burn_is_undone_where_it_was_made(connection: Connection, coalition: Coalition, account: int) -> None:
    """A capture and its reversal are journalled at the hold's place, for the member who spent, whatever they say."""
    kit = coalition
    await kit.one(connection, kit.earn(account, 30, place_id=4, member_id=5))
    hold = await kit.one(connection, kit.hold(account, 10, place_id=9, member_id=8))
    capture = await kit.one(connection, kit.capture(account, hold, place_id=6, member_id=7))

    await kit.one(connection, kit.reverse_burn(account, capture, place_id=6, member_id=7, reason="mistake"))

    journals = await connection.fetch(
        "SELECT kind, place_id, member_id, hold_id, reason FROM ledger.journal WHERE account_id = $1"
        " ORDER BY journal_id",
        account,
    )
    assert [tuple(row) for row in journals] == [
        ("earn", 4, 5, None, None),
        ("hold", 9, 8, hold_id(hold), None),
        ("capture", 9, 8, hold_id(hold), None),
        ("reverse_burn", 9, 8, hold_id(hold), "mistake"),
    ]
    history = await connection.fetch(statements["history"], account, None, 2)
    assert [(row["kind"], row["points"]) for row in history] == [("reverse_burn", 10), ("capture", -10)]


async def test_a_burn_is_undone_once(connection: Connection, coalition: Coalition, account: int) -> None:
    """A second reversal is refused, and so is another brand's, another unit's, or one of what burnt nothing."""
    kit = coalition
    unit = await kit.second_unit(connection, account)
    earn = await kit.one(connection, kit.earn(account, 30))
    capture = await spend(connection, kit, account, 10)
    open_capture = await spend(connection, kit, account, 10)
    await kit.one(connection, kit.reverse_burn(account, capture))
    before = await books(connection)

    outcomes = await kit.post(
        connection,
        kit.reverse_burn(account, capture),
        kit.reverse_burn(account, capture, partner_id=kit.fuel),
        kit.reverse_burn(account, open_capture, unit_id=unit),
        kit.reverse_burn(account, earn, partner_id=kit.grocer),
        kit.reverse_earn(account, capture),
    )

    assert statuses(outcomes) == ["already-reversed", *["unknown-redemption"] * 3, "unknown-earning"]
    assert await books(connection) == before


async def test_a_restored_lot_can_be_taken_back(connection: Connection, coalition: Coalition, account: int) -> None:
    """What a reversed burn put back is there again: to spend, or for the issuer to take back."""
    earn = await coalition.one(connection, coalition.earn(account, 30))
    capture = await spend(connection, coalition, account, 30)
    await coalition.one(connection, coalition.reverse_burn(account, capture))

    await coalition.one(connection, coalition.reverse_earn(account, earn))

    assert await lots(connection, account) == [(30, 0, 0)]
