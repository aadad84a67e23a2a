"""What members told of themselves: shown to them alone, readable while their key is there, and wherever points are."""

import re
from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest
import structlog
from litestar import Litestar

from koinon import ids, keyring
from koinon.database import transaction
from koinon.members.directory import contact_hash
from koinon.members.operations import NewMember, enrol
from koinon.members.vault import destroy_key
from koinon.web import wallet
from tests.kit.scheme import open_scheme
from tests.kit.town import Person, Town, card_message, found_town
from tests.web.conftest import Callers, newest_code
from tests.web.pages.conftest import browser_of
from tests.web.pages.reading import Element

EMAIL, PHONE, NAME = "augusta.byron@example.org", "+358401234567", "Augusta Byron"
MEMBER_PAGES = ("/me", "/me/offers", "/me/purchases", "/me/history", "/me/pay-code")


@pytest.fixture
async def town(callers: Callers, app: Litestar) -> Town:
    """Give a programme with a grocer, a café and a processor."""
    return await found_town(callers, app.state.runtime.keys.secret)


@pytest.fixture
async def augusta(town: Town) -> Person:
    """Give a member who told everything of herself."""
    member, browser, account_id = await town.scheme.member_of(
        town.grocer.api, email=EMAIL, name=NAME, phone=PHONE, locale="en"
    )
    return Person(member=member, account_id=account_id, browser=browser)


@pytest.fixture
async def owner(database_url: str, database: asyncpg.Pool) -> AsyncIterator[asyncpg.Connection]:
    """Give the schema owner's connection: what it changes, the application may not."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


def details(page: Element) -> str:
    """Return what the panel of a member's details says."""
    return page.named(**{"aria-labelledby": "profile-title"}).text


async def test_a_member_reads_what_they_told(augusta: Person) -> None:
    """The API and the first page show it to the member; a cache keeps nothing of it."""
    answer = await augusta.browser.get("/v1/me/profile")

    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json() == {
        "member": augusta.member,
        "name": NAME,
        "email": EMAIL,
        "phone": PHONE,
        "locale": "en",
        "erased": False,
    }
    page = await browser_of(augusta.browser).page("/me")
    for text in (NAME, EMAIL, PHONE):
        assert text in details(page)


async def test_what_was_not_told_is_null(callers: Callers) -> None:
    """A member of a telephone number alone has neither a name nor an address."""
    scheme = await open_scheme(callers)
    shop = await scheme.api_of(await scheme.partner())
    member = (await shop.post("/v1/members", {"phone": "+358 (0)40 1234567"})).json()["member"]
    profile = (await (await callers.member(ids.private("mem", member))).get("/v1/me/profile")).json()

    assert profile == {
        "member": member, "name": None, "email": None, "phone": PHONE, "locale": None, "erased": False,
    }  # fmt: skip


async def test_without_the_key_nothing_is_read(town: Town, augusta: Person) -> None:
    """The key destroyed, the details are gone, and every page and every point is as it was."""
    await town.grocer.earned(augusta, 100)
    async with transaction() as connection:
        await destroy_key(connection, ids.private("mem", augusta.member))

    assert (await augusta.browser.get("/v1/me/profile")).json() == {
        "member": augusta.member, "name": None, "email": None, "phone": None, "locale": "en", "erased": True,
    }  # fmt: skip
    browser = browser_of(augusta.browser)
    for path in MEMBER_PAGES:
        page = await browser.page(path)
        assert not any(text in page.text for text in (NAME, EMAIL, PHONE))
    assert "They were erased." in details(await browser.page("/me"))
    await town.grocer.earned(augusta, 5)
    await town.cafe.captured(augusta, 50)
    assert await augusta.balance() == (55, 0)


