"""The wallet lock: whoever posts to an account sees what the one before posted, and answers from that."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from koinon.database import transaction
from koinon.ledger import invariants
from koinon.ledger.jobs import release_due_holds
from koinon.ledger.model import AnyCommand
from koinon.ledger.operations import post, post_now
from offers.purchases.intake import take_in
from offers.rewarding.operations import reward_purchases
from tests.concurrency.conftest import Open
from tests.concurrency.lockstep import all_wait, aside, given_up, holding, waits_for
from tests.kit.league import RUNTIME, Holder, League, balance
from tests.kit.ledger import Coalition, hold_id, lots, statuses, wallet

WALLETS = "SELECT FROM ledger.wallet ORDER BY account_id FOR UPDATE"
INSTANT = timedelta(microseconds=1)


async def account_with(kit: Coalition, points: int) -> int:
    """Return an account with points in one lot."""
    async with transaction() as connection:
        account = await kit.account(connection)
        await post(connection, kit.programme_id, [kit.earn(account, points)])
    return account


async def one_after_another(
    database: asyncpg.Pool, kit: Coalition, first: AnyCommand, second: AnyCommand
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Post a command and, before it is committed, another that must wait for it; return both answers."""
    async with transaction() as connection:
        (before,) = await post(connection, kit.programme_id, [first])
        waiting = aside(post_now(kit.programme_id, [second]))
        await waits_for(connection, waiting, database)
    (after,) = await waiting
    async with database.acquire() as connection:
        assert await invariants.check(connection) == []
    return before.answer, after.answer


async def test_a_second_till_is_told_what_the_first_left(database: asyncpg.Pool, coalition: Coalition) -> None:
    """Of 100 points one till holds 60: the other, which asks for 60 meanwhile, is refused with the 40 that are left."""
    account = await account_with(coalition, 100)

    _, refused = await one_after_another(database, coalition, coalition.hold(account, 60), coalition.hold(account, 60))

    assert refused == {"code": "insufficient-balance", "available": 40, "points": 60}
    assert await wallet(database, account, coalition.unit_id) == (40, 60)
    assert await lots(database, account) == [(100, 100, 60)]


async def test_a_second_till_has_all_when_the_first_gives_up(database: asyncpg.Pool, coalition: Coalition) -> None:
    """What the first till's transaction held is there again once it failed."""
    account = await account_with(coalition, 100)

    async with given_up() as connection:
        await post(connection, coalition.programme_id, [coalition.hold(account, 60)])
        waiting = aside(post_now(coalition.programme_id, [coalition.hold(account, 90)]))
        await waits_for(connection, waiting, database)

    assert statuses(await waiting) == ["posted"]
    assert await lots(database, account) == [(100, 100, 90)]


async def test_balances_run_on_from_call_to_call(database: asyncpg.Pool, coalition: Coalition) -> None:
    """An earn that waits for another answers the balance with both."""
    account = await account_with(coalition, 100)

    first, second = await one_after_another(
        database, coalition, coalition.earn(account, 10), coalition.earn(account, 5)
    )

    assert (first["balance"], second["balance"]) == (110, 115)


async def test_what_is_held_meanwhile_is_not_taken_back(database: asyncpg.Pool, coalition: Coalition) -> None:
    """A reversal that meets a hold takes nothing that the till was promised."""
    account = await account_with(coalition, 1)
    async with transaction() as connection:
        (earn,) = await post(connection, coalition.programme_id, [coalition.earn(account, 100)])

    _, refused = await one_after_another(
        database, coalition, coalition.hold(account, 31), coalition.reverse_earn(account, earn)
    )

    assert refused == {"code": "points-already-spent", "points": 100, "available": 70}


@pytest.mark.parametrize("first", ["captured", "released"])
async def test_a_hold_that_two_end_at_once_ends_once(database: asyncpg.Pool, coalition: Coalition, first: str) -> None:
    """A capture and a release of one hold meet: the second is told how the first ended it."""
    account = await account_with(coalition, 100)
    (hold,) = await post_now(coalition.programme_id, [coalition.hold(account, 60)])
    ends: list[AnyCommand] = [coalition.capture(account, hold), coalition.release(account, hold)]
    ends = ends if first == "captured" else ends[::-1]

    _, refused = await one_after_another(database, coalition, *ends)

    assert refused == {"code": "redemption-not-open", "state": first}
    assert await wallet(database, account, coalition.unit_id) == ((40, 0) if first == "captured" else (100, 0))


