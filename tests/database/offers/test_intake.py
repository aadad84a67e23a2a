"""Intake over real PostgreSQL: any delivery of a purchase's messages ends the same, and nobody sees another's."""

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import asyncpg
import pytest

from offers.model import FixedPoints
from offers.purchases.intake import take_in
from offers.rewarding.operations import reward_waiting
from tests.kit.league import (
    FOUNDED,
    RUNTIME,
    Holder,
    League,
    balance,
    budget,
    decisions,
    lots,
    pending,
    rewards,
)

EXPIRY = date(2028, 3, 2)
LINK_ENDED = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
DELIVERIES = 12


def story(league: League, holder: Holder) -> list[dict[str, Any]]:
    """Return the messages of three purchases: tips, increments, legs, refunds, reversals, and two ways to be joined."""
    token = {"card_token": holder.token}
    first = token | {"network_transaction_id": "461000000000001", "auth_code": "A1B2C3"}
    second = token | {"network_transaction_id": "461000000000002", "payment_ref": None}
    third = token | {"network_transaction_id": None}
    return [
        league.message("authorisation", 5000, **first),
        league.message("clearing", 5500, **(first | {"occurred_at": "2026-03-04T02:00:00Z"})),
        league.message("refund", 1200, **(first | {"occurred_at": "2026-03-05T11:00:00Z"})),
        league.message("authorisation", 3000, **second),
        league.message("increment", 1000, **second),
        league.message("auth_reversal", 500, **second),
        league.message("clearing", 2000, arn="7" * 22 + "1", clearing_sequence=1, clearing_count=2, **second),
        league.message("clearing", 1500, arn="7" * 22 + "2", clearing_sequence=2, clearing_count=2, **second),
        # Only the last one shows that the two before it are one payment.
        league.message("authorisation", 800, **(third | {"payment_ref": f"p-{holder.token}"})),
        league.message("clearing", 700, **(third | {"arn": "7" * 22 + "3"})),
        league.message("clearing_reversal", 100, arn="7" * 22 + "3", **(third | {"payment_ref": f"p-{holder.token}"})),
    ]  # fmt: skip


async def deliver(league: League, messages: Sequence[dict[str, Any]], drawn: random.Random) -> None:
    """Deliver messages in any order and in any slices, some of them again, to workers that come when they come."""
    left = [*messages, *drawn.choices(messages, k=4)]
    drawn.shuffle(left)
    while left:
        size = drawn.randint(1, 5)
        await league.post(*left[:size])
        left = left[size:]
        for job in drawn.choices([take_in, reward_waiting], k=drawn.randint(0, 3)):
            await asyncio.gather(*(job(RUNTIME) for _ in range(drawn.randint(1, 2))))
    await league.work()


async def ending(holder: Holder) -> tuple[Any, ...]:
    """Return all that a member has in the end."""
    return (
        await balance(holder),
        await pending(holder),
        await lots(holder),
        sorted(await rewards(holder)),
        sorted(await decisions(holder), key=str),
    )


@pytest.mark.parametrize("tendered", [False, True])
async def test_any_delivery_ends_the_same(database: asyncpg.Pool, tendered: bool) -> None:  # noqa: FBT001  # a parameter of the test
    """Order, repetition, slices and the number of workers change neither balance nor lots nor decisions."""
    league = await League().found()
    await league.offer(activation_required=False)
    await league.offer(activation_required=False, earn=FixedPoints(points=90), minimum_minor=500)
    ends = []
    for seed in range(DELIVERIES):
        holder = await league.holder(f"tok_{seed}")
        if tendered:
            await league.till(holder, stated_points=700, auth_code="A1B2C3")
        messages = story(league, holder)
        if seed:
            await deliver(league, messages, random.Random(seed))  # noqa: S311  # deliveries are drawn by seed
        else:
            await league.tell(*messages)
        ends.append(await ending(holder))

    best = 700 * 43 // 55 if tendered else 430
    assert ends[0] == (
        max(430, best) + 350 + 90,
        0,
        [(1, max(430, best) + 350 + 90, EXPIRY)],
        sorted([(max(430, best), 0, 0), (350, 0, 0), (90, 0, 0)]),
        ends[0][4],
    )
    assert ends == [ends[0]] * DELIVERIES


