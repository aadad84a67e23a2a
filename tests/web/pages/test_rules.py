"""Every page keeps the rules: one frame, a name for everything, nothing that the policy would not let run."""

import httpx

from koinon.database import pool
from koinon.web.headers import PAGE_HEADERS
from tests.kit.town import Town, card_message
from tests.web.conftest import Callers
from tests.web.offers.bodies import published
from tests.web.pages.conftest import (
    Browser,
    browser_of,
    operator_browser,
    staff_of,
    staff_of_league,
)
from tests.web.pages.reading import faults
from tests.web.settlement.conftest import League

MEMBER_PAGES = ("/me", "/me/offers", "/me/purchases", "/me/history", "/me/pay-code")
PORTAL_PAGES = ("/portal", "/portal/statements", "/portal/offers")
OFFICE_PAGES = ("/office", "/office/windows", "/office/partners")


async def broken(browser: Browser, paths: tuple[str, ...], status: int = 200) -> dict[str, list[str]]:
    """Return the rules that each page breaks; every one must answer with the status and the pages' headers."""
    found = {}
    for path in paths:
        answer = await browser.get(path)
        assert answer.status_code == status, (path, answer.text)
        assert headers_missing(answer) == []
        if wrong := faults(answer.text):
            found[path] = wrong
    return found


def headers_missing(answer: httpx.Response) -> list[str]:
    """Return which of the pages' headers an answer lacks."""
    expected = PAGE_HEADERS | {"X-Content-Type-Options": "nosniff"}
    return [name for name, value in expected.items() if answer.headers.get(name) != value]


async def test_pages_for_everybody_keep_the_rules(nobody: Browser, town: Town) -> None:
    """Sign-in, its refusal, the interface, and the page that there is none of, with one programme and with two."""
    assert await broken(nobody, ("/sign-in", "/sign-in/staff", "/schema")) == {}
    assert await broken(nobody, ("/nowhere",), 404) == {}
    await town.another_programme(code="second", name="Δεύτερο πρόγραμμα")
    assert await broken(nobody, ("/sign-in", "/sign-in?programme=second", "/sign-in?programme=none")) == {}
    refused = await nobody.post("/sign-in", {"kind": "member", "email": "no address"})
    assert refused.status_code == 400
    assert faults(refused.text) == []


async def test_a_new_members_pages_keep_the_rules(town: Town) -> None:
    """Nothing earned, no offer, nothing that expires: every page says so."""
    ada = browser_of((await town.person()).browser)

    assert await broken(ada, MEMBER_PAGES) == {}


async def test_a_busy_members_pages_keep_the_rules(town: Town) -> None:
    """Points of many brands with names of any kind, some on their way and some held, offers on and off."""
    ada = await town.person()
    for number in range(10):
        shop = await town.shop(f"brand-{number}")
        await shop.earned(ada, 100 * (number + 1))
    await pool().execute("UPDATE parties.partner SET brand = $1 WHERE code = 'brand-3'", "<script>\"&' قهوة")
    await published(town.grocer, name="<b>Ten</b> for one & more", budget_points=1000)
    await published(town.cafe, activation_required=False)
    await town.processor.linked(ada, "tok-ada")
    await town.processor.feed([card_message(town.cafe, "tok-ada", "authorisation")])
    await town.work()
    await town.grocer.reserved(ada, 50)
    browser = browser_of(ada.browser)

    assert await broken(browser, MEMBER_PAGES) == {}
    assert await broken(browser, ("/me?done=on", "/me/offers?done=on", "/me?done=%3Cscript%3E")) == {}


async def test_a_brands_pages_keep_the_rules(town: Town) -> None:
    """Before its first night, with and without offers, in every role, also without a contract."""
    new = await town.shop("newcomer", contracted=False)
    assert await broken(await staff_of(town, new, "owner"), PORTAL_PAGES) == {}
    await published(town.grocer, budget_points=1000)
    await published(town.grocer)
    assert await broken(await staff_of(town, town.grocer, "owner"), PORTAL_PAGES) == {}
    for role in ("marketing", "support", "developer"):
        assert await broken(await staff_of(town, town.grocer, role), ("/portal", "/portal/offers")) == {}


async def test_pages_of_a_settled_night_keep_the_rules(settled: League) -> None:
    """A statement with its lines and proofs, and the run behind it, before and after its approval."""
    finance = await staff_of_league(settled, "brand-c")
    assert await broken(finance, (*PORTAL_PAGES[:2], "/portal/statements/1")) == {}
    office, run = await operator_browser(settled.callers), await settled.run()
    assert await broken(office, (*OFFICE_PAGES, f"/office/runs/{run}")) == {}
    await settled.approve(settled.otto, run)
    assert await broken(office, (f"/office/runs/{run}", f"/office/runs/{run}?done=approved")) == {}


async def test_an_empty_office_keeps_the_rules(callers: Callers) -> None:
    """An installation without a programme."""
    assert await broken(await operator_browser(callers), OFFICE_PAGES) == {}


async def test_an_office_of_many_programmes_keeps_the_rules(town: Town) -> None:
    """Several programmes are parted by a switch; one that there is not is said not to be."""
    await town.another_programme(code="second", name="Δεύτερο πρόγραμμα", mode="live", clock_at=...)
    office = await operator_browser(town.scheme.callers)

    assert await broken(office, (*OFFICE_PAGES, "/office?programme=second", "/office/partners?programme=second")) == {}
    assert await broken(office, ("/office?programme=third",), 404) == {}


async def test_refusals_as_pages_keep_the_rules(town: Town) -> None:
    """What may not be seen and what cannot be read are pages too."""
    ada = browser_of((await town.person()).browser)
    assert await broken(ada, ("/office", "/portal"), 403) == {}
    assert await broken(ada, ("/me/history?cursor=x", "/me/offers?cursor=x", "/me/purchases?cursor=x"), 400) == {}
    marketing = await staff_of(town, town.grocer, "marketing")
    assert await broken(marketing, ("/portal/statements", "/portal/statements/1"), 403) == {}
