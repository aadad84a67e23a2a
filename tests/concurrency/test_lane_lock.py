"""The lane lock: whoever changes an account's purchases sees what the one before changed, so none is made twice."""

from datetime import timedelta

import asyncpg
import pytest

from koinon.database import transaction
from offers.purchases.expiries import RUNS_OUT_AFTER, run_out
from offers.purchases.intake import take_in
from offers.rewarding.operations import reward_waiting
from tests.concurrency.lockstep import aside, given_up, passes, waits_for
from tests.kit.league import BOUGHT, RUNTIME, League, balance, journal, pending, rewards

KINDS = ("authorisation", "clearing")
EARLIER = {"network_transaction_id": "461234567890100", "occurred_at": "2025-12-31T10:00:00Z"}


@pytest.mark.parametrize(("first", "second"), [KINDS, KINDS[::-1]])
@pytest.mark.parametrize("known", [False, True], ids=["a new lane", "a known lane"])
async def test_two_workers_take_in_one_payment(database: asyncpg.Pool, first: str, second: str, *, known: bool) -> None:
    """A worker that meets another's payment, folded and not yet committed, waits, and adds its message to that one.

    The first purchase of an account makes its lane, the next ones find it: either is waited for.
    """
    league = await League().found()
    ada = await league.holder()
    if known:
        await league.tell(league.message("clearing", 100, **EARLIER))
    await league.offer(activation_required=False)
    await league.post(league.message(first))

    async with transaction() as connection:
        assert await take_in(RUNTIME)
        await aside(league.post(league.message(second)))
        other = aside(take_in(RUNTIME))
        await waits_for(connection, other, database)
    assert await other
    await league.work()

    assert await database.fetchval("SELECT count(*) FROM offers.payment") == (2 if known else 1)
    assert (await balance(ada), await pending(ada)) == (500, 0)


async def test_a_worker_that_gives_up_leaves_the_other_all(database: asyncpg.Pool) -> None:
    """A worker whose transaction fails lets the one that waited take in what both would have."""
    league = await League().found()
    ada = await league.holder()
    await league.offer(activation_required=False)
    await league.post(league.message("authorisation"))

    async with given_up() as connection:
        assert await take_in(RUNTIME)
        await aside(league.post(league.message("clearing")))
        other = aside(take_in(RUNTIME))
        await waits_for(connection, other, database)
    assert await other
    await league.work()

    assert await database.fetchval("SELECT count(*) FROM offers.payment") == 1
    assert (await balance(ada), await pending(ada)) == (500, 0)


async def test_a_clearing_meets_the_end_of_its_authorisation(database: asyncpg.Pool) -> None:
    """What the worker lets run out while its clearing is taken in is folded with it: the clearing's points stand."""
    league = await League().found()
    ada = await league.holder()
    await league.offer(activation_required=False)
    await league.tell(league.message("authorisation"))
    late = BOUGHT + RUNS_OUT_AFTER + timedelta(seconds=1)
    await database.execute("UPDATE parties.programme SET clock_at = $1", late)
    await league.post(league.message("clearing"))

    async with transaction() as connection:
        assert await take_in(RUNTIME)
        other = aside(run_out(RUNTIME))
        await waits_for(connection, other, database)
    assert await other
    await league.work()

    assert await rewards(ada) == [(500, 0, 0)]
    assert await journal(ada) == [("earn", 500)]


async def test_two_workers_share_the_inbox(database: asyncpg.Pool) -> None:
    """What one worker has taken another goes past: it takes in the messages of other cards meanwhile."""
    league = await League().found()
    ada, bob = await league.holder("tok_a"), await league.holder("tok_b")
    await league.offer(activation_required=False)
    await league.post(league.message("clearing", card_token="tok_a"))

    async with transaction() as connection:
        assert await take_in(RUNTIME)
        assert not await passes(connection, aside(take_in(RUNTIME)), database)
        await aside(league.post(league.message("clearing", 3000, card_token="tok_b", **EARLIER)))
        assert await passes(connection, aside(take_in(RUNTIME)), database)
        assert await database.fetchval("SELECT count(*) FROM offers.payment") == 1
    await league.work()

    assert (await balance(ada), await balance(bob)) == (500, 0)


async def test_two_workers_share_what_is_to_be_settled(database: asyncpg.Pool) -> None:
    """A purchase that one worker settles is nobody else's: another worker goes past it to the next."""
    league = await League().found()
    ada, bob = await league.holder("tok_a"), await league.holder("tok_b")
    await league.offer(activation_required=False)
    await league.till(ada)

    async with transaction() as connection:
        assert await reward_waiting(RUNTIME)
        assert not await passes(connection, aside(reward_waiting(RUNTIME)), database)
        await aside(league.till(bob))
        assert await passes(connection, aside(reward_waiting(RUNTIME)), database)
        assert (await balance(ada), await balance(bob)) == (0, 500)

    assert (await balance(ada), await balance(bob)) == (500, 500)