async def test_a_message_that_joins_two_payments_moves_the_reward_once(database: asyncpg.Pool) -> None:
    """An authorisation and a clearing that nothing joined are two rewards, until a message says that they are one."""
    league = await League().found()
    ada = await league.holder()
    offer = await league.offer(activation_required=False, budget_points=1000)
    apart: dict[str, Any] = {"network_transaction_id": None}
    await league.tell(
        league.message("authorisation", 5000, payment_ref="a", **apart),
        league.message("clearing", 4800, arn="7" * 23, **apart),
    )
    assert (await balance(ada), await pending(ada), await budget(offer)) == (480, 500, (500, 480))

    await league.tell(league.message("refund", 1200, payment_ref="a", original_message_id="m2", **apart))
    assert (await balance(ada), await pending(ada), await budget(offer)) == (360, 0, (0, 360))
    assert await rewards(ada) == [(360, 0, 0)]
    assert await database.fetchval("SELECT count(*) FROM offers.payment WHERE merged_into IS NULL") == 1
    assert await database.fetchval("SELECT count(*) FROM offers.purchase WHERE merged_into IS NULL") == 1


async def test_two_rewarded_payments_that_are_one_are_rewarded_once(database: asyncpg.Pool) -> None:
    """Both had cleared, so both were posted; a budget that they fill together does not stand in the way."""
    league = await League().found()
    ada = await league.holder()
    offer = await league.offer(activation_required=False, budget_points=480)
    apart: dict[str, Any] = {"network_transaction_id": None}
    await league.tell(
        league.message("clearing", 2400, arn="7" * 22 + "1", **apart),
        league.message("clearing", 2400, arn="7" * 22 + "2", **apart),
    )
    assert (await balance(ada), await budget(offer)) == (480, (0, 480))

    await league.tell(league.message("chargeback", 100, arn="7" * 22 + "1", original_message_id="m2", **apart))
    assert (await balance(ada), await budget(offer)) == (470, (0, 470))
    assert await rewards(ada) == [(470, 0, 0)]


async def test_what_was_spent_of_a_merged_reward_counts(database: asyncpg.Pool) -> None:
    """Of 480 of two payments 400 are spent: one payment of 470 leaves 70, whichever purchase gave the points."""
    league = await League().found()
    ada = await league.holder()
    await league.offer(activation_required=False)
    apart: dict[str, Any] = {"network_transaction_id": None}
    await league.tell(
        league.message("clearing", 2400, arn="7" * 22 + "1", **apart),
        league.message("clearing", 2400, arn="7" * 22 + "2", **apart),
    )
    await league.spend(ada, 400)
    await league.tell(league.message("chargeback", 100, arn="7" * 22 + "1", original_message_id="m2", **apart))

    assert await balance(ada) == 70


async def test_a_till_is_found_by_whichever_message_names_the_code(database: asyncpg.Pool) -> None:
    """The authorisation came without its code; the clearing's shows that the till saw the same purchase."""
    league = await League().found()
    ada = await league.holder()
    await league.offer(activation_required=False)
    await league.tell(league.message("authorisation", 5000))
    assert await pending(ada) == 500

    earning = await league.till(ada, amount_minor=100, stated_points=300, auth_code="A1B2C3")
    await league.work()
    assert (await balance(ada), await pending(ada)) == (300, 500)

    await league.tell(league.message("clearing", 4800, auth_code="A1B2C3"))
    assert (await balance(ada), await pending(ada)) == (480, 0)
    assert await rewards(ada) == [(480, 0, 0)]
    assert await database.fetchval("SELECT purchase_id FROM offers.payment") == earning
    assert await database.fetchval("SELECT count(*) FROM offers.purchase WHERE merged_into IS NULL") == 1


async def test_merged_payments_stay_the_tills_purchase(database: asyncpg.Pool) -> None:
    """The younger payment was the one that a till had seen: the one that they become is the till's purchase."""
    league = await League().found()
    ada = await league.holder()
    await league.offer(activation_required=False)
    apart: dict[str, Any] = {"network_transaction_id": None}
    earning = await league.till(ada, amount_minor=100, stated_points=300, auth_code="A1B2C3")
    await league.tell(
        league.message("authorisation", 5000, payment_ref="a", **apart),
        league.message("clearing", 4800, arn="7" * 23, auth_code="A1B2C3", **apart),
    )
    assert (await balance(ada), await pending(ada)) == (480, 500)

    await league.tell(league.message("refund", 4700, payment_ref="a", original_message_id="m2", **apart))
    assert await database.fetchval("SELECT purchase_id FROM offers.payment WHERE merged_into IS NULL") == earning
    assert (await balance(ada), await pending(ada)) == (10, 0)
    assert await rewards(ada) == [(10, 0, 0)]


