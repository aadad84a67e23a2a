"""Members switch offers on: in the version and with the words of that moment, once, and only what has not ended."""

import asyncio
import hashlib
from datetime import UTC, datetime

import asyncpg

from tests.kit.scheme import assert_field, assert_refused, unchanged
from tests.kit.town import Town, card_message
from tests.web.offers.bodies import offer_body, published
from tests.web.offers.test_catalogue import TERMS

NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


async def test_what_can_be_switched_on_is_shown_with_its_terms(town: Town) -> None:
    """Offers of every brand, the newest first, those that need no switching on too."""
    ada = await town.person()
    grocers = await published(town.grocer)
    await town.move_clock("2026-03-02T10:00:00Z")
    cafes = await published(town.cafe, activation_required=False)
    items = (await ada.browser.get("/v1/me/offers")).json()["items"]

    assert [each["offer"] for each in items] == [cafes, grocers]
    assert [each["activation_required"] for each in items] == [False, True]
    assert items[1] == {
        "offer": grocers,
        "name": "Ten for one",
        "partner": "grocer",
        "brand": "Grocer",
        "terms": TERMS,
        "starts_at": "2026-03-01T00:00:00",
        "ends_at": "2026-04-01T00:00:00",
        "activation_required": True,
        "activated_at": None,
        "points": 0,
        "pending_points": 0,
    }


async def test_an_activation_freezes_version_and_words(town: Town, database: asyncpg.Pool) -> None:
    """What is published later changes nothing for whoever switched the offer on before; the hash proves the words."""
    ada = await town.person()
    offer = await published(town.grocer)
    answer = await ada.browser.post("/v1/me/activations", {"offer": offer})

    assert (answer.status_code, answer.json()) == (
        201,
        {
            "offer": offer,
            "version": 1,
            "name": "Ten for one",
            "brand": "Grocer",
            "activated_at": "2026-03-02T09:00:00Z",
            "terms": TERMS,
            "terms_sha256": hashlib.sha256(TERMS.encode()).hexdigest(),
            "new": True,
        },
    )
    changed = offer_body(name="One for one", earn={"type": "per_amount", "points": 1, "amount_minor": 100})
    assert (await town.grocer.api.post(f"/v1/offers/{offer}/versions", changed)).status_code == 201

    (item,) = (await ada.browser.get("/v1/me/offers")).json()["items"]
    assert (item["name"], item["terms"], item["activated_at"]) == ("Ten for one", TERMS, "2026-03-02T09:00:00Z")
    earned = await town.grocer.earn(ada)
    assert earned.json()["points"] == 100
    (item,) = (await ada.browser.get("/v1/me/offers")).json()["items"]
    assert (item["points"], item["pending_points"]) == (100, 0)
    row = await database.fetchrow("SELECT * FROM offers.activation")
    assert (row["account_id"], row["activated_at"], row["terms"]) == (ada.account_id, NINE, TERMS)


async def test_an_offer_is_switched_on_once(town: Town, database: asyncpg.Pool) -> None:
    """Again, under another key and later, it is answered with 200 as it was switched on."""
    ada = await town.person()
    offer = await published(town.grocer)
    first = await ada.browser.post("/v1/me/activations", {"offer": offer}, key="k")
    await town.move_clock("2026-03-02T12:00:00Z")
    replayed = await ada.browser.post("/v1/me/activations", {"offer": offer}, key="k")
    again = await ada.browser.post("/v1/me/activations", {"offer": offer})

    assert (replayed.status_code, replayed.json()) == (201, first.json())
    assert (again.status_code, again.json()) == (200, first.json() | {"new": False})
    assert await database.fetchval("SELECT count(*) FROM offers.activation") == 1


async def test_parallel_activations_are_one(town: Town, database: asyncpg.Pool) -> None:
    """Of ten calls at once one switches the offer on, and the others are told so."""
    ada = await town.person()
    offer = await published(town.grocer)
    answers = await asyncio.gather(*(ada.browser.post("/v1/me/activations", {"offer": offer}) for _ in range(10)))

    assert sorted(answer.status_code for answer in answers) == [200] * 9 + [201]
    assert await database.fetchval("SELECT count(*) FROM offers.activation") == 1


