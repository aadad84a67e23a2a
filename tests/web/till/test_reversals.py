"""Reversals over HTTP: an earning is taken back whole while its points are there; a burn goes back to its lots."""

import asyncio
from typing import Any

import asyncpg

from koinon import ids
from tests.kit.scheme import assert_field, assert_refused, unchanged
from tests.kit.town import Town, card_message
from tests.web.offers.bodies import published


async def test_an_earning_is_taken_back(town: Town, database: asyncpg.Pool) -> None:
    """Its points leave the wallet, and the receipt says how many fewer were issued."""
    ada = await town.person()
    earning = await town.grocer.earned(ada, 40)
    await town.cafe.earned(ada, 7)
    answer = await town.grocer.reverse(earning=earning, reason="returned")

    body = answer.json()
    assert answer.status_code == 201
    assert body["points"] == 40
    assert [
        (receipt["effect"], receipt["partner"], receipt["points"], receipt["window"]) for receipt in body["receipts"]
    ] == [("issued", "grocer", "-40", "1")]
    assert await ada.balance() == (7, 0)
    lot = await database.fetchrow("SELECT remaining FROM ledger.lot WHERE quantity = 40")
    assert lot["remaining"] == 0
    journal = await database.fetchrow("SELECT * FROM ledger.journal WHERE kind = 'reverse_earn'")
    assert (journal["reason"], journal["member_id"]) == ("returned", ids.private("mem", ada.member))
    assert (await ada.browser.get("/v1/me/history")).json()["items"][0]["reason"] == "returned"


async def test_a_retry_is_answered_the_same(town: Town, database: asyncpg.Pool) -> None:
    """Of an earning and of a redemption, under the longest of keys."""
    ada = await town.person()
    earning = await town.grocer.earned(ada, 40)
    await town.grocer.earned(ada, 50)
    redemption = await town.cafe.captured(ada, 50)
    key = "k" * 255
    first = [
        await town.grocer.reverse(earning=earning, key=key),
        await town.cafe.reverse(redemption=redemption, key=key),
    ]
    assert [answer.status_code for answer in first] == [422, 201]
    async with unchanged(database):
        again = await town.cafe.reverse(redemption=redemption, key=key)
        assert (again.status_code, again.json()) == (201, first[1].json())
        assert again.headers["Idempotent-Replayed"] == "true"
        other = await town.cafe.reverse(redemption=redemption, reason="mistake", key=key)
        assert_refused(other, 409, "idempotency-key-reused")
    assert (await town.grocer.reverse(earning=earning, key=key)).status_code == 201


async def test_points_that_were_spent(town: Town, database: asyncpg.Pool) -> None:
    """The reversal is refused whole, and nothing changes anywhere: the offer's budget, its shares, its rewards."""
    ada = await town.person()
    await published(town.grocer, budget_points=1000, activation_required=False)
    earned = (await town.grocer.earn(ada, amount_minor=500)).json()
    assert earned["points"] == 50
    await town.cafe.captured(ada, 1)
    async with unchanged(database):
        refused = await town.grocer.reverse(earning=earned["earning"])
        assert_refused(refused, 422, "points-already-spent", missing_points=1)
    assert await database.fetchval("SELECT spent_points FROM offers.budget") == 50


async def test_a_refused_reversal_gives_back_what_budgets_granted(town: Town, database: asyncpg.Pool) -> None:
    """The card's reward would have taken the earning's place: once the reversal is refused its budget is free again."""
    ada = await town.person()
    await town.processor.linked(ada, "tok-ada")
    await published(town.grocer, budget_points=120, activation_required=False)
    await town.processor.feed([card_message(town.grocer, "tok-ada")])
    await town.work()
    tender = {"source": town.processor.source, "token": "tok-ada", "auth_code": "A1B2C3"}
    earning = await town.grocer.earned(ada, 250, tender=tender)
    await town.work()
    left = "SELECT cap_points - reserved_points - spent_points FROM offers.budget"
    assert await database.fetchval(left) == 120
    await town.cafe.captured(ada, 250)
    assert_refused(await town.grocer.reverse(earning=earning), 422, "points-already-spent", missing_points=250)
    await town.work()
    assert await database.fetchval(left) == 120
    assert await ada.balance() == (0, 0)


async def test_points_that_are_held(town: Town, database: asyncpg.Pool) -> None:
    """What a till holds is not there to be taken back, and is once the till gives it back."""
    ada = await town.person()
    earning = await town.grocer.earned(ada, 40)
    redemption = await town.cafe.reserved(ada, 10)
    async with unchanged(database):
        assert_refused(await town.grocer.reverse(earning=earning), 422, "points-already-spent", missing_points=10)
    await town.cafe.release(redemption)
    assert (await town.grocer.reverse(earning=earning)).status_code == 201
    assert await ada.balance() == (0, 0)


