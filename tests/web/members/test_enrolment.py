"""Enrolment over HTTP: one person, one member, one account in a programme, however they come."""

import asyncio
import hashlib
from datetime import UTC, datetime
from typing import Any

import asyncpg

from koinon import ids, keyring
from koinon.members.operations import NewMember, enrol
from tests.kit.scheme import assert_field, assert_refused, open_scheme, unchanged
from tests.web.conftest import Callers, problem_of

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
NEWS = "We write to you about offers.\nYou may stop us at any time. – Käsi"


def consent(purpose: str = "marketing", text: str = NEWS, **changes: Any) -> dict[str, Any]:
    """Return a right consent."""
    return {"purpose": purpose, "text": text, "locale": "fi", "channel": "till"} | changes


async def test_a_person_becomes_a_member(callers: Callers, database: asyncpg.Pool) -> None:
    """There is a member, an account of its own with an empty wallet, two contacts, and a receipt for each consent."""
    scheme = await open_scheme(callers)
    grocer = await scheme.partner()
    shop = await scheme.api_of(grocer)
    answer = await shop.post(
        "/v1/members",
        {
            "email": "Ada@Example.ORG",
            "phone": "+358 (40) 123-4567",
            "name": "Ada",
            "locale": "fi-FI",
            "consents": [consent(), consent("profiling", "Profile me", channel=None)],
        },
    )

    assert answer.status_code == 201
    made = answer.json()
    digests = [hashlib.sha256(text.encode()).hexdigest() for text in (NEWS, "Profile me")]
    assert made == {
        "member": made["member"],
        "consents": [
            {
                "receipt": made["consents"][number]["receipt"],
                "purpose": purpose,
                "text_sha256": digests[number],
                "given_at": "2026-03-02T09:00:00Z",
            }
            for number, purpose in enumerate(("marketing", "profiling"))
        ],
        "new": True,
    }
    member = await database.fetchrow("SELECT * FROM members.member")
    member_id = ids.private("mem", made["member"])
    assert {name: member[name] for name in ("member_id", "locale", "enrolled_at")} == {
        "member_id": member_id,
        "locale": "fi-FI",
        "enrolled_at": NOW,
    }
    browser = await callers.member(member_id)
    assert (await browser.get("/v1/me/profile")).json() == {
        "member": made["member"],
        "name": "Ada",
        "email": "ada@example.org",
        "phone": "+358401234567",
        "locale": "fi-FI",
        "erased": False,
    }
    assert member["enrolled_by"] == ids.private("par", grocer)
    assert member["account_id"] != member_id
    wallet = await database.fetchrow("SELECT * FROM ledger.wallet JOIN ledger.unit USING (unit_id)")
    assert (wallet["account_id"], wallet["available"], wallet["held"], wallet["code"]) == (
        member["account_id"],
        0,
        0,
        "points",
    )
    contacts = await database.fetch("SELECT kind, member_id FROM members.contact ORDER BY kind")
    assert [tuple(row) for row in contacts] == [("email", member_id), ("phone", member_id)]
    kept = await database.fetch(
        "SELECT purpose, body, locale, channel, given_at "
        "FROM members.consent JOIN members.consent_text USING (text_sha256)"
    )
    assert sorted(tuple(row) for row in kept) == [
        ("marketing", NEWS, "fi", "till", NOW),
        ("profiling", "Profile me", "fi", None, NOW),
    ]


async def test_a_known_person_is_the_same_member(callers: Callers, database: asyncpg.Pool) -> None:
    """Another brand gets the same member, its own consent, and nothing else; nothing about the person changes."""
    scheme = await open_scheme(callers)
    grocer, fuel = await scheme.partner("grocer"), await scheme.partner("fuel")
    first, second = await scheme.api_of(grocer), await scheme.api_of(fuel)
    body = {"email": "ada@example.org", "name": "Ada", "consents": [consent()]}
    known = (await first.post("/v1/members", body)).json()
    person = await database.fetch("SELECT * FROM members.member")

    again = await second.post(
        "/v1/members",
        {"email": " ADA@example.org ", "phone": "+358409999999", "name": "Eve", "consents": [consent()]},
        key="k",
    )

    assert again.status_code == 200
    assert set(again.json()) == {"member", "consents", "new"}
    assert (again.json()["member"], again.json()["new"]) == (known["member"], False)
    assert again.json()["consents"][0]["receipt"] != known["consents"][0]["receipt"]
    assert await database.fetch("SELECT * FROM members.member") == person
    assert await database.fetchval("SELECT count(*) FROM members.contact") == 1
    assert await database.fetchval("SELECT count(*) FROM members.consent_text") == 1
    given = await database.fetch("SELECT partner_id FROM members.consent ORDER BY receipt_id")
    assert [row["partner_id"] for row in given] == [ids.private("par", grocer), ids.private("par", fuel)]
    async with unchanged(database):
        replayed = await second.post(
            "/v1/members",
            {"email": " ADA@example.org ", "phone": "+358409999999", "name": "Eve", "consents": [consent()]},
            key="k",
        )
        other = await second.post("/v1/members", {"email": "bob@example.org"}, key="k")
    assert (replayed.status_code, replayed.json()) == (200, again.json())
    assert_refused(other, 409, "idempotency-key-reused")


