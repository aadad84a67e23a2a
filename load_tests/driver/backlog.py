"""The operator's side of a drive: the clock, the keys of partners, and waiting until a phase is worked off."""

import asyncio
import time
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from load_tests.driver.callers import Api, Machine, new_key
from load_tests.driver.connection import DriveError
from load_tests.driver.screen import Step

POLL_SECONDS = 0.1
STILL_SECONDS = 120
"""How long nothing may move before a drive gives up: longer than any slice of the worker."""

WAITING = ("inbox", "unrewarded", "unlogged", "unsealed")


class NothingMoves(DriveError):
    """The worker has work and none of it is done."""


class Operator:
    """The operator's API with what a drive needs of it."""

    def __init__(self, api: Machine) -> None:
        """Act as this operator."""
        self.api: Api = api
        self._machine = api

    async def get(self, path: str, **query: Any) -> Any:
        """Read."""
        return await self.api.get(path, **query)

    async def post(self, path: str, body: Any = None, *, key: str | None = None) -> Any:
        """Write."""
        return await self.api.post(path, body, key=key)

    async def new_machine(self, partner: str) -> Machine:
        """Register a new key of a partner and return its API."""
        private_key, jwk = new_key()
        made = await self.post(f"/v1/partners/{partner}/keys", {"name": "till systems", "public_jwk": jwk})
        return Machine(self.api.connection, made["client"], private_key, self._machine.audience)

    async def move_clock(self, programme: str, at: str) -> None:
        """Set a sandbox programme's clock, and wait until its open window has the clock's date."""
        moved = await self.post(f"/v1/programmes/{programme}/clock", {"at": at}, key=f"{programme}:clock:{at}")
        day = datetime.fromisoformat(at).astimezone(ZoneInfo(moved["time_zone"])).date().isoformat()
        deadline = time.monotonic() + STILL_SECONDS
        while (await self.backlog(programme))["business_date"] < day:
            if time.monotonic() > deadline:
                raise NothingMoves(f"the worker did not open the window of {day}: is it running?")
            await asyncio.sleep(POLL_SECONDS)

    async def backlog(self, programme: str) -> Any:
        """Return what the worker has still to do."""
        return await self.get(f"/v1/programmes/{programme}/backlog")

    async def worked_off(self, programme: str, step: Step | None = None) -> None:
        """Wait until nothing of a programme waits for the worker; raises NothingMoves."""
        before: tuple[int, ...] = ()
        moved_at = time.monotonic()
        most = 0
        while True:
            backlog = await self.backlog(programme)
            waiting = tuple(backlog[name] for name in WAITING)
            most = max(most, sum(waiting))
            if step is not None:
                step.left(sum(waiting), most)
            if not any(waiting):
                return
            if waiting != before:
                before, moved_at = waiting, time.monotonic()
            elif time.monotonic() - moved_at > STILL_SECONDS:
                told = ", ".join(f"{count} {name}" for name, count in zip(WAITING, waiting, strict=True) if count)
                raise NothingMoves(f"{told} for {STILL_SECONDS} seconds: is the worker running?")
            await asyncio.sleep(POLL_SECONDS)
