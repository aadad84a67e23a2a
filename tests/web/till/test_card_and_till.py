"""A purchase that a till and a card report: rewarded once, by the better of the two, whichever came first."""

import asyncio
from typing import Any

import asyncpg
import pytest

from koinon import ids
from tests.kit.scheme import assert_field, assert_refused, unchanged
from tests.kit.town import Person, Town, card_message
from tests.web.offers.bodies import published

TOKEN = "tok-ada"


def tender(town: Town, **changes: Any) -> dict[str, Any]:
    """Return what a till says of Ada's card."""
    return {"source": town.processor.source, "token": TOKEN, "auth_code": "A1B2C3"} | changes


async def paid_by_card(town: Town, **changes: Any) -> None:
    """Let the processor report the payment, and the worker take it in."""
    answer = await town.processor.feed([card_message(town.grocer, TOKEN, **changes)])
    assert answer.json()["accepted"] == 1, answer.text
    await town.work()


async def customer(town: Town) -> Person:
    """Enrol Ada and link her card."""
    ada = await town.person()
    await town.processor.linked(ada, TOKEN)
    return ada


async def purchases(database: asyncpg.Pool) -> int:
    """Return how many purchases there are."""
    count: int = await database.fetchval("SELECT count(*) FROM offers.purchase WHERE merged_into IS NULL")
    return count


async def issued(database: asyncpg.Pool) -> dict[str, int]:
    """Return the points that each brand has issued, less what it took back."""
    rows = await database.fetch(
        "SELECT p.code, sum(CASE m.debit_kind WHEN 'issued' THEN m.amount ELSE -m.amount END)::bigint AS points "
        "FROM ledger.movement m JOIN parties.partner p ON p.partner_id = m.issuer_id "
        "WHERE 'issued' IN (m.debit_kind, m.credit_kind) GROUP BY p.code"
    )
    return {row["code"]: row["points"] for row in rows}


@pytest.mark.parametrize("first", ["till", "card"])
@pytest.mark.parametrize(("stated", "best"), [(30, 100), (250, 250)])
async def test_it_is_rewarded_once(town: Town, database: asyncpg.Pool, first: str, stated: int, best: int) -> None:
    """The offer gives 100, the till states less or more: the better one stands alone, in either order."""
    ada = await customer(town)
    await published(town.grocer, activation_required=False)
    if first == "card":
        await paid_by_card(town)
        assert await ada.balance() == (100, 0)
    answer = await town.grocer.earn(ada, points=stated, tender=tender(town))
    assert answer.json()["points"] == best
    if first == "till":
        await paid_by_card(town)

    assert await ada.balance() == (best, 0)
    assert await issued(database) == {"grocer": best}
    assert await purchases(database) == 1


async def test_a_switch_reverses_the_first(town: Town, database: asyncpg.Pool) -> None:
    """The till's better points replace the offer's, and the receipts name both journals."""
    ada = await customer(town)
    await published(town.grocer, activation_required=False)
    await paid_by_card(town)
    body = (await town.grocer.earn(ada, points=250, tender=tender(town))).json()

    assert (body["points"], body["balance"]) == (250, 250)
    assert [(receipt["effect"], receipt["points"]) for receipt in body["receipts"]] == [
        ("issued", "-100"),
        ("issued", "250"),
    ]
    kinds = await database.fetch("SELECT kind FROM ledger.journal ORDER BY journal_id")
    assert [row["kind"] for row in kinds] == ["earn", "reverse_earn", "earn"]


async def test_a_till_that_changes_nothing_has_no_receipt(town: Town) -> None:
    """The card's reward is better and stands: the till is told what the purchase earned, and issued nothing."""
    ada = await customer(town)
    await published(town.grocer, activation_required=False)
    await paid_by_card(town)
    body = (await town.grocer.earn(ada, points=30, tender=tender(town))).json()
    assert (body["points"], body["receipts"]) == (100, [])


