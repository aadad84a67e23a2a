"""Which offers concern a purchase, over real PostgreSQL: what has ended leaves no receipt, what failed says why."""

from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from koinon.database import transaction
from offers.model import FixedPoints
from offers.rewarding.operations import reward_purchases
from tests.kit.league import FOUNDED, League, balance, decisions, rewards, ten_for_one

FEBRUARY = datetime(2026, 2, 1)  # noqa: DTZ001  # the place's own time
MARCH = datetime(2026, 3, 1)  # noqa: DTZ001  # the place's own time
MONDAY = datetime(2026, 3, 2)  # noqa: DTZ001  # the place's own time
TUESDAY = datetime(2026, 3, 3)  # noqa: DTZ001  # the place's own time
READ = """
SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables
WHERE schemaname = 'offers' AND relname = 'activation'
"""


async def test_offers_that_ended_never_come_back(database: asyncpg.Pool) -> None:
    """Of a hundred offers that a member once switched on, the one that runs is read and gives the one receipt."""
    league = await League().found()
    ada = await league.holder()
    for _ in range(100):
        await league.activate(ada, await league.offer(starts_at=FEBRUARY, ends_at=MARCH), FOUNDED)
    await league.activate(ada, await league.offer())
    purchase_id = await league.till(ada)
    async with transaction() as connection:
        await connection.execute("SET LOCAL enable_seqscan = off")
        before = await connection.fetchval(READ)
        await reward_purchases(connection, [(ada.account_id, purchase_id)])
        read = await connection.fetchval(READ) - before

    assert await decisions(ada) == [(None, 500)]
    assert await database.fetchval("SELECT count(*) FROM offers.decision") == 1
    assert read == 1


async def test_a_late_clearing_earns_by_the_offer_of_its_purchases_time(database: asyncpg.Pool) -> None:
    """The offer ended the day after; the clearing comes beside a purchase of weeks later, which it does not concern."""
    league = await League().found()
    ada = await league.holder()
    await league.activate(ada, await league.offer(ends_at=TUESDAY))
    later: dict[str, Any] = {"network_transaction_id": "471234567890123", "occurred_at": "2026-04-20T10:00:00Z"}
    await league.post(league.message(), league.message("clearing", 5000), league.message("clearing", 900, **later))
    await league.work()

    assert await decisions(ada) == [(None, 500)]
    assert await rewards(ada) == [(500, 0, 0)]
    assert await balance(ada) == 500


async def test_an_offer_that_was_switched_on_says_why_it_gave_nothing_here(database: asyncpg.Pool) -> None:
    """At another place of the brand, in another currency and below the minimum; another brand's offer says nothing."""
    league = await League().found()
    ada = await league.holder()
    async with database.acquire() as connection:
        harbour = await league.add_place(connection, "grocer")
    for changes in ({"places": (harbour,)}, {"currency": "USD"}, {"minimum_minor": 9000}, {"partner": "fuel"}):
        await league.activate(ada, await league.offer(**changes))
    await league.tell(league.message("clearing", 5000))

    assert sorted(await decisions(ada), key=str) == [
        ("below-minimum", 0),
        ("currency-mismatch", 0),
        ("place-not-in-offer", 0),
    ]


async def test_an_offer_for_other_places_leaves_no_receipt(database: asyncpg.Pool) -> None:
    """What counts for everybody at the harbour is nobody's question at the market, where another one counts."""
    league = await League().found()
    ada = await league.holder()
    async with database.acquire() as connection:
        harbour = await league.add_place(connection, "grocer")
    await league.offer(activation_required=False, places=(harbour,))
    await league.offer(activation_required=False, places=(harbour, league.places["grocer"]))
    await league.tell(league.message("clearing", 5000))

    assert await decisions(ada) == [(None, 500)]


async def test_a_purchase_at_an_unknown_place_asks_only_what_was_switched_on(database: asyncpg.Pool) -> None:
    """Of what counts for everybody none claims it; what its member switched on and runs says that nobody knows it."""
    league = await League().found()
    ada = await league.holder()
    await league.crowd(20, 1)
    await league.activate(ada, await league.offer())
    await league.activate(ada, await league.offer(starts_at=FEBRUARY, ends_at=MARCH), FOUNDED)
    await league.tell(league.message("clearing", 5000, merchant={"descriptor": "KIOSK"}))

    assert await decisions(ada) == [("unknown-place", 0)]