async def test_a_card_that_nobody_linked_leaves_no_body(database: asyncpg.Pool) -> None:
    """The message is known, so that a replay is a duplicate, and nothing else of it is kept."""
    league = await League().found()
    strange = league.message("clearing", 5000, card_token="tok_strange")
    await league.tell(strange)

    assert [tuple(row) for row in await database.fetch("SELECT state, body FROM offers.inbox")] == [("unlinked", None)]
    assert await database.fetchval("SELECT count(*) FROM offers.payment_message") == 0
    assert await database.fetchval("SELECT count(*) FROM offers.purchase") == 0
    assert (await league.post(strange)).duplicate == 1


async def test_the_body_leaves_the_inbox_with_the_fold(database: asyncpg.Pool) -> None:
    """A linked card's message is kept with its payment alone."""
    league = await League().found()
    await league.holder()
    await league.tell(league.message("clearing", 5000))

    assert [tuple(row) for row in await database.fetch("SELECT state, body FROM offers.inbox")] == [("folded", None)]
    assert await database.fetchval("SELECT count(*) FROM offers.payment_message") == 1


async def test_after_a_link_ended_nothing_is_taken_in(database: asyncpg.Pool) -> None:
    """What happened before the end is the member's, what happened after it is nobody's."""
    league = await League().found()
    ada = await league.holder(linked_at=None)
    await league.link(ada, "tok_a", FOUNDED, LINK_ENDED)
    await league.offer(activation_required=False)
    await league.tell(
        league.message("clearing", 1000, network_transaction_id="461000000000001"),
        league.message("clearing", 2000, network_transaction_id="461000000000002", occurred_at="2026-03-02T12:00:00Z"),
    )

    assert await balance(ada) == 100
    states = await database.fetch("SELECT state FROM offers.inbox ORDER BY message_id")
    assert [row["state"] for row in states] == ["folded", "unlinked"]


async def test_a_cards_next_member_never_sees_what_it_paid_for_the_one_before(database: asyncpg.Pool) -> None:
    """A late message about the time of the first link is the first member's; between two links it is nobody's."""
    league = await League().found()
    ada, bob = await league.holder(linked_at=None), await league.holder(linked_at=None)
    await league.link(ada, "tok_a", FOUNDED, LINK_ENDED)
    await league.link(bob, "tok_a", datetime(2026, 3, 2, 14, 0, tzinfo=UTC))
    await league.offer(activation_required=False)
    for number, at in enumerate(("10:00", "13:00", "15:00"), 1):
        told: dict[str, Any] = {"network_transaction_id": f"46{number:013}", "occurred_at": f"2026-03-02T{at}:00Z"}
        await league.tell(league.message("clearing", 1000 * number, **told))

    assert (await balance(ada), await balance(bob)) == (100, 300)
    assert (len(await decisions(ada)), len(await decisions(bob))) == (1, 1)


async def test_two_members_never_share_a_payment(database: asyncpg.Pool) -> None:
    """The same network id on cards of two members is two payments."""
    league = await League().found()
    ada, bob = await league.holder(), await league.holder("tok_b")
    await league.offer(activation_required=False)
    await league.post(league.message("clearing", 1000), league.message("clearing", 2000, card_token="tok_b"))
    await league.work()

    assert (await balance(ada), await balance(bob)) == (100, 200)


@pytest.mark.parametrize("backwards", [False, True])
async def test_a_payment_over_two_cards_is_as_old_as_the_older_link(database: asyncpg.Pool, backwards: bool) -> None:  # noqa: FBT001  # a parameter of the test
    """A purchase on one card and its refund on another of the same member: the order of arrival does not matter."""
    league = await League().found()
    ada = await league.holder()
    await league.link(ada, "tok_new", LINK_ENDED)
    await league.offer(activation_required=False)
    messages = [
        league.message("clearing", 5000),
        league.message("refund", 1000, card_token="tok_new", occurred_at="2026-03-03T10:00:00Z"),
    ]
    await league.tell(*(messages[::-1] if backwards else messages))

    assert await balance(ada) == 400
