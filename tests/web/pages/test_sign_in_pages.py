"""The pages of sign-in: an address, a code, and out; with every way in which it does not go well."""

import re
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from koinon import ids
from koinon.database import transaction
from koinon.identity.operations import grant_role, make_staff
from koinon.web.sign_in import local
from tests.kit.town import Town
from tests.web.conftest import newest_code
from tests.web.pages.conftest import Browser
from tests.web.pages.reading import Element, read


@pytest.fixture
def visitor(client: httpx.AsyncClient) -> Browser:
    """Give a browser that keeps its cookies."""
    return Browser(client)


async def ask(visitor: Browser, path: str = "/sign-in", **fields: str) -> Element:
    """Ask for a code on a page, and return the page that asks for it."""
    page = await visitor.page(path)
    sent = await visitor.send(page.named(action="/sign-in"), **fields)
    assert (sent.status_code, sent.headers["Location"]) == (303, "/sign-in/code"), sent.text
    return await visitor.page("/sign-in/code")


async def add_staff(town: Town, email: str, *codes: str) -> None:
    """Make a person an owner of brands."""
    async with transaction() as connection:
        staff_id = await make_staff(connection, email=email, name="Sam")
        for code in codes:
            partner = {"grocer": town.grocer, "cafe": town.cafe}[code].partner
            await grant_role(connection, staff_id=staff_id, role="owner", partner_id=ids.private("par", partner))


async def test_a_member_signs_in_and_out(visitor: Browser, town: Town, secret: bytes) -> None:
    """Address, code, wallet; the address is in no address line, and the cookie goes with signing out."""
    await town.person()
    code_page = await ask(visitor, email="ada@example.org")
    assert "ada@example.org" in code_page.one("main").text
    used = await visitor.send(code_page.all("form")[0], code=await newest_code(secret))

    assert (used.status_code, used.headers["Location"]) == (303, "/")
    cookies = used.headers.get_list("Set-Cookie")
    assert [re.sub("=[^;]+", "=…", cookie, count=1) for cookie in cookies] == [
        "koinon_session=…; HttpOnly; Max-Age=2592000; Path=/; SameSite=lax",
        "koinon_signing_in=…; HttpOnly; Max-Age=0; Path=/sign-in; SameSite=lax",
    ]
    assert (await visitor.get("/")).headers["Location"] == "/me"
    wallet = await visitor.page("/me")
    out = await visitor.send(wallet.named(action="/sign-out"))
    assert (out.status_code, out.headers["Location"]) == (303, "/sign-in")
    assert (await visitor.get("/me")).status_code == 303


async def test_the_only_programme_is_not_asked_for(visitor: Browser, town: Town) -> None:
    """With one programme there is nothing to choose; with two there is, and none is guessed."""
    assert (await visitor.page("/sign-in")).all("select") == []
    await town.another_programme(code="second", name="Second")

    choice = (await visitor.page("/sign-in")).one("select")
    assert [option.text for option in choice.all("option")] == ["Choose one", "The League", "Second"]
    named = (await visitor.page("/sign-in?programme=second")).one("select")
    assert [option.attributes for option in named.all("option")] == [
        {"value": "league"},
        {"value": "second", "selected": ""},
    ]
    unchosen = await visitor.send((await visitor.page("/sign-in")).named(action="/sign-in"), email="ada@example.org")
    assert unchosen.status_code == 400
    assert read(unchosen.text).named(id="programme").attributes["aria-describedby"] == "programme-error"


async def test_where_one_wanted_to_go(visitor: Browser, town: Town, secret: bytes) -> None:
    """A page that asked for sign-in is where it ends."""
    await town.person()
    asked = await visitor.get("/me/history")
    code_page = await ask(visitor, asked.headers["Location"], email="ada@example.org")
    used = await visitor.send(code_page.all("form")[0], code=await newest_code(secret))

    assert used.headers["Location"] == "/me/history"


@pytest.mark.parametrize(
    "path",
    ["https://other.example/", "//other.example", "/\\other.example", "\\\\other.example", "javascript:x()", "", "me"],
)
def test_sign_in_leads_to_no_other_site(path: str) -> None:
    """Whatever an address line says, one ends on our pages."""
    assert local(path) == "/"


@pytest.mark.parametrize("path", ["/", "/me", "/portal/statements/3", "/office?programme=demo&cursor=1"])
def test_sign_in_leads_to_our_pages(path: str) -> None:
    """A path of ours stays as it is."""
    assert local(path) == path
    assert urlsplit(local(path)).netloc == ""


async def test_a_wrong_code_is_said_and_may_be_tried_again(
    visitor: Browser, town: Town, database: asyncpg.Pool, secret: bytes
) -> None:
    """What cannot be a code costs no try; a wrong one leaves the form, and the right one still works."""
    await town.person()
    code_page = await ask(visitor, email="ada@example.org")
    code = await newest_code(secret)
    for wrong in ("", "12345", "abcdef", "\uff11\uff12\uff13\uff14\uff15\uff16", f"{(int(code) + 1) % 1_000_000:06}"):
        refused = await visitor.send(code_page.all("form")[0], code=wrong)
        assert refused.status_code == 401
        again = read(refused.text)
        assert again.named(role="alert").text.startswith("This code does not sign you in.")
        assert again.named(id="code").attributes["aria-describedby"] == "code-error"
    assert await database.fetchval("SELECT attempts FROM identity.sign_in_code") == 1
    spaced = f" {code[:3]} {code[3:]} "
    assert (await visitor.send(code_page.all("form")[0], code=spaced)).status_code == 303


