"""Nothing that a person told stands in the database or in a log: after a member's day, every column is searched."""

import base64
import hmac
from collections.abc import AsyncIterator, Callable

import asyncpg
import msgspec
import pytest
from litestar import Litestar

from koinon.delivery.jobs import send_due_mail
from koinon.idempotency.model import content_hash
from koinon.keyring import derived
from koinon.members.operations import NewMember
from tests.kit.nights import close_window_early, work_the_night
from tests.kit.town import NOW, PAR, Person, Town, card_message, found_town
from tests.web.conftest import Callers, newest_code
from tests.web.members.scan import forms, found_in, standing_in
from tests.web.offers.bodies import published

EMAIL, PHONE, NAME = "zyxomma.petiolatum@unusual-domain.example", "+358401234567", "Zyxomma Petiölatum"
RECEIPT, TOKEN = "Table 7, Mrs Petiölatum", "tok-1f0d2c-9q7x5m"
TOLD = {
    *(EMAIL, "zyxomma.petiolatum", "unusual-domain", PHONE, PHONE[1:], PHONE[4:]),
    *(NAME, *NAME.split(), RECEIPT),
}
"""What a person told, whole and in parts, and what a till wrote about them."""
CARD = {TOKEN, PAR}
EXCEPTIONS = {
    "offers.card.token": "a token stands for a card at its source alone; a message is matched by it",
    "offers.card.par": "a reference without a number; the source's link ends with it",
    "offers.payment_account.par": "the same reference, by which a card that was issued again is its member's",
    "offers.payment.fold": "a payment says whose token paid it, as its messages did",
    "offers.payment_message.body": "a card's messages name its token; they are folded again when the next one comes",
    "offers.till_sighting.card_token": "a till names the card, so that its own messages are not rewarded again",
}
"""Where a card's token or its reference may stand (law 8), and why. What a person told may stand nowhere."""


@pytest.fixture
async def town(callers: Callers, app: Litestar) -> Town:
    """Give a programme with a grocer, a café and a processor."""
    return await found_town(callers, app.state.runtime.keys.secret)


