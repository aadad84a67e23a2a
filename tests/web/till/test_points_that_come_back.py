"""A refund takes back what a purchase earned, also when the points were held or spent just then and came back later."""

import asyncpg
import pytest

from koinon.ledger.jobs import release_due_holds
from tests.kit.scheme import unchanged
from tests.kit.town import Person, Town, card_message
from tests.web.offers.bodies import published


async def rewarded(town: Town) -> Person:
    """Give a member who has the 100 points of a card purchase, and nothing else."""
    ada = await town.person()
    await town.processor.linked(ada, "tok-ada")
    await published(town.grocer, activation_required=False)
    await town.processor.feed([card_message(town.grocer, "tok-ada", payment_ref="p")])
    await town.work()
    assert await ada.balance() == (100, 0)
    return ada


async def refunded(town: Town) -> None:
    """Let the whole purchase be refunded."""
    refund = card_message(town.grocer, "tok-ada", "refund", payment_ref="p", occurred_at="2026-03-02T08:30:00Z")
    assert (await town.processor.feed([refund])).json()["accepted"] == 1
    await town.work()


@pytest.mark.parametrize("end", ["release", "run out", "undo"])
async def test_points_of_a_refunded_purchase_do_not_come_back(town: Town, database: asyncpg.Pool, end: str) -> None:
    """Whether the till gives them back, forgets them, or undoes the payment: the refund takes them then."""
    ada = await rewarded(town)
    redemption = await town.cafe.reserved(ada, 100)
    if end == "undo":
        await town.cafe.capture(redemption)
    await refunded(town)
    assert await ada.balance() in {(0, 100), (0, 0)}
    if end == "undo":
        assert (await town.cafe.reverse(redemption=redemption)).status_code == 201
    elif end == "release":
        assert (await town.cafe.release(redemption)).status_code == 201
    else:
        await town.move_clock("2026-03-02T10:00:00Z")
        assert await release_due_holds(None)  # type: ignore[arg-type]  # the job uses no part of the runtime
    await town.work()

    assert await ada.balance() == (0, 0)
    assert await database.fetchval("SELECT shortfall_points FROM offers.reward") == 0
    outstanding = await database.fetchval("SELECT sum(remaining) FROM ledger.lot")
    assert outstanding == 0
    async with unchanged(database):
        await town.work()


async def test_points_that_were_spent_stay_spent(town: Town, database: asyncpg.Pool) -> None:
    """Other points of the member are not taken for them."""
    ada = await rewarded(town)
    await town.cafe.captured(ada, 100)
    await refunded(town)
    await town.cafe.earned(ada, 70)
    async with unchanged(database):
        await town.work()
    assert await ada.balance() == (70, 0)