async def test_a_wrong_address_is_marked(visitor: Browser, town: Town) -> None:
    """The field says what is wrong with it and keeps what was typed."""
    page = await visitor.page("/sign-in")
    refused = await visitor.send(page.named(action="/sign-in"), email="ada@nowhere")
    field = read(refused.text).named(id="email")

    assert refused.status_code == 400
    assert (field.attributes["aria-invalid"], field.attributes["value"]) == ("true", "ada@nowhere")
    assert read(refused.text).named(id="email-error").text == "This is not an e-mail address such as name@example.org."


async def test_codes_are_not_asked_for_without_end(visitor: Browser, town: Town) -> None:
    """The sixth within an hour is refused on the page, which says how long to wait."""
    for _ in range(5):
        await ask(visitor, email="ada@example.org")
    page = await visitor.page("/sign-in")
    refused = await visitor.send(page.named(action="/sign-in"), email="ada@example.org")

    assert refused.status_code == 429
    assert "come back in 60 minutes" in read(refused.text).named(role="alert").text


async def test_nobody_learns_who_is_a_member(visitor: Browser, town: Town, database: asyncpg.Pool) -> None:
    """An address that nobody has gets the same page, and no mail."""
    await town.person()
    known = await ask(visitor, email="ada@example.org")
    mails = await database.fetchval("SELECT count(*) FROM delivery.mail")
    unknown = await ask(visitor, email="eve@example.org")

    assert unknown.one("main").text.replace("eve@", "ada@") == known.one("main").text
    assert await database.fetchval("SELECT count(*) FROM delivery.mail") == mails


async def test_staff_of_one_brand_come_to_its_portal(visitor: Browser, town: Town, secret: bytes) -> None:
    """Staff sign in without a programme."""
    await add_staff(town, "sam@grocer.example", "grocer")
    code_page = await ask(visitor, "/sign-in/staff", email="sam@grocer.example")
    used = await visitor.send(code_page.all("form")[0], code=await newest_code(secret))

    assert used.status_code == 303
    assert (await visitor.get("/")).headers["Location"] == "/portal"
    assert "Grocer" in (await visitor.page("/portal")).one("header").text


async def test_staff_of_two_brands_choose_one(visitor: Browser, town: Town, secret: bytes) -> None:
    """The code stays good for the choice."""
    await add_staff(town, "sam@agency.example", "grocer", "cafe")
    code_page = await ask(visitor, "/sign-in/staff", email="sam@agency.example")
    asked = read((await visitor.send(code_page.all("form")[0], code=await newest_code(secret))).text)
    assert [label.text for label in asked.all("label")] == ["Cafe", "Grocer"]
    chosen = await visitor.send(asked.one("form"), partner=town.grocer.partner)

    assert chosen.status_code == 303
    assert "Grocer" in (await visitor.page("/portal")).one("header").text


async def test_signing_in_again_ends_the_session_before(
    visitor: Browser, town: Town, database: asyncpg.Pool, secret: bytes
) -> None:
    """One browser has one session."""
    await town.person()
    for _ in range(2):
        code_page = await ask(visitor, email="ada@example.org")
        await visitor.send(code_page.all("form")[0], code=await newest_code(secret))

    ended = await database.fetch("SELECT ended_at IS NOT NULL AS ended FROM identity.session ORDER BY created_at")
    # The first of them belongs to the browser that the town signed in.
    assert [row["ended"] for row in ended] == [False, True, False]


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}], ids=["another site", "a neighbour"]
)
async def test_another_sites_form_signs_nobody_in(
    visitor: Browser, town: Town, database: asyncpg.Pool, secret: bytes, headers: dict[str, str]
) -> None:
    """Neither a code is asked for nor one used."""
    await town.person()
    fields = {"kind": "member", "programme": "league", "email": "ada@example.org"}
    refused = await visitor.post("/sign-in", fields, **headers)
    assert refused.status_code == 403
    assert await database.fetchval("SELECT count(*) FROM delivery.mail") == 0
    await ask(visitor, email="ada@example.org")
    stolen = await visitor.post("/sign-in/code", {"code": await newest_code(secret)}, **headers)
    assert stolen.status_code == 403
    assert await database.fetchval("SELECT count(*) FROM identity.session") == 1


async def test_a_code_without_an_address_begins_anew(visitor: Browser) -> None:
    """Who comes without having asked, or with a cookie that says nothing, is asked for an address."""
    for cookie in ("", "koinon_signing_in=e30", "koinon_signing_in=%21"):
        headers = {"Cookie": cookie} if cookie else {}
        for answer in (
            await visitor.client.get("/sign-in/code", headers=visitor.headers | headers),
            await visitor.post("/sign-in/code", {"code": "123456"}, **headers),
        ):
            assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in")
