"""Card links over HTTP: a token is a member's because the source that made it says so, and for no other reason."""

import asyncio
import time
from typing import Any

import asyncpg
import msgspec

from tests.kit.scheme import assert_field, assert_refused, unchanged
from tests.kit.town import CARD_NUMBER, PAR, Town, card_message
from tests.web.offers.bodies import published

TOKEN = "tok-ada"


async def test_a_source_links_a_card(town: Town, database: asyncpg.Pool) -> None:
    """The link is answered without the token, and stands once."""
    ada = await town.person()
    answer = await town.processor.link(ada, TOKEN, par=PAR, last4="1234", network="visa")
    body = answer.json()
    assert answer.status_code == 201
    assert body == {
        "card": body["card"],
        "member": ada.member,
        "last4": "1234",
        "linked_at": "2026-03-02T09:00:00+00:00",
    }
    again = await town.processor.link(ada, TOKEN, par=PAR)
    assert (again.status_code, again.json()) == (201, body)
    assert await database.fetchval("SELECT count(*) FROM offers.card") == 1
    assert await database.fetchval("SELECT count(*) FROM offers.payment_account") == 1


async def test_a_retry_is_answered_the_same(town: Town, database: asyncpg.Pool) -> None:
    """The webhook's id is the key: the same body again, and another body is refused."""
    ada, bob = await town.person(), await town.person("bob")
    first = await town.processor.link(ada, TOKEN, webhook_id="w1")
    async with unchanged(database):
        again = await town.processor.link(ada, TOKEN, webhook_id="w1")
        assert (again.status_code, again.json()) == (201, first.json())
        assert again.headers["Idempotent-Replayed"] == "true"
        other = await town.processor.link(bob, "tok-bob", webhook_id="w1")
        assert_refused(other, 409, "idempotency-key-reused")


async def test_nobody_else_links_a_card(town: Town, database: asyncpg.Pool) -> None:
    """Without the source's assertion: no signature, another source's, a stale one, a brand's or a member's token."""
    ada = await town.person()
    other = await town.source("other")
    body = msgspec.json.encode({"member": ada.member, "token": TOKEN})
    asked = {"member": ada.member, "token": TOKEN}
    async with unchanged(database):
        for answer in (
            await town.processor.client.post("/v1/cards", json=asked),
            await town.processor.client.post("/v1/cards", json=asked, headers={"Koinon-Source": town.processor.source}),
            await town.grocer.api.post("/v1/cards", asked, headers={"Koinon-Source": town.processor.source}),
            await ada.browser.post("/v1/cards", asked, headers={"Koinon-Source": town.processor.source}),
            await town.scheme.operator.post("/v1/cards", asked, headers={"Koinon-Source": town.processor.source}),
            await other.send("/v1/cards", body, headers={"Koinon-Source": town.processor.source}),
            await town.processor.send("/v1/cards", body, headers={"Koinon-Source": ""}),
        ):
            assert_refused(answer, 401, "signature-invalid")
        stale = await town.processor.send("/v1/cards", body, timestamp=int(time.time()) - 301)
        assert_refused(stale, 401, "timestamp-stale")


async def test_a_card_has_one_member(town: Town, database: asyncpg.Pool) -> None:
    """A second member's claim is refused, of the token and of the payment account behind another token."""
    ada, bob = await town.person(), await town.person("bob")
    await town.processor.linked(ada, TOKEN, par=PAR)
    other = await town.source("other")
    async with unchanged(database):
        assert_refused(await town.processor.link(bob, TOKEN), 409, "card-taken")
        assert_refused(await town.processor.link(bob, "tok-new", par=PAR), 409, "card-taken")
        assert_refused(await other.link(bob, TOKEN, par=PAR), 409, "card-taken")
    assert (await other.link(ada, "tok-other", par=PAR)).status_code == 201
    # Another source's token of the same text is another card.
    assert (await other.link(bob, TOKEN)).status_code == 201


async def test_two_members_claim_at_once(town: Town, database: asyncpg.Pool) -> None:
    """Of sixteen claims of two members, one member has the card, and its payment account too."""
    people = [await town.person(), await town.person("bob")]
    answers = await asyncio.gather(*(town.processor.link(people[number % 2], TOKEN, par=PAR) for number in range(16)))
    assert sorted(answer.status_code for answer in answers) == [201] * 8 + [409] * 8
    assert await database.fetchval("SELECT count(*) FROM offers.card") == 1
    owners = await database.fetchrow("SELECT c.member_id = p.member_id FROM offers.card c, offers.payment_account p")
    assert owners[0] is True


async def test_a_link_that_ended(town: Town, database: asyncpg.Pool) -> None:
    """Another member may link the card then, and its payment account once no card of it is linked."""
    ada, bob = await town.person(), await town.person("bob")
    other = await town.source("other")
    card = await town.processor.linked(ada, TOKEN, par=PAR)
    second = await other.linked(ada, "tok-2", par=PAR)
    async with unchanged(database):
        assert_refused(await other.unlink(card), 404, "unknown-card")
        assert_refused(await town.processor.unlink("crd_1"), 404, "unknown-card")
        assert_refused(await town.processor.unlink("crd_" + "0" * 39), 404, "unknown-card")
    ended = await town.processor.unlink(card, webhook_id="w1")
    assert (ended.status_code, ended.json()["card"]) == (201, card)
    assert (await town.processor.unlink(card, webhook_id="w1")).json() == ended.json()
    assert_refused(await town.processor.unlink(card), 404, "unknown-card")
    assert_refused(await town.processor.link(bob, TOKEN, par=PAR), 409, "card-taken")
    await other.unlink(second)
    assert (await town.processor.link(bob, TOKEN, par=PAR)).status_code == 201


