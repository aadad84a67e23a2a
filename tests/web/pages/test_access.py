"""Who sees which page: every page by every kind of caller."""

import pytest

from tests.kit.town import Town
from tests.web.pages.conftest import Browser, browser_of, operator_browser, staff_of

ALL = ("member", "owner", "finance", "marketing", "developer", "support", "operator")

# Who gets the page; everybody else who is signed in gets 403, and nobody is sent to sign in.
PAGES = {
    "/me": {"member"},
    "/me/offers": {"member"},
    "/me/purchases": {"member"},
    "/me/history": {"member"},
    "/me/pay-code": {"member"},
    "/portal": {"owner", "finance", "marketing", "developer", "support"},
    "/portal/statements": {"owner", "finance"},
    "/portal/statements/1": {"owner", "finance"},
    "/portal/offers": {"owner", "marketing", "developer", "support"},
    "/office": {"operator"},
    "/office/windows": {"operator"},
    "/office/partners": {"operator"},
    "/office/runs/run_0000000000001": {"operator"},
}
WRITES = {
    "/me/offers/off_0000000000001/activations": {"member"},
    "/office/windows/closings": {"operator"},
    "/office/runs/run_0000000000001/approvals": {"operator"},
    "/sign-out": set(ALL),
}


async def browsers(town: Town) -> dict[str, Browser]:
    """Return a browser of every kind of caller."""
    ada = await town.person()
    staff = {role: await staff_of(town, town.grocer, role) for role in ALL[1:-1]}
    return {
        "member": browser_of(ada.browser),
        **staff,
        "operator": await operator_browser(town.scheme.callers),
    }


async def test_every_page_is_for_its_own_callers(town: Town, nobody: Browser) -> None:
    """Members see no portal and no office, brands no office, the operator nobody's portal; roles see what they may."""
    wrong = []
    signed_in = await browsers(town)
    assert set(signed_in) == set(ALL)
    for path, callers in PAGES.items():
        for who, browser in signed_in.items():
            # Neither the statement nor the run is there: whoever may look learns that, and nobody else.
            expected = {403} if who not in callers else {404} if path.endswith("1") else {200}
            answer = await browser.get(path)
            if answer.status_code not in expected:
                wrong.append((path, who, answer.status_code))
            assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        answer = await nobody.get(path)
        assert (answer.status_code, answer.headers["Location"]) == (303, f"/sign-in?next={path}")

    assert wrong == []


async def test_every_form_is_for_its_own_callers(town: Town, nobody: Browser) -> None:
    """A form of another kind of page is refused before it is looked at, and so is every form without its token."""
    signed_in = await browsers(town)
    for path, callers in WRITES.items():
        for who, browser in signed_in.items():
            refused = await browser.post(path, {})
            assert refused.status_code == 403, (path, who)
            assert ("csrf-token-invalid" in refused.text) == (who in callers), (path, who)
        assert (await nobody.post(path, {})).status_code == 401


async def test_a_system_has_no_pages(town: Town) -> None:
    """A token is not a browser: it gets the API alone."""
    for path in ("/portal", "/portal/offers"):
        refused = await town.grocer.api.get(path)
        assert (refused.status_code, refused.json()["code"]) == (403, "other-shell")


async def test_the_front_door_leads_home(town: Town, nobody: Browser) -> None:
    """Everybody comes to where their pages begin."""
    homes = {"member": "/me", "owner": "/portal", "operator": "/office"}
    signed_in = await browsers(town)
    for who, home in homes.items():
        assert (await signed_in[who].get("/")).headers["Location"] == home
    assert (await nobody.get("/")).headers["Location"] == "/sign-in"


@pytest.mark.parametrize("path", ["/me", "/portal", "/office"])
async def test_an_ended_session_sees_nothing(town: Town, path: str) -> None:
    """After signing out, the old cookie leads to sign-in."""
    who = {"/me": "member", "/portal": "owner", "/office": "operator"}[path]
    browser = (await browsers(town))[who]
    page = await browser.page(path)
    out = await browser.send(page.named(action="/sign-out"))

    assert out.status_code == 303
    assert out.headers["Location"] == ("/sign-in" if who == "member" else "/sign-in/staff")
    assert "koinon_session=; " in out.headers["Set-Cookie"] or 'koinon_session=""' in out.headers["Set-Cookie"]
    assert (await browser.get(path)).headers["Location"] == f"/sign-in?next={path}"
