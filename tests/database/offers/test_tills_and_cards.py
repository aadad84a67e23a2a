"""A till and a card report one purchase in any order, also at once: it is one purchase, rewarded once."""

import asyncio
import itertools
import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from koinon import ids
from koinon.callers.model import Caller
from koinon.http.requests import Write
from offers.model import PointsPerAmount
from offers.purchases.earnings import earn_many
from offers.purchases.intake import take_in
from offers.purchases.sightings import Asked, NewEarning, Tender, read_ids
from offers.rewarding.operations import reward_waiting
from tests.kit.league import BOUGHT, KEYRING, RUNTIME, Holder, League, balance, budget, lots, pending, rewards

ORDERS = 6
KEYS = itertools.count(1)


def till(league: League, holder: Holder, points: int | None) -> Asked:
    """Return the grocer's call about 50.00 paid by card, with points stated or left to the offers."""
    caller = Caller(
        kind="partner",
        name="par_grocer",
        scopes=frozenset(),
        programme_id=league.programme_id,
        partner_id=league.partners["grocer"],
    )
    earning = NewEarning(
        member=ids.public("mem", holder.member_id),
        place=ids.public("pla", league.places["grocer"]),
        amount_minor=5000,
        currency="EUR",
        occurred_at=BOUGHT - timedelta(hours=1),
        points=points,
        tender=Tender(source=ids.public("src", league.source_id), token=holder.token, auth_code="A1B2C3"),
    )
    return read_ids(Write(caller=caller, key=f"k{next(KEYS)}", content_hash="00"), earning)


async def happen(league: League, event: dict[str, Any] | Asked) -> None:
    """Let a processor post a message, or a till report the purchase."""
    if isinstance(event, dict):
        await league.post(event)
        return
    (answer,) = await earn_many(KEYRING, [event])
    assert answer.problem is None


async def one_after_another(league: League, events: Sequence[dict[str, Any] | Asked], drawn: random.Random) -> None:
    """Let things happen in the given order, with workers in between or not."""
    for event in events:
        await happen(league, event)
        for job in drawn.choices([take_in, reward_waiting], k=drawn.randint(0, 3)):
            await job(RUNTIME)


async def at_once(league: League, events: Sequence[dict[str, Any] | Asked]) -> None:
    """Let everything happen at once, beside two workers."""
    await asyncio.gather(*(happen(league, event) for event in events), league.work(), league.work())


@pytest.mark.parametrize("stated", [None, 300, 700])
async def test_a_purchase_seen_twice_in_any_order_is_one(database: asyncpg.Pool, stated: int | None) -> None:
    """Of 430 by card and the stated points less what was returned, the better one stands, and the budget agrees."""
    league = await League().found()
    await league.offer(activation_required=False)
    extra = await league.offer(
        activation_required=False,
        earn=PointsPerAmount(points=1, amount_minor=100),
        stack_group="extra",
        budget_points=10_000,
    )
    best = max(430, (stated or 0) * 43 // 55)
    for seed in range(ORDERS):
        holder = await league.holder(f"tok_{seed}")
        card: dict[str, Any] = {"card_token": holder.token, "occurred_at": "2026-03-02T09:00:00Z"}
        events: list[dict[str, Any] | Asked] = [
            league.message("authorisation", 5000, auth_code="A1B2C3", **card),
            league.message("clearing", 5500, **(card | {"occurred_at": "2026-03-03T02:00:00Z"})),
            league.message("refund", 1200, **(card | {"occurred_at": "2026-03-04T02:00:00Z"})),
            till(league, holder, stated),
        ]
        drawn = random.Random(seed)  # noqa: S311  # orders are drawn by seed
        drawn.shuffle(events)
        if seed % 3 == 2:
            await at_once(league, events)
        else:
            await one_after_another(league, events, drawn)
        await league.work()

        assert (await balance(holder), await pending(holder)) == (best + 43, 0)
        assert sorted(await rewards(holder)) == [(43, 0, 0), (best, 0, 0)]
        assert sum(points for _, points, _ in await lots(holder)) == best + 43
        purchases = "SELECT count(*) FROM offers.purchase WHERE account_id = $1 AND merged_into IS NULL"
        assert await database.fetchval(purchases, holder.account_id) == 1
    assert await budget(extra) == (0, 43 * ORDERS)
