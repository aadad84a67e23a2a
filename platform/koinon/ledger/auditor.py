"""The auditor: looks through the books for what breaks an invariant, a few accounts at a time, round and round.

What it finds it looks for again: on a database of several nodes a posting may be seen on one node and not yet on
another. What is still there is an alert, and no run of the programme is made until a whole later round finds nothing.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

import asyncpg
import msgspec
import structlog

from koinon.clock import machine_now
from koinon.context import Examine, Invariants
from koinon.database import Connection, Statements, pool
from koinon.ids import new_id
from koinon.ledger.alerts import each_programme, pause_after
from koinon.ledger.alerts import statements as alert_statements
from koinon.ledger.invariants import FINDINGS_MAXIMUM, check
from koinon.ledger.operations import statements
from koinon.runtime import Runtime

SLICE_ACCOUNTS = 500
LOOKING, BROKEN = "look through the books", "invariants"

log = structlog.get_logger(__name__)


class Round(msgspec.Struct):
    """How far a look through a programme's accounts has come, when it began, and whether it found anything."""

    began_at: datetime
    after: int = 0
    found: bool = False


class Auditor:
    """The rounds of one worker; another's are its own."""

    def __init__(self, invariants: Iterable[Invariants], examinations: Iterable[Examine] = ()) -> None:
        """Read the invariants of every context; raises ValueError when two have one name."""
        self._examinations = tuple(examinations)
        self._by_account: dict[str, str] = {}
        self._by_programme: dict[str, str] = {}
        for each in invariants:
            read = Statements(each.path)
            if twice := sorted(read.keys() & (self._by_account.keys() | self._by_programme.keys())):
                message = f"{each.path}: {twice[0]} is another context's invariant"
                raise ValueError(message)
            (self._by_account if each.by_account else self._by_programme).update(read)
        self._rounds: dict[int, Round] = {}

    async def look(self, _: Runtime) -> bool:
        """Look at the next accounts of every programme; it is never in a hurry."""
        await self.look_at(machine_now())
        return False

    async def look_at(self, now: datetime, accounts: int = SLICE_ACCOUNTS) -> None:
        """Look at the next so many accounts of every programme, at `now`, the machine's time."""

        async def act(programme: asyncpg.Record) -> bool:
            return await self._slice(programme["programme_id"], now, accounts)

        await each_programme(LOOKING, act, now)

    async def _slice(self, programme_id: int, now: datetime, size: int) -> bool:
        place = self._rounds.setdefault(programme_id, Round(began_at=now))
        rows = await pool().fetch(statements["accounts_after"], programme_id, place.after, size)
        accounts = [row["account_id"] for row in rows]
        found = await _standing(self._of_accounts, accounts) if accounts else []
        if len(accounts) < size:
            found += await _standing(self._of_programmes, [programme_id])
        if found:
            place.found = True
            await _raise(programme_id, found, now)
        if len(accounts) == size:
            place.after = accounts[-1]
            return True
        if not place.found:
            await pool().execute(statements["clear_findings"], programme_id, BROKEN, place.began_at, now)
        del self._rounds[programme_id]
        return False

    async def _of_accounts(self, connection: Connection, accounts: Sequence[int]) -> list[str]:
        found = await check(connection, accounts, self._by_account)
        for examine in self._examinations:
            found += await examine(connection, accounts)
        return found

    async def _of_programmes(self, connection: Connection, programmes: Sequence[int]) -> list[str]:
        return await check(connection, programmes, self._by_programme)


async def _standing(look: Examine, ids: list[int]) -> list[str]:
    """Return what is found twice."""
    async with pool().acquire() as connection:
        found = await look(connection, ids)
        if not found:
            return []
        again = set(await look(connection, ids))
    # Of very many, the two looks may have named different ones.
    return [finding for finding in found if finding in again or len(again) >= FINDINGS_MAXIMUM]


async def _raise(programme_id: int, found: list[str], now: datetime) -> None:
    log.error("invariants broken", programme_id=programme_id, findings=found)
    more = f", and {len(found) - 1} more in the worker's log" if len(found) > 1 else ""
    await pool().execute(
        alert_statements["raise_alert"], new_id(), programme_id, BROKEN, f"{found[0]}{more}", len(found), now,
        now + pause_after(1),
    )  # fmt: skip
