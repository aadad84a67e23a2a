"""Staff of a brand over HTTP: a role, a sign-in by code, and nobody made an operator this way."""

import asyncpg

from koinon import ids
from tests.web.conftest import Callers, problem_of
from tests.web.scheme import assert_field, assert_refused, open_scheme, unchanged

ANNA = {"email": "Anna@Grocer.example", "name": "Anna", "role": "finance"}


async def test_a_brand_gets_staff(callers: Callers, database: asyncpg.Pool) -> None:
    """A person has a role at the brand, under the address in the form that is stored; twice is once."""
    scheme = await open_scheme(callers)
    partner = await scheme.partner()
    path = f"/v1/partners/{partner}/staff"
    made = await scheme.operator.post(path, ANNA)

    assert made.status_code == 201
    assert made.json() == {"staff": made.json()["staff"], "partner": partner, "role": "finance"}
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
