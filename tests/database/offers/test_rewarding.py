"""Rewards over real PostgreSQL: what is known becomes points, once, whatever the order, and within budgets."""

from datetime import date

import asyncpg

from tests.database.offers.kit import League, balance, decisions, journal, lots, pending

EXPIRY = date(2028, 3, 2)


async def test_a_card_purchase_from_authorisation_to_refund(database: asyncpg.Pool) -> None:
    """500 pending, 480 confirmed by the clearing, 360 after the refund; what was bought before activation earns none."""
    league = await League().found()
    ada = await league.holder()
    await league.activate(ada, await league.offer())

    await league.tell(league.message())
    assert (await balance(ada), await pending(ada)) == (0, 500)

    await league.tell(league.message("clearing", 4800))
    assert (await balance(ada), await pending(ada)) == (480, 0)
    assert await lots(ada) == [(1, 480, EXPIRY)]

    await league.tell(league.message("refund", 1200))
    assert (await balance(ada), await pending(ada)) == (360, 0)
    assert await lots(ada) == [(1, 360, EXPIRY)]
    assert await journal(ada) == [("earn", 480), ("reverse_earn", 120)]

    early = {"network_transaction_id": "471234567890123", "occurred_at": "2026-03-02T08:55:00Z"}
    await league.tell(league.message(**early), league.message("clearing", **early))
    assert (await balance(ada), await pending(ada)) == (360, 0)
    assert await decisions(ada) == [("before-activation", 0), (None, 360)]
