"""A member's pages: what they show, the forms that they send, and what those leave alone."""

import asyncpg
import pytest

from koinon import ids
from koinon.clock import machine_now
from koinon.database import pool
from koinon.members import pay_codes
from tests.kit.scheme import unchanged
from tests.kit.town import Person, Town, card_message
from tests.web.offers.bodies import published
from tests.web.pages.conftest import Browser, browser_of
from tests.web.pages.reading import Element, read


@pytest.fixture
async def ada(town: Town) -> Person:
    """Give a member."""
    return await town.person()


@pytest.fixture
def phone(ada: Person) -> Browser:
    """Give the member's browser."""
    return browser_of(ada.browser)


def events(page: Element) -> list[tuple[str, str, str]]:
    """Return (what, points, more) of what happened."""
    return [
        (each.all("p")[0].text, each.all("p")[1].text, each.all("p")[2].text)
        for each in page.all("li")
        if each.parent is not None and each.parent.attributes.get("class") == "events"
    ]


async def test_the_wallet_is_one_balance_by_brand(town: Town, ada: Person, phone: Browser) -> None:
    """The number, what it is worth, a ring whose text says the same, the brands, what is held, what expires."""
    await town.grocer.earned(ada, 3000)
    await town.cafe.earned(ada, 1000)
    await town.grocer.reserved(ada, 500)
    page = await phone.page("/me")

    wallet = page.named(**{"aria-labelledby": "wallet-title"})
    assert wallet.named(role="img").attributes["aria-label"] == (
        "Ring of your free points by brand: Grocer 2,500 (71 %), Cafe 1,000 (29 %)."
    )
    centre = [each.text for each in wallet.all("p")[:3]]
    assert centre == ["3,500", "points", "worth €17.50"]
    assert [each.text for each in wallet.all("li")] == ["Grocer 2,500 500 reserved at a till", "Cafe 1,000"]
    arcs = [each for each in wallet.named(role="img").all("circle") if "pathlength" in each.attributes]
    assert [each.attributes["class"] for each in arcs] == ["shade-1", "shade-2"]
    expiry = page.named(**{"aria-labelledby": "expiry-title"})
    assert [each.text for each in expiry.all("dt", "dd")] == ["2 Mar 2028", "3,500", "Reserved at a till", "500"]


async def test_points_on_their_way_are_not_counted(town: Town, ada: Person, phone: Browser) -> None:
    """A card payment that is not cleared gives nothing to spend, and says what is coming."""
    offer = await published(town.cafe)
    await phone.post(f"/me/offers/{offer}/activations", {"_csrf": await token(phone)})
    await town.processor.linked(ada, "tok-ada")
    message = card_message(town.cafe, "tok-ada", "authorisation", occurred_at="2026-03-02T13:01:00+02:00")
    await town.processor.feed([message])
    await town.work()
    page = await phone.page("/me")

    wallet = page.named(**{"aria-labelledby": "wallet-title"})
    assert [each.text for each in wallet.all("p")[:2]] == ["0", "points"]
    assert [each.text for each in wallet.all("li")] == ["Cafe 0 100 on their way"]
    (purchase,) = (
        (await phone.page("/me/purchases")).named(**{"aria-label": "Purchases, the latest recorded first"}).all("ol")
    )
    assert "Not collected by the shop yet. The points are on their way." in purchase.text


async def test_many_brands_share_the_last_shade(town: Town, ada: Person, phone: Browser) -> None:
    """A ring of ten brands has eight arcs, and its text tells how many the last one stands for."""
    for number in range(10):
        await (await town.shop(f"brand-{number}")).earned(ada, 100 - number)
    wallet = (await phone.page("/me")).named(**{"aria-labelledby": "wallet-title"})

    picture = wallet.named(role="img")
    assert len(picture.all("circle")) == 8
    assert "Brand-6 94 (10 %), Brand-7 93 and 2 more (29 %)." in picture.attributes["aria-label"]
    swatches = [each.attributes["class"] for each in wallet.all("svg") if "role" not in each.attributes]
    assert swatches == [f"swatch shade-{min(number + 1, 8)}" for number in range(10)]