@pytest.fixture
async def everything(database_url: str, database: asyncpg.Pool) -> AsyncIterator[asyncpg.Connection]:
    """Give a connection that may read every table."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def enrolled(town: Town) -> Person:
    """Let a person join at a till, consent, and be known again at another brand."""
    consent = {"purpose": "news", "text": "Write to me about offers.", "locale": "en", "channel": "till"}
    told = {"email": f" {EMAIL.title()}", "phone": "+358 (0)40 1234567", "name": NAME, "locale": "fi-FI"}
    member, browser, account_id = await town.scheme.member_of(town.grocer.api, **told, consents=[consent])
    again = await town.cafe.api.post("/v1/members", {"email": EMAIL, "phone": PHONE, "consents": [consent]})
    assert (again.status_code, again.json()["member"]) == (200, member)
    assert (await town.cafe.api.post("/v1/members", {"email": EMAIL, "phone": "0401234567"})).status_code == 400
    return Person(member=member, account_id=account_id, browser=browser)


async def day_of(town: Town, person: Person) -> None:
    """Let a member link a card, earn by till and card, switch an offer on, pay, and take things back."""
    offer = await published(town.grocer)
    assert (await person.browser.post("/v1/me/activations", {"offer": offer})).status_code == 201
    await town.processor.linked(person, TOKEN, par=PAR, last4="4242", network="visa")
    tender = {"source": town.processor.source, "token": TOKEN, "auth_code": "A1B2C3"}
    await town.grocer.earned(person, 500, receipt=RECEIPT, tender=tender)
    taken_back = await town.cafe.earned(person, 20, receipt=RECEIPT)
    assert (await town.cafe.reverse(earning=taken_back, reason="mistake")).status_code == 201
    await town.processor.feed([card_message(town.cafe, TOKEN), card_message(town.grocer, TOKEN)])
    await town.work()
    redemption = await town.cafe.reserved(person, 50, place=town.cafe.place, receipt=RECEIPT)
    assert (await town.cafe.capture(redemption)).status_code == 201
    assert (await town.cafe.reverse(redemption=redemption, reason="cancelled")).status_code == 201
    consents = (await person.browser.get("/v1/me/consents")).json()["items"]
    ended = await person.browser.post(f"/v1/me/consents/{consents[0]['receipt']}/withdrawals")
    assert ended.status_code == 201


async def test_nothing_that_a_person_told_is_found(
    town: Town, app: Litestar, everything: asyncpg.Connection, logged: Callable[[], str]
) -> None:
    """Not while mail waits, not after it left, not after the night: in no column in any form, and in no log."""
    person = await enrolled(town)
    asked = {"email": EMAIL, "programme": town.scheme.programme, "role": "member"}
    client = town.processor.client
    assert (await client.post("/v1/sign-in/codes", json=asked)).status_code == 202
    code = await newest_code(town.secret)
    waiting = await found_in(everything, TOLD | {code})
    assert await send_due_mail(app.state.runtime) is True
    assert (await client.post("/v1/sign-in/sessions", json=asked | {"code": code})).status_code == 201
    await day_of(town, person)
    assert await close_window_early(town.scheme.programme_id, "Europe/Helsinki", NOW) == [1]
    await work_the_night(app.state.runtime)

    assert waiting == {}
    assert await found_in(everything, TOLD) == {}
    assert await found_in(everything, CARD) == {place: {PAR} if "par" in place else {TOKEN} for place in EXCEPTIONS}
    assert standing_in([logged()], TOLD | CARD | {code}) == set()
    profile = (await person.browser.get("/v1/me/profile")).json()
    assert (profile["name"], profile["email"], profile["phone"]) == (NAME, EMAIL, PHONE)


async def test_what_was_asked_for_is_known_by_a_keyed_hash(town: Town, everything: asyncpg.Connection) -> None:
    """Whoever reads the table of requests cannot try telephone numbers until one fits: the hash needs our secret."""
    asked = {"phone": PHONE}
    assert (await town.grocer.api.post("/v1/members", asked, key="k")).status_code == 201
    body = msgspec.json.encode(msgspec.convert(asked, NewMember), order="sorted")
    plain = bytes.fromhex(content_hash("POST", "/v1/members", body))
    kept = await everything.fetchval("SELECT content_hash FROM koinon.request WHERE key = 'k'")

    assert kept == hmac.digest(derived(town.secret, b"content of requests"), plain, "sha256")
    assert (await town.grocer.api.post("/v1/members", asked, key="k")).headers["Idempotent-Replayed"] == "true"


async def test_the_search_finds_what_is_there(everything: asyncpg.Connection) -> None:
    """Every form in every type of column is found, whole or within more; what is not there is not."""
    await everything.execute(
        """
        CREATE SCHEMA planted;
        CREATE TABLE planted.cell (t text, ts text[], j jsonb, b bytea, bs bytea[], "odd Name" text);
        """
    )
    planted = {
        "t": NAME.upper(),
        "ts": ["x", f"<{NAME}>"],
        "j": f'{{"a": [{{"b": "{NAME}"}}]}}',
        "b": b"\x00" + NAME.encode() + b"\xff",
        "bs": [b"", b"." + NAME.encode()],
        "odd Name": NAME,
    }
    for column, value in planted.items():
        await everything.execute(f'INSERT INTO planted.cell ("{column}") VALUES ($1)', value)  # noqa: S608  # of this test

    found = await found_in(everything, [NAME, "Somebody Else"])

    assert found == {f"planted.cell.{column}": {NAME} for column in planted}
    for form in forms(NAME):
        assert standing_in([f"before {form} behind"], [NAME]) == {NAME}
    for before in range(4):
        encoded = base64.b64encode(f"{'x' * before}{NAME}y".encode()).decode()
        assert standing_in([encoded], [NAME]) == {NAME}
