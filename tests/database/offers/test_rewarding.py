"""Rewards over real PostgreSQL: what is known becomes points, once, at the terms of the purchase's own time."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import msgspec

from koinon.ids import new_id
from offers.model import FixedPoints, PointsPerAmount
from tests.kit.league import (
    BOUGHT,
    FOUNDED,
    League,
    balance,
    decisions,
    journal,
    lots,
    pending,
    rewards,
)

EXPIRY = date(2028, 3, 2)


async def test_a_card_purchase_from_authorisation_to_refund(database: asyncpg.Pool) -> None:
    """500 pending, 480 confirmed by the clearing, 360 after the refund; what came before the activation earns none."""
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

    early: dict[str, Any] = {"network_transaction_id": "471234567890123", "occurred_at": "2026-03-02T08:55:00Z"}
    await league.tell(league.message(**early), league.message("clearing", **early))
    assert (await balance(ada), await pending(ada)) == (360, 0)
    assert await decisions(ada) == [("before-activation", 0), (None, 360)]


async def test_a_purchase_at_till_and_card_earns_the_better_reward(database: asyncpg.Pool) -> None:
    """300 stated at the till stand at once; the card's 480 replace them."""
    league = await League().found()
    ada = await league.holder()
    await league.activate(ada, await league.offer())
    await league.till(ada, amount_minor=100, stated_points=300, auth_code="A1B2C3")
    await league.work()
    assert (await balance(ada), await pending(ada)) == (300, 0)

    await league.tell(league.message("clearing", 4800, auth_code="A1B2C3"))
    assert await balance(ada) == 480
    assert await journal(ada) == [("earn", 300), ("reverse_earn", 300), ("earn", 480)]
    assert await rewards(ada) == [(480, 0, 0)]


async def test_what_the_card_gave_back_the_till_has_not_sold(database: asyncpg.Pool) -> None:
    """Of 900 stated, a refund of a quarter leaves 675, of all nothing: no till keeps alive what was returned."""
    league = await League().found()
    ada = await league.holder()
    await league.activate(ada, await league.offer())
    await league.till(ada, stated_points=900, auth_code="A1B2C3")
    await league.tell(league.message("clearing", 4800, auth_code="A1B2C3"))
    assert await balance(ada) == 900

    await league.tell(league.message("refund", 1200))
    assert await balance(ada) == 675
    await league.tell(league.message("refund", 3600))
    assert await balance(ada) == 0
    assert await decisions(ada) == [("refunded", 0)]


async def test_the_best_of_a_stack_group_wins_and_groups_add_up(database: asyncpg.Pool) -> None:
    """Of 500 and 300 the member gets 500, and 50 of another group beside it; after a refund 300 are the better."""
    league = await League().found()
    ada = await league.holder()
    await league.offer(activation_required=False)
    await league.offer(activation_required=False, earn=FixedPoints(points=300))
    await league.offer(activation_required=False, earn=FixedPoints(points=50), stack_group="extra")

    await league.tell(league.message("clearing", 5000))
    assert await balance(ada) == 550
    assert await decisions(ada) == [("stacked-out", 0), (None, 50), (None, 500)]

    await league.tell(league.message("refund", 3000))
    assert await balance(ada) == 350
    assert await decisions(ada) == [("stacked-out", 0), (None, 50), (None, 300)]
    assert [entry for entry in await journal(ada) if entry[1] != 50] == [
        ("earn", 500),
        ("reverse_earn", 500),
        ("earn", 300),
    ]


async def test_points_that_were_spent_are_a_shortfall(database: asyncpg.Pool) -> None:
    """Of 500 the member spent 400: a full refund takes the 100 that are left, and the rest once the burn is undone."""
    league = await League().found()
    ada = await league.holder()
    await league.offer(activation_required=False)
    await league.tell(league.message("clearing", 5000))
    spent = await league.spend(ada, 400)

    await league.tell(league.message("refund", 5000))
    assert await balance(ada) == 0
    assert await rewards(ada) == [(400, 0, 400)]

    await league.unspend(ada, spent)
    await league.tell(league.message("authorisation", 5000))
    assert await balance(ada) == 0
    assert await rewards(ada) == []


async def test_a_shortfall_counts_towards_what_replaces_it(database: asyncpg.Pool) -> None:
    """Of 500 spent 400, 300 of another offer would be right: the member keeps 400, and 300 once they are back."""
    league = await League().found()
    ada = await league.holder()
    await league.offer(activation_required=False)
    await league.offer(activation_required=False, earn=FixedPoints(points=300))
    await league.tell(league.message("clearing", 5000))
    spent = await league.spend(ada, 400)

    await league.tell(league.message("refund", 3000))
    assert await balance(ada) == 0
    assert await rewards(ada) == [(400, 0, 400)]

    await league.unspend(ada, spent)
    await league.work()
    assert await balance(ada) == 300


async def test_four_workers_reward_once(database: asyncpg.Pool) -> None:
    """Forty purchases of four members, taken by four workers at once, earn each once and nothing twice."""
    league = await League().found()
    await league.offer(activation_required=False)
    holders = [await league.holder(f"tok_{number}") for number in range(4)]
    messages = [
        league.message(
            kind, 1000, card_token=holder.token, network_transaction_id=f"46{number:013}", auth_code=f"A{number}"
        )
        for holder in holders
        for number in range(10)
        for kind in ("authorisation", "clearing")
    ]
    await league.post(*messages)
    await asyncio.gather(*(league.work() for _ in range(4)))

    assert [await balance(holder) for holder in holders] == [1000] * 4
    assert await database.fetchval("SELECT count(*) FROM offers.purchase") == 40
    assert [len(await journal(holder)) for holder in holders] == [10] * 4


