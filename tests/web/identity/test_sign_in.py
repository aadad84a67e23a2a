"""Sign-in by one-time code: by mail, once, for ten minutes and five tries."""

import asyncio
import hashlib
import re
from typing import Any

import asyncpg
import httpx
import pytest
import time_machine
from litestar import Litestar

from koinon.clock import machine_now
from koinon.database import transaction
from koinon.identity.jobs import forget_what_ran_out
from koinon.identity.operations import end_grant, grant_role, make_staff
from koinon.ids import public
from koinon.settings import Settings
from tests.web.conftest import newest_code, newest_letter, problem_of
from tests.web.identity.conftest import Brand, new_brand, new_member

ANNA = "anna@example.org"


@pytest.fixture
async def anna(settings: Settings, brand: Brand) -> int:
    """Give the id of a member of the brand's programme."""
    return await new_member(settings, brand, ANNA)


async def ask(client: httpx.AsyncClient, **body: Any) -> httpx.Response:
    """Ask for a code, by default Anna's."""
    return await client.post("/v1/sign-in/codes", json={"email": ANNA, "programme": "demo"} | body)


async def sign_in(client: httpx.AsyncClient, code: str, **body: Any) -> httpx.Response:
    """Sign in with a code, by default as Anna."""
    return await client.post("/v1/sign-in/sessions", json={"email": ANNA, "programme": "demo", "code": code} | body)


def other_than(code: str) -> str:
    """Return a wrong code."""
    return f"{(int(code) + 1) % 1_000_000:06}"


async def test_a_member_signs_in(client: httpx.AsyncClient, secret: bytes, anna: int, probe: str) -> None:
    """The code from the mail opens a session, and the answer's token lets its pages write."""
    assert (await ask(client)).status_code == 202
    answer = await sign_in(client, await newest_code(secret))

    assert answer.status_code == 201
    assert answer.json()["kind"] == "member"
    cookie = answer.headers["Set-Cookie"]
    assert re.fullmatch(r"koinon_session=[\w-]{43}; HttpOnly; Max-Age=2592000; Path=/; SameSite=lax", cookie)
    written = await client.post(probe, json={}, headers={"X-CSRF-Token": answer.json()["csrf"]})
    assert written.json()["name"] == public("mem", anna)


async def test_the_programme_may_be_named_by_its_id(
    client: httpx.AsyncClient, secret: bytes, anna: int, brand: Brand
) -> None:
    """A programme's code and its id name the same programme, also one after the other."""
    await ask(client, programme=public("pro", brand.programme_id))

    assert (await sign_in(client, await newest_code(secret), programme="demo")).status_code == 201


async def test_the_address_is_read_kindly(client: httpx.AsyncClient, secret: bytes, anna: int) -> None:
    """Capitals and blanks around an address are no other address."""
    assert (await ask(client, email="  Anna@Example.ORG ")).status_code == 202

    assert (await sign_in(client, await newest_code(secret), email="ANNA@example.org")).status_code == 201


async def test_nobody_learns_who_is_a_member(
    client: httpx.AsyncClient, database: asyncpg.Pool, secret: bytes, anna: int
) -> None:
    """An address that nobody has gets the same answers and the same limits, and no mail."""
    known = [await ask(client) for _ in range(6)]
    unknown = [await ask(client, email="nobody@example.org") for _ in range(6)]

    assert [answer.status_code for answer in known] == [202] * 5 + [429]
    assert [answer.status_code for answer in unknown] == [202] * 5 + [429]
    assert [answer.content for answer in known[:5]] == [answer.content for answer in unknown[:5]]
    assert await database.fetchval("SELECT count(*) FROM delivery.mail") == 5
    assert (await newest_letter(secret)).recipient == ANNA
    wrong = [await sign_in(client, "000000", email=email) for email in (ANNA, "nobody@example.org")]
    assert wrong[0].content == wrong[1].content


async def test_a_member_of_one_programme_is_none_of_another(
    client: httpx.AsyncClient, database: asyncpg.Pool, secret: bytes, anna: int
) -> None:
    """Codes and members belong to a programme."""
    await new_brand("other")

    assert (await ask(client, programme="other")).status_code == 202
    assert await database.fetchval("SELECT count(*) FROM delivery.mail") == 0
    await ask(client)
    assert problem_of(await sign_in(client, await newest_code(secret), programme="other"))[0] == 401
    assert (await sign_in(client, await newest_code(secret))).status_code == 201


async def test_a_code_is_good_once(client: httpx.AsyncClient, database: asyncpg.Pool, secret: bytes, anna: int) -> None:
    """Of ten who bring the right code at once, one is let in; afterwards nobody."""
    await ask(client)
    code = await newest_code(secret)

    answers = await asyncio.gather(*(sign_in(client, code) for _ in range(10)))

    assert sorted(answer.status_code for answer in answers) == [201] + [401] * 9
    assert problem_of(await sign_in(client, code)) == (401, "sign-in-code-invalid")
    assert await database.fetchval("SELECT count(*) FROM identity.session") == 1


