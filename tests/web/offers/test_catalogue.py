"""Offers over HTTP: published by partners, never another's to see, and budgets that only fall to what is used."""

from typing import Any

import asyncpg

from koinon.members.model import Pending
from offers.catalogue.operations import pending_points
from tests.kit.scheme import assert_field, assert_refused, unchanged
from tests.kit.town import Town, card_message
from tests.web.offers.bodies import offer_body, published

TERMS = (
    "Get 10 points for every €1.00 at Grocer, rounded down."
    " From 1 March 2026, 00:00 until 1 April 2026, 00:00, local time at the shop."
    " Switch the offer on first: earlier purchases do not count."
    " Your points are pending until the payment is settled, and follow what you finally paid."
    " A refund takes back its part."
    " If several offers fit a purchase, the one that gives you most counts."
)
SAID = {
    "name": "Ten for one",
    "currency": "EUR",
    "earn": {"type": "per_amount", "points": 10, "amount_minor": 100},
    "starts_at": "2026-03-01T00:00:00",
    "ends_at": "2026-04-01T00:00:00",
    "places": [],
    "minimum_minor": 0,
    "cap_points_per_payment": None,
    "budget_points": None,
    "weekdays": [],
    "hours": [],
    "channels": [],
    "mcc_included": [],
    "mcc_excluded": [],
    "stack_group": "purchase",
    "activation_required": True,
}

CONTRADICTORY: list[tuple[dict[str, Any], str, str]] = [
    ({"ends_at": "2026-03-01T00:00:00"}, "/ends_at", "ends-before-start"),
    ({"ends_at": "2026-02-01T00:00:00"}, "/ends_at", "ends-before-start"),
    ({"ends_at": "2026-04-01T00:00:00Z"}, "/ends_at", "unwanted-offset"),
    ({"currency": "XXX"}, "/currency", "unknown-currency"),
    ({"weekdays": [1, 1]}, "/weekdays", "listed-twice"),
    ({"hours": [{"since": "09:00:00", "until": "09:00:00"}]}, "/hours/0", "empty-hours"),
    ({"mcc_included": ["5411"], "mcc_excluded": ["5411"]}, "/mcc_excluded", "included-and-excluded"),
    ({"earn": {"type": "fixed", "points": 100}, "budget_points": 99}, "/budget_points", "budget-below-reward"),
]
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "/name"),
    ({"name": "a\u0000b"}, "/name"),
    ({"name": "a" * 121}, "/name"),
    ({"earn": {"type": "fixed", "points": 0}}, "/earn/points"),
    ({"earn": {"type": "fixed", "points": 1.5}}, "/earn/points"),
    ({"earn": {"type": "fixed", "points": 10**30}}, "/earn/points"),
    ({"earn": {"type": "percent", "points": 1}}, "/earn/type"),
    ({"minimum_minor": -1}, "/minimum_minor"),
    ({"budget_points": 0}, "/budget_points"),
    ({"weekdays": [8]}, "/weekdays/0"),
    ({"mcc_included": ["54"]}, "/mcc_included/0"),
    ({"channels": ["by_boat"]}, "/channels/0"),
    ({"starts_at": "yesterday"}, "/starts_at"),
    ({"stack_group": "A B"}, "/stack_group"),
    ({"offer_id": 1}, ""),
]


async def test_an_offer_is_published_whole(town: Town) -> None:
    """It is answered with everything that was said, the terms that members read, and no budget when it has none."""
    answer = await town.grocer.api.post("/v1/offers", offer_body())

    made = answer.json()
    assert answer.status_code == 201
    assert made == {
        "offer": made["offer"],
        "partner": town.grocer.partner,
        "created_at": "2026-03-02T09:00:00Z",
        "current": SAID | {"version": 1, "published_at": "2026-03-02T09:00:00Z", "terms": TERMS},
        "budget": None,
    }
    read = await town.grocer.api.get(f"/v1/offers/{made['offer']}")
    assert read.json() == made | {"versions": [made["current"]]}