async def test_a_reversal_gives_the_budget_back(town: Town, database: asyncpg.Pool) -> None:
    """What was not earned in the end is there for others."""
    ada = await town.person()
    await published(town.grocer, budget_points=60, activation_required=False)
    first = (await town.grocer.earn(ada, amount_minor=500)).json()
    second = (await town.grocer.earn(ada, amount_minor=500)).json()
    assert (first["points"], second["points"], second["reasons"]) == (50, 10, ["budget-exhausted"])
    await town.grocer.reverse(earning=first["earning"])
    budget = await database.fetchrow("SELECT reserved_points, spent_points FROM offers.budget")
    assert tuple(budget) == (0, 10)
    assert (await town.grocer.earn(ada, amount_minor=500)).json()["points"] == 50


async def test_an_earning_is_taken_back_once(town: Town, database: asyncpg.Pool) -> None:
    """The second time it is refused, also when ten come at once."""
    ada = await town.person()
    earning = await town.grocer.earned(ada, 40)
    answers = await asyncio.gather(*(town.grocer.reverse(earning=earning) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 9
    assert await ada.balance() == (0, 0)
    async with unchanged(database):
        assert_refused(await town.grocer.reverse(earning=earning), 409, "already-reversed")


async def test_many_reversals_at_once(town: Town) -> None:
    """More than the pool has connections, each with a budget to give back: none waits for ever."""
    people = [await town.person(f"person{number}") for number in range(24)]
    await published(town.grocer, budget_points=10_000, activation_required=False)
    earned = await asyncio.gather(*(town.grocer.earn(person) for person in people))
    answers = await asyncio.gather(*(town.grocer.reverse(earning=each.json()["earning"]) for each in earned))
    assert [answer.status_code for answer in answers] == [201] * 24
    assert {await person.balance() for person in people} == {(0, 0)}


async def test_a_burn_goes_back_to_its_lots(town: Town, database: asyncpg.Pool) -> None:
    """The same lots hold what they held, at the versions of the capture."""
    ada = await town.person()
    await town.grocer.earned(ada, 30)
    await town.cafe.earned(ada, 30)
    redemption = await town.cafe.captured(ada, 40)
    before = await database.fetch("SELECT lot_id, remaining FROM ledger.lot ORDER BY lot_id")
    assert sorted(row["remaining"] for row in before) == [0, 20]
    body = (await town.cafe.reverse(redemption=redemption)).json()

    assert body["points"] == 40
    assert [(each["effect"], each["partner"], each["points"]) for each in body["receipts"]] == [
        ("accepted", "cafe", "-40")
    ]
    assert [row["remaining"] for row in await database.fetch("SELECT remaining FROM ledger.lot")] == [30, 30]
    assert await ada.balance() == (60, 0)
    legs = await database.fetch(
        "SELECT debit_kind, credit_kind, issuer_version, acceptor_version, sum(amount)::bigint FROM ledger.movement "
        "WHERE 'honoured' IN (debit_kind, credit_kind) GROUP BY 1, 2, 3, 4 ORDER BY 1"
    )
    assert [tuple(leg) for leg in legs] == [("held", "honoured", 1, 1, 40), ("honoured", "wallet", 1, 1, 40)]


async def test_a_burn_is_taken_back_once(town: Town, database: asyncpg.Pool) -> None:
    """The second time it is refused, also when ten come at once."""
    ada = await town.person()
    await town.grocer.earned(ada, 40)
    redemption = await town.cafe.captured(ada, 40)
    answers = await asyncio.gather(*(town.cafe.reverse(redemption=redemption) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 9
    assert await ada.balance() == (40, 0)
    async with unchanged(database):
        assert_refused(await town.cafe.reverse(redemption=redemption), 409, "already-reversed")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "/earning"),
    ({"earning": "ern_1", "redemption": "red_1"}, "/earning"),
    ({"earning": 5}, "/earning"),
    ({"earning": "e" * 65}, "/earning"),
    ({"earning": "ern_1", "reason": "because"}, "/reason"),
]


async def test_what_cannot_be_taken_back(town: Town, database: asyncpg.Pool) -> None:
    """Another brand's, one that never was, a redemption that is only reserved, and a request that names nothing."""
    ada = await town.person()
    earning = await town.grocer.earned(ada, 40)
    reserved, captured = await town.cafe.reserved(ada, 5), await town.cafe.captured(ada, 5)
    async with unchanged(database):
        for shop, asked, code in (
            (town.cafe, {"earning": earning}, "unknown-earning"),
            (town.grocer, {"earning": "ern_" + "0" * 39}, "unknown-earning"),
            (town.grocer, {"earning": "red" + earning[3:]}, "unknown-earning"),
            (town.grocer, {"redemption": captured}, "unknown-redemption"),
            (town.cafe, {"redemption": reserved}, "unknown-redemption"),
            (town.cafe, {"redemption": "red_" + "0" * 39}, "unknown-redemption"),
            (town.cafe, {"redemption": earning}, "unknown-redemption"),
        ):
            assert_refused(await shop.reverse(**asked), 404, code)
        for asked, pointer in WRONG:
            assert_field(await town.grocer.reverse(**asked), pointer)
