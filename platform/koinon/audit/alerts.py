"""What stands still in the logs, and says so: a whole log, one programme of it, or a single journal.

An alert stands until what it names goes on. It is tried again at growing distances, from RETRY_FIRST to RETRY_MOST, and
for as long as it takes: no journal of a window is ever passed over, or its seal would lie.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from msgspec import Struct

from koinon.audit.stored import statements
from koinon.clock import machine_now
from koinon.database import Connection, transaction
from koinon.ids import new_id

log = structlog.get_logger(__name__)

RETRY_FIRST = timedelta(seconds=2)
RETRY_MOST = timedelta(minutes=10)

LOG_BROKEN = "log-broken"
NOT_SIGNED = "not-signed"
NO_LEAF = "no-leaf"

UNEXPECTED = "Something unexpected happened; the worker's log says what"


class Still(Struct, frozen=True, kw_only=True):
    """What stands still: without a programme a whole log, with one it alone, with a journal that alone."""

    log_id: int
    code: str
    programme_id: int | None = None
    journal_id: UUID | None = None


class SetAsideJournal(Struct, frozen=True, kw_only=True):
    """A journal that cannot become a leaf, and why."""

    account_id: int
    journal_id: UUID
    window_no: int
    explanation: str


class LogAlert(Struct, frozen=True, kw_only=True):
    """An alert as the operator sees it; `programme` is a code, None when a whole log stands still."""

    log_id: int
    code: str
    programme_id: int | None
    programme: str | None
    window_no: int | None
    account_id: int | None
    journal_id: UUID | None
    explanation: str
    tries: int
    raised_at: datetime
    tried_at: datetime
    retry_at: datetime


class Pauses:
    """What stands still, read once, and when it is to be tried again."""

    def __init__(self, retries: dict[Still, datetime], now: datetime) -> None:
        """Take when each is to be tried again."""
        self._retries = retries
        self._now = now

    @classmethod
    async def read(cls, connection: Connection) -> "Pauses":
        """Read what stands still now."""
        retries = {
            Still(
                log_id=row["log_id"],
                code=row["code"],
                programme_id=row["programme_id"],
                journal_id=row["journal_id"],
            ): row["retry_at"]
            for row in await connection.fetch(statements["pauses"])
        }
        return cls(retries, machine_now())

    def __contains__(self, still: Still) -> bool:
        """Say whether this stands still."""
        return still in self._retries

    def holds(self, still: Still) -> bool:
        """Say whether this stands still and is not to be tried yet."""
        return still in self._retries and self._retries[still] > self._now

    def journals(self, programme_id: int) -> tuple[list[UUID], list[UUID]]:
        """Return a programme's journals that stand aside, and those of them that are not to be tried yet."""
        aside = [
            still for still in self._retries if still.journal_id is not None and still.programme_id == programme_id
        ]
        waiting = [still for still in aside if self.holds(still)]
        return [still.journal_id for still in aside], [still.journal_id for still in waiting]  # type: ignore[misc]  # chosen above


async def stand_still(still: Still, explanation: str) -> None:
    """Say why a log, or a programme of it, stands still, in a transaction of its own."""
    async with transaction() as connection:
        await _raise(connection, still, [(None, None, None, explanation)])


async def set_aside(connection: Connection, still: Still, journals: Sequence[SetAsideJournal]) -> None:
    """Say of journals of a programme why they have no leaf."""
    await _raise(
        connection,
        still,
        [(each.window_no, each.account_id, each.journal_id, each.explanation) for each in journals],
    )


async def clear_alert(connection: Connection, still: Still) -> None:
    """Clear what stood against a log or a programme."""
    await connection.execute(statements["clear_alert"], still.log_id, still.code, still.programme_id, machine_now())


async def clear_journals(connection: Connection, log_id: int, journals: Iterable[UUID]) -> None:
    """Clear what stood against journals that have their leaves now."""
    await connection.execute(statements["clear_journals"], log_id, list(journals), machine_now())


async def open_alerts(connection: Connection, limit: int) -> list[LogAlert]:
    """Return what stands still, the oldest first."""
    return [LogAlert(**row) for row in await connection.fetch(statements["open_alerts"], limit)]


async def stands_against(connection: Connection, programme_id: int) -> str | None:
    """Return why a programme's leaves do not go on, or None."""
    explanation: str | None = await connection.fetchval(statements["stands_against"], programme_id)
    return explanation


async def _raise(
    connection: Connection, still: Still, rows: Sequence[tuple[int | None, int | None, UUID | None, str]]
) -> None:
    windows, accounts, journals, explanations = map(list, zip(*rows, strict=True))
    await connection.execute(
        statements["raise_alerts"], still.log_id, still.code, machine_now(), RETRY_FIRST, RETRY_MOST,
        [new_id() for _ in rows], [still.programme_id for _ in rows], windows, accounts, journals, explanations,
    )  # fmt: skip
    log.error(
        "the log waits", log_id=still.log_id, code=still.code, programme_id=still.programme_id, why=explanations[:3]
    )