async def test_every_rule_can_be_published(town: Town) -> None:
    """Places, minimum, caps, weekdays, hours, channels and merchant categories come back as they were given."""
    body = offer_body(
        earn={"type": "fixed", "points": 500},
        places=[town.grocer.place],
        minimum_minor=2000,
        cap_points_per_payment=400,
        budget_points=10_000,
        weekdays=[6, 7],
        hours=[{"since": "09:00:00", "until": "17:30:00"}],
        channels=["in_store"],
        mcc_included=["5411"],
        mcc_excluded=["5541"],
        stack_group="weekend",
        activation_required=False,
    )
    made = (await town.grocer.api.post("/v1/offers", body)).json()

    assert {name: made["current"][name] for name in body} == body
    assert made["budget"] == {"cap_points": 10_000, "reserved_points": 0, "spent_points": 0, "left_points": 10_000}
    assert made["current"]["terms"].startswith(
        "Get 500 points for a purchase at Grocer (Grocer High Street) when you spend at least €20.00."
    )


async def test_a_retry_publishes_nothing_more(town: Town, database: asyncpg.Pool) -> None:
    """The same key and content is answered the same; with other content it is refused."""
    first = await town.grocer.api.post("/v1/offers", offer_body(), key="k")
    async with unchanged(database):
        again = await town.grocer.api.post("/v1/offers", offer_body(), key="k")
        other = await town.grocer.api.post("/v1/offers", offer_body(name="Another"), key="k")

    assert (again.status_code, again.json()) == (201, first.json())
    assert_refused(other, 409, "idempotency-key-reused")
    assert await database.fetchval("SELECT count(*) FROM offers.offer_version") == 1


async def test_rules_that_contradict_each_other_are_refused(town: Town, database: asyncpg.Pool) -> None:
    """Each fault is named by its pointer and code, for a new offer and for a version of one; nothing is published."""
    offer = await published(town.grocer)
    async with unchanged(database):
        for path in ("/v1/offers", f"/v1/offers/{offer}/versions"):
            for changes, pointer, code in CONTRADICTORY:
                answer = await town.grocer.api.post(path, offer_body(**changes))

                assert_refused(answer, 422, "offer-invalid")
                assert [(error["pointer"], error["code"]) for error in answer.json()["errors"]] == [(pointer, code)]


async def test_a_field_of_the_wrong_kind_is_refused(town: Town, database: asyncpg.Pool) -> None:
    """The pointer names the field, and nothing is published."""
    async with unchanged(database):
        for changes, pointer in WRONG:
            assert_field(await town.grocer.api.post("/v1/offers", offer_body(**changes)), pointer)


async def test_places_are_the_partners_own(town: Town, database: asyncpg.Pool) -> None:
    """Another brand's place is unknown, as is what is no place."""
    async with unchanged(database):
        answer = await town.grocer.api.post(
            "/v1/offers", offer_body(places=[town.grocer.place, town.cafe.place, "pla_nonsense"])
        )

    assert_refused(answer, 404, "unknown-place")
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/places/1", "/places/2"]


async def test_versions_are_kept(town: Town) -> None:
    """A new version becomes the current one; the older ones stand as they were published."""
    offer = await published(town.grocer)
    first = (await town.grocer.api.get(f"/v1/offers/{offer}")).json()["current"]
    await town.move_clock("2026-03-03T09:00:00Z")
    answer = await town.grocer.api.post(f"/v1/offers/{offer}/versions", offer_body(name="Twelve for one"))

    second = answer.json()["current"]
    assert answer.status_code == 201
    assert (second["version"], second["name"], second["published_at"]) == (2, "Twelve for one", "2026-03-03T09:00:00Z")
    assert (await town.grocer.api.get(f"/v1/offers/{offer}")).json()["versions"] == [second, first]