async def test_history_says_what_and_why(town: Town, ada: Person, phone: Browser) -> None:
    """Every kind of change in words, the newest first, in the programme's zone."""
    earning = await town.grocer.earned(ada, 300)
    await town.cafe.captured(ada, 100)
    await town.cafe.release(await town.cafe.reserved(ada, 50))
    await town.cafe.reserved(ada, 20)
    await town.grocer.reverse(earning=await town.grocer.earned(ada, 40))
    assert earning

    assert events(await phone.page("/me/history")) == [
        ("Taken back by Grocer", "−40", "2 Mar 2026, 11:00. The purchase was returned or corrected."),
        ("Earned at Grocer", "+40", "2 Mar 2026, 11:00, Grocer High Street."),
        ("Reserved at Cafe", "−20", "2 Mar 2026, 11:00. For a payment that the till is about to finish."),
        ("Reserved at Cafe and given back", "·", "2 Mar 2026, 11:00. 50 points that the till did not need."),
        ("Paid at Cafe", "−100", "2 Mar 2026, 11:00."),
        ("Earned at Grocer", "+300", "2 Mar 2026, 11:00, Grocer High Street."),
    ]


async def test_history_goes_on_over_pages(town: Town, ada: Person, phone: Browser) -> None:
    """The second page starts where the first ended, and leads back."""
    for number in range(1, 28):
        await town.grocer.earned(ada, number)
    first = await phone.page("/me/history")
    (older,) = [each for each in first.all("a") if each.attributes.get("rel") == "next"]
    second = await phone.page(older.attributes["href"])

    assert [points for _, points, _ in events(first)] == [f"+{number}" for number in range(27, 2, -1)]
    assert [points for _, points, _ in events(second)] == ["+2", "+1"]
    pager = second.named(**{"aria-label": "Pages of this list"})
    assert [(each.text, each.attributes["href"]) for each in pager.all("a")] == [("Back to the newest", "/me/history")]
    assert (await phone.get("/me")).text.count("events-what") == 5


@pytest.mark.parametrize("path", ["/me/history", "/me/offers", "/me/purchases"])
async def test_what_fits_on_one_page_has_no_others(town: Town, ada: Person, phone: Browser, path: str) -> None:
    """A short list leads nowhere, from no page to none."""
    await published(town.grocer, activation_required=False)
    await town.grocer.earned(ada, 10, amount_minor=50)

    shown = await phone.page(path)

    assert "Grocer" in shown.text
    assert [each for each in shown.all("nav") if each.attributes.get("aria-label") == "Pages of this list"] == []


async def test_an_offer_is_switched_on(town: Town, ada: Person, phone: Browser) -> None:
    """The form switches it on, the page says so, and home offers it no more."""
    offer = await published(town.cafe)
    home = await phone.page("/me")
    form = home.named(action=f"/me/offers/{offer}/activations")
    assert form.one("button").text == "Switch on Ten for one"
    sent = await phone.send(form)

    assert (sent.status_code, sent.headers["Location"]) == (303, "/me?done=on")
    after = (await phone.page("/me?done=on")).named(**{"aria-labelledby": "offers-title"})
    assert after.named(role="status").text == "Switched on. Purchases from now on count."
    assert "You switched them all on" in after.text
    listed = await phone.page("/me/offers")
    assert [each.text for each in listed.all("span") if "state" in each.attributes.get("class", "")] == ["On"]
    again = await phone.post(f"/me/offers/{offer}/activations", {"_csrf": await token(phone)})
    assert (again.status_code, again.headers["Location"]) == (303, "/me/offers?done=on")


async def test_an_offer_that_ended_is_not_switched_on(
    town: Town, ada: Person, phone: Browser, database: asyncpg.Pool
) -> None:
    """A page that stood open too long is told so, and nothing changes."""
    offer = await published(town.cafe)
    form = (await phone.page("/me/offers")).named(action=f"/me/offers/{offer}/activations")
    await town.move_clock("2026-05-01T00:00:00Z")
    async with unchanged(database):
        refused = await phone.send(form)

    assert refused.status_code == 422
    assert read(refused.text).one("h1").text == "The offer has ended"