async def test_points_have_the_terms_of_the_purchase(database: asyncpg.Pool) -> None:
    """A clearing that comes first earns by its own time; the authorisation shows the purchase's, and points move."""
    league = await League().found(grocer=BOUGHT + timedelta(days=1))
    ada = await league.holder()
    await league.offer(activation_required=False)

    await league.tell(league.message("clearing", 4800, occurred_at="2026-03-04T03:00:00Z"))
    assert await lots(ada) == [(2, 480, date(2028, 3, 4))]

    await league.tell(league.message("authorisation", 5000))
    assert await lots(ada) == [(1, 480, EXPIRY)]
    assert await rewards(ada) == [(480, 0, 0)]
    assert await journal(ada) == [("earn", 480), ("reverse_earn", 480), ("earn", 480)]


async def test_spent_points_keep_the_terms_that_they_had(database: asyncpg.Pool) -> None:
    """Of 480 under the wrong terms 80 were spent: the other 400 move, and together they are 480."""
    league = await League().found()
    ada = await league.holder()
    await league.offer(activation_required=False)
    await league.tell(league.message("clearing", 4800, occurred_at="2026-03-04T03:00:00Z"))
    await league.spend(ada, 80)
    await league.tell(league.message("authorisation", 5000))

    assert await lots(ada) == [(1, 400, EXPIRY)]
    assert await rewards(ada) == [(480, 0, 0)]


async def test_the_version_of_the_purchases_own_time_decides(database: asyncpg.Pool) -> None:
    """What stands for everybody changes for purchases after the change, and ends once it must be switched on."""
    league = await League().found()
    ada = await league.holder()
    first = await league.offer(activation_required=False)
    second = msgspec.structs.replace(first, version_id=new_id(), earn=PointsPerAmount(points=1, amount_minor=100))
    third = msgspec.structs.replace(second, version_id=new_id(), activation_required=True)
    await league.version(second, 2, datetime(2026, 3, 2, 11, 0, tzinfo=UTC))
    await league.version(third, 3, datetime(2026, 3, 2, 12, 0, tzinfo=UTC))

    for number, at in enumerate(("10:30", "11:30", "12:30")):
        told: dict[str, Any] = {"network_transaction_id": f"46{number:013}", "occurred_at": f"2026-03-02T{at}:00Z"}
        await league.tell(league.message("clearing", 5000, **told))

    assert await decisions(ada) == [(None, 500), (None, 50)]
    assert await balance(ada) == 550


async def test_an_offer_that_was_switched_on_is_decided_by_the_frozen_version(database: asyncpg.Pool) -> None:
    """A later version that stands for everybody does not come on top of it."""
    league = await League().found()
    ada = await league.holder()
    frozen = await league.offer()
    await league.activate(ada, frozen)
    later = msgspec.structs.replace(
        frozen, version_id=new_id(), stack_group="other", activation_required=False, earn=FixedPoints(points=7)
    )
    await league.version(later, 2, FOUNDED)
    await league.tell(league.message("clearing", 5000))

    assert await decisions(ada) == [(None, 500)]
    assert await balance(ada) == 500


async def test_standing_offers_of_other_brands_leave_no_receipts(database: asyncpg.Pool) -> None:
    """Nobody asks why the fuel station's offer, or one of last year, gives nothing at the grocer's."""
    league = await League().found()
    ada = await league.holder()
    await league.offer(activation_required=False)
    await league.offer("fuel", activation_required=False)
    await league.offer(activation_required=False, ends_at=datetime(2026, 2, 1))  # noqa: DTZ001  # the place's own time
    await league.tell(league.message("clearing", 5000))

    assert await decisions(ada) == [(None, 500)]


async def test_a_brand_without_a_contract_gives_nothing(database: asyncpg.Pool) -> None:
    """Points need the contract that was in force at the purchase."""
    league = await League().found()
    ada = await league.holder(linked_at=FOUNDED - timedelta(days=90))
    await league.offer(
        published_at=FOUNDED - timedelta(days=90),
        activation_required=False,
        starts_at=datetime(2025, 1, 1),  # noqa: DTZ001  # the place's own time
    )
    await database.execute(
        "INSERT INTO places.network_identity SELECT identity_id - 1, programme_id, place_id, identity_key,"
        " valid_from - interval '90 days', valid_from FROM places.network_identity"
    )
    await league.tell(league.message("clearing", 5000, occurred_at="2025-12-24T10:00:00Z"))

    assert await decisions(ada) == [("contract-missing", 0)]
    assert await balance(ada) == 0


async def test_the_journal_names_the_offer(database: asyncpg.Pool) -> None:
    """A member's history says what earned the points."""
    league = await League().found()
    ada = await league.holder()
    await league.offer(activation_required=False, name="Spring")
    await league.tell(league.message("clearing", 5000), league.message("refund", 1000))

    rows = await database.fetch(
        "SELECT kind, reason FROM ledger.journal WHERE account_id = $1 ORDER BY journal_id", ada.account_id
    )
    assert [tuple(row) for row in rows] == [("earn", "Spring"), ("reverse_earn", None)]
