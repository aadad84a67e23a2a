"""Staff of a brand over HTTP: a role given and taken back, who has one, and nobody made an operator this way."""

import asyncio
from typing import Any

import asyncpg
import pytest
from litestar import Litestar

from koinon import ids
from koinon.identity.access_tokens import AccessTokens
from tests.kit.scheme import Scheme, assert_field, assert_refused, open_scheme, unchanged
from tests.web.conftest import Api, Callers, problem_of

ANNA = {"email": "Anna@Grocer.example", "name": "Anna", "role": "finance"}


async def test_a_brand_gets_staff(callers: Callers, database: asyncpg.Pool) -> None:
    """A person has a role at the brand, under the address in the form that is stored; twice is once."""
    scheme = await open_scheme(callers)
    partner = await scheme.partner()
    path = f"/v1/partners/{partner}/staff"
    made = await scheme.operator.post(path, ANNA)

    assert made.status_code == 201
    names = {name: made.json()[name] for name in ("grant", "staff")}
    assert made.json() == {**names, "partner": partner, "role": "finance"}
    again = await scheme.operator.post(path, ANNA | {"name": "Anna of finance"})
    assert again.json() == made.json()
    rows = await database.fetch(
        "SELECT s.email, s.name, g.role FROM identity.staff s JOIN identity.staff_grant g USING (staff_id) "
        "WHERE g.partner_id IS NOT NULL"
    )
    assert [tuple(row) for row in rows] == [("anna@grocer.example", "Anna", "finance")]


async def test_no_operator_is_made_over_http(callers: Callers, database: asyncpg.Pool) -> None:
    """The operator's role cannot be given, nor any role at the operator's own partner, nor one at no partner."""
    scheme = await open_scheme(callers)
    partner = await scheme.partner()
    own = (await scheme.operator.get(f"/v1/programmes/{scheme.programme}")).json()["operator"]
    async with unchanged(database):
        assert_field(await scheme.operator.post(f"/v1/partners/{partner}/staff", ANNA | {"role": "operator"}), "/role")
        assert_field(await scheme.operator.post(f"/v1/partners/{partner}/staff", ANNA | {"email": "anna"}), "/email")
        assert_refused(await scheme.operator.post(f"/v1/partners/{own}/staff", ANNA), 422, "operator-staff-elsewhere")
        unknown = await scheme.operator.post("/v1/partners/par_0000000000001/staff", ANNA)
        assert_refused(unknown, 404, "unknown-partner")


async def test_a_brand_makes_no_staff(callers: Callers, database: asyncpg.Pool) -> None:
    """A partner's key may not give roles, not even at its own brand."""
    scheme = await open_scheme(callers)
    partner = await scheme.partner()
    shop = await scheme.callers.staff(
        "owner@grocer.example", role="owner", partner_id=ids.private("par", partner), programme_id=scheme.programme_id
    )
    async with unchanged(database):
        assert problem_of(await shop.post(f"/v1/partners/{partner}/staff", ANNA)) == (403, "scope-missing")


async def staff_of(scheme: Scheme, partner: str, email: str, role: str = "finance") -> Api:
    """Return a brand's member of staff who is signed in."""
    return await scheme.callers.staff(
        email, role=role, partner_id=ids.private("par", partner), programme_id=scheme.programme_id
    )


