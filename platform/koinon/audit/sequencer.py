"""The sequencer: gives every journal its leaf, log by log and programme by programme, one process at a time in a log.

It drains what is unmarked, never what lies behind a number, so that a transaction that committed late is not passed
over. No writer of the ledger waits for it. Each programme's part is a transaction of its own: what stops one stands in
an alert, and stops no other.
"""

from collections.abc import Awaitable, Callable, Iterable

import asyncpg
import structlog
from msgspec import Struct

from koinon.audit.alerts import LOG_BROKEN, UNEXPECTED, Pauses, Still, clear_alert, stand_still
from koinon.audit.appending import LogBroken, Programme, append_journals, append_leaves
from koinon.audit.sealing import seal_next_window
from koinon.audit.stored import statements
from koinon.audit.tiles import ENTRY_BYTES_MAX
from koinon.database import RACES, Connection, pool, transaction
from koinon.runtime import Runtime

BATCH_SUBMISSIONS = 100

log = structlog.get_logger(__name__)


class Slice(Struct, frozen=True, kw_only=True):
    """What a step has at hand: the process, what stands still, and the programme whose log it has locked."""

    runtime: Runtime
    pauses: Pauses
    programme: Programme


class Step(Struct, frozen=True, kw_only=True):
    """One kind of work on a programme, in the log that is locked for it; `stopped` is the code of its alerts."""

    stopped: str
    waiting: Callable[[Connection], Awaitable[Iterable[int]]]
    work: Callable[[Connection, asyncpg.Record, Slice], Awaitable[bool]]


async def sequence(runtime: Runtime, programme_id: int | None = None) -> bool:
    """Append a batch of each programme that has any: journals, handed-in leaves, then the seals of complete windows.

    With a programme its own alone, and at once: only the worker waits before it tries again what was stopped.
    """
    async with pool().acquire() as connection:
        pauses = await Pauses.read(connection)
        work = [
            (step, Slice(runtime=runtime, pauses=pauses, programme=programme))
            for step in STEPS
            for programme in await _programmes(connection, step, programme_id)
        ]
    worked = False
    for step, each in work:
        worked |= await _attempt(step, each, patient=programme_id is None)
    return worked


async def _programmes(connection: Connection, step: Step, programme_id: int | None) -> list[Programme]:
    """Return the programmes that a step may have work on."""
    waiting = list(await step.waiting(connection)) if programme_id is None else [programme_id]
    rows = await connection.fetch(statements["programmes"], waiting) if waiting else []
    return [Programme(**row) for row in rows]


async def _attempt(step: Step, each: Slice, *, patient: bool) -> bool:
    """Do one step on one programme, unless it stands still; whatever stops it raises an alert and nothing else."""
    programme = each.programme
    broken = Still(log_id=programme.log_id, code=LOG_BROKEN)
    stopped = Still(log_id=programme.log_id, code=step.stopped, programme_id=programme.programme_id)
    if patient and (each.pauses.holds(broken) or each.pauses.holds(stopped)):
        return False
    try:
        async with transaction() as connection:
            locked = await connection.fetchrow(statements["lock_log"], programme.log_id)
            if locked is None:
                await _require_log(connection, programme)
                return False
            worked = await step.work(connection, locked, each)
            if stopped in each.pauses:
                await clear_alert(connection, stopped)
            if worked and broken in each.pauses:
                await clear_alert(connection, broken)
            return worked
    except RACES:
        return False
    except LogBroken as error:
        await stand_still(broken, f"{error}. Nothing is appended to this log until a person has looked")
    except Exception:
        log.exception("the log stopped at a programme", programme_id=programme.programme_id, code=step.stopped)
        await stand_still(stopped, UNEXPECTED)
    return False


async def _require_log(connection: Connection, programme: Programme) -> None:
    """Tell a log that another process has locked from one that was never opened, of which nobody would hear."""
    if await connection.fetchrow(statements["log_state"], programme.log_id) is None:
        raise LogBroken(f"the programme {programme.code} has no log")


async def _with_journals(connection: Connection) -> list[int]:
    """Look for programmes one after another: each is one step down an index, however much of it waits."""
    found: list[int] = []
    after = 0
    while (after := await connection.fetchval(statements["next_with_journals"], after)) is not None:
        found.append(after)
    return found


async def _with_submissions(connection: Connection) -> list[int]:
    return [row["programme_id"] for row in await connection.fetch(statements["with_submissions"])]


async def _with_closed_windows(connection: Connection) -> list[int]:
    return [row["programme_id"] for row in await connection.fetch(statements["with_closed_windows"])]


async def _append_journals(connection: Connection, locked: asyncpg.Record, each: Slice) -> bool:
    return await append_journals(connection, each.runtime.keys.secret, locked, each.programme, each.pauses)


async def _append_submissions(connection: Connection, locked: asyncpg.Record, each: Slice) -> bool:
    programme_id = each.programme.programme_id
    submissions = await connection.fetch(statements["unmarked_submissions"], programme_id, BATCH_SUBMISSIONS)
    if not submissions:
        return False
    if (longest := max(len(row["leaf"]) for row in submissions)) > ENTRY_BYTES_MAX:
        raise ValueError(f"a leaf has {longest} bytes, and an entry of the log at most {ENTRY_BYTES_MAX}")
    first = await append_leaves(connection, locked, [row["leaf"] for row in submissions])
    indexes = list(range(first, first + len(submissions)))
    await connection.execute(statements["mark_submissions"], [row["submission_id"] for row in submissions], indexes)
    return True


async def _seal(connection: Connection, locked: asyncpg.Record, each: Slice) -> bool:
    return await seal_next_window(connection, locked, each.programme)


STEPS = (
    Step(stopped="journals-stopped", waiting=_with_journals, work=_append_journals),
    Step(stopped="submissions-stopped", waiting=_with_submissions, work=_append_submissions),
    Step(stopped="seal-stopped", waiting=_with_closed_windows, work=_seal),
)
