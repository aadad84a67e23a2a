"""The budget's reservation: of two that want the last of a budget, the second is granted what the first left."""

import asyncpg
import pytest

from koinon.database import transaction
from koinon.ids import new_record_id
from offers.model import FixedPoints
from offers.rewarding.budgets import Share, grow_shares, set_shares
from offers.rewarding.operations import reward_waiting
from tests.concurrency.conftest import Open
from tests.concurrency.lockstep import aside, given_up, holding, waits_for
from tests.kit.league import RUNTIME, League, balance, budget, decisions

WALLET = "SELECT FROM ledger.wallet WHERE account_id = $1 FOR UPDATE"


def share(offer_id: int, *, spent: int = 0, reserved: int = 0) -> Share:
    """Return what a purchase wants of a budget."""
    return Share(
        offer_id=offer_id, purchase_id=new_record_id(), account_id=1, revision=1, spent=spent, reserved=reserved
    )


@pytest.mark.parametrize(("kept", "left"), [(True, 50), (False, 100)], ids=["committed", "given up"])
async def test_a_share_is_granted_of_what_another_left(database: asyncpg.Pool, *, kept: bool, left: int) -> None:
    """Of 150 points one call has spent 100: the next waits for its end, and is granted 50, or 100 if it failed."""
    league = await League().found()
    offer = await league.offer(budget_points=150)
    wanted = share(offer.offer_id, reserved=100)

    async with transaction() if kept else given_up() as connection:
        await set_shares(connection, [share(offer.offer_id, spent=100)])
        waiting = aside(grow_shares([wanted]))
        await waits_for(connection, waiting, database)

    assert await waiting == {(offer.offer_id, wanted.purchase_id): left}
    assert await budget(offer) == (left, 100 if kept else 0)


async def test_points_are_reserved_before_they_are_posted(database: asyncpg.Pool, session: Open) -> None:
    """Stopped before it posts, a purchase has its 100 of 150 already: one that is settled meanwhile gets 50."""
    league = await League().found()
    ada, bob = await league.holder("tok_a"), await league.holder("tok_b")
    offer = await league.offer(activation_required=False, earn=FixedPoints(points=100), budget_points=150)
    holder = await session()
    await league.till(ada)

    async with holding(holder, WALLET, ada.account_id):
        first = aside(reward_waiting(RUNTIME))
        await waits_for(holder, first, database)
        assert (await balance(ada), await budget(offer)) == (0, (100, 0))
        await league.till(bob)
        await aside(league.work())
        assert (await balance(bob), await budget(offer)) == (50, (100, 50))
    assert await first

    assert (await balance(ada), await balance(bob)) == (100, 50)
    assert await budget(offer) == (0, 150)
    assert await decisions(bob) == [("budget-exhausted", 50)]