async def test_five_tries_and_no_more(
    client: httpx.AsyncClient, database: asyncpg.Pool, secret: bytes, anna: int
) -> None:
    """After five wrong tries the right code is wrong, too; a new one is good."""
    await ask(client)
    code = await newest_code(secret)
    for _ in range(5):
        assert problem_of(await sign_in(client, other_than(code))) == (401, "sign-in-code-invalid")

    assert problem_of(await sign_in(client, code)) == (401, "sign-in-code-invalid")
    assert await database.fetchval("SELECT count(*) FROM identity.session") == 0
    await ask(client)
    assert (await sign_in(client, await newest_code(secret))).status_code == 201


async def test_parallel_guesses_are_counted(
    client: httpx.AsyncClient, database: asyncpg.Pool, secret: bytes, anna: int
) -> None:
    """Guesses made at once count like guesses made one after another."""
    await ask(client)
    code = await newest_code(secret)

    await asyncio.gather(*(sign_in(client, other_than(code)) for _ in range(12)))

    assert await database.fetchval("SELECT attempts FROM identity.sign_in_code") == 5
    assert problem_of(await sign_in(client, code))[0] == 401


async def test_a_code_ends_after_ten_minutes(client: httpx.AsyncClient, secret: bytes, anna: int) -> None:
    """A code is good for ten minutes of machine time."""
    await ask(client)
    code, now = await newest_code(secret), machine_now().timestamp()

    with time_machine.travel(now + 601, tick=True):
        assert problem_of(await sign_in(client, code)) == (401, "sign-in-code-invalid")
    with time_machine.travel(now + 590, tick=True):
        assert (await sign_in(client, code)).status_code == 201


async def test_a_new_code_ends_the_one_before(client: httpx.AsyncClient, secret: bytes, anna: int) -> None:
    """Only the last code is good."""
    await ask(client)
    first = await newest_code(secret)
    await ask(client)
    second = await newest_code(secret)
    if first == second:
        pytest.skip("the same code was drawn twice, as happens once in a million times")

    assert problem_of(await sign_in(client, first))[0] == 401
    assert (await sign_in(client, second)).status_code == 201


async def test_codes_are_limited_by_the_hour(client: httpx.AsyncClient, anna: int) -> None:
    """The sixth code in an hour is refused, says when to come back, and then there is one."""
    now = machine_now().timestamp()
    answers = await asyncio.gather(*(ask(client) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [202] * 5 + [429] * 3
    refusal = next(answer for answer in answers if answer.status_code == 429)

    assert problem_of(refusal) == (429, "sign-in-codes-too-many")
    assert 3500 < int(refusal.headers["Retry-After"]) <= 3600
    with time_machine.travel(now + 3605, tick=True):
        assert (await ask(client)).status_code == 202


async def test_the_database_holds_no_code(
    client: httpx.AsyncClient, database: asyncpg.Pool, secret: bytes, anna: int
) -> None:
    """The table of codes tells neither the code nor who asked."""
    await ask(client)
    code = await newest_code(secret)
    row = await database.fetchrow("SELECT address_hash, code_hash FROM identity.sign_in_code")

    assert row["code_hash"] not in {code.encode(), hashlib.sha256(code.encode()).digest()}
    assert row["address_hash"] not in {ANNA.encode(), hashlib.sha256(ANNA.encode()).digest()}
    assert {len(row["code_hash"]), len(row["address_hash"])} == {32}


WRONG_REQUESTS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"email": "nobody"}, "/email"),
    ({"email": "a@b\r\nBcc: c@d.example"}, "/email"),
    ({"programme": "unknown"}, "/programme"),
    ({"programme": None, "role": "member"}, "/programme"),
    ({"role": "operator"}, "/role"),
    ({"email": 7}, "/email"),
)


async def test_wrong_requests_are_named(
    client: httpx.AsyncClient, database: asyncpg.Pool, anna: int, subtests: pytest.Subtests
) -> None:
    """A field that is wrong is named, and nothing is written."""
    for body, pointer in WRONG_REQUESTS:
        with subtests.test(body=body):
            answer = await ask(client, **body)

            assert problem_of(answer) == (400, "invalid-input")
            assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert await database.fetchval("SELECT count(*) FROM identity.sign_in_code") == 0
    assert await database.fetchval("SELECT count(*) FROM delivery.mail") == 0


async def test_codes_have_six_digits(client: httpx.AsyncClient, anna: int, subtests: pytest.Subtests) -> None:
    """What is no code is no try."""
    for code in ("", "12345", "1234567", "12345a", "\u0661\u0662\u0663\u0664\u0665\u0666", "123456\n"):
        with subtests.test(code=code):
            assert problem_of(await sign_in(client, code)) == (400, "invalid-input")


async def test_another_site_cannot_sign_a_browser_in(client: httpx.AsyncClient, anna: int) -> None:
    """Neither a code nor a session is given to a form on another site."""
    for path, body in (("codes", {"email": ANNA}), ("sessions", {"email": ANNA, "code": "000000"})):
        answer = await client.post(f"/v1/sign-in/{path}", json=body, headers={"Sec-Fetch-Site": "cross-site"})
        assert problem_of(answer) == (403, "cross-site")