async def test_what_cannot_be_switched_on_is_refused(town: Town, database: asyncpg.Pool) -> None:
    """What nobody knows, what needs no switching on, what has ended; and another programme's offer is unknown."""
    ada = await town.person()
    standing = await published(town.cafe, activation_required=False)
    ended = await published(town.grocer, starts_at="2026-01-01T00:00:00", ends_at="2026-03-02T11:00:00")
    elsewhere = await published((await town.another_programme(code="other")).grocer)
    async with unchanged(database):
        for offer, status, code in (
            ("off_nonsense", 404, "unknown-offer"),
            (elsewhere, 404, "unknown-offer"),
            (standing, 422, "activation-not-needed"),
            (ended, 422, "offer-ended"),
        ):
            assert_refused(await ada.browser.post("/v1/me/activations", {"offer": offer}), status, code)
        assert_refused(await town.grocer.api.post("/v1/me/activations", {"offer": standing}), 403, "scope-missing")
        assert [each["offer"] for each in (await ada.browser.get("/v1/me/offers")).json()["items"]] == [standing]


async def test_an_offer_ends_on_the_shops_clock(town: Town) -> None:
    """At 09:00 UTC it is 11:00 in Helsinki: an offer until 11:00 has ended, one until 11:01 has not."""
    ada = await town.person()
    lasting = await published(town.grocer, ends_at="2026-03-02T11:01:00", places=[town.grocer.place])
    await published(town.grocer, ends_at="2026-03-02T11:00:00", places=[town.grocer.place])

    assert [each["offer"] for each in (await ada.browser.get("/v1/me/offers")).json()["items"]] == [lasting]
    assert (await ada.browser.post("/v1/me/activations", {"offer": lasting})).status_code == 201
    await town.move_clock("2026-03-02T09:01:00Z")
    assert (await ada.browser.get("/v1/me/offers")).json()["items"] == []
    assert (await ada.browser.post("/v1/me/activations", {"offer": lasting})).status_code == 200


async def test_a_card_purchase_follows_the_activation(town: Town) -> None:
    """Pending points stand beside the offer and in the wallet until the clearing."""
    ada = await town.person()
    await town.processor.linked(ada, "tok-ada")
    offer = await published(town.grocer)
    await ada.browser.post("/v1/me/activations", {"offer": offer})
    await town.processor.feed([card_message(town.grocer, "tok-ada", "authorisation", payment_ref="p")])
    await town.work()
    (item,) = (await ada.browser.get("/v1/me/offers")).json()["items"]

    assert (item["points"], item["pending_points"]) == (0, 100)
    await town.processor.feed([card_message(town.grocer, "tok-ada", payment_ref="p")])
    await town.work()
    (item,) = (await ada.browser.get("/v1/me/offers")).json()["items"]
    assert (item["points"], item["pending_points"]) == (100, 0)


async def test_pages_of_offers_skip_what_has_ended(town: Town) -> None:
    """Each that has not ended comes once."""
    ada = await town.person()
    kept = []
    for number in range(5):
        ends_at = "2026-03-02T10:00:00" if number % 2 else "2026-04-01T00:00:00"
        offer = await published(town.grocer, ends_at=ends_at)
        kept += [] if number % 2 else [offer]
    first = (await ada.browser.get("/v1/me/offers", limit=2)).json()
    second = (await ada.browser.get("/v1/me/offers", limit=2, cursor=first["next"])).json()

    assert [len(first["items"]), len(second["items"]), second["next"]] == [2, 1, None]
    assert sorted(each["offer"] for each in first["items"] + second["items"]) == sorted(kept)
    assert_field(await ada.browser.get("/v1/me/offers", cursor="nonsense"), "/cursor")