async def at(database: asyncpg.Pool, kit: Coalition, after: timedelta) -> None:
    """Set the programme's clock to a while after holds that are made now run out."""
    expires_at = kit.hold(0, 1).hold_expires_at
    await database.execute("UPDATE parties.programme SET clock_at = $1", expires_at + after)


async def test_a_capture_that_the_worker_meets_stands(database: asyncpg.Pool, coalition: Coalition) -> None:
    """Captured an instant before it runs out and not yet committed: the worker, on the instant, finds it ended."""
    kit, account = coalition, await account_with(coalition, 100)
    (hold,) = await post_now(kit.programme_id, [kit.hold(account, 60)])
    await at(database, kit, timedelta())
    last = kit.hold(account, 60).hold_expires_at - INSTANT

    async with transaction() as connection:
        captured = await post(connection, kit.programme_id, [kit.capture(account, hold, occurred_at=last)])
        worker = aside(release_due_holds(RUNTIME))
        await waits_for(connection, worker, database)

    assert statuses(captured) == ["posted"]
    assert not await worker
    assert await wallet(database, account, kit.unit_id) == (40, 0)
    assert await lots(database, account) == [(100, 40, 0)]


async def test_a_release_that_the_till_meets_stands(database: asyncpg.Pool, coalition: Coalition) -> None:
    """The worker gives back on the very instant; a capture of the instant before, which comes late, is told so."""
    kit, account = coalition, await account_with(coalition, 100)
    (hold,) = await post_now(kit.programme_id, [kit.hold(account, 60)])
    last = kit.hold(account, 60).hold_expires_at - INSTANT
    await at(database, kit, -INSTANT)
    assert not await release_due_holds(RUNTIME)
    await at(database, kit, timedelta())

    async with transaction() as connection:
        assert await release_due_holds(RUNTIME)
        till = aside(post_now(kit.programme_id, [kit.capture(account, hold, occurred_at=last)]))
        await waits_for(connection, till, database)

    (refused,) = await till
    assert refused.answer == {"code": "redemption-not-open", "state": "released"}
    assert await wallet(database, account, kit.unit_id) == (100, 0)
    assert await database.fetchval("SELECT state FROM ledger.hold WHERE hold_id = $1", hold_id(hold)) == "released"


def paid(holder: Holder, kind: str, minute: int) -> dict[str, Any]:
    """Return what tells a card message about a purchase of a minute from those about others."""
    return {
        "kind": kind,
        "card_token": holder.token,
        "network_transaction_id": f"46{minute:013}",
        "occurred_at": datetime(2026, 3, 2, 10, minute, tzinfo=UTC).isoformat(),
    }


async def settled(*keys: Any) -> None:
    """Settle purchases in a transaction of their own."""
    async with transaction() as connection:
        await reward_purchases(connection, keys)


async def test_two_slices_over_the_same_accounts_go_in_one_order(database: asyncpg.Pool, session: Open) -> None:
    """One takes back from ada and gives to bob, the other does the reverse: neither falls victim to a deadlock."""
    league = await League().found()
    ada, bob = await league.holder("tok_a"), await league.holder("tok_b")
    await league.offer(activation_required=False)
    await league.tell(*(league.message(**paid(holder, "clearing", minute)) for minute, holder in enumerate((ada, bob))))
    await league.post(*(league.message(**paid(holder, "refund", minute)) for minute, holder in enumerate((ada, bob))))
    await league.post(*(league.message(**paid(holder, "clearing", minute)) for minute, holder in ((2, ada), (3, bob))))
    assert await take_in(RUNTIME)
    unrewarded = await database.fetch(
        "SELECT account_id, purchase_id FROM offers.purchase WHERE rewarded_revision < revision ORDER BY occurred_at"
    )
    of_ada, of_bob, next_of_ada, next_of_bob = [tuple(row) for row in unrewarded]

    async with holding(await session(), WALLETS):
        slices = [aside(settled(of_ada, next_of_bob)), aside(settled(of_bob, next_of_ada))]
        await all_wait(database, *slices)
    await asyncio.gather(*slices)

    assert [await balance(holder) for holder in (ada, bob)] == [500, 500]