async def test_the_till_of_an_offer(town: Town, database: asyncpg.Pool) -> None:
    """Without stated points the brand's standing offer decides, once for the till and the card."""
    ada = await customer(town)
    await published(town.grocer, activation_required=False)
    body = (await town.grocer.earn(ada, tender=tender(town))).json()
    assert (body["points"], [receipt["points"] for receipt in body["receipts"]]) == (100, ["100"])
    await paid_by_card(town)
    assert await issued(database) == {"grocer": 100}
    decision = await database.fetchrow("SELECT count(*) AS receipts, max(points) AS points FROM offers.decision")
    assert tuple(decision) == (1, 100)


async def test_another_purchase_of_the_same_card(town: Town, database: asyncpg.Pool) -> None:
    """Another authorisation code, another card, another brand's place: two purchases, two rewards."""
    ada = await customer(town)
    await published(town.grocer, activation_required=False)
    source = (await town.source("other")).source
    for changes in ({"auth_code": "ZZZZZZ"}, {"token": "tok-other"}, {"source": source}):
        await town.grocer.earn(ada, points=250, tender=tender(town, **changes))
    await town.cafe.earn(ada, points=250, tender=tender(town))
    await paid_by_card(town)
    assert await ada.balance() == (1100, 0)
    assert await purchases(database) == 5


async def test_a_payment_that_a_till_reports_twice(town: Town, database: asyncpg.Pool) -> None:
    """Under another key it is refused, naming the earning that stands; once that is taken back it may come again."""
    ada = await customer(town)
    await published(town.grocer, activation_required=False)
    await paid_by_card(town)
    first = (await town.grocer.earn(ada, points=250, tender=tender(town))).json()["earning"]
    async with unchanged(database):
        again = await town.grocer.earn(ada, points=250, tender=tender(town))
        assert_refused(again, 409, "purchase-already-reported", earning=first)
        spelt = await town.grocer.earn(ada, points=250, tender=tender(town) | {"auth_code": "a1-b2 c3"})
        assert_refused(spelt, 409, "purchase-already-reported", earning=first)
    await town.grocer.reverse(earning=first)
    assert (await town.grocer.earn(ada, points=250, tender=tender(town))).status_code == 201
    assert await ada.balance() == (250, 0)
    assert await purchases(database) == 1


