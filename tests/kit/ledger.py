"""A small coalition for tests of the ledger: one sandbox programme, three brands, and commands with sensible values."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import msgspec

from koinon.database import Connection
from koinon.idempotency.model import content_hash
from koinon.ids import new_id
from koinon.ledger import model
from koinon.ledger.model import AnyCommand, Outcome
from koinon.ledger.operations import post
from tests.kit.coalition import Built
from tests.kit.terms import NOW, TODAY

UNIT = "INSERT INTO ledger.unit (unit_id, programme_id, code) VALUES ($1, $2, $3)"
BALANCE = "SELECT available, held FROM ledger.wallet WHERE account_id = $1 AND unit_id = $2"
WALLET = "INSERT INTO ledger.wallet (account_id, unit_id) VALUES ($1, $2)"

# Every row that posting may touch; a refusal leaves all of them as they were.
BOOKS = (
    "ledger.wallet",
    "ledger.lot",
    "ledger.journal",
    "ledger.movement",
    "ledger.hold",
    "ledger.hold_lot",
    "ledger.outbox",
    "koinon.request",
)


Sent = TypeVar("Sent", bound=model.Command)


def hashed(command: Sent) -> Sent:
    """Return a command with the hash of everything in it but its key."""
    content = msgspec.json.encode(msgspec.structs.replace(command, key="", content_hash=""))
    return msgspec.structs.replace(command, content_hash=content_hash(content))


class Coalition(Built):
    """One programme with its unit and three brands, and the commands that its tills send.

    Every command gets a key of its own unless one is given, and the hash of its content.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self._keys = 0

    async def found(self, connection: Connection) -> "Coalition":
        """Open the programme, with its unit and its first window, and let three brands join without contracts."""
        async with connection.transaction():
            await self.open_programme(connection, code=f"p{new_id()}")
            self.grocer, self.fuel, self.cafe = [
                await self.add_brand(connection, code) for code in ("grocer", "fuel", "cafe")
            ]
        self.caller = f"par_{self.grocer}"
        return self

    async def account(self, connection: Connection) -> int:
        """Open an account and return its id."""
        return await self.add_account(connection)

    async def second_unit(self, connection: Connection, account: int) -> int:
        """Give an account a wallet in another unit, and return the unit's id."""
        unit = new_id()
        await connection.execute(UNIT, unit, self.programme_id, f"unit{unit}")
        await connection.execute(WALLET, account, unit)
        return unit

    def earn(self, account: int, points: int, expires_on: date | None = None, **more: Any) -> model.Earn:
        """Return an earn of points that the grocer issues under version 1 of its contract."""
        values = self._common(account) | {"partner_id": self.grocer, "version": 1} | more
        return hashed(model.Earn(points=points, expires_on=expires_on, **values))

    def hold(self, account: int, points: int, **more: Any) -> model.Hold:
        """Return a hold at the café under version 7 of its contract, attested by its staff."""
        values = {"partner_id": self.cafe, "version": 7, "today": TODAY, "proof_kind": "staff"}
        values |= {"hold_expires_at": self.now + timedelta(seconds=model.HOLD_LIFETIME_SECONDS)}
        return hashed(model.Hold(points=points, **(self._common(account) | values | more)))

    def capture(self, account: int, hold: Outcome, **more: Any) -> model.Capture:
        """Return the café's capture of what a hold holds."""
        values = self._common(account) | {"partner_id": self.cafe} | more
        return hashed(model.Capture(hold_id=hold_id(hold), **values))

    def release(self, account: int, hold: Outcome, **more: Any) -> model.Release:
        """Return the café's release of what a hold holds."""
        values = self._common(account) | {"partner_id": self.cafe} | more
        return hashed(model.Release(hold_id=hold_id(hold), **values))

    def reverse_earn(self, account: int, earn: Outcome | None = None, **more: Any) -> model.ReverseEarn:
        """Return the grocer's reversal of an earn, or of the purchase that is given."""
        values = self._common(account) | {"partner_id": self.grocer} | more
        reverses = None if earn is None else journal_id(earn)
        return hashed(model.ReverseEarn(reverses=reverses, **values))

    def reverse_burn(self, account: int, capture: Outcome, **more: Any) -> model.ReverseBurn:
        """Return the café's reversal of a capture."""
        values = self._common(account) | {"partner_id": self.cafe} | more
        return hashed(model.ReverseBurn(reverses=journal_id(capture), **values))

    def expire(self, account: int, today: date, **more: Any) -> model.Expire:
        """Return the expiry of what is due on a day, asked at nine in the morning of that day."""
        at = datetime(today.year, today.month, today.day, 9, tzinfo=UTC)
        values = self._common(account) | {"caller": f"platform_{self.programme_id}", "occurred_at": at} | more
        return hashed(model.Expire(today=today, **values))

    async def post(self, connection: Connection, *commands: AnyCommand) -> list[Outcome]:
        """Post commands in one call and one transaction."""
        async with connection.transaction():
            return await post(connection, self.programme_id, commands)

    async def one(self, connection: Connection, command: AnyCommand) -> Outcome:
        """Post one command that must succeed, and return its outcome."""
        (outcome,) = await self.post(connection, command)
        assert outcome.status == "posted", outcome
        return outcome

    def _common(self, account: int) -> dict[str, Any]:
        self._keys += 1
        return {
            "caller": self.caller,
            "key": f"key-{self._keys}",
            "content_hash": "",
            "account_id": account,
            "unit_id": self.unit_id,
            "occurred_at": self.now,
        }


def journal_id(outcome: Outcome) -> UUID:
    """Return the journal that an outcome names."""
    return UUID(outcome.answer["journal_id"])


def hold_id(outcome: Outcome) -> UUID:
    """Return the hold that an outcome names."""
    return UUID(outcome.answer["hold_id"])


def statuses(outcomes: Sequence[Outcome]) -> list[str]:
    """Return what became of each command: its status, or the code of its refusal."""
    return [outcome.answer.get("code", outcome.status) for outcome in outcomes]


async def books(connection: Connection) -> dict[str, list[asyncpg.Record]]:
    """Return every row of every table that posting writes."""
    return {table: await connection.fetch(f"SELECT t FROM {table} t ORDER BY t") for table in BOOKS}  # noqa: S608  # names of ours


async def wallet(connection: Connection, account: int, unit: int) -> tuple[int, int]:
    """Return an account's (available, held) points."""
    return tuple(await connection.fetchrow(BALANCE, account, unit))


async def lots(connection: Connection, account: int) -> list[tuple[int, int, int]]:
    """Return (quantity, remaining, held) of an account's lots, in the order in which they were made."""
    rows = await connection.fetch(
        "SELECT quantity, remaining, held FROM ledger.lot WHERE account_id = $1 ORDER BY lot_id", account
    )
    return [tuple(row) for row in rows]


async def movements(connection: Connection, outcome: Outcome) -> list[tuple[Any, ...]]:
    """Return (debit kind, credit kind, amount, issuer, issuer version, acceptor, acceptor version) of a journal."""
    rows = await connection.fetch(
        """
        SELECT debit_kind, credit_kind, amount, issuer_id, issuer_version, acceptor_id, acceptor_version
        FROM ledger.movement WHERE journal_id = $1 ORDER BY leg
        """,
        journal_id(outcome),
    )
    return [tuple(row) for row in rows]