async def test_a_field_that_was_moved_does_not_open(
    town: Town, augusta: Person, owner: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address that was put into another member's row shows itself to nobody; the page and the log say so."""
    bob = await town.person("bob")
    logged = structlog.testing.LogCapture()
    monkeypatch.setattr(wallet, "log", structlog.wrap_logger(None, processors=[logged]))
    await owner.execute(
        "UPDATE members.contact c SET sealed_value = o.sealed_value FROM members.contact o "
        "WHERE c.member_id = $1 AND o.member_id = $2 AND o.kind = 'email'",
        ids.private("mem", bob.member),
        ids.private("mem", augusta.member),
    )

    page = await browser_of(bob.browser).page("/me")

    assert "They cannot be read just now." in details(page)
    assert EMAIL not in page.text
    assert [entry["event"] for entry in logged.entries] == ["a member's fields do not open"]
    assert details(await browser_of(augusta.browser).page("/me")).count(EMAIL) == 1


async def test_an_address_is_known_however_it_is_written(
    town: Town, augusta: Person, client: httpx.AsyncClient, secret: bytes
) -> None:
    """At enrolment and at sign-in, by address and by number; in another programme it is another hash."""
    for written in (
        {"email": " Augusta.BYRON@Example.org"},
        {"phone": "+358 (0)40 123-4567"},
        {"phone": " +358401234567 ", "email": EMAIL.upper()},
    ):
        again = await town.cafe.api.post("/v1/members", written)
        assert (again.status_code, again.json()["member"]) == (200, augusta.member)
    asked = {"email": f"  {EMAIL.title()} ", "programme": town.scheme.programme, "role": "member"}
    assert (await client.post("/v1/sign-in/codes", json=asked)).status_code == 202
    answer = await client.post("/v1/sign-in/sessions", json=asked | {"code": await newest_code(secret)})
    assert answer.status_code == 201
    hashes = {contact_hash(secret, programme, kind, EMAIL) for programme in (1, 2) for kind in ("email", "phone")} | {
        contact_hash(bytes(32), 1, "email", EMAIL)
    }
    assert len(hashes) == 5


async def test_own_keys_cost_one_statement(callers: Callers, database: asyncpg.Pool) -> None:
    """Enrolling somebody new writes their key beside them; who is known already costs nothing more."""
    scheme = await open_scheme(callers)
    grocer = ids.private("par", await scheme.partner())
    keys = keyring.load(callers.settings.keys_folder)
    for expected in (["contact", "member", "member_key"], []):
        seen: list[str] = []
        async with database.acquire() as connection, connection.transaction():
            with connection.query_logger(lambda query, seen=seen: seen.append(query.query)):
                await enrol(connection, keys, grocer, NewMember(email=EMAIL, phone=PHONE, name=NAME))
        touching = [each for each in seen if re.search(r'"?members"?\.', each)]
        written = [found[1] for each in touching if (found := re.search(r'INSERT INTO "?members"?\."?(\w+)', each))]
        assert written == expected
        assert len(touching) == len(expected) + 1, "beside these, one look for the contacts"


async def join(owner: asyncpg.Connection, person: Person, other: Person) -> None:
    """Give a member the account of another, as a household or a merge will."""
    await owner.execute(
        "UPDATE members.member SET account_id = $2 WHERE member_id = $1",
        ids.private("mem", person.member),
        other.account_id,
    )


async def test_a_session_follows_its_member_to_another_account(
    town: Town, augusta: Person, owner: asyncpg.Connection
) -> None:
    """A session names the member alone: when their account becomes another one, it shows that one's points."""
    bob = await town.person("bob")
    await town.grocer.earned(bob, 70)
    assert (await augusta.browser.get("/v1/me/wallet")).json()["available"] == 0

    await join(owner, augusta, bob)

    assert (await augusta.browser.get("/v1/me/wallet")).json()["available"] == 70


async def test_a_card_follows_its_member_to_another_account(
    town: Town, augusta: Person, owner: asyncpg.Connection
) -> None:
    """A link names the member alone: what is paid with the card is the purchase of the account that they have then."""
    bob = await town.person("bob")
    await town.processor.linked(augusta, "tok-augusta")
    await join(owner, augusta, bob)
    await town.processor.feed([card_message(town.grocer, "tok-augusta")])
    await town.work()

    seen = await owner.fetch("SELECT account_id, member_id FROM offers.purchase")
    assert [tuple(row) for row in seen] == [(bob.account_id, ids.private("mem", augusta.member))]