async def test_a_person_is_known_by_telephone(callers: Callers) -> None:
    """However the number is written, it is one number."""
    scheme = await open_scheme(callers)
    shop = await scheme.api_of(await scheme.partner())
    made = await shop.post("/v1/members", {"phone": "+358401234567"})
    again = await shop.post("/v1/members", {"phone": " +358-40.123 4567", "email": "x@example.org"})

    assert (made.status_code, again.status_code) == (201, 200)
    assert again.json() == {"member": made.json()["member"], "consents": [], "new": False}


async def test_contacts_of_two_people_are_refused(callers: Callers, database: asyncpg.Pool) -> None:
    """An address of one member with the number of another names nobody."""
    scheme = await open_scheme(callers)
    shop = await scheme.api_of(await scheme.partner())
    await shop.post("/v1/members", {"email": "ada@example.org"})
    await shop.post("/v1/members", {"phone": "+358401234567"})
    async with unchanged(database):
        answer = await shop.post(
            "/v1/members", {"email": "ada@example.org", "phone": "+358401234567", "consents": [consent()]}
        )

    assert_refused(answer, 409, "contacts-of-two-members")
    assert "mem_" not in answer.text


async def test_programmes_do_not_know_each_others_members(callers: Callers) -> None:
    """The same address is another member in another programme, and is not found across."""
    scheme = await open_scheme(callers)
    shop = await scheme.api_of(await scheme.partner())
    other = await open_scheme(callers, code="other")
    elsewhere = await other.api_of(await other.partner())
    here = (await shop.post("/v1/members", {"email": "ada@example.org"})).json()
    there = await elsewhere.post("/v1/members", {"email": "ada@example.org"})

    assert (there.status_code, there.json()["new"]) == (201, True)
    assert there.json()["member"] != here["member"]
    assert_refused(await elsewhere.get(f"/v1/members/{here['member']}"), 404, "unknown-member")
    assert (await shop.get(f"/v1/members/{here['member']}")).status_code == 200


async def test_parallel_enrolments_make_one_member(callers: Callers, database: asyncpg.Pool) -> None:
    """Of twenty at once with one address, one is new and all name the same member."""
    scheme = await open_scheme(callers)
    shops = [await scheme.api_of(await scheme.partner(code)) for code in ("grocer", "fuel")]
    answers = await asyncio.gather(
        *(
            shops[number % 2].post("/v1/members", {"email": "ada@example.org", "consents": [consent()]})
            for number in range(20)
        )
    )

    assert sorted(answer.status_code for answer in answers) == [200] * 19 + [201]
    assert len({answer.json()["member"] for answer in answers}) == 1
    assert sum(answer.json()["new"] for answer in answers) == 1
    counted = {
        table: await database.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608  # names of this test
        for table in (
            "members.member",
            "members.member_key",
            "members.contact",
            "ledger.account",
            "ledger.wallet",
            "members.consent",
        )
    }
    assert counted == {
        "members.member": 1,
        "members.member_key": 1,
        "members.contact": 1,
        "ledger.account": 1,
        "ledger.wallet": 1,
        "members.consent": 20,
    }


async def test_crossing_contacts_neither_deadlock_nor_split(callers: Callers, database: asyncpg.Pool) -> None:
    """Address and number together, in parallel with each alone: every contact ends at one member, nothing is left."""
    scheme = await open_scheme(callers)
    shop = await scheme.api_of(await scheme.partner())
    for number in range(5):
        email, phone = f"ada{number}@example.org", f"+35840123456{number}"
        answers = await asyncio.gather(
            *(
                shop.post("/v1/members", body)
                for body in (
                    {"email": email, "phone": phone},
                    {"phone": phone},
                    {"email": email},
                    {"email": email, "phone": phone},
                )
            )
        )
        for answer in answers:
            assert answer.status_code in {200, 201} or problem_of(answer) == (409, "contacts-of-two-members")
    orphans = await database.fetchval(
        "SELECT count(*) FROM members.contact c WHERE NOT EXISTS "
        "(SELECT FROM members.member JOIN members.member_key USING (member_id) WHERE member_id = c.member_id)"
    )
    assert orphans == 0
    assert await database.fetchval("SELECT count(*) FROM members.contact") == 10
    assert await database.fetchval("SELECT count(*) FROM ledger.account") == await database.fetchval(
        "SELECT count(*) FROM members.member"
    )