async def listed(api: Api, partner: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return who has a role at a partner now, as somebody sees them, by address and role."""
    answer = await api.get(f"/v1/partners/{partner}/staff")
    assert answer.status_code == 200, answer.text
    living = [each for each in answer.json()["items"] if each["ended_at"] is None]
    return {(each["email"], each["role"]): each for each in living}


async def test_a_role_is_taken_back(callers: Callers, database: asyncpg.Pool) -> None:
    """Who had it is signed out at once, there alone; a retry is answered the same, and it can be given again."""
    scheme = await open_scheme(callers)
    grocer, fuel = await scheme.partner("grocer"), await scheme.partner("fuel")
    anna, elsewhere = [await staff_of(scheme, each, "anna@grocer.example") for each in (grocer, fuel)]
    ben = await staff_of(scheme, grocer, "ben@grocer.example")
    grant = (await listed(scheme.operator, grocer))["anna@grocer.example", "finance"]
    path = f"/v1/partners/{grocer}/staff/{grant['grant']}/ends"

    ended = await scheme.operator.post(path, key="once")

    assert ended.status_code == 201
    assert ended.json() == {
        "grant": grant["grant"],
        "staff": anna.name,
        "partner": grocer,
        "role": "finance",
        "ended_at": ended.json()["ended_at"],
    }
    assert await database.fetchval("SELECT count(*) FROM identity.session WHERE ended_at IS NOT NULL") == 1
    statuses = [(await each.get("/v1/sign-in/sessions/current")).status_code for each in (anna, elsewhere, ben)]
    assert statuses == [401, 200, 200]
    async with unchanged(database):
        again = await scheme.operator.post(path, key="once")
        assert (again.json(), again.headers["Idempotent-Replayed"]) == (ended.json(), "true")
        assert_refused(await scheme.operator.post(path), 409, "grant-ended")
    given = await scheme.operator.post(f"/v1/partners/{grocer}/staff", ANNA)
    assert given.json()["staff"] == anna.name
    assert given.json()["grant"] != grant["grant"]
    assert (await listed(scheme.operator, grocer))["anna@grocer.example", "finance"]["grant"] == given.json()["grant"]
    every = (await scheme.operator.get(f"/v1/partners/{grocer}/staff")).json()["items"]
    assert {each["grant"]: each["ended_at"] for each in every}[grant["grant"]] == ended.json()["ended_at"]


async def test_who_has_another_role_signs_in_by_it(callers: Callers, database: asyncpg.Pool) -> None:
    """With one of two roles a brand's sessions end, and the other role stays."""
    scheme = await open_scheme(callers)
    partner = await scheme.partner()
    first = await staff_of(scheme, partner, "anna@grocer.example", "owner")
    second = await staff_of(scheme, partner, "anna@grocer.example", "support")
    grant = (await listed(scheme.operator, partner))["anna@grocer.example", "owner"]["grant"]

    assert (await scheme.operator.post(f"/v1/partners/{partner}/staff/{grant}/ends")).status_code == 201

    for session in (first, second):
        assert (await session.get("/v1/sign-in/sessions/current")).status_code == 401
    assert set(await listed(scheme.operator, partner)) == {("anna@grocer.example", "support")}


async def test_staff_come_a_page_at_a_time(callers: Callers) -> None:
    """The operator and a brand's owner see all of the brand's staff, and no other role or brand does."""
    scheme = await open_scheme(callers)
    grocer, fuel = await scheme.partner("grocer"), await scheme.partner("fuel")
    owner = await staff_of(scheme, grocer, "owner@grocer.example", "owner")
    for role in ("marketing", "support"):
        await scheme.operator.post(f"/v1/partners/{grocer}/staff", ANNA | {"role": role})
    stranger = await staff_of(scheme, fuel, "owner@fuel.example", "owner")
    path = f"/v1/partners/{grocer}/staff"

    for reader in (scheme.operator, owner):
        first = (await reader.get(path, limit=2)).json()
        rest = (await reader.get(path, limit=2, cursor=first["next"])).json()
        assert (len(first["items"]), len(rest["items"]), rest["next"]) == (2, 1, None)
        assert sorted((each["email"], each["name"], each["role"]) for each in first["items"] + rest["items"]) == [
            ("anna@grocer.example", "Anna", "marketing"),
            ("anna@grocer.example", "Anna", "support"),
            ("owner@grocer.example", "owner", "owner"),
        ]
        assert_field(await reader.get(path, cursor="x"), "/cursor")
    assert_refused(await stranger.get(path), 404, "unknown-partner")
    assert_refused(await scheme.operator.get("/v1/partners/par_0000000000001/staff"), 404, "unknown-partner")
    for role in ("marketing", "finance", "developer", "support"):
        reader = await staff_of(scheme, grocer, f"{role}@grocer.example", role)
        assert_refused(await reader.get(path), 403, "scope-missing")


async def test_an_operator_s_role_is_taken_back(
    callers: Callers, app: Litestar, database: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the operator's own partner: sessions and keys of the person end, and the operators are listed there."""
    scheme = await open_scheme(callers)
    own = (await scheme.operator.get(f"/v1/programmes/{scheme.programme}")).json()["operator"]
    eve, browser = await callers.operator("eve@koinon.example"), await callers.staff("eve@koinon.example")
    operators = await listed(scheme.operator, own)
    assert sorted(operators) == [("eve@koinon.example", "operator"), ("ops@koinon.example", "operator")]
    grant = operators["eve@koinon.example", "operator"]["grant"]

    ended = await scheme.operator.post(f"/v1/partners/{own}/staff/{grant}/ends")

    assert (ended.status_code, ended.json()["staff"], ended.json()["role"]) == (201, eve.name, "operator")
    assert (await browser.get("/v1/programmes")).status_code == 401
    monkeypatch.setattr(app.state["runtime"][AccessTokens].revocations, "_asked_at", float("-inf"))
    assert problem_of(await eve.get("/v1/programmes")) == (401, "token-invalid")
    assert (await scheme.operator.get("/v1/programmes")).status_code == 200


async def test_the_last_operator_stays(callers: Callers, database: asyncpg.Pool) -> None:
    """One operator cannot end their own role; of two who end each other's at once, one stays."""
    scheme = await open_scheme(callers)
    own = (await scheme.operator.get(f"/v1/programmes/{scheme.programme}")).json()["operator"]
    path = "/v1/partners/{}/staff/{}/ends"
    first = (await listed(scheme.operator, own))["ops@koinon.example", "operator"]["grant"]
    async with unchanged(database):
        assert_refused(await scheme.operator.post(path.format(own, first)), 409, "last-operator")

    eve = await callers.operator("eve@koinon.example")
    second = (await listed(scheme.operator, own))["eve@koinon.example", "operator"]["grant"]
    answers = await asyncio.gather(scheme.operator.post(path.format(own, second)), eve.post(path.format(own, first)))

    assert sorted(answer.status_code for answer in answers) == [201, 409]
    (refused,) = (answer for answer in answers if answer.status_code == 409)
    assert_refused(refused, 409, "last-operator")
    living = "SELECT count(*) FROM identity.staff_grant WHERE role = 'operator' AND ended_at IS NULL"
    assert await database.fetchval(living) == 1


async def test_only_a_partner_s_own_grant_ends(callers: Callers, database: asyncpg.Pool) -> None:
    """Another brand's grant, an operator's at a brand, and what is no grant are not found; an owner ends none."""
    scheme = await open_scheme(callers)
    grocer, fuel = await scheme.partner("grocer"), await scheme.partner("fuel")
    own = (await scheme.operator.get(f"/v1/programmes/{scheme.programme}")).json()["operator"]
    owner = await staff_of(scheme, grocer, "owner@grocer.example", "owner")
    await callers.operator("eve@koinon.example")
    at_grocer = (await listed(scheme.operator, grocer))["owner@grocer.example", "owner"]["grant"]
    operator = (await listed(scheme.operator, own))["eve@koinon.example", "operator"]["grant"]
    async with unchanged(database):
        for partner, grant in (
            (fuel, at_grocer), (own, at_grocer), (grocer, operator), (grocer, "grt_0000000000001"), (grocer, "x"),
        ):  # fmt: skip
            answer = await scheme.operator.post(f"/v1/partners/{partner}/staff/{grant}/ends")
            assert_refused(answer, 404, "unknown-grant")
        nowhere = await scheme.operator.post(f"/v1/partners/par_0000000000001/staff/{at_grocer}/ends")
        assert_refused(nowhere, 404, "unknown-partner")
        refused = await owner.post(f"/v1/partners/{grocer}/staff/{at_grocer}/ends")
        assert_refused(refused, 403, "scope-missing")