@pytest.mark.parametrize(
    ("fields", "headers", "code"),
    [
        ({}, {}, "csrf-token-invalid"),
        ({"_csrf": "x"}, {}, "csrf-token-invalid"),
        ({"_csrf": "…"}, {"Sec-Fetch-Site": "cross-site"}, "cross-site"),
    ],
    ids=["no token", "a wrong token", "another site"],
)
async def test_another_sites_form_switches_nothing_on(
    town: Town,
    phone: Browser,
    *,
    fields: dict[str, str],
    headers: dict[str, str],
    code: str,
) -> None:
    """Without the session's token, and from another site's page, a form is refused and changes nothing."""
    offer = await published(town.cafe)
    if fields.get("_csrf") == "…":
        fields = {"_csrf": await token(phone)}
    async with unchanged(pool()):
        refused = await phone.post(f"/me/offers/{offer}/activations", fields, **headers)

    assert refused.status_code == 403
    assert f"<code>{code}</code>" in refused.text


async def test_nobody_switches_another_sessions_offer_on(town: Town, ada: Person, database: asyncpg.Pool) -> None:
    """One member's token is worth nothing with another's cookie."""
    offer = await published(town.cafe)
    eve = browser_of((await town.person("eve")).browser)
    async with unchanged(database):
        stolen = {"_csrf": await token(eve)}
        refused = await browser_of(ada.browser).post(f"/me/offers/{offer}/activations", stolen)

    assert refused.status_code == 403


async def test_a_pay_code_pays_once_and_is_new_each_time(town: Town, ada: Person, phone: Browser) -> None:
    """The text is the code that a till takes; the picture holds it too; the next page has another one."""
    await town.grocer.earned(ada, 300)
    page = await phone.page("/me/pay-code")
    code = pay_text(page)

    member_id, _ = pay_codes.verify(code, town.secret, machine_now())
    assert member_id == ids.private("mem", ada.member)
    assert (await town.cafe.reserve(points=100, proof={"pay_code": code})).status_code == 201
    assert page.one("img").attributes["src"].startswith("data:image/svg+xml")
    assert "Good for 60 seconds, once." in page.one("main").text
    assert pay_text(await phone.page("/me/pay-code")) != code


async def test_purchases_say_why_they_earned_or_not(town: Town, ada: Person, phone: Browser) -> None:
    """Each offer's reason stands with the purchase, offers with one reason together, and no other brand's offer."""
    for name in ("Ten for one", "Five", "Apples", "Pears"):
        offer = await published(town.cafe, name=name, minimum_minor=5000 if name in {"Apples", "Pears"} else 0)
        await phone.post(f"/me/offers/{offer}/activations", {"_csrf": await token(phone)})
    elsewhere = await published(town.grocer, name="Elsewhere")
    await phone.post(f"/me/offers/{elsewhere}/activations", {"_csrf": await token(phone)})
    await town.cafe.earn(ada)
    (shown,) = [
        each
        for each in (await phone.page("/me/purchases")).all("ul")
        if "class" in each.attributes and each.attributes["class"] == "reasons"
    ]
    lines = {each.text for each in shown.children if isinstance(each, Element)}
    below = "2 offers: The purchase is below this offer's minimum."

    assert lines & {f"{below} Apples Pears", f"{below} Pears Apples"}
    # Of two that fit, whichever was published first rewards; the other one says so.
    assert lines & {"Ten for one: 100 points", "Five: 100 points"}
    assert any(line.endswith(": Another reward for the same purchase gave you more.") for line in lines)
    assert len(lines) == 3


async def token(browser: Browser) -> str:
    """Return the token that the forms of a browser's pages carry."""
    return (await browser.page("/me")).named(action="/sign-out").fields()["_csrf"]


def pay_text(page: Element) -> str:
    """Return a page's pay code as text, as it would be copied."""
    (shown,) = [each for each in page.all("p") if "pay-text" in each.attributes.get("class", "")]
    return shown.text
