"""Earnings over HTTP: a till reports a purchase, and the member has the points when it is answered."""

import asyncio
from typing import Any

import asyncpg

from tests.kit.scheme import assert_field, assert_refused, unchanged
from tests.kit.town import Person, Town


async def test_points_that_the_brand_states(town: Town, database: asyncpg.Pool) -> None:
    """They are in the wallet when the till is answered, as one lot that lives as long as the programme says."""
    ada = await town.person()
    answer = await town.grocer.earn(ada, points=40, receipt="R-17")

    body = answer.json()
    assert answer.status_code == 201
    assert body == {
        "earning": body["earning"],
        "points": 40,
        "pending_points": 0,
        "balance": 40,
        "reasons": [],
        "receipts": [
            {
                "effect": "issued",
                "journal": body["receipts"][0]["journal"],
                "partner": "grocer",
                "points": "40",
                "programme": "league",
                "unit": "points",
                "version": "1",
                "window": "1",
            }
        ],
    }
    assert await ada.balance() == (40, 0)
    lot = await database.fetchrow("SELECT * FROM ledger.lot")
    assert (lot["quantity"], lot["remaining"], lot["issuer_version"], str(lot["expires_on"])) == (
        40,
        40,
        1,
        "2028-03-02",
    )


async def test_a_retry_is_answered_the_same(town: Town, database: asyncpg.Pool) -> None:
    """The same key and content gives the same earning again, says so, and posts nothing."""
    ada = await town.person()
    first = await town.grocer.earn(ada, points=40, key="k")
    async with unchanged(database):
        again = await town.grocer.earn(ada, points=40, key="k")

    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers


async def test_two_retries_at_once_are_one_earning(town: Town, database: asyncpg.Pool) -> None:
    """In one batch or in two, a key earns once."""
    ada = await town.person()
    answers = await asyncio.gather(*(town.grocer.earn(ada, points=40, key="k") for _ in range(8)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["earning"] for answer in answers}) == 1
    assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == 7
    assert await ada.balance() == (40, 0)


async def test_a_key_that_was_used_for_another_member(town: Town, database: asyncpg.Pool) -> None:
    """Another member is another content: refused, nothing changed; also when both come at once."""
    ada, bob = await town.person(), await town.person("bob")
    await town.grocer.earn(ada, points=40, key="k")
    async with unchanged(database):
        assert_refused(await town.grocer.earn(bob, points=40, key="k"), 409, "idempotency-key-reused")

    answers = await asyncio.gather(*(town.grocer.earn(each, points=1, key="both") for each in (ada, bob)))
    assert [answer.status_code for answer in answers] == [201, 409]
    assert (await ada.balance(), await bob.balance()) == ((41, 0), (0, 0))


