"""Partners over HTTP: brands with an account that money can be sent to and an address that answers."""

import asyncio
from typing import Any

import asyncpg

from koinon import ids
from tests.kit.scheme import assert_field, assert_refused, open_scheme, partner_body, programme_body, unchanged
from tests.web.conftest import Callers, problem_of


async def test_a_partner_joins(callers: Callers, database: asyncpg.Pool) -> None:
    """The account number is kept without spaces, the address in lower case; without a cap staff attest nothing."""
    scheme = await open_scheme(callers)
    body = partner_body(scheme.programme, contact_email="Finance@Grocer.Example")
    answer = await scheme.operator.post("/v1/partners", body)

    made = answer.json()
    assert answer.status_code == 201
    assert made == {
        "partner": made["partner"],
        "programme": scheme.programme,
        "code": "grocer",
        "brand": "Grocer",
        "iban": "FI2112345600000785",
        "contact_email": "finance@grocer.example",
        "operator": False,
        "attested_points_per_day": 0,
        "created_at": made["created_at"],
    }
    assert (await scheme.operator.get(f"/v1/partners/{made['partner']}")).json() == made
    row = await database.fetchrow("SELECT * FROM parties.partner WHERE NOT operator")
    assert (row["partner_id"], row["iban"]) == (ids.private("par", made["partner"]), "FI2112345600000785")


async def test_a_wrong_field_is_named(callers: Callers, database: asyncpg.Pool) -> None:
    """No partner is made, and the answer points at the field."""
    scheme = await open_scheme(callers)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"code": "Grocer"}, "/code"),
        ({"brand": " "}, "/brand"),
        ({"brand": "x" * 201}, "/brand"),
        ({"contact_email": "grocer.example"}, "/contact_email"),
        ({"contact_email": "a@b"}, "/contact_email"),
        ({"contact_email": "a b@c.example"}, "/contact_email"),
        ({"attested_points_per_day": -1}, "/attested_points_per_day"),
        ({"attested_points_per_day": 10**13}, "/attested_points_per_day"),
        ({"attested_points_per_day": 1.5}, "/attested_points_per_day"),
        ({"programme": "par_0000000000001"}, "/programme"),
    ]
    async with unchanged(database):
        for changes, pointer in wrong:
            body = partner_body(scheme.programme) | changes
            assert_field(await scheme.operator.post("/v1/partners", body), pointer)


async def test_an_account_number_is_an_iban(callers: Callers, database: asyncpg.Pool) -> None:
    """A wrong check digit, length, country or symbol is told apart from other wrong fields, and not echoed."""
    scheme = await open_scheme(callers)
    async with unchanged(database):
        for iban in ("FI2112345600000786", "FI211234560000078", "XX2112345600000785", "", "\u0000", "12345600000785"):
            answer = await scheme.operator.post("/v1/partners", partner_body(scheme.programme, iban=iban))

            assert_refused(answer, 400, "iban-invalid")
            assert_field(answer, "/iban")
            assert not iban or iban not in answer.text


async def test_a_code_names_one_brand(callers: Callers, database: asyncpg.Pool) -> None:
    """Taken in this programme it is refused, in another programme it is free; the house's own codes are nobody's."""
    scheme = await open_scheme(callers)
    assert (await scheme.operator.post("/v1/partners", partner_body(scheme.programme))).status_code == 201
    async with unchanged(database):
        again = await scheme.operator.post("/v1/partners", partner_body(scheme.programme))
        assert_refused(again, 409, "partner-code-taken", partner_code="grocer")
        for code in ("operator", "pool", "margin", "breakage"):
            answer = await scheme.operator.post("/v1/partners", partner_body(scheme.programme, code))
            assert_refused(answer, 422, "partner-code-reserved", partner_code=code)
    other = (await scheme.operator.post("/v1/programmes", programme_body(code="other"))).json()["programme"]
    assert (await scheme.operator.post("/v1/partners", partner_body(other))).status_code == 201


async def test_a_brand_joins_once_at_a_time(callers: Callers, database: asyncpg.Pool) -> None:
    """Of parallel requests for one code, one makes the partner."""
    scheme = await open_scheme(callers)
    answers = await asyncio.gather(
        *(scheme.operator.post("/v1/partners", partner_body(scheme.programme)) for _ in range(6))
    )

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409, 409]
    assert await database.fetchval("SELECT count(*) FROM parties.partner WHERE NOT operator") == 1


async def test_an_unknown_programme_or_partner(callers: Callers, database: asyncpg.Pool) -> None:
    """Nobody joins a programme that is not there, and what is no partner is not found."""
    scheme = await open_scheme(callers)
    async with unchanged(database):
        joined = await scheme.operator.post("/v1/partners", partner_body("pro_0000000000001"))
    assert_refused(joined, 404, "unknown-programme")
    for partner in ("par_0000000000001", "grocer"):
        assert_refused(await scheme.operator.get(f"/v1/partners/{partner}"), 404, "unknown-partner")


async def test_partners_come_a_page_at_a_time(callers: Callers) -> None:
    """Pages of one programme, or of all, follow one another without a gap or a double."""
    scheme = await open_scheme(callers)
    other = (await scheme.operator.post("/v1/programmes", programme_body(code="other"))).json()["programme"]
    for code in ("travel", "cafe", "fuel"):
        await scheme.operator.post("/v1/partners", partner_body(scheme.programme, code))
    await scheme.operator.post("/v1/partners", partner_body(other, "cafe"))

    async def pages(**query: str) -> list[str]:
        seen: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = (await scheme.operator.get("/v1/partners", limit=2, **query, **cursor)).json()
            seen += [item["code"] for item in page["items"]]
            if page["next"] is None:
                return seen
            cursor = {"cursor": page["next"]}

    assert await pages(programme=scheme.programme) == ["cafe", "fuel", "operator", "travel"]
    assert await pages() == ["cafe", "cafe", "fuel", "operator", "operator", "travel"]
    assert problem_of(await scheme.operator.get("/v1/partners", cursor="x")) == (400, "invalid-input")
    assert problem_of(await scheme.operator.get("/v1/partners", programme="x")) == (400, "invalid-input")


async def test_a_brand_sees_no_other(callers: Callers) -> None:
    """A partner's key opens none of the operator's lists."""
    scheme = await open_scheme(callers)
    grocer = await scheme.partner()
    shop = await scheme.api_of(grocer)

    for path in ("/v1/partners", f"/v1/partners/{grocer}", f"/v1/partners/{grocer}/contracts", "/v1/programmes"):
        assert problem_of(await shop.get(path)) == (403, "scope-missing")
