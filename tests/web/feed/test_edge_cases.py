"""What card networks do to a purchase, from the signed message to the member's points: each case once."""

import asyncio
from typing import Any

import asyncpg
import pytest

from offers.purchases.intake import take_in
from offers.rewarding.operations import reward_waiting
from tests.kit.scheme import everything, unchanged
from tests.kit.town import PAR, Person, Processor, Town, card_message
from tests.web.offers.bodies import published

TOKEN = "tok-ada"
NETWORK_ID = "461234567890123"
PURCHASE_ARN, REFUND_ARN = "7" * 22 + "1", "7" * 22 + "2"


async def customer(town: Town) -> tuple[Person, str]:
    """Enrol Ada, link her card and publish an offer of ten points a euro; returns her and the link."""
    ada = await town.person()
    card = await town.processor.linked(ada, TOKEN)
    await published(town.grocer, activation_required=False)
    return ada, card


async def told(town: Town, kind: str = "clearing", source: Processor | None = None, **changes: Any) -> None:
    """Let a processor tell of the payment, which must be taken, and the worker work."""
    message = card_message(town.grocer, TOKEN, kind, **({"network_transaction_id": NETWORK_ID} | changes))
    answer = await (source or town.processor).feed([message])
    assert answer.json()["accepted"] == 1, answer.text
    await town.work()


async def purchases(database: asyncpg.Pool) -> int:
    """Return how many purchases there are."""
    count: int = await database.fetchval("SELECT count(*) FROM offers.purchase WHERE merged_into IS NULL")
    return count


async def test_a_refund_after_the_offers_end(town: Town) -> None:
    """It takes back what its purchase earned, though a purchase of that day earns nothing any more."""
    ada, _ = await customer(town)
    await told(town)
    assert await ada.balance() == (100, 0)
    await town.move_clock("2026-04-10T09:00:00Z")

    await told(town, network_transaction_id="461234567890999", occurred_at="2026-04-09T09:00:00Z")
    assert await ada.balance() == (100, 0)
    await told(town, "refund", amount_minor=400, occurred_at="2026-04-09T09:00:00Z")
    assert await ada.balance() == (60, 0)
    await told(town, "refund", amount_minor=600, occurred_at="2026-04-10T08:00:00Z")
    assert await ada.balance() == (0, 0)


async def test_a_refund_after_the_link_ended(town: Town, database: asyncpg.Pool) -> None:
    """Nothing is taken in, so the points stay; the message is known by its id and nothing else of it is kept."""
    ada, card = await customer(town)
    await told(town)
    await town.move_clock("2026-03-03T09:00:00Z")
    assert (await town.processor.unlink(card)).status_code == 201
    await town.move_clock("2026-03-05T09:00:00Z")

    # What happened while the link stood is the member's, however late it is told.
    await told(town, "refund", amount_minor=200, occurred_at="2026-03-03T08:59:59Z")
    assert await ada.balance() == (80, 0)

    before = await everything(database)
    await told(town, "refund", amount_minor=800, occurred_at="2026-03-03T09:00:00Z", message_id="after")
    after = await everything(database)
    assert await ada.balance() == (80, 0)
    assert {name for name in after if after[name] != before[name]} == {"offers.inbox", "offers.message"}
    row = await database.fetchrow("SELECT state, body FROM offers.inbox WHERE message_id = 'after'")
    assert tuple(row) == ("unlinked", None)


@pytest.mark.parametrize("together", [False, True])
async def test_two_processors_report_one_payment(town: Town, database: asyncpg.Pool, together: bool) -> None:  # noqa: FBT001  # a parameter of the test
    """By its network's id it is one payment, rewarded and refunded once, whoever comes first and with two workers."""
    ada = await town.person()
    gateway = await town.source("gateway")
    await town.processor.linked(ada, TOKEN, par=PAR)
    await gateway.linked(ada, "tok-of-the-gateway", par=PAR)
    offer = await published(town.grocer, activation_required=False, budget_points=1000)
    reports: list[tuple[Processor, str, dict[str, Any]]] = [
        (town.processor, TOKEN, {"payment_ref": "a", "auth_code": "A1B2C3"}),
        (gateway, "tok-of-the-gateway", {"payment_ref": "b", "auth_code": ..., "rrn": "606112345678"}),
    ]

    async def report(kind: str, **more: Any) -> None:
        for source, token, own in reports:
            message = card_message(town.grocer, token, kind, network_transaction_id=NETWORK_ID, **(own | more))
            assert (await source.feed([message])).json()["accepted"] == 1
            if not together:
                await town.work()
        runtime: Any = None
        for job in (take_in, reward_waiting):
            await asyncio.gather(job(runtime), job(runtime))
        await town.work()

    for kind, arn, amount, expected in (
        ("authorisation", ..., 1000, (0, 0)),
        ("clearing", PURCHASE_ARN, 1000, (100, 0)),
        ("refund", REFUND_ARN, 400, (60, 0)),
    ):
        await report(kind, arn=arn, amount_minor=amount)
        assert await ada.balance() == expected, kind
    assert await purchases(database) == 1
    assert await database.fetchval("SELECT count(*) FROM offers.payment WHERE merged_into IS NULL") == 1
    assert await database.fetchval("SELECT count(*) FROM offers.payment_message") == 6
    budget = await database.fetchrow("SELECT reserved_points, spent_points FROM offers.budget")
    assert tuple(budget) == (0, 60)
    listed = (await ada.browser.get("/v1/me/purchases")).json()["items"]
    assert [[each["offer"] for each in item["decisions"]] for item in listed] == [[offer]]


async def test_identical_bodies_with_different_ids(town: Town, database: asyncpg.Pool) -> None:
    """Two coffees on one morning are two purchases, in one batch or in two; one id twice is one."""
    ada, _ = await customer(town)
    same = card_message(town.grocer, TOKEN)
    del same["message_id"]
    answer = await town.processor.feed([same | {"message_id": name} for name in ("one", "two", "one")])
    assert [each["verdict"] for each in answer.json()["verdicts"]] == ["accepted", "accepted", "duplicate"]
    await town.work()
    assert (await ada.balance(), await purchases(database)) == ((200, 0), 2)

    answer = await town.processor.feed([same | {"message_id": "three"}])
    assert answer.json()["accepted"] == 1
    await town.work()
    assert (await ada.balance(), await purchases(database)) == ((300, 0), 3)


async def test_a_message_that_is_replayed_months_later(town: Town, database: asyncpg.Pool) -> None:
    """It is a duplicate and changes nothing, after the offer and the link have ended as well; so is its whole story."""
    ada, card = await customer(town)
    story = [
        card_message(town.grocer, TOKEN, kind, network_transaction_id=NETWORK_ID, amount_minor=amount)
        for kind, amount in (("authorisation", 1000), ("clearing", 1000), ("refund", 300))
    ]
    assert (await town.processor.feed(story)).json()["accepted"] == 3
    await town.work()
    assert await ada.balance() == (70, 0)
    await town.move_clock("2026-09-20T09:00:00Z")

    async def replay() -> None:
        async with unchanged(database):
            for batch in (story, story[::-1], story[1:2], [dict(reversed(story[1].items()))]):
                assert (await town.processor.feed(batch)).json()["duplicate"] == len(batch)
            await town.work()
        assert await ada.balance() == (70, 0)

    await replay()
    assert (await town.processor.unlink(card)).status_code == 201
    await replay()