async def test_a_budget_falls_to_what_is_used_and_no_lower(town: Town, database: asyncpg.Pool) -> None:
    """100 points stand, 50 are expected: a budget of 149 is refused, 150 and more are taken."""
    offer = await published(town.grocer, activation_required=False, budget_points=1000)
    ada = await town.person()
    await town.processor.linked(ada, "tok-ada")
    await town.processor.feed(
        [
            card_message(town.grocer, "tok-ada", payment_ref="a"),
            card_message(town.grocer, "tok-ada", "authorisation", amount_minor=500, payment_ref="b"),
        ]
    )
    await town.work()

    async def publish(points: int | None) -> Any:
        body = offer_body(activation_required=False) | ({} if points is None else {"budget_points": points})
        return await town.grocer.api.post(f"/v1/offers/{offer}/versions", body)

    async with unchanged(database):
        assert_refused(await publish(149), 422, "budget-below-used", used_points=150, budget_points=149)
    assert (await publish(150)).json()["budget"] == {
        "cap_points": 150,
        "reserved_points": 50,
        "spent_points": 100,
        "left_points": 0,
    }
    async with unchanged(database):
        without = await publish(None)
        assert_refused(without, 422, "offer-invalid")
        assert [each["pointer"] for each in without.json()["errors"]] == ["/budget_points"]
    assert (await publish(5000)).json()["budget"]["left_points"] == 4850
    listed = (await town.grocer.api.get("/v1/offers")).json()["items"]
    assert [(each["offer"], each["current"]["version"], each["budget"]["spent_points"]) for each in listed] == [
        (offer, 3, 100)
    ]
    assert await pending_points(database, account_id=ada.account_id, member_id=0) == [
        Pending(partner="grocer", brand="Grocer", points=50)
    ]


async def test_a_partner_never_sees_anothers_offers(town: Town, database: asyncpg.Pool) -> None:
    """Not in its list, not by id, not to publish a version of; the operator sees all, or one partner's."""
    own = await published(town.grocer)
    await town.move_clock("2026-03-02T10:00:00Z")
    other = await published(town.cafe)

    async with unchanged(database):
        assert [each["offer"] for each in (await town.grocer.api.get("/v1/offers")).json()["items"]] == [own]
        for stranger in (other, "off_nonsense"):
            assert_refused(await town.grocer.api.get(f"/v1/offers/{stranger}"), 404, "unknown-offer")
            answer = await town.grocer.api.post(f"/v1/offers/{stranger}/versions", offer_body())
            assert_refused(answer, 404, "unknown-offer")
        asked = await town.grocer.api.get("/v1/offers", partner=town.cafe.partner)
        assert_refused(asked, 404, "unknown-partner")
    everybodys = (await town.scheme.operator.get("/v1/offers")).json()["items"]
    assert [each["offer"] for each in everybodys] == [other, own]
    cafes = (await town.scheme.operator.get("/v1/offers", partner=town.cafe.partner)).json()["items"]
    assert [each["offer"] for each in cafes] == [other]


async def test_offers_come_a_page_at_a_time(town: Town) -> None:
    """The newest first, each once; the last page has no next one."""
    made = [await published(town.grocer, name=f"Offer {number}") for number in range(5)]
    seen: list[str] = []
    cursor: dict[str, Any] = {}
    sizes = []
    while True:
        page = (await town.grocer.api.get("/v1/offers", limit=2, **cursor)).json()
        sizes.append(len(page["items"]))
        seen += [each["offer"] for each in page["items"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}

    assert sizes == [2, 2, 1]
    assert sorted(seen) == sorted(made)
    assert_field(await town.grocer.api.get("/v1/offers", cursor="nonsense"), "/cursor")


async def test_publishing_needs_its_scope(town: Town, database: asyncpg.Pool) -> None:
    """The operator publishes nothing, nobody reads nothing."""
    ada = await town.person()
    async with unchanged(database):
        assert_refused(await town.scheme.operator.post("/v1/offers", offer_body()), 403, "scope-missing")
        assert_refused(await ada.browser.post("/v1/offers", offer_body()), 403, "scope-missing")
        assert_refused(await ada.browser.get("/v1/offers"), 403, "scope-missing")
