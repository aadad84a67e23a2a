"""Expiry: what is due goes, what a till holds waits for the till."""

from datetime import date, timedelta

from koinon.database import Connection
from tests.kit.ledger import Coalition, books, lots, movements, statuses, wallet
from tests.kit.terms import TODAY

TOMORROW = TODAY + timedelta(days=1)
LATER = date(2026, 12, 1)


async def test_due_lots_expire(connection: Connection, coalition: Coalition, account: int) -> None:
    """Every lot that is due goes, the soonest first, at its issuer and version; later ones and endless ones stay."""
    kit = coalition
    await kit.post(
        connection,
        kit.earn(account, 10, TOMORROW, version=2),
        kit.earn(account, 20, TODAY, partner_id=kit.fuel, version=3),
        kit.earn(account, 30, TOMORROW + timedelta(days=1)),
        kit.earn(account, 40),
    )

    outcome = await kit.one(connection, kit.expire(account, TOMORROW))

    assert (outcome.answer["points"], outcome.answer["balance"]) == (30, 70)
    assert await lots(connection, account) == [(10, 0, 0), (20, 0, 0), (30, 30, 0), (40, 40, 0)]
    assert await wallet(connection, account, kit.unit_id) == (70, 0)
    assert await movements(connection, outcome) == [
        ("wallet", "expired", 20, kit.fuel, 3, None, None),
        ("wallet", "expired", 10, kit.grocer, 2, None, None),
    ]


async def test_nothing_is_due(connection: Connection, coalition: Coalition, account: int) -> None:
    """Before the day, or when all is expired, there is nothing to expire, and nothing is written, not even the key."""
    await coalition.one(connection, coalition.earn(account, 10, TOMORROW))
    before = await books(connection)

    (early,) = await coalition.post(connection, coalition.expire(account, TODAY, key="k"))

    assert (early.status, early.answer) == ("refused", {"code": "nothing-to-expire"})
    assert await books(connection) == before
    again = await coalition.post(
        connection, coalition.expire(account, TOMORROW, key="k"), coalition.expire(account, TOMORROW)
    )
    assert statuses(again) == ["posted", "nothing-to-expire"]


async def test_what_a_till_holds_waits(connection: Connection, coalition: Coalition, account: int) -> None:
    """A hold outlives its lots' expiry: only what is free expires, and the capture still burns what was held."""
    kit = coalition
    await kit.one(connection, kit.earn(account, 30, TOMORROW))
    hold = await kit.one(connection, kit.hold(account, 20))

    expired = await kit.one(connection, kit.expire(account, TOMORROW))

    assert (expired.answer["points"], expired.answer["balance"]) == (10, 0)
    assert await lots(connection, account) == [(30, 20, 20)]
    (nothing,) = await kit.post(connection, kit.expire(account, TOMORROW))
    assert nothing.answer == {"code": "nothing-to-expire"}
    capture = await kit.one(connection, kit.capture(account, hold))
    assert capture.answer["points"] == 20
    assert await lots(connection, account) == [(30, 0, 0)]
    assert await wallet(connection, account, kit.unit_id) == (0, 0)


async def test_released_into_an_expired_lot(connection: Connection, coalition: Coalition, account: int) -> None:
    """What is released after its lot's day can be held by nobody, and expires the next time."""
    kit = coalition
    await kit.one(connection, kit.earn(account, 30, TOMORROW))
    hold = await kit.one(connection, kit.hold(account, 20))
    await kit.one(connection, kit.expire(account, TOMORROW))
    await kit.one(connection, kit.release(account, hold))
    assert await lots(connection, account) == [(30, 20, 0)]

    (refused,) = await kit.post(connection, kit.hold(account, 1, today=TOMORROW))
    expired = await kit.one(connection, kit.expire(account, TOMORROW))

    assert refused.answer == {"code": "insufficient-balance", "available": 0, "points": 1}
    assert expired.answer["points"] == 20
    assert await wallet(connection, account, kit.unit_id) == (0, 0)


async def test_a_burn_undone_after_expiry(connection: Connection, coalition: Coalition, account: int) -> None:
    """Points that come back into a lot after its day expire the next time, at their issuer."""
    kit = coalition
    await kit.one(connection, kit.earn(account, 30, TOMORROW))
    hold = await kit.one(connection, kit.hold(account, 30))
    capture = await kit.one(connection, kit.capture(account, hold))
    await kit.one(connection, kit.reverse_burn(account, capture))

    expired = await kit.one(connection, kit.expire(account, TOMORROW))

    assert await movements(connection, expired) == [("wallet", "expired", 30, kit.grocer, 1, None, None)]


async def test_expired_points_are_not_taken_back(connection: Connection, coalition: Coalition, account: int) -> None:
    """What has expired is gone for its issuer too."""
    earn = await coalition.one(connection, coalition.earn(account, 30, TOMORROW))
    await coalition.one(connection, coalition.expire(account, TOMORROW))
    before = await books(connection)

    (outcome,) = await coalition.post(connection, coalition.reverse_earn(account, earn))

    assert outcome.answer == {"code": "points-already-spent", "points": 30, "available": 0}
    assert await books(connection) == before


async def test_expiry_is_one_units(connection: Connection, coalition: Coalition, account: int) -> None:
    """Units of one account expire apart."""
    unit = await coalition.second_unit(connection, account)
    await coalition.post(
        connection, coalition.earn(account, 10, TODAY), coalition.earn(account, 20, TODAY, unit_id=unit)
    )

    outcome = await coalition.one(connection, coalition.expire(account, TODAY, unit_id=unit))

    assert outcome.answer["points"] == 20
    assert await wallet(connection, account, coalition.unit_id) == (10, 0)
    assert await wallet(connection, account, unit) == (0, 0)
