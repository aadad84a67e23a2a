"""A member reads every purchase with what it earned, and for every offer why or why not."""

from koinon import ids
from tests.kit.scheme import assert_field
from tests.kit.town import Town, card_message
from tests.web.offers.bodies import published


async def test_a_purchase_says_why(town: Town) -> None:
    """What was bought before the activation earns nothing and says so; what came after follows the payment."""
    ada = await town.person()
    await town.processor.linked(ada, "tok-ada")
    offer = await published(town.grocer)
    await town.move_clock("2026-03-02T10:00:00Z")
    await ada.browser.post("/v1/me/activations", {"offer": offer})
    early = {"payment_ref": "a", "occurred_at": "2026-03-02T09:55:00Z"}
    late = {"payment_ref": "b", "occurred_at": "2026-03-02T10:05:00Z", "amount_minor": 5000}
    await town.processor.feed([card_message(town.grocer, "tok-ada", "authorisation", **early)])
    await town.work()
    await town.processor.feed([card_message(town.grocer, "tok-ada", "authorisation", **late)])
    await town.work()
    answer = (await ada.browser.get("/v1/me/purchases")).json()

    told = {"offer": offer, "name": "Ten for one", "brand": "Grocer"}
    second, first = answer["items"]
    assert answer["next"] is None
    assert second == {
        "purchase": second["purchase"],
        "occurred_at": "2026-03-02T10:05:00Z",
        "place": "Grocer High Street",
        "brand": "Grocer",
        "amount_minor": 5000,
        "currency": "EUR",
        "state": "pending",
        "seen_at_till": False,
        "seen_by_card": True,
        "points": 0,
        "pending_points": 500,
        "stated_points": 0,
        "decisions": [told | {"points": 500, "reason": None, "text": None}],
    }
    assert (first["points"], first["pending_points"]) == (0, 0)
    assert first["decisions"] == [
        told
        | {
            "points": 0,
            "reason": "before-activation",
            "text": "The purchase was made before you switched this offer on.",
        }
    ]

    await town.processor.feed(
        [
            card_message(town.grocer, "tok-ada", "clearing", **(late | {"amount_minor": 4800})),
            card_message(town.grocer, "tok-ada", "refund", **(late | {"amount_minor": 1200})),
        ]
    )
    await town.work()
    settled = (await ada.browser.get("/v1/me/purchases")).json()["items"][0]
    assert (settled["purchase"], settled["state"], settled["amount_minor"]) == (second["purchase"], "confirmed", 3600)
    assert (settled["points"], settled["pending_points"]) == (360, 0)


async def test_states_follow_the_payment(town: Town) -> None:
    """Cancelled, declined, refunded when all came back, less an early refund, and at a shop that nobody knows yet."""
    ada = await town.person()
    await town.processor.linked(ada, "tok-ada")
    grocer = town.grocer
    await town.processor.feed(
        [
            card_message(grocer, "tok-ada", "authorisation", payment_ref="a", occurred_at="2026-03-02T07:00:00Z"),
            card_message(grocer, "tok-ada", "auth_reversal", payment_ref="a", occurred_at="2026-03-02T07:05:00Z"),
            card_message(grocer, "tok-ada", "decline", payment_ref="d", occurred_at="2026-03-02T07:30:00Z"),
            card_message(grocer, "tok-ada", payment_ref="b", occurred_at="2026-03-02T08:00:00Z"),
            card_message(grocer, "tok-ada", "refund", payment_ref="b", occurred_at="2026-03-02T08:05:00Z"),
            card_message(grocer, "tok-ada", "authorisation", payment_ref="e", occurred_at="2026-03-02T08:10:00Z"),
            card_message(
                grocer, "tok-ada", "refund", payment_ref="e", occurred_at="2026-03-02T08:15:00Z", amount_minor=300
            ),
            card_message(
                grocer, "tok-ada", payment_ref="c", occurred_at="2026-03-02T08:30:00Z", merchant={"descriptor": "KIOSK"}
            ),
        ]
    )
    await town.work()
    items = (await ada.browser.get("/v1/me/purchases")).json()["items"]
    found = {each["occurred_at"]: (each["state"], each["amount_minor"], each["brand"]) for each in items}

    assert found == {
        "2026-03-02T07:00:00Z": ("cancelled", 0, "Grocer"),
        "2026-03-02T07:30:00Z": ("declined", 0, "Grocer"),
        "2026-03-02T08:00:00Z": ("refunded", 0, "Grocer"),
        "2026-03-02T08:10:00Z": ("pending", 700, "Grocer"),
        "2026-03-02T08:30:00Z": ("confirmed", 1000, None),
    }


async def test_a_till_and_a_card_show_one_purchase(town: Town) -> None:
    """The purchase of the earning that the till was answered with, seen twice and rewarded once, by the till alone."""
    ada = await town.person()
    await town.processor.linked(ada, "tok-ada")
    tender = {"source": town.processor.source, "token": "tok-ada", "auth_code": "A1B2C3"}
    earning = await town.grocer.earned(ada, 70, tender=tender)
    await town.processor.feed([card_message(town.grocer, "tok-ada")])
    await town.work()
    (item,) = (await ada.browser.get("/v1/me/purchases")).json()["items"]

    assert (item["seen_at_till"], item["seen_by_card"]) == (True, True)
    assert (item["points"], item["stated_points"]) == (70, 70)
    assert ids.private_record("pur", item["purchase"]) == ids.private_record("ern", earning)


async def test_purchases_come_a_page_at_a_time_and_are_ones_own(town: Town) -> None:
    """The latest recorded first, each once; another member's cursor is none."""
    ada, bob = await town.person(), await town.person("bob")
    made = [await town.grocer.earned(ada, 10) for _ in range(3)]
    await town.grocer.earned(bob, 10)
    first = (await ada.browser.get("/v1/me/purchases", limit=2)).json()
    second = (await ada.browser.get("/v1/me/purchases", limit=2, cursor=first["next"])).json()

    assert [each["purchase"] for each in first["items"] + second["items"]] == [
        each.replace("ern_", "pur_") for each in made[::-1]
    ]
    assert second["next"] is None
    assert_field(await bob.browser.get("/v1/me/purchases", cursor=first["next"]), "/cursor")