async def test_two_brands_may_use_the_same_key(town: Town) -> None:
    """A key belongs to its caller."""
    ada = await town.person()
    answers = [await shop.earn(ada, points=5, key="k") for shop in (town.grocer, town.cafe)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert await ada.balance() == (10, 0)


async def test_tills_at_once_share_transactions(town: Town, database: asyncpg.Pool) -> None:
    """Thirty-two earnings of one moment are posted in a few transactions, and every one stands."""
    people = [await town.person(f"person{number}") for number in range(4)]
    answers = await asyncio.gather(
        *(town.grocer.earn(people[number % 4], points=number + 1, receipt=str(number)) for number in range(32))
    )

    assert [answer.json()["points"] for answer in answers] == list(range(1, 33))
    assert [await person.balance() for person in people] == [(120 + 8 * place, 0) for place in range(4)]
    for place in range(4):
        balances = sorted(answer.json()["balance"] for answer in answers[place::4])
        assert balances[-1] == 120 + 8 * place
        assert len(set(balances)) == 8
    row = await database.fetchrow(
        "SELECT count(*) AS rows, count(DISTINCT transaction_id) AS commits FROM ledger.journal"
    )
    assert row["rows"] == 32
    assert row["commits"] <= 4


async def test_a_refused_earning_does_not_harm_its_batch(town: Town) -> None:
    """Of tills that are posted together, the wrong one alone is refused."""
    ada = await town.person()
    stranger = Person(member="mem_" + "0" * 13, account_id=0, browser=ada.browser)
    answers = await asyncio.gather(
        *(town.grocer.earn(stranger if number == 3 else ada, points=1) for number in range(8))
    )
    assert [answer.status_code for answer in answers] == [404 if number == 3 else 201 for number in range(8)]
    assert await ada.balance() == (7, 0)


async def test_a_purchase_that_earns_nothing(town: Town, database: asyncpg.Pool) -> None:
    """Without stated points and without an offer, the purchase is known and earns nothing."""
    ada = await town.person()
    answer = await town.grocer.earn(ada)
    assert (answer.status_code, answer.json()["points"], answer.json()["receipts"]) == (201, 0, [])
    assert await database.fetchval("SELECT count(*) FROM offers.till_sighting") == 1
    assert await database.fetchval("SELECT count(*) FROM ledger.journal") == 0


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"amount_minor": -5}, "/amount_minor"),
    ({"amount_minor": 0}, "/amount_minor"),
    ({"amount_minor": 10.5}, "/amount_minor"),
    ({"amount_minor": 10**15 + 1}, "/amount_minor"),
    ({"amount_minor": 10**30}, "/amount_minor"),
    ({"amount_minor": ...}, ""),
    ({"currency": "XXX"}, "/currency"),
    ({"currency": "eur"}, "/currency"),
    ({"currency": "a\u0000b"}, "/currency"),
    ({"points": 0}, "/points"),
    ({"points": -1}, "/points"),
    ({"points": 10**12 + 1}, "/points"),
    ({"points": 1.5}, "/points"),
    ({"member": "mem_1"}, "/member"),
    ({"member": "a\u0000b"}, "/member"),
    ({"place": "par_" + "0" * 13}, "/place"),
    ({"occurred_at": "2026-03-02T09:00:00"}, "/occurred_at"),
    ({"occurred_at": "2026-03-02T09:11:00Z"}, "/occurred_at"),
    ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "/occurred_at"),
    ({"occurred_at": "9999-12-31T23:59:59-14:00"}, "/occurred_at"),
    ({"receipt": ""}, "/receipt"),
    ({"receipt": "a\u0000b"}, "/receipt"),
    ({"tender": {"source": "src_1", "token": "t", "auth_code": "1"}}, "/tender/source"),
    ({"tender": {"source": "src_" + "0" * 13, "token": "a\u0000b", "auth_code": "1"}}, "/tender/token"),
    ({"tender": {"source": "src_" + "0" * 13, "token": "t", "auth_code": "\u0000"}}, "/tender/auth_code"),
    ({"colour": "red"}, ""),
]


async def test_a_wrong_field_is_named(town: Town, database: asyncpg.Pool) -> None:
    """Nothing is recorded, and the answer points at the field."""
    ada = await town.person()
    async with unchanged(database):
        for changes, pointer in WRONG:
            assert_field(await town.grocer.earn(ada, **({"points": 5} | changes)), pointer)


async def test_an_earning_that_cannot_be(town: Town, database: asyncpg.Pool) -> None:
    """Another brand's place, a member of nowhere, and a brand without a contract are refused and leave no trace."""
    ada = await town.person()
    bare = await town.shop("bare", contracted=False)
    stranger = Person(member="mem_" + "0" * 13, account_id=0, browser=ada.browser)
    async with unchanged(database):
        assert_refused(await town.grocer.earn(stranger, points=5), 404, "unknown-member")
        assert_refused(await town.grocer.earn(ada, points=5, place=town.cafe.place), 404, "unknown-place")
        assert_refused(await bare.earn(ada, points=5), 422, "contract-missing", partner="bare")
        early = await town.grocer.earn(ada, points=5, occurred_at="2026-03-02T08:00:00Z")
        assert_refused(early, 422, "contract-missing", partner="grocer")
