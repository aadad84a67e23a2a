"""A coalition behind the API: three brands with their systems, and the operator's people."""

from typing import Any

import asyncpg
import httpx
import pytest
from litestar import Litestar

from koinon.ids import private, public
from koinon.ledger.jobs import close_due_windows
from tests.kit.settlement import Coalition
from tests.kit.terms import S1
from tests.web.conftest import Api, Callers

BRANDS = ("brand-a", "brand-b", "brand-c")


class League:
    """The coalition of S-1, and who calls."""

    def __init__(self, coalition: Coalition, callers: Callers) -> None:
        self.coalition = coalition
        self.callers = callers
        self.programme = public("pro", coalition.programme_id)
        self.shops: dict[str, Api] = {}

    async def open(self) -> "League":
        """Give every brand a system that calls, and the operator two people."""
        for code in BRANDS:
            await self.coalition.brand(code, **S1)
            self.shops[code] = await self.callers.partner(self.coalition.partners[code], self.coalition.programme_id)
        self.anna = await self.callers.operator("anna@koinon.example")
        self.otto = await self.callers.operator("otto@koinon.example")
        return self

    async def member(self) -> Api:
        """Enrol a member at the first brand and sign them in."""
        made = await self.shops[BRANDS[0]].post("/v1/members", {"email": "ada@example.org"})
        return await self.callers.member(private("mem", made.json()["member"]))

    def partner(self, code: str) -> str:
        """Return a brand's public id."""
        return public("par", self.coalition.partners[code])

    async def ask(self, person: Api, **more: Any) -> httpx.Response:
        """Ask that the open window be closed and settled now."""
        return await person.post("/v1/settlement/runs", {"programme": self.programme}, **more)

    async def work(self) -> None:
        """Do what the worker does, until nothing is left to do."""
        await close_due_windows(self.coalition.runtime)
        await self.coalition.finish()

    async def run(self, window: int = 1) -> str:
        """Return the id of a window's run."""
        listed = await self.anna.get("/v1/settlement/windows", programme=self.programme)
        (run,) = [each["run"] for each in listed.json()["items"] if each["window"] == window]
        return str(run)

    async def approve(self, person: Api, run: str, **more: Any) -> httpx.Response:
        """Approve a run."""
        return await person.post(f"/v1/settlement/runs/{run}/approvals", **more)


@pytest.fixture
async def league(app: Litestar, callers: Callers, database: asyncpg.Pool) -> League:
    """Give the three brands of S-1 behind the API."""
    return await League(await Coalition(app.state.runtime).found(), callers).open()


@pytest.fixture
async def settled(league: League) -> League:
    """Give the same after the day of S-1 and its night, its run published."""
    await league.coalition.s1_day()
    await league.coalition.night()
    return league
