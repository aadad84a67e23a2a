"""Where a partner stands: programme, time and contract at an instant, read anew each time."""

from datetime import UTC, datetime
from fractions import Fraction

import asyncpg
import pytest

from koinon import ids
from koinon.database import transaction
from koinon.parties.model import Terms
from koinon.parties.operations import (
    ContractMissing,
    UnknownPartner,
    UnknownProgramme,
    contract_at,
    programme_now,
    standings,
    terms_in_force,
)
from tests.kit.scheme import contract_body, open_scheme, partner_body
from tests.web.conftest import Callers

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
NEXT = datetime(2026, 3, 3, tzinfo=UTC)
FIRST_TERMS = Terms(price=Fraction(1), fee=Fraction(3, 20), issue_share=Fraction(1), honour=Fraction(17, 20))


async def test_a_partner_stands_by_its_contract(callers: Callers, database: asyncpg.Pool) -> None:
    """At an instant the version in force then counts; without one, now; a moved clock counts at once."""
    scheme = await open_scheme(callers)
    grocer = await scheme.partner()
    partner_id = ids.private("par", grocer)
    newer = contract_body(price="0.02", effective_from="2026-03-03T00:00:00Z")
    assert (await scheme.operator.post(f"/v1/partners/{grocer}/contracts", newer)).status_code == 201

    async with transaction() as connection:
        found = await terms_in_force(connection, partner_id)
        assert (found.programme, found.mode, found.now, found.at) == ("league", "sandbox", NOW, NOW)
        assert (found.time_zone, found.currency, found.expiry_months) == ("Europe/Helsinki", "EUR", 24)
        assert (found.face_value, found.partner, found.brand, found.operator) == (
            Fraction(1, 2),
            "grocer",
            "Grocer",
            False,
        )
        assert found.contract() == (1, FIRST_TERMS)
        assert found.unit_id == await connection.fetchval("SELECT unit_id FROM ledger.unit")
        assert [
            (each.version, each.at, each.now)
            for each in await standings(connection, [(partner_id, NEXT), (partner_id, None), (partner_id, NOW)])
        ] == [(2, NEXT, NOW), (1, NOW, NOW), (1, NOW, NOW)]
        assert await contract_at(connection, partner_id, datetime(2026, 3, 2, 8, 59, 59, tzinfo=UTC)) is None

    await scheme.operator.post(f"/v1/programmes/{scheme.programme}/clock", {"at": "2026-03-03T00:00:00Z"})
    async with transaction() as connection:
        assert (await terms_in_force(connection, partner_id)).contract()[1].price == 2
        assert await programme_now(connection, scheme.programme_id) == NEXT


async def test_a_partner_without_a_contract(callers: Callers, database: asyncpg.Pool) -> None:
    """It stands there without terms, and whoever needs them is refused."""
    scheme = await open_scheme(callers)
    bare = (await scheme.operator.post("/v1/partners", partner_body(scheme.programme))).json()["partner"]
    async with transaction() as connection:
        found = await terms_in_force(connection, ids.private("par", bare))

    assert (found.version, found.terms) == (None, None)
    with pytest.raises(ContractMissing) as refused:
        found.contract()
    assert refused.value.facts == {"partner": "grocer"}


async def test_nobody_stands_nowhere(database: asyncpg.Pool) -> None:
    """An unknown partner or programme is refused, also among known ones; nothing asked is nothing answered."""
    async with transaction() as connection:
        with pytest.raises(UnknownPartner):
            await terms_in_force(connection, 1)
        with pytest.raises(UnknownProgramme):
            await programme_now(connection, 1)
        assert await standings(connection, []) == []
