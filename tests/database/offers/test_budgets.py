"""Budgets over real PostgreSQL: never overrun at any moment, and nothing is lost on the way."""

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from koinon.clock import machine_now
from koinon.database import pool, transaction
from koinon.ids import new_record_id
from offers.model import FixedPoints, OfferVersion
from offers.rewarding.budgets import free_orphans
from offers.rewarding.operations import reward_purchases
from tests.kit.league import (
    PURCHASE,
    RUNTIME,
    TILL,
    Holder,
    League,
    balance,
    budget,
    decisions,
    pending,
    rewards,
)

HUNDRED = FixedPoints(points=100)


async def hundred(league: League, budget_points: int, **changes: Any) -> OfferVersion:
    """Publish an offer of 100 points a purchase for everybody, within a budget."""
    values: dict[str, Any] = {"earn": HUNDRED, "activation_required": False, "budget_points": budget_points}
    return await league.offer(**(values | changes))


def told(number: int, holder: Holder | None = None) -> dict[str, Any]:
    """Return what tells one purchase from the others."""
    return {
        "network_transaction_id": f"46{number:013}",
        "occurred_at": f"2026-03-02T10:{number:02}:00Z",
        "card_token": holder.token if holder else "tok_a",
    }


async def test_a_budget_is_shared_first_come_first_served(database: asyncpg.Pool) -> None:
    """Ten purchases of 100 points on a budget of 250 earn 100, 100, 50 and nothing, and the later ones say why."""
    league = await League().found()
    ada = await league.holder()
    offer = await hundred(league, 250)
    for number in range(10):
        await league.tell(league.message("clearing", 5000, **told(number)))
        reserved, spent = await budget(offer)
        assert reserved + spent <= 250

    assert await decisions(ada) == [(None, 100), (None, 100), ("budget-exhausted", 50)] + [("budget-exhausted", 0)] * 7
    assert await balance(ada) == 250
    assert await budget(offer) == (0, 250)


async def test_one_slice_of_many_purchases_is_granted_the_same(database: asyncpg.Pool) -> None:
    """Taken in at once, ten purchases get no more than one by one."""
    league = await League().found()
    ada = await league.holder()
    offer = await hundred(league, 250)
    await league.post(*(league.message("clearing", 5000, **told(number)) for number in range(10)))
    await league.work()

    assert sorted(await decisions(ada), key=str) == sorted(
        [(None, 100), (None, 100), ("budget-exhausted", 50)] + [("budget-exhausted", 0)] * 7, key=str
    )
    assert (await balance(ada), await budget(offer)) == (250, (0, 250))


async def test_parallel_purchases_of_many_members_never_overrun(database: asyncpg.Pool) -> None:
    """Forty members buy at once and four workers ask one budget: exactly its points are given."""
    league = await League().found()
    holders = [await league.holder(f"tok_{number}") for number in range(40)]
    offer = await hundred(league, 1250)
    for number, holder in enumerate(holders):
        await league.post(league.message("authorisation", 5000, **told(number, holder)))
        await league.post(league.message("clearing", 5000, **told(number, holder)))
    await asyncio.gather(*(league.work() for _ in range(4)))

    balances = sorted([await balance(holder) for holder in holders], reverse=True)
    assert balances == [100] * 12 + [50] + [0] * 27
    assert await budget(offer) == (0, 1250)


async def test_a_budget_is_reserved_then_spent_and_given_back(database: asyncpg.Pool) -> None:
    """An authorisation reserves, its clearing spends less and frees the rest, a refund gives back to the next one."""
    league = await League().found()
    ada = await league.holder()
    offer = await league.offer(activation_required=False, budget_points=500)
    await league.tell(league.message("authorisation", 5000, **told(1)))
    assert (await budget(offer), await pending(ada)) == ((500, 0), 500)

    await league.tell(league.message("clearing", 4800, **told(1)))
    assert await budget(offer) == (0, 480)

    await league.tell(league.message("clearing", 5000, **told(2)))
    assert (await budget(offer), await balance(ada)) == ((0, 500), 500)

    await league.tell(league.message("refund", 4800, **told(1)))
    assert (await budget(offer), await balance(ada)) == ((0, 20), 20)

    await league.tell(league.message("clearing", 3000, **told(3)))
    assert (await budget(offer), await balance(ada)) == ((0, 320), 320)


async def test_an_expired_authorisation_gives_its_reservation_back(database: asyncpg.Pool) -> None:
    """What was never collected frees the budget."""
    league = await League().found()
    ada = await league.holder()
    offer = await hundred(league, 100)
    await league.tell(league.message("authorisation", 5000, **told(1)))
    await league.tell(league.message("auth_expiry", 5000, **told(1)))

    assert (await budget(offer), await pending(ada)) == ((0, 0), 0)
    assert await decisions(ada) == [("expired", 0)]


async def test_points_that_were_spent_stay_the_budgets(database: asyncpg.Pool) -> None:
    """A refund that can take back 40 of 100 gives 40 back: the next purchase gets no more, and all kept are 100."""
    league = await League().found()
    ada = await league.holder()
    bob = await league.holder("tok_b")
    offer = await hundred(league, 100)
    await league.tell(league.message("clearing", 5000, **told(1)))
    await league.spend(ada, 60)
    await league.tell(league.message("refund", 5000, **told(1)))
    assert await budget(offer) == (0, 60)

    await league.tell(league.message("clearing", 5000, **told(2, bob)))
    assert await balance(bob) == 40
    assert await rewards(ada) == [(60, 0, 60)]
    assert await budget(offer) == (0, 100)