async def test_a_payment_that_is_reported_twice_at_once(town: Town) -> None:
    """Of eight reports under keys of their own one stands."""
    ada = await customer(town)
    answers = await asyncio.gather(*(town.grocer.earn(ada, points=250, tender=tender(town)) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    assert await ada.balance() == (250, 0)


async def test_a_tender_that_is_somebody_elses(town: Town, database: asyncpg.Pool) -> None:
    """Another member's card, a source of another programme or of none, a code that says nothing: nothing is earned."""
    await customer(town)
    bob = await town.person("bob")
    elsewhere = await town.another_programme(code="elsewhere")
    async with unchanged(database):
        other = await town.grocer.earn(bob, points=250, tender=tender(town))
        assert_refused(other, 422, "tender-of-another-member")
        for source in (elsewhere.processor.source, ids.public("src", 1)):
            unknown = await town.grocer.earn(bob, points=250, tender=tender(town) | {"source": source})
            assert_refused(unknown, 404, "unknown-source")
        for code in ("000000", "--"):
            silent = await town.grocer.earn(bob, points=250, tender=tender(town) | {"auth_code": code})
            assert_field(silent, "/tender/auth_code")


@pytest.mark.parametrize("code", ["a1b2c3", "A1B2C3 ", "A1,B2C3"])
@pytest.mark.parametrize("first", ["till", "card"])
async def test_a_code_is_spelt_otherwise(town: Town, database: asyncpg.Pool, first: str, code: str) -> None:
    """Case, spaces and signs of an authorisation code do not part a till and a card, whichever comes first."""
    ada = await customer(town)
    await published(town.grocer, activation_required=False)
    if first == "card":
        await paid_by_card(town, auth_code=code)
    await town.grocer.earn(ada, points=100, tender=tender(town))
    if first == "till":
        await paid_by_card(town, auth_code=code)
    assert await purchases(database) == 1
    assert await ada.balance() == (100, 0)


@pytest.mark.parametrize("first", ["till", "card"])
async def test_a_reversed_till_leaves_the_card(town: Town, database: asyncpg.Pool, first: str) -> None:
    """After the till took its earning back, the card's reward counts again."""
    ada = await customer(town)
    await published(town.grocer, activation_required=False)
    if first == "card":
        await paid_by_card(town)
    earning = (await town.grocer.earn(ada, points=250, tender=tender(town))).json()["earning"]
    if first == "till":
        await paid_by_card(town)
    answer = await town.grocer.reverse(earning=earning)
    assert answer.status_code == 201, answer.text
    assert [receipt["points"] for receipt in answer.json()["receipts"]] == ["-250", "100"]
    assert answer.json()["points"] == 150
    assert await ada.balance() == (100, 0)
    assert await issued(database) == {"grocer": 100}


@pytest.mark.parametrize("card", ["first", "between", "last"])
async def test_a_till_that_rings_again(town: Town, database: asyncpg.Pool, card: str) -> None:
    """A wrong amount is taken back and rung up again with the same tender: still one purchase, rewarded once."""
    ada = await customer(town)
    await published(town.grocer, activation_required=False)
    if card == "first":
        await paid_by_card(town)
    wrong = (await town.grocer.earn(ada, points=300, tender=tender(town))).json()["earning"]
    if card == "between":
        await paid_by_card(town)
    assert (await town.grocer.reverse(earning=wrong)).status_code == 201
    right = await town.grocer.earn(ada, points=250, tender=tender(town))
    assert right.status_code == 201, right.text
    if card == "last":
        await paid_by_card(town)
    await town.work()
    assert await ada.balance() == (250, 0)
    assert await issued(database) == {"grocer": 250}


async def test_a_refund_by_card_follows(town: Town) -> None:
    """The offer's points follow what the card gave back, though a till has seen the whole amount."""
    ada = await customer(town)
    await published(town.grocer, activation_required=False)
    await town.grocer.earn(ada, points=30, tender=tender(town))
    await paid_by_card(town, payment_ref="p1")
    assert await ada.balance() == (100, 0)
    await paid_by_card(town, kind="refund", payment_ref="p1", amount_minor=400)
    assert await ada.balance() == (60, 0)
    await paid_by_card(town, kind="refund", payment_ref="p1", amount_minor=600)
    assert await ada.balance() == (0, 0)


async def test_a_till_and_a_worker_at_once(town: Town, database: asyncpg.Pool) -> None:
    """Thirty purchases whose till and card message come at the same moment are thirty, each rewarded once."""
    people = [await town.person(f"person{number}") for number in range(30)]
    await published(town.grocer, activation_required=False, budget_points=1_000_000)
    for number, person in enumerate(people):
        await town.processor.linked(person, f"tok-{number}")

    async def till(number: int) -> None:
        answer = await town.grocer.earn(
            people[number], points=250, tender=tender(town, token=f"tok-{number}", auth_code=f"A{number}")
        )
        assert answer.status_code == 201, answer.text

    async def card(number: int) -> None:
        message = card_message(town.grocer, f"tok-{number}", auth_code=f"A{number}")
        assert (await town.processor.feed([message])).json()["accepted"] == 1

    async def both(number: int) -> None:
        await asyncio.gather(till(number), card(number))

    async def workers() -> None:
        for _ in range(10):
            await town.work()

    await asyncio.gather(*(both(number) for number in range(30)), workers(), workers())
    await town.work()
    assert await purchases(database) == 30
    assert {await person.balance() for person in people} == {(250, 0)}
    assert await issued(database) == {"grocer": 7500}
    assert await database.fetchval("SELECT reserved_points + spent_points FROM offers.budget") == 0
