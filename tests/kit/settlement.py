"""A coalition that settles: a sandbox programme, brands with contracts, one member's account, and days of business.

Everything goes through the platform's own operations: contracts, postings, the close, the log, the runs.
"""

from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from koinon.audit.sequencer import sequence
from koinon.audit.signing import sign_checkpoint
from koinon.database import pool, transaction
from koinon.ledger.jobs import close_window
from koinon.ledger.model import AnyCommand, Capture, Earn, Expire, Hold, Outcome, ReverseBurn, ReverseEarn
from koinon.ledger.names import journal_name
from koinon.ledger.operations import post_now
from koinon.parties.programmes import Openings
from koinon.runtime import Runtime
from settlement.jobs import settle
from tests.kit.coalition import Built
from tests.kit.terms import NOW


class Coalition(Built):
    """One programme and its account; `day` is the business date of the open window."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__()
        self.runtime = runtime
        self.account_id = 0
        self.receipts: dict[str, list[dict[str, str]]] = {}
        self.now = NOW
        self._keys = 0

    @property
    def day(self) -> date:
        """Return today."""
        return self.now.date()

    async def found(self, code: str = "league", currency: str = "USD") -> "Coalition":
        """Open the programme and an account."""
        async with transaction() as connection:
            await self.open_programme(connection, self.runtime[Openings], code=code, settlement_currency=currency)
        await self.account()
        return self

    async def account(self) -> int:
        """Open an account, which what follows is posted to, and return it."""
        async with transaction() as connection:
            self.account_id = await self.add_account(connection)
        return self.account_id

    async def brand(self, code: str, **contract: str) -> None:
        """Add a brand with a contract that begins now."""
        async with transaction() as connection:
            await self.add_brand(connection, code, **contract)
        self.receipts[code] = []

    async def earn(self, partner: str, points: int) -> Outcome:
        """Let a brand issue points under its first contract version."""
        return await self._one(partner, "issued", points, Earn(version=1, points=points, **self._said(partner)))

    async def earn_often(self, partner: str, points: int, times: int) -> None:
        """Let a brand issue points again and again, in one call; their receipts are not kept."""
        commands = [Earn(version=1, points=points, **self._said(partner)) for _ in range(times)]
        outcomes = await post_now(self.programme_id, commands)
        assert {outcome.status for outcome in outcomes} == {"posted"}

    async def reserve(self, partner: str, points: int) -> UUID:
        """Reserve points at a brand's till and return the hold."""
        command = Hold(
            version=1, points=points, today=self.day, proof_kind="staff",
            hold_expires_at=self.now + timedelta(days=30), **self._said(partner),
        )  # fmt: skip
        outcome = await self._one(partner, "held", points, command)
        return UUID(outcome.answer["hold_id"])

    async def capture(self, partner: str, hold: UUID) -> Outcome:
        """Burn what a hold holds."""
        return await self._one(partner, "accepted", None, Capture(hold_id=hold, **self._said(partner)))

    async def burn(self, partner: str, points: int) -> Outcome:
        """Reserve and burn points at a brand's till."""
        return await self.capture(partner, await self.reserve(partner, points))

    async def reverse_earn(self, partner: str, earned: Outcome) -> Outcome:
        """Take back what is left of an earn, whole."""
        command = ReverseEarn(reverses=UUID(earned.answer["journal_id"]), **self._said(partner))
        return await self._one(partner, "issued", -earned.answer["points"], command)

    async def reverse_burn(self, partner: str, captured: Outcome) -> Outcome:
        """Undo a capture."""
        command = ReverseBurn(reverses=UUID(captured.answer["journal_id"]), **self._said(partner))
        return await self._one(partner, "accepted", -captured.answer["points"], command)

    async def expire(self, today: date) -> Outcome:
        """Expire what is due on a day."""
        said = self._said("platform")
        del said["partner_id"]
        return await self._one(None, "expired", None, Expire(today=today, **said))

    async def s1_day(self) -> None:
        """Post S-1: A issues 10,000 and C 4,000; B redeems 6,000 and C 7,000."""
        await self.earn("brand-a", 10_000)
        await self.earn("brand-c", 4_000)
        await self.burn("brand-b", 6_000)
        await self.burn("brand-c", 7_000)

    async def close(self) -> None:
        """Close today's window; the day after begins."""
        self.now += timedelta(days=1)
        await close_window(self.programme_id, self.day, self.now)

    async def seal(self) -> None:
        """Run the log until every journal has its leaf and every closed window its seal, and sign."""
        while await sequence(self.runtime):
            pass
        await sign_checkpoint(self.runtime)

    async def night(self) -> None:
        """Close the day, and run log and settlement until nothing is left to do."""
        await self.close()
        await self.finish()

    async def finish(self) -> None:
        """Run log and settlement until nothing is left to do."""
        await self.seal()
        while await settle(self.runtime):
            await self.seal()

    def write_receipts(self, partner: str, path: Path) -> Path:
        """Write what a brand's own calls returned, JSON lines, and return the file."""
        path.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in self.receipts[partner]))
        return path

    def _said(self, partner: str) -> dict[str, Any]:
        self._keys += 1
        return {
            "caller": partner, "key": f"{self.code}-{self._keys}", "content_hash": "00",
            "account_id": self.account_id, "unit_id": self.unit_id, "occurred_at": self.now,
            "partner_id": self.partners.get(partner),
        }  # fmt: skip

    async def _one(self, partner: str | None, effect: str, points: int | None, command: AnyCommand) -> Outcome:
        (outcome,) = await post_now(self.programme_id, [command])
        assert outcome.status == "posted", outcome
        if partner is not None:
            receipt = {
                "effect": effect,
                "journal": journal_name(self.runtime.keys.secret, self.account_id, UUID(outcome.answer["journal_id"])),
                "partner": partner,
                "points": str(outcome.answer["points"] if points is None else points),
                "programme": self.code,
                "unit": "points",
                "version": str(outcome.answer["version"]),
                "window": str(outcome.answer["window_no"]),
            }
            self.receipts[partner].append(receipt)
        return outcome