async def test_a_purchase_falls_through_any_number_of_exhausted_offers(database: asyncpg.Pool) -> None:
    """Six offers that give more are used up, and the seventh is asked like the first: no point without its share."""
    league = await League().found()
    bob = await league.holder("tok_b")
    used = [
        await league.offer(activation_required=False, earn=FixedPoints(points=900 - n), budget_points=900 - n)
        for n in range(6)
    ]
    left = await hundred(league, 150)
    for number in range(6):
        await league.tell(league.message("clearing", 5000, **told(number, bob)))
    assert [await budget(offer) for offer in used] == [(0, 900 - n) for n in range(6)]

    ada = await league.holder()
    await league.tell(league.message("clearing", 5000, **told(10)), league.message("clearing", 5000, **told(11)))
    assert await balance(ada) == 150
    assert await budget(left) == (0, 150)


async def test_a_budget_in_part_may_lose_to_another_offer(database: asyncpg.Pool) -> None:
    """Of 100 only 30 are left: another offer's 60 are better, and the 30 stay in the budget."""
    league = await League().found()
    ada = await league.holder()
    offer = await hundred(league, 130)
    await league.offer(activation_required=False, earn=FixedPoints(points=60))
    await league.tell(league.message("clearing", 5000, **told(1)), league.message("clearing", 5000, **told(2)))

    assert await balance(ada) == 160
    assert await budget(offer) == (0, 100)


async def test_a_crash_between_budget_and_posting_loses_nothing(database: asyncpg.Pool) -> None:
    """The share stands, nothing is posted; run again it is the same share, and the points are posted once."""
    league = await League().found()
    ada = await league.holder()
    offer = await hundred(league, 100)
    await league.till(ada)
    rows = await database.fetch("SELECT account_id, purchase_id FROM offers.purchase")

    for _ in range(3):
        with pytest.raises(Crash):
            await settle_and_crash([tuple(row) for row in rows])
        assert (await budget(offer), await balance(ada)) == ((100, 0), 0)
    await league.work()

    assert (await budget(offer), await balance(ada)) == ((0, 100), 100)


async def test_a_share_of_a_call_that_broke_off_is_freed(database: asyncpg.Pool) -> None:
    """A till's purchase that was never written gives its share back once it is old; a written one keeps its own."""
    league = await League().found()
    ada = await league.holder()
    offer = await hundred(league, 200)
    await league.till(ada)
    await league.work()
    lost = new_record_id()
    with pytest.raises(Crash):
        await buy_and_crash(league, ada, lost)
    assert await budget(offer) == (100, 100)

    assert not await free_orphans(RUNTIME)
    assert await budget(offer) == (100, 100)
    await age(offer)
    assert not await free_orphans(RUNTIME)
    assert await budget(offer) == (0, 100)
    assert await balance(ada) == 100

    async with transaction() as connection:
        await write_till(connection, league, ada, lost)
        await reward_purchases(connection, [(ada.account_id, lost)])
    assert (await budget(offer), await balance(ada)) == ((0, 200), 200)


async def test_concurrent_tills_do_not_wait_for_each_other_in_a_circle(database: asyncpg.Pool) -> None:
    """Thirty transactions, twice as many as the pool has connections, all want one budget, and all are settled."""
    league = await League().found()
    holders = [await league.holder(f"tok_{number}") for number in range(30)]
    offer = await hundred(league, 2950)

    async def buy(holder: Holder) -> None:
        async with transaction() as connection:
            purchase_id = new_record_id()
            await write_till(connection, league, holder, purchase_id)
            await reward_purchases(connection, [(holder.account_id, purchase_id)])

    async with asyncio.timeout(120):
        await asyncio.gather(*map(buy, holders))

    assert sorted([await balance(holder) for holder in holders]) == [50] + [100] * 29
    assert await budget(offer) == (0, 2950)


class Crash(Exception):
    """The process went down before its transaction was committed."""


async def settle_and_crash(keys: list[Any]) -> None:
    """Settle purchases and go down."""
    async with transaction() as connection:
        await reward_purchases(connection, keys)
        raise Crash


async def buy_and_crash(league: League, holder: Holder, purchase_id: Any) -> None:
    """Report a purchase at a till and go down."""
    async with transaction() as connection:
        await write_till(connection, league, holder, purchase_id)
        await reward_purchases(connection, [(holder.account_id, purchase_id)])
        raise Crash


async def write_till(connection: Any, league: League, holder: Holder, purchase_id: Any) -> None:
    """Write a purchase as a till saw it, in a transaction that may yet be given up."""
    at = "2026-03-02T10:00:00Z"
    await connection.execute(
        PURCHASE.replace("$5", f"'{at}'"), holder.account_id, purchase_id, league.programme_id, holder.member_id
    )
    await connection.execute(
        TILL.replace("$10", f"'{at}'"), holder.account_id, purchase_id, league.partners["grocer"],
        league.places["grocer"], 5000, None, None, None, None,
    )  # fmt: skip


async def age(offer: OfferVersion) -> None:
    """Let an offer's shares be from an hour ago."""
    ago = machine_now() - timedelta(hours=1)
    await pool().execute("UPDATE offers.budget_share SET changed_at = $2 WHERE offer_id = $1", offer.offer_id, ago)
    await pool().execute(
        "UPDATE offers.budget SET swept_at = $2 WHERE offer_id = $1", offer.offer_id, ago - timedelta(hours=1)
    )
