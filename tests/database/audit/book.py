"""A programme with two partners and one account, and a day of it, for tests of the log."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from koinon.audit.operations import log_of, open_log
from koinon.audit.sequencer import sequence
from koinon.database import transaction
from koinon.ids import new_id
from koinon.ledger.jobs import close_window
from koinon.ledger.model import AnyCommand, Capture, Earn, Hold
from koinon.ledger.operations import open_account, post_now, statements
from koinon.runtime import Runtime

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TODAY = date(2026, 3, 2)


class Book:
    """A programme with two partners and one account."""

    def __init__(self, code: str = "demo", mode: str = "sandbox") -> None:
        """Choose the ids."""
        self.code, self.mode = code, mode
        self.programme, self.unit, self.account, self.grocer, self.fuel = (new_id() for _ in range(5))
        self.log_id = 0

    async def open(self) -> "Book":
        """Write the programme, its partners and the account."""
        async with transaction() as connection:
            await connection.execute(
                "INSERT INTO parties.programme (programme_id, code, name, mode, time_zone, settlement_currency,"
                " face_value_num, face_value_den, unit_id, operator_id)"
                " VALUES ($1, $2, 'Demo', $3, 'UTC', 'EUR', 1, 1, $4, 1)",
                self.programme,
                self.code,
                self.mode,
                self.unit,
            )
            await open_log(connection, programme_id=self.programme, mode=self.mode)
            self.log_id = await log_of(connection, self.programme)
            await connection.execute("INSERT INTO ledger.unit VALUES ($1, $2, 'points')", self.unit, self.programme)
            for partner, code in ((self.grocer, "grocer"), (self.fuel, "fuel")):
                await connection.execute(
                    "INSERT INTO parties.partner (partner_id, programme_id, code, brand) VALUES ($1, $2, $3, $3)",
                    partner,
                    self.programme,
                    code,
                )
            await connection.execute(statements["first_window"], self.programme, TODAY, NOW)
            await open_account(
                connection, account_id=self.account, programme_id=self.programme, unit_id=self.unit, now=NOW
            )
        return self

    def base(self, key: str, partner: int, unit: int | None = None) -> dict[str, Any]:
        """Return what every command of a partner says."""
        return {
            "caller": "par_test", "key": f"{self.code}-{key}", "content_hash": "00", "account_id": self.account,
            "unit_id": unit or self.unit, "occurred_at": NOW, "partner_id": partner,
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
        await close_window(self.programme, TODAY + timedelta(days=1), NOW + timedelta(days=1))

    async def post(self, *commands: AnyCommand) -> list[dict[str, Any]]:
        """Post commands, all of them, and return their answers."""
        outcomes = await post_now(self.programme, list(commands))
        assert {outcome.status for outcome in outcomes} == {"posted"}, outcomes
        return [outcome.answer for outcome in outcomes]


async def drain(runtime: Runtime) -> None:
    """Run the sequencer until it has nothing to do."""
    while await sequence(runtime):
        pass
