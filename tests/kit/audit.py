"""A programme with two partners and one account, and a day of it, for tests of the log."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from koinon.audit.operations import log_of
from koinon.audit.sequencer import sequence
from koinon.database import transaction
from koinon.ledger.jobs import close_window
from koinon.ledger.model import AnyCommand, Capture, Earn, Hold
from koinon.ledger.operations import post_now
from koinon.runtime import Runtime
from tests.kit.coalition import Built
from tests.kit.terms import NOW, TODAY


class Book(Built):
    """A programme with two partners and one account."""

    def __init__(self, code: str = "demo", mode: str = "sandbox") -> None:
        """Choose the programme's code and mode."""
        super().__init__()
        self.code, self.mode = code, mode

    async def open(self) -> "Book":
        """Open the programme and the account, and let the partners join."""
        async with transaction() as connection:
            await self.open_programme(connection, code=self.code, name="Demo", mode=self.mode)
            self.log_id = await log_of(connection, self.programme_id)
            self.grocer, self.fuel = [await self.add_brand(connection, code) for code in ("grocer", "fuel")]
            self.account = await self.add_account(connection)
        return self

    def base(self, key: str, partner: int, unit: int | None = None) -> dict[str, Any]:
        """Return what every command of a partner says."""
        return {
            "caller": "par_test", "key": f"{self.code}-{key}", "content_hash": "00", "account_id": self.account,
            "unit_id": unit or self.unit_id, "occurred_at": NOW, "partner_id": partner,
        }  # fmt: skip

    async def day(self) -> "Book":
        """Earn 400 at the grocer and 200 at the fuel station, then burn 600 at the fuel station."""
        earned = await self.post(
            Earn(version=1, points=400, **self.base("1", self.grocer)),
            Earn(version=2, points=200, **self.base("2", self.fuel)),
            Hold(
                version=2, points=600, today=TODAY, proof_kind="pay_code", proof_ref="a",
                hold_expires_at=NOW + timedelta(hours=1), **self.base("3", self.fuel),
            ),
        )  # fmt: skip
        await self.post(Capture(hold_id=UUID(earned[2]["hold_id"]), **self.base("4", self.fuel)))
        return self

    async def close(self) -> None:
        """Close the window of the day."""
        await close_window(self.programme_id, TODAY + timedelta(days=1), NOW + timedelta(days=1))

    async def post(self, *commands: AnyCommand) -> list[dict[str, Any]]:
        """Post commands, all of them, and return their answers."""
        outcomes = await post_now(self.programme_id, list(commands))
        assert {outcome.status for outcome in outcomes} == {"posted"}, outcomes
        return [outcome.answer for outcome in outcomes]


async def drain(runtime: Runtime) -> None:
    """Run the sequencer until it has nothing to do."""
    while await sequence(runtime):
        pass
