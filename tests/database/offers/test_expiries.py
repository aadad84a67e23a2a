"""An authorisation that never clears runs out: nobody waits for its points, and no budget keeps them for it."""

from datetime import timedelta

import asyncpg
from structlog.testing import capture_logs

from koinon.database import pool
from offers.purchases.expiries import RUNS_OUT_AFTER, run_out
from tests.kit.league import BOUGHT, RUNTIME, League, balance, budget, pending, rewards


async def clock(league: League, after: timedelta) -> None:
    """Set the programme's clock to a while after the purchase."""
    await pool().execute(
        "UPDATE parties.programme SET clock_at = $2 WHERE programme_id = $1", league.programme_id, BOUGHT + after
    )


async def test_an_authorisation_runs_out(database: asyncpg.Pool) -> None:
    """After 35 days its pending points and their budget are free, once; until then nothing happens."""
    league = await League().found()
    ada = await league.holder()
    offer = await league.offer(activation_required=False, budget_points=1000)
    await clock(league, RUNS_OUT_AFTER)
    await league.tell(league.message("authorisation", 5000))
    assert await pending(ada) == 500
    assert not await run_out(RUNTIME)

    await clock(league, RUNS_OUT_AFTER + timedelta(seconds=1))
    assert await run_out(RUNTIME)
    await league.work()
    assert (await pending(ada), await balance(ada), await budget(offer)) == (0, 0, (0, 0))
    assert await database.fetchval("SELECT fold::jsonb ->> 'state' FROM offers.payment") == "expired"
    assert not await run_out(RUNTIME)


async def test_what_clears_after_it_ran_out_counts(database: asyncpg.Pool) -> None:
    """A late clearing earns by the purchase's own time, and no open rest is waited for again."""
    league = await League().found()
    ada = await league.holder()
    await league.offer(activation_required=False)
    await league.tell(league.message("authorisation", 5000))
    await clock(league, RUNS_OUT_AFTER + timedelta(days=1))
    assert await run_out(RUNTIME)
    await league.tell(league.message("clearing", 4800, clearing_sequence=1, clearing_count=2))

    assert await rewards(ada) == [(480, 0, 0)]
    assert not await run_out(RUNTIME)


async def test_a_card_that_is_linked_no_more_does_not_keep_points_waiting(database: asyncpg.Pool) -> None:
    """Nothing of it is taken in any more, but what is open runs out."""
    league = await League().found()
    ada = await league.holder()
    await league.offer(activation_required=False)
    await league.tell(league.message("authorisation", 5000))
    await database.execute("UPDATE offers.card SET unlinked_at = $1", BOUGHT + timedelta(hours=1))
    await clock(league, RUNS_OUT_AFTER + timedelta(days=1))
    assert await run_out(RUNTIME)
    await league.work()

    assert await pending(ada) == 0


async def test_a_payment_that_cannot_run_out_stops_no_other(database: asyncpg.Pool) -> None:
    """Its fold cannot be read: the others run out, the log says which code and where, and nothing else is said."""
    league = await League().found()
    await league.offer(activation_required=False)
    holders = [await league.holder(f"tok_{number}") for number in range(5)]
    for number, holder in enumerate(holders):
        await league.tell(league.message(card_token=holder.token, network_transaction_id=f"46{number:013}"))
    await clock(league, RUNS_OUT_AFTER + timedelta(seconds=1))
    torn = holders[2]
    await database.execute("UPDATE offers.payment SET fold = '{' WHERE account_id = $1", torn.account_id)
    with capture_logs() as logs:
        assert await run_out(RUNTIME)
        assert not await run_out(RUNTIME)
    await league.work()

    assert [await pending(holder) for holder in holders] == [500 if holder is torn else 0 for holder in holders]
    assert [(each["event"], each["code"]) for each in logs] == [("not run out", "unreadable")] * 2
    assert logs[0]["where"].startswith("msgspec.DecodeError at offers/purchases/expiries.py:")