async def test_a_card_that_knows_no_place_is_decided_with_its_till(database: asyncpg.Pool) -> None:
    """The till's place finds the offers, and they are decided on both sides of the purchase."""
    league = await League().found()
    ada = await league.holder()
    await league.crowd(5, 1, "fuel")
    await league.offer(activation_required=False)
    await league.till(ada, auth_code="A1B2C3")
    await league.work()
    await league.tell(league.message("clearing", 5000, auth_code="A1B2C3", merchant={"descriptor": "KIOSK"}))

    assert await database.fetchval("SELECT count(*) FROM offers.purchase") == 1
    assert await decisions(ada) == [(None, 500)]


async def test_an_activation_that_ended_still_freezes(database: asyncpg.Pool) -> None:
    """Who switched on what ended in February gets nothing of its next version, which counts for everybody else."""
    league = await League().found()
    ada, bob = await league.holder(), await league.holder("tok_b")
    frozen = await league.offer(starts_at=FEBRUARY, ends_at=MARCH)
    await league.activate(ada, frozen, FOUNDED)
    lasting = msgspec.structs.replace(ten_for_one(activation_required=False), offer_id=frozen.offer_id)
    await league.version(lasting, 2, FOUNDED)
    await league.tell(
        league.message("clearing", 5000),
        league.message("clearing", 5000, card_token="tok_b", network_transaction_id="471234567890123"),
    )

    assert (await balance(ada), await decisions(ada)) == (0, [])
    assert (await balance(bob), await decisions(bob)) == (500, [(None, 500)])


async def test_what_is_taken_back_has_a_reason(database: asyncpg.Pool) -> None:
    """A purchase turns out to be of the day before the offer began: its points go back, and the receipt says why.

    What was spent of them counts in the offer's own group, so that another group's reward is given in full.
    """
    league = await League().found()
    ada = await league.holder()
    await league.activate(ada, await league.offer(starts_at=TUESDAY, stack_group="extra"), FOUNDED)
    seventy = await league.offer(starts_at=MONDAY, ends_at=TUESDAY, earn=FixedPoints(points=70))
    await league.activate(ada, seventy, FOUNDED)
    await league.tell(league.message("clearing", 5000, occurred_at="2026-03-04T03:00:00Z"))
    assert await decisions(ada) == [(None, 500)]
    await league.spend(ada, 100)
    await league.tell(league.message())

    assert await decisions(ada) == [("outside-window", 0), (None, 70)]
    # Of the hundred that were spent the seventy are taken, once they are there.
    assert sorted(await rewards(ada)) == [(30, 0, 30), (70, 0, 0)]


async def test_what_a_purchase_carries_counts_in_its_offers_group(database: asyncpg.Pool) -> None:
    """A card purchase with points of one group, all spent, turns out to be a till's of the day before the offer began.

    What cannot be taken back of it does not lessen what the till's purchase earns in another group.
    """
    league = await League().found()
    ada = await league.holder()
    await league.activate(ada, await league.offer(starts_at=TUESDAY, stack_group="extra"), FOUNDED)
    seventy = await league.offer(ends_at=TUESDAY, earn=FixedPoints(points=70), mcc_included=("5411",))
    await league.activate(ada, seventy, FOUNDED)
    await league.till(ada, auth_code="A1B2C3")
    await league.tell(league.message("clearing", 5000, occurred_at="2026-03-04T03:00:00Z"))
    assert await balance(ada) == 500
    await league.spend(ada, 500)
    await league.tell(league.message(auth_code="A1B2C3"))

    assert await database.fetchval("SELECT count(*) FROM offers.purchase WHERE merged_into IS NOT NULL") == 1
    assert sorted(await rewards(ada)) == [(70, 0, 0), (500, 0, 500)]
    assert await balance(ada) == 70
