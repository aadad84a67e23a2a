"""Drives the night over the API: the window's run, a second person's approval, six bundles, each verified alone."""

import asyncio
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from load_tests.driver.backlog import POLL_SECONDS, STILL_SECONDS, NothingMoves, Operator
from load_tests.driver.connection import DriveError
from load_tests.driver.day import Receipts
from load_tests.driver.opening import Opened
from load_tests.driver.screen import Screen, together
from settlement.runs import Run

VERIFIERS = 2
"""How many bundles are verified at once: verifying is arithmetic, and two cores are what a laptop has at least."""


class RunStands(DriveError):
    """The window's run cannot be made: an alert stands against it."""


class Night:
    """Closes and settles the open window of a coalition, and verifies what each brand is sent."""

    def __init__(self, operator: Operator, second: Operator, opened: Opened, screen: Screen) -> None:
        """Take the coalition, and the second person who approves."""
        self.operator = operator
        self.second = second
        self.opened = opened
        self.screen = screen

    async def settle(self, close_at: str) -> Run:
        """Move the clock past the night, wait for the window's run, approve it, and return it.

        The worker closes the window and calculates the run by itself. Raises RunStands, NothingMoves, Refusal.
        """
        window = (await self.operator.backlog(self.opened.programme))["window"]
        async with self.screen.step("window closed, run made", 1) as step:
            await self.operator.move_clock(self.opened.programme, close_at)
            run = await self._published(window)
            step.advance()
        async with self.screen.step("approved by a second person", 1) as step:
            approved = await self.second.post(f"/v1/settlement/runs/{run}/approvals", key=f"approval:{run}")
            step.advance()
        return msgspec.convert(approved, Run)

    async def verify(self, window: int, receipts: Receipts, folder: Path) -> dict[str, dict[str, Any]]:
        """Download every brand's bundle, write it beside its receipts, verify both, and return the reports.

        The key that is pinned is that of the sandbox programme's own log.
        """
        vkey = await self.operator.api.read(f"/log/sandbox/{self.opened.programme}/vkey")
        async with self.screen.step("bundles downloaded", len(receipts)) as step:
            await together(step, (self._download(brand, window, receipts[brand], folder) for brand in receipts))
        gate = asyncio.Semaphore(VERIFIERS)
        async with self.screen.step("bundles verified", len(receipts)) as step:
            reports = await together(step, (_verify(brand, folder, vkey.decode(), gate) for brand in receipts))
        return dict(zip(receipts, reports, strict=True))

    async def _published(self, window: int) -> str:
        """Return the id of the window's run once it is published."""
        deadline = time.monotonic() + STILL_SECONDS
        while time.monotonic() < deadline:
            listed = await self.operator.get("/v1/settlement/windows", programme=self.opened.programme)
            found: Mapping[str, Any] = next(each for each in listed["items"] if each["window"] == window)
            if found["alert"] is not None:
                raise RunStands(f"{found['alert']['code']}: {found['alert']['explanation']}")
            if found["run_state"] == "PUBLISHED":
                return str(found["run"])
            await asyncio.sleep(POLL_SECONDS)
        raise NothingMoves(f"the run of window {window} was not published within {STILL_SECONDS} seconds")

    async def _download(self, brand: str, window: int, receipts: list[dict[str, str]], folder: Path) -> None:
        bundle = await self.opened.machines[brand].read("/v1/settlement/statements/bundle", window=window)
        (folder / f"{brand}.bundle").write_bytes(bundle)
        lines = b"".join(msgspec.json.encode(receipt, order="sorted") + b"\n" for receipt in receipts)
        (folder / f"{brand}.receipts").write_bytes(lines)


async def _verify(brand: str, folder: Path, vkey: str, gate: asyncio.Semaphore) -> dict[str, Any]:
    """Verify a bundle as its brand does: another program, with nothing but the two files and the log's key."""
    bundle, receipts = str(folder / f"{brand}.bundle"), str(folder / f"{brand}.receipts")
    arguments = (bundle, "--receipts", receipts, "--key", vkey, "--json")
    async with gate:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "koinon_verify", *arguments, stdout=asyncio.subprocess.PIPE
        )
        told, _ = await child.communicate()
    report: dict[str, Any] = msgspec.json.decode(told)
    return report