async def nets(run_window: int = 1) -> dict[str, int]:
    """Return each party's recorded net of a window's run, in minor units, but for parties with none."""
    rows = await pool().fetch(
        "SELECT n.party, n.receives - n.pays AS net FROM settlement.net n JOIN settlement.run r USING (run_id) "
        "WHERE r.window_no = $1 ORDER BY n.party",
        run_window,
    )
    assert sum(row["net"] for row in rows) == 0
    return {row["party"]: row["net"] for row in rows if row["net"]}


async def statement_bytes(window: int = 1) -> dict[str, bytes]:
    """Return the recorded statements of a window's run by partner."""
    rows: list[asyncpg.Record] = await pool().fetch(
        "SELECT p.code, s.content FROM settlement.statement s JOIN settlement.run r USING (run_id) "
        "JOIN parties.partner p USING (partner_id) WHERE r.window_no = $1 ORDER BY p.code",
        window,
    )
    return {row["code"]: row["content"] for row in rows}


async def recorded() -> dict[str, list[asyncpg.Record]]:
    """Return every row of every table of settlement and what it handed to the log; alerts apart."""
    tables = ("run", "run_event", "line", "net", "statement", "bundle", "bundle_part", "approval")
    found = {each: await pool().fetch(f"SELECT t FROM settlement.{each} t ORDER BY t") for each in tables}  # noqa: S608  # names of ours
    return found | {"submission": await pool().fetch("SELECT t FROM audit.submission t ORDER BY t")}


async def states() -> list[str]:
    """Return the states that the only run came to, in order."""
    return [row["state"] for row in await pool().fetch("SELECT state FROM settlement.run_event ORDER BY event_no")]