async def test_what_was_signed_for_something_else_ends_nothing(town: Town, database: asyncpg.Pool) -> None:
    """Nothing, a batch, an assertion, the end of another link: each with a right signature of the same source."""
    ada = await town.person()
    card = await town.processor.linked(ada, TOKEN)
    other = await town.processor.linked(ada, "tok-2")
    batch = {"messages": [card_message(town.grocer, TOKEN)]}
    path = f"/v1/cards/{card}/ends"
    async with unchanged(database):
        for body in ({}, batch, {"member": ada.member, "token": TOKEN}):
            assert (await town.processor.send(path, msgspec.json.encode(body))).status_code == 400
        assert (await town.processor.send(path, b"")).status_code == 400
        assert_field(await town.processor.send(path, msgspec.json.encode({"card": other})), "/card")


async def test_a_payment_account_that_is_told_later(town: Town) -> None:
    """A source that learns it after the link tells it with another assertion; it is let go with the card."""
    ada, bob = await town.person(), await town.person("bob")
    card = await town.processor.linked(ada, TOKEN)
    assert await town.processor.linked(ada, TOKEN, par=PAR) == card
    assert_refused(await town.processor.link(bob, "tok-bob", par=PAR), 409, "card-taken")
    await town.processor.unlink(card)
    assert (await town.processor.link(bob, "tok-bob", par=PAR)).status_code == 201


async def test_a_link_races_with_its_end(town: Town, database: asyncpg.Pool) -> None:
    """Whoever comes first: the payment account names exactly the cards that are linked, and belongs to nobody else."""
    ada, bob = await town.person(), await town.person("bob")
    card = await town.processor.linked(ada, TOKEN, par=PAR)
    for _ in range(10):
        ended, *linked = await asyncio.gather(
            town.processor.unlink(card), *(town.processor.link(ada, f"{TOKEN}{n}", par=PAR) for n in ("", "-2", "-3"))
        )
        assert [ended.status_code] + [answer.status_code for answer in linked] == [201] * 4
        named = "SELECT unnest(card_keys) FROM offers.payment_account WHERE ended_at IS NULL ORDER BY 1"
        active = "SELECT card_key FROM offers.card WHERE unlinked_at IS NULL ORDER BY 1"
        assert await database.fetch(named) == await database.fetch(active)
        assert_refused(await town.processor.link(bob, "tok-bob", par=PAR), 409, "card-taken")
        card = await town.processor.linked(ada, TOKEN, par=PAR)


async def test_purchases_follow_the_link(town: Town) -> None:
    """Before the link nothing is earned; after its end nothing either; what happened between is the member's."""
    ada, bob = await town.person(), await town.person("bob")
    await published(town.grocer, activation_required=False)
    await town.move_clock("2026-03-03T09:00:00Z")
    card = await town.processor.linked(ada, TOKEN)
    await town.move_clock("2026-03-05T09:00:00Z")
    await town.processor.unlink(card)
    await town.processor.linked(bob, TOKEN)
    await town.move_clock("2026-03-06T12:00:00Z")
    days = ("02", "04", "06")
    await town.processor.feed(
        [card_message(town.grocer, TOKEN, occurred_at=f"2026-03-{day}T12:00:00Z", auth_code=f"A{day}") for day in days]
    )
    await town.work()
    assert (await ada.balance(), await bob.balance()) == ((100, 0), (100, 0))


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"token": ""}, "/token"),
    ({"token": "x" * 65}, "/token"),
    ({"token": "a\u0000b"}, "/token"),
    ({"token": 5}, "/token"),
    ({"par": "short"}, "/par"),
    ({"last4": "12345"}, "/last4"),
    ({"network": "gold"}, "/network"),
    ({"member": "mem_1"}, "/member"),
    ({"member": None}, "/member"),
    ({"colour": "red"}, ""),
]


async def test_an_assertion_that_is_wrong(town: Town, database: asyncpg.Pool) -> None:
    """A wrong field is named, a card number is refused and not echoed, a member of nowhere is unknown."""
    ada = await town.person()
    elsewhere = await town.another_programme(code="elsewhere")
    eve = await elsewhere.person()
    async with unchanged(database):
        for changes, pointer in WRONG:
            body = msgspec.json.encode({"member": ada.member, "token": TOKEN} | changes)
            assert_field(await town.processor.send("/v1/cards", body), pointer)
        for body in (b"", b"[]", b'{"member": "\xff"}', b"[" * 100_000):
            assert_field(await town.processor.send("/v1/cards", body), "")
        for changes in ({"token": CARD_NUMBER}, {"member": CARD_NUMBER}, {CARD_NUMBER: 1}):
            body = msgspec.json.encode({"member": ada.member, "token": TOKEN} | changes)
            refused = await town.processor.send("/v1/cards", body)
            assert_refused(refused, 422, "card-number-refused")
            assert "1111" not in refused.text
        assert_refused(await town.processor.link(eve, TOKEN), 404, "unknown-member")
