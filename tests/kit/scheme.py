"""A programme made over HTTP, the bodies of right requests, and a look at all that a refusal must leave alone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx

from koinon import ids
from koinon.database import pool
from tests.kit.terms import contract_terms, partner_terms, programme_terms
from tests.web.conftest import Api, Callers, problem_of

NOW = "2026-03-02T09:00:00Z"


def programme_body(**changes: Any) -> dict[str, Any]:
    """Return a right request for a sandbox programme whose clock stands at NOW."""
    right = {"time_zone": "Europe/Helsinki", "expiry_months": 24, "face_value_per_point": "0.005", "clock_at": NOW}
    return programme_terms(**(right | changes))


def partner_body(programme: str, code: str = "grocer", **changes: Any) -> dict[str, Any]:
    """Return a right request for a partner."""
    return partner_terms(programme, code, **({"iban": "FI21 1234 5600 0007 85"} | changes))


def contract_body(**changes: Any) -> dict[str, Any]:
    """Return a right first contract: a cent a point, 0.0015 of it the operator's, all at issue, 0.0085 honoured."""
    return contract_terms(**changes)


class Scheme:
    """One programme, its operator's API, and ways to add to it."""

    def __init__(self, callers: Callers, operator: Api, programme: dict[str, Any]) -> None:
        self.callers = callers
        self.operator = operator
        self.programme: str = programme["programme"]
        self.programme_id = ids.private("pro", self.programme)

    async def partner(self, code: str = "grocer", **contract: Any) -> str:
        """Add a partner with a contract that begins now, and return its public id."""
        made = await self.operator.post("/v1/partners", partner_body(self.programme, code))
        assert made.status_code == 201, made.text
        partner: str = made.json()["partner"]
        signed = await self.operator.post(f"/v1/partners/{partner}/contracts", contract_body(**contract))
        assert signed.status_code == 201, signed.text
        return partner

    async def api_of(self, partner: str) -> Api:
        """Return the API as a partner's system calls it."""
        return await self.callers.partner(ids.private("par", partner), self.programme_id)

    async def member_of(self, shop: Api, **asked: Any) -> tuple[str, Api, int]:
        """Enrol a member and sign them in; returns (public id, API of their browser, account)."""
        made = await shop.post("/v1/members", {"email": "ada@example.org", "consents": []} | asked)
        assert made.status_code == 201, made.text
        member: str = made.json()["member"]
        account_id = await pool().fetchval(
            "SELECT account_id FROM members.member WHERE member_id = $1", ids.private("mem", member)
        )
        browser = await self.callers.member(ids.private("mem", member))
        return member, browser, account_id


async def open_scheme(callers: Callers, **changes: Any) -> Scheme:
    """Open a programme as an operator."""
    operator = await callers.operator()
    made = await operator.post("/v1/programmes", programme_body(**changes))
    assert made.status_code == 201, made.text
    return Scheme(callers, operator, made.json())


async def everything(database: asyncpg.Pool) -> dict[str, tuple[int, str]]:
    """Return (rows, digest of all rows) of every table."""
    tables = await database.fetch(
        "SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'public') ORDER BY 1"
    )
    found = {}
    for table in tables:
        row = await database.fetchrow(
            f"SELECT count(*) AS rows, coalesce(md5(string_agg(t::text, ',' ORDER BY t::text)), '') AS digest "  # noqa: S608  # names from the catalogue
            f"FROM {table['name']} t"
        )
        found[table["name"]] = (row["rows"], row["digest"])
    return found


@asynccontextmanager
async def unchanged(database: asyncpg.Pool) -> AsyncIterator[None]:
    """Assert that the block leaves every row of every table as it was."""
    before = await everything(database)
    yield
    after = await everything(database)
    assert {name for name in after if after[name] != before[name]} == set(), "these tables changed"


def assert_refused(answer: httpx.Response, status: int, code: str, **facts: Any) -> None:
    """Assert a refusal's status, stable code and facts."""
    assert problem_of(answer) == (status, code), answer.text
    body = answer.json()
    assert {name: body.get(name) for name in facts} == facts, answer.text


def assert_field(answer: httpx.Response, pointer: str) -> None:
    """Assert that a refusal names one wrong field."""
    assert problem_of(answer)[0] == 400, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer], answer.text
