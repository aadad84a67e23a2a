"""The pages in a real browser: at the size of a phone, without a script, by keyboard, by day and by night."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from koinon import ids
from koinon.app import runtime_for
from koinon.database import pool
from koinon.identity.sessions import COOKIE
from tests.browser.conftest import PATIENCE_SECONDS, Site
from tests.kit.settlement import Coalition
from tests.kit.terms import S1
from tests.kit.town import Person, Town, found_town
from tests.web.conftest import Api
from tests.web.offers.bodies import published

PHONE: Any = {"width": 390, "height": 844}
NARROW: Any = {"width": 320, "height": 640}
TARGET_PIXELS = 24
"""The least size of what is touched (WCAG 2.2, 2.5.8)."""

TARGETS = "button, input:not([type=hidden]), select, summary, nav a, a.button"
SIZES = """found => found.filter(each => each.checkVisibility())
    .map(each => [each.innerText, each.getBoundingClientRect().width, each.getBoundingClientRect().height])"""
LONG_NAME = "Donaudampfschifffahrtsgesellschaftskapitänskajütenschlüssel"

MEMBER = ("/me", "/me/offers", "/me/purchases", "/me/history", "/me/pay-code")
PORTAL = ("/portal", "/portal/statements", "/portal/offers")
OFFICE = ("/office", "/office/windows", "/office/partners")


@pytest.fixture(scope="module")
async def town(site: Site) -> Town:
    """Give a programme with a grocer, a café and their offers."""
    made = await found_town(site.callers, site.secret)
    await published(made.cafe, name="Ten for one", budget_points=5000)
    await published(made.grocer, name=LONG_NAME, budget_points=10)
    return made


@pytest.fixture(scope="module")
async def ada(town: Town) -> Person:
    """Give a member who has points."""
    person = await town.person()
    await town.grocer.earned(person, 3000)
    await town.cafe.earned(person, 1000)
    return person


@asynccontextmanager
async def browsing(chromium: Browser, site: Site, caller: Api | None = None, **how: Any) -> AsyncIterator[Page]:
    """Give a page of a browser of its own, signed in as a caller; whatever the browser complains of fails the test."""
    complaints: list[str] = []
    context = await chromium.new_context(**({"viewport": PHONE, "java_script_enabled": False} | how))
    if caller is not None:
        token = caller.headers["Cookie"].removeprefix(f"{COOKIE}=")
        await context.add_cookies([{"name": COOKIE, "value": token, "url": site.address}])
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    page = await context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("response", lambda answer: complaints.append(answer.url) if answer.status >= 400 else None)
    yield page
    await context.close()
    assert complaints == []


@pytest.fixture(scope="module")
async def league(site: Site, town: Town) -> Coalition:
    """Give a second programme whose first night is settled, its names long."""
    made = await Coalition(runtime_for(site.settings)).found("settled")
    for code in ("brand-a", "brand-b", "brand-c"):
        await made.brand(code, **S1)
    await made.s1_day()
    await made.night()
    await pool().execute("UPDATE parties.partner SET brand = $1 WHERE code = 'brand-a'", LONG_NAME)
    return made


async def everybody(town: Town, ada: Person, league: Coalition) -> list[tuple[Api | None, tuple[str, ...]]]:
    """Return a caller of each shell with its pages, those of a settled night too, and nobody with the interface."""
    callers, partner_id = town.scheme.callers, ids.private("par", town.grocer.partner)
    staff = await callers.staff(
        "sam@grocer.example", role="owner", partner_id=partner_id, programme_id=town.scheme.programme_id
    )
    finance = await callers.staff(
        "fay@brand-a.example", role="finance", partner_id=league.partners["brand-a"], programme_id=league.programme_id
    )
    operator = await callers.staff("ops@koinon.example")
    run_id = await pool().fetchval("SELECT run_id FROM settlement.run WHERE programme_id = $1", league.programme_id)
    settled = ("/office?programme=settled", f"/office/runs/{ids.public('run', run_id)}")
    return [
        (ada.browser, MEMBER),
        (staff, PORTAL),
        (finance, ("/portal", "/portal/statements", "/portal/statements/1")),
        (operator, (*OFFICE, *settled)),
        (None, ("/schema",)),
    ]


async def test_a_member_with_a_phone_and_no_scripts(chromium: Browser, site: Site, town: Town, ada: Person) -> None:
    """Signs in by code, sees one balance, switches an offer on, gets a pay code, signs out."""
    async with browsing(chromium, site) as page:
        await page.goto(f"{site.address}/sign-in?programme=league")
        await page.get_by_label("E-mail address").fill("ada@example.org")
        await page.get_by_role("button", name="Mail me a code").click()
        await expect(page.get_by_role("heading", name="Look at your mail")).to_be_visible()
        await page.get_by_label("Code").fill(await site.last_code())
        await page.get_by_role("button", name="Sign in").click()

        await expect(page.get_by_role("img", name="Ring of your free points by brand: Grocer 3,000")).to_be_visible()
        await expect(page.get_by_text("worth €20.00")).to_be_in_viewport()
        await page.get_by_role("navigation", name="Main").get_by_role("link", name="Offers").click()
        await page.get_by_role("button", name="Switch on Ten for one").click()
        await expect(page.get_by_role("status")).to_have_text("Switched on. Purchases from now on count.")
        offer = page.get_by_role("article").filter(has_text="Ten for one")
        await expect(offer.get_by_text("On", exact=True)).to_be_visible()
        await page.get_by_role("navigation", name="Main").get_by_role("link", name="Pay").click()
        code = page.get_by_role("img", name="QR code of your pay code; its text stands below")
        await expect(code).to_be_in_viewport()
        await page.get_by_text("The reader does not work?").click()
        shown = await page.locator(".pay-text").inner_text()
        paid = await town.cafe.reserve(points=100, proof={"pay_code": "".join(shown.split())})
        assert paid.status_code == 201, paid.text
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        await page.goto(f"{site.address}/me")
        await expect(page).to_have_url(f"{site.address}/sign-in?next=/me")


async def test_nothing_is_cut_off_on_a_narrow_phone(
    chromium: Browser, site: Site, town: Town, ada: Person, league: Coalition
) -> None:
    """At 320 pixels no page scrolls sideways (WCAG 2.2, 1.4.10); only a table does, within itself."""
    wide = []
    for caller, paths in await everybody(town, ada, league):
        async with browsing(chromium, site, caller, viewport=NARROW) as page:
            for path in paths:
                await page.goto(site.address + path)
                width = await page.evaluate("document.documentElement.scrollWidth")
                if width > NARROW["width"]:
                    wide.append((path, width))

    assert wide == []


async def test_what_is_touched_is_large_enough(
    chromium: Browser, site: Site, town: Town, ada: Person, league: Coalition
) -> None:
    """Buttons, fields and the main links are 24 pixels high and wide at least; links within a text may be less."""
    small = []
    for caller, paths in await everybody(town, ada, league):
        async with browsing(chromium, site, caller) as page:
            for path in paths:
                await page.goto(site.address + path)
                sizes = await page.eval_on_selector_all(TARGETS, SIZES)
                small += [(path, *size) for size in sizes if min(size[1:]) < TARGET_PIXELS]

    assert small == []


async def test_the_keyboard_reaches_everything_and_is_seen(
    chromium: Browser, site: Site, town: Town, ada: Person
) -> None:
    """First the way past the navigation; then each target in turn, with its ring, and never under the bar below."""
    async with browsing(chromium, site, ada.browser) as page:
        await page.goto(f"{site.address}/me")
        await page.keyboard.press("Tab")
        skip = page.get_by_role("link", name="Skip to the content")
        await expect(skip).to_be_focused()
        await expect(skip).to_be_in_viewport()
        count = await page.locator("a, button, summary").count()
        bar = await page.get_by_role("navigation", name="Main").bounding_box()
        assert bar is not None
        for number in range(1, count):
            await page.keyboard.press("Tab")
            focused = page.locator(":focus")
            assert await focused.evaluate("each => getComputedStyle(each).outlineStyle") == "solid", number
            assert await focused.evaluate("each => getComputedStyle(each).outlineWidth") == "3px", number
            box = await focused.bounding_box()
            in_bar = await focused.evaluate("each => each.closest('nav') !== null")
            assert box is not None
            assert in_bar or box["y"] + box["height"] <= bar["y"], (number, await focused.inner_text())
        await page.goto(f"{site.address}/me")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(page.locator("main")).to_be_focused()


async def test_the_interface_is_read_on_a_phone(chromium: Browser, site: Site) -> None:
    """The contents lead to an operation; what is folded opens by keyboard, and nothing in it is cut off."""
    async with browsing(chromium, site) as page:
        await page.goto(f"{site.address}/schema")
        contents = page.get_by_role("navigation", name="Contents")
        await contents.get_by_text("Till", exact=True).click()
        await contents.get_by_role("link", name="Report a purchase at a till").click()
        operation = page.get_by_role("article", name="Report a purchase at a till")
        await expect(operation.get_by_role("heading", level=3)).to_be_in_viewport()
        await operation.get_by_text("Fields of the answer").focus()
        await page.keyboard.press("Enter")
        await expect(operation.get_by_text("pending_points").nth(1)).to_be_visible()
        await page.eval_on_selector_all("details", "found => found.forEach(each => { each.open = true })")
        assert await page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


async def test_a_pay_code_that_ran_out_is_covered(chromium: Browser, site: Site, ada: Person) -> None:
    """After its minute the picture can no longer be shown to a till; a new one is one touch away."""
    async with browsing(chromium, site, ada.browser) as page:
        await page.goto(f"{site.address}/me/pay-code")
        cover = page.get_by_text("This code has run out")
        await expect(cover).to_be_hidden()
        minutes = await page.evaluate("document.getAnimations().map(each => each.effect.getComputedTiming().endTime)")
        assert minutes == [60_000, 60_000]
        await page.evaluate("document.getAnimations().forEach(each => each.finish())")
        await expect(cover).to_be_visible()
        await page.get_by_role("link", name="New code").click()
        await expect(cover).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_day_and_night(chromium: Browser, site: Site, ada: Person, scheme: Any) -> None:
    """Pages follow what the phone is set to, and a code stays black on white."""
    async with browsing(chromium, site, ada.browser, color_scheme=scheme) as page:
        await page.goto(f"{site.address}/me/pay-code")
        ground = await page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        code = await page.locator(".pay-code").evaluate("each => getComputedStyle(each).backgroundColor")

    assert (ground, code) == ({"light": "rgb(243, 246, 244)", "dark": "rgb(13, 20, 18)"}[scheme], "rgb(255, 255, 255)")
