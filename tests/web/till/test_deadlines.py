"""Tills are answered in time, also by a database that is not: with what they are to do."""

import asyncpg
import pytest
from litestar import Litestar

from koinon.database import gather
from offers.purchases.earnings import Earnings
from tests.kit.scheme import unchanged
from tests.kit.town import Town
from tests.web.conftest import problem_of


async def test_an_earning_that_waits_too_long(app: Litestar, town: Town, database: asyncpg.Pool) -> None:
    """Its till is told that nobody knows, and when to send it again; the same key then gives one earning."""
    ada = await town.person()
    await town.grocer.earn(ada, points=1)
    gatherer = app.state["runtime"][Earnings]._gatherer
    seconds, gatherer._batch_seconds = gatherer._batch_seconds, 0.3
    async with database.acquire() as holder, holder.transaction(), unchanged(database):
        await holder.fetch("SELECT FROM ledger.wallet FOR UPDATE")
        await holder.fetch("SELECT FROM offers.lane FOR UPDATE")
        answer = await town.grocer.earn(ada, points=40, key="k")

        assert problem_of(answer) == (503, "outcome-unknown")
        assert answer.headers["Retry-After"] == "2"

    gatherer._batch_seconds = seconds
    again = await town.grocer.earn(ada, points=40, key="k")
    assert again.status_code == 201
    assert await ada.balance() == (41, 0)


async def test_an_earning_too_many(town: Town, database: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """When more wait than are taken a till is told so at once, and nothing of it was recorded."""
    ada = await town.person()
    monkeypatch.setattr(gather, "PENDING_MAXIMUM", 0)
    async with unchanged(database):
        answer = await town.grocer.earn(ada, points=40)

    assert problem_of(answer) == (503, "too-many-waiting")
    assert answer.headers["Retry-After"] == "2"