async def test_a_contact_that_is_claimed_meanwhile(callers: Callers, database: asyncpg.Pool) -> None:
    """Whoever waited for a number that another enrolment was writing finds its member, and claims nothing more."""
    scheme = await open_scheme(callers)
    grocer = await scheme.partner()
    shop = await scheme.api_of(grocer)
    async with database.acquire() as connection, connection.transaction():
        keys = keyring.load(callers.settings.keys_folder)
        first = await enrol(connection, keys, ids.private("par", grocer), NewMember(phone="+358401234567"))
        second = asyncio.create_task(shop.post("/v1/members", {"email": "ada@example.org", "phone": "+358401234567"}))
        while not await database.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            assert not second.done()
    answer = await second

    assert (answer.status_code, answer.json()) == (200, {"member": first.member, "consents": [], "new": False})
    assert [row["kind"] for row in await database.fetch("SELECT kind FROM members.contact")] == ["phone"]
    assert await database.fetchval("SELECT count(*) FROM members.member") == 1


async def test_a_wrong_field_is_named(callers: Callers, database: asyncpg.Pool) -> None:
    """Nobody is enrolled, and what was given is not repeated."""
    scheme = await open_scheme(callers)
    shop = await scheme.api_of(await scheme.partner())
    right = {"email": "ada@example.org", "consents": [consent()]}
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"email": "ada"}, "/email"),
        ({"email": "ada@example"}, "/email"),
        ({"email": "a..b@example.org"}, "/email"),
        ({"email": "ada@exa mple.org"}, "/email"),
        ({"email": "ada\u0000@example.org"}, "/email"),
        ({"email": "x" * 65 + "@example.org"}, "/email"),
        ({"phone": "0401234567"}, "/phone"),
        ({"phone": "+0401234567"}, "/phone"),
        ({"phone": "+35840123456789012"}, "/phone"),
        ({"phone": "call me"}, "/phone"),
        ({"name": "a\nb"}, "/name"),
        ({"locale": "finnish"}, "/locale"),
        ({"consents": [consent(purpose="Marketing")]}, "/consents/0/purpose"),
        ({"consents": [consent(), consent(text="")]}, "/consents/1/text"),
        ({"consents": [consent(text="a\u0000")]}, "/consents/0/text"),
        ({"consents": [consent(locale="")]}, "/consents/0/locale"),
        ({"consents": [consent(channel="a b")]}, "/consents/0/channel"),
        ({"consents": [consent()] * 21}, "/consents"),
    ]
    async with unchanged(database):
        for changes, pointer in wrong:
            assert_field(await shop.post("/v1/members", right | changes), pointer)
        nothing = await shop.post("/v1/members", {"name": "Ada"})
        assert_refused(nothing, 400, "contact-missing")
        assert "call me" not in (await shop.post("/v1/members", {"phone": "call me"})).text


async def test_a_partner_sees_little(callers: Callers, database: asyncpg.Pool) -> None:
    """That a member is one, and its own consents with their ends; not another brand's, no balance, no contact."""
    scheme = await open_scheme(callers)
    first, second = [await scheme.api_of(await scheme.partner(code)) for code in ("grocer", "fuel")]
    member, browser, _ = await scheme.member_of(first, name="Ada", consents=[consent()])
    await second.post("/v1/members", {"email": "ada@example.org", "consents": [consent("profiling")]})
    receipt = (await first.get(f"/v1/members/{member}")).json()["consents"][0]["receipt"]
    assert (await browser.post(f"/v1/me/consents/{receipt}/withdrawals")).status_code == 201

    seen = (await first.get(f"/v1/members/{member}")).json()
    assert seen == {
        "member": member,
        "consents": [
            {
                "receipt": receipt,
                "partner": "grocer",
                "brand": "Grocer",
                "purpose": "marketing",
                "text_sha256": hashlib.sha256(NEWS.encode()).hexdigest(),
                "locale": "fi",
                "channel": "till",
                "given_at": "2026-03-02T09:00:00Z",
                "withdrawn_at": "2026-03-02T09:00:00Z",
            }
        ],
        "next": None,
    }
    for unknown in ("mem_0000000000001", "ada@example.org"):
        assert_refused(await first.get(f"/v1/members/{unknown}"), 404, "unknown-member")


async def test_only_partners_enrol(callers: Callers, database: asyncpg.Pool) -> None:
    """The operator, a member, and a key without the scope do not."""
    scheme = await open_scheme(callers)
    grocer = await scheme.partner()
    shop = await scheme.api_of(grocer)
    _, browser, _ = await scheme.member_of(shop)
    reader = await callers.partner(ids.private("par", grocer), scheme.programme_id, frozenset({"offers:read"}))
    async with unchanged(database):
        for caller in (scheme.operator, browser, reader):
            answer = await caller.post("/v1/members", {"email": "eve@example.org"})
            assert_refused(answer, 403, "scope-missing", missing_scopes=["members:write"])