async def staff_of(email: str, *brands: Brand, operator: bool = False) -> int:
    """Make a member of staff who owns brands, and return their id."""
    async with transaction() as connection:
        staff_id = await make_staff(connection, email=email, name="Ben")
        for brand in brands:
            await grant_role(connection, staff_id=staff_id, role="owner", partner_id=brand.partner_id)
        if operator:
            await grant_role(connection, staff_id=staff_id, role="operator")
    return staff_id


BEN: dict[str, Any] = {"email": "ben@brand.example", "programme": None}


async def test_brand_s_staff_sign_in(client: httpx.AsyncClient, secret: bytes, brand: Brand, probe: str) -> None:
    """Staff of one brand sign in without saying which, for twelve hours."""
    await staff_of("ben@brand.example", brand)
    await ask(client, **BEN)

    answer = await sign_in(client, await newest_code(secret), **BEN)

    assert answer.json()["kind"] == "staff"
    assert "Max-Age=43200" in answer.headers["Set-Cookie"]
    assert (await client.get(probe)).json()["partner_id"] == brand.partner_id


async def test_staff_of_several_brands_choose(
    client: httpx.AsyncClient, secret: bytes, brand: Brand, probe: str
) -> None:
    """Who works for several brands is asked for which, and the code stays good."""
    other = await new_brand("other")
    await staff_of("ben@brand.example", brand, other)
    await ask(client, **BEN)
    code = await newest_code(secret)

    refusal = await sign_in(client, code, **BEN)
    foreign = await sign_in(client, code, **BEN, partner="par_0000000000001")
    answer = await sign_in(client, code, **BEN, partner=public("par", other.partner_id))

    assert problem_of(refusal) == (409, "partner-needed")
    assert refusal.json()["partners"] == [public("par", brand.partner_id), public("par", other.partner_id)]
    assert problem_of(foreign) == (409, "partner-needed")
    assert answer.status_code == 201
    assert (await client.get(probe)).json()["partner_id"] == other.partner_id


async def test_the_operator_is_the_operator_unless_they_choose(
    client: httpx.AsyncClient, secret: bytes, brand: Brand, probe: str
) -> None:
    """Who is an operator and owns a brand, too, is the operator by default and the brand by choice."""
    await staff_of("ben@brand.example", brand, operator=True)
    kinds = []
    for partner in (None, public("par", brand.partner_id)):
        await ask(client, **BEN)
        assert (await sign_in(client, await newest_code(secret), **BEN, partner=partner)).status_code == 201
        kinds.append((await client.get(probe)).json()["kind"])

    assert kinds == ["operator", "partner"]


async def test_a_second_sign_in_ends_the_first(
    client: httpx.AsyncClient, database: asyncpg.Pool, secret: bytes, anna: int
) -> None:
    """A browser has one session: the one before does not stay behind."""
    for _ in range(2):
        await ask(client)
        assert (await sign_in(client, await newest_code(secret))).status_code == 201

    assert await database.fetchval("SELECT count(*) FROM identity.session WHERE ended_at IS NULL") == 1


async def test_who_lost_their_roles_gets_no_mail(
    client: httpx.AsyncClient, database: asyncpg.Pool, secret: bytes, brand: Brand
) -> None:
    """Staff without a role are nobody: no mail, and an old code opens nothing."""
    staff_id = await staff_of("ben@brand.example", brand)
    await ask(client, **BEN)
    code = await newest_code(secret)
    async with transaction() as connection:
        await end_grant(
            connection, await grant_role(connection, staff_id=staff_id, role="owner", partner_id=brand.partner_id)
        )

    assert problem_of(await sign_in(client, code, **BEN)) == (401, "sign-in-code-invalid")
    await ask(client, **BEN)
    assert await database.fetchval("SELECT count(*) FROM delivery.mail") == 1


async def test_what_ran_out_is_forgotten(
    app: Litestar, client: httpx.AsyncClient, database: asyncpg.Pool, anna: int, settings: Settings
) -> None:
    """Codes, sessions and assertions that ran out are deleted, and those that live stay."""
    runtime = app.state["runtime"]
    await ask(client)
    await sign_in(client, await newest_code(runtime.keys.secret))
    counts = "SELECT (SELECT count(*) FROM identity.sign_in_code), (SELECT count(*) FROM identity.session)"

    assert await forget_what_ran_out(runtime) is False
    assert tuple(await database.fetchrow(counts)) == (1, 1)
    with time_machine.travel(machine_now().timestamp() + 2 * 3600, tick=True):
        await forget_what_ran_out(runtime)
        assert tuple(await database.fetchrow(counts)) == (0, 1)
    with time_machine.travel(machine_now().timestamp() + 32 * 86_400, tick=True):
        await forget_what_ran_out(runtime)
        assert tuple(await database.fetchrow(counts)) == (0, 0)
