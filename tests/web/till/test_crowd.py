"""A crowd: tills, cards, reversals and redemptions of a few members all at once, and the books add up."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import asyncpg
import httpx
import pytest

from koinon.ledger.invariants import check
from tests.kit.town import Person, Town, card_message
from tests.web.offers.bodies import published

ACTIONS = 240
PAYMENTS = 40
"""How many payments tenders and card messages are about: fewer than there are of either, so that they meet."""

BUDGET = """
SELECT b.reserved_points, b.spent_points, coalesce(sum(h.reserved_points), 0)::bigint AS reserved_shares,
    coalesce(sum(h.spent_points), 0)::bigint AS spent_shares
FROM offers.budget b LEFT JOIN offers.budget_share h USING (offer_id) GROUP BY b.offer_id
"""
ISSUED = """
SELECT sum(CASE debit_kind WHEN 'issued' THEN amount ELSE -amount END)::bigint FROM ledger.movement
WHERE 'issued' IN (debit_kind, credit_kind)
"""


class Crowd:
    """What members, tills and a processor do, drawn by seed; `answers` are what they were answered."""

    def __init__(self, town: Town, people: Sequence[Person], seed: int) -> None:
        self.town = town
        self.people = people
        self.draw = random.Random(seed)  # noqa: S311  # a crowd by seed
        self.answers: list[httpx.Response] = []
        self.earnings: list[str] = []
        self.redemptions: list[str] = []

    async def act(self, number: int) -> None:
        """Do one thing."""
        kinds = [self.earn, self.pay, self.card, self.reverse]
        kind = self.draw.choices(kinds, weights=[4, 3, 3, 2])[0]
        await kind(self.draw.randrange(len(self.people)), number)

    async def earn(self, who: int, number: int) -> None:
        """Ring up a purchase, half of them with a tender."""
        shop = self.draw.choice([self.town.grocer, self.town.cafe])
        tender = {"source": self.town.processor.source, "token": f"tok-{who}", "auth_code": f"A{number % PAYMENTS}"}
        asked: dict[str, Any] = {"tender": tender} if self.draw.random() < 0.5 else {}
        amount_minor, points = self.draw.randint(1, 5000), self.draw.randint(1, 90)
        answer = await shop.earn(self.people[who], points=points, amount_minor=amount_minor, **asked)
        self.answers.append(answer)
        self.earnings.append(answer.json()["earning"])

    async def pay(self, who: int, number: int) -> None:
        """Pay with points, and capture or release them."""
        cafe, points = self.town.cafe, self.draw.randint(1, 60)
        answer = await cafe.reserve(points=points, proof={"pay_code": await self.people[who].pay_code()})
        self.answers.append(answer)
        if answer.status_code == 201:
            redemption = answer.json()["redemption"]
            self.answers.append(await (cafe.capture if number % 3 else cafe.release)(redemption))
            self.redemptions.append(redemption)

    async def card(self, who: int, number: int) -> None:
        """Report a card payment, twice."""
        message = card_message(
            self.town.grocer,
            f"tok-{who}",
            self.draw.choice(["authorisation", "clearing", "refund"]),
            auth_code=f"A{number % PAYMENTS}",
            payment_ref=f"p{who}-{number % PAYMENTS}",
            amount_minor=self.draw.randint(1, 5000),
        )
        self.answers.append(await self.town.processor.feed([message, message]))

    async def reverse(self, _: int, number: int) -> None:
        """Take something back, sometimes at the wrong brand or twice."""
        if self.earnings and number % 2:
            shop = self.draw.choice([self.town.grocer, self.town.cafe])
            self.answers.append(await shop.reverse(earning=self.draw.choice(self.earnings)))
        elif self.redemptions:
            self.answers.append(await self.town.cafe.reverse(redemption=self.draw.choice(self.redemptions)))


@pytest.mark.parametrize("seed", [1, 2])
async def test_the_books_add_up_after_a_crowd(town: Town, database: asyncpg.Pool, seed: int) -> None:
    """Nothing fails, no invariant is broken, and budgets and rewards are what the ledger says."""
    people = [await town.person(f"person{number}") for number in range(3)]
    await published(town.grocer, activation_required=False, budget_points=5_000)
    for number, person in enumerate(people):
        await town.processor.linked(person, f"tok-{number}")
    crowd = Crowd(town, people, seed)

    async def work() -> None:
        for _ in range(15):
            await town.work()
            await asyncio.sleep(0)

    await asyncio.gather(*(crowd.act(number) for number in range(ACTIONS)), work(), work())
    await town.work()

    unexpected = [each.text for each in crowd.answers if each.status_code not in {201, 202, 404, 409, 422}]
    assert unexpected == []
    assert sum(each.status_code in {201, 202} for each in crowd.answers) > ACTIONS // 2
    async with database.acquire() as connection:
        assert await check(connection) == []
    budget = await database.fetchrow(BUDGET)
    assert (budget["reserved_points"], budget["spent_points"]) == (budget["reserved_shares"], budget["spent_shares"])
    rewarded = await database.fetchval("SELECT sum(posted_points)::bigint FROM offers.reward")
    assert rewarded == await database.fetchval(ISSUED)
