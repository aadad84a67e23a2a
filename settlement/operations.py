"""Runs: asked for, calculated from a sealed window, approved by a second person; `publishing` stands between.

    RunStopped              409  nothing is recorded but an alert, which says why
    ├── PoolDoesNotHold          the pool's money is not what the outstanding points are worth
    ├── BooksDoNotFit            a version without its contract, points that nobody accepted, …
    ├── InvariantBroken          the auditor has found something
    ├── TookTooLong              it was cut off
    └── Unexpected               anything else: what it was stands in the worker's log alone

Each operation may be cut off at any point and called again: it ends the same.
"""

import asyncio
import os
from datetime import timedelta

import structlog

from koinon.audit.leaves import SALT_BYTES, CommitmentTree, commitment, run_leaf
from koinon.audit.operations import submit
from koinon.clock import business_date, business_now, machine_now, rfc3339
from koinon.database import Connection, add, on, pool, transaction
from koinon.ids import new_id, new_record_id, public
from koinon.ledger.alerts import pause_after
from koinon.ledger.operations import flip_window
from koinon.money import ratio_text
from koinon.parties.operations import programme_row
from koinon.problems import Conflict, NotAllowed, NotFound
from settlement import tables
from settlement.books import Books, read_books, statements
from settlement.model import Calculation, SettlementError
from settlement.states import RunState

log = structlog.get_logger(__name__)


class RunStopped(Conflict):
    """A window's run could not be made; the books must be looked at before it can."""

    code = "run-stopped"
    title = "The window cannot be settled: its books do not hold"


class PoolDoesNotHold(RunStopped):
    """The pool's money, summed over all runs, is not what the outstanding points are worth by the lots."""

    code = "pool-does-not-hold"
    title = "The pool does not hold what the outstanding points are worth"


class BooksDoNotFit(RunStopped):
    """What a run is calculated from contradicts itself."""

    code = "books-do-not-fit"
    title = "The window's books do not fit together"


class Unexpected(RunStopped):
    """What nobody foresaw has stopped a window's run."""

    code = "unexpected"
    title = "Something unexpected happened; the worker's log says what"


class InvariantBroken(RunStopped):
    """The auditor has found in the programme's books what must not be there; it clears its alert when it is mended."""

    code = "invariant-broken"
    title = "The books break an invariant"


class TookTooLong(RunStopped):
    """A window's run, or a part of its publication, was cut off so that the other programmes have their turn."""

    code = "took-too-long"
    title = "It took longer than it may"


class UnknownRun(NotFound):
    """No run has this id."""

    code = "unknown-run"
    title = "There is no such run"


class WindowNotBegun(Conflict):
    """The open window belongs to a day that has not begun: today's was closed before."""

    code = "window-not-begun"
    title = "Today's window was closed before; the open one belongs to a later day"


class RunNotPublished(Conflict):
    """A run is approved once, after it was published."""

    code = "run-not-published"
    title = "Only a published run waits for approval"


class MakerIsChecker(NotAllowed):
    """Whoever asked for a run cannot approve it."""

    code = "maker-is-checker"
    title = "You asked for this run; another person has to approve it"


class AlreadyApproved(Conflict):
    """A person approves a run once."""

    code = "already-approved"
    title = "You approved this run before"


async def calculate_run(programme_id: int, window_no: int) -> int:
    """Calculate a sealed window's run, record it whole with its leaf handed to the log, and return its id.

    A window that has a run keeps it. Raises UnknownWindow, WindowNotSealed, WindowOutOfOrder, and RunStopped when the
    pool does not hold or the books do not fit: an alert then says why, and no run is recorded.
    """
    known: int | None = await pool().fetchval(statements["current_run"], programme_id, window_no)
    if known is not None:
        return known
    try:
        books = await _read(programme_id, window_no)
        calculation = await _calculated(books)
    except RunStopped as stopped:
        await raise_alert(programme_id, window_no, stopped)
        raise
    return await _record(books, calculation)


async def ask_for_run(connection: Connection, programme_id: int, staff_id: int) -> int:
    """Close a programme's open window before its night, in the caller's transaction, and return its number.

    The worker then seals it and calculates its run, of which `staff_id` is the maker. Raises UnknownProgramme,
    WindowNotBegun.
    """
    programme = await programme_row(connection, programme_id)
    now = business_now(programme.clock_at)
    today = business_date(now, programme.time_zone)
    flipped = await flip_window(programme_id, today + timedelta(days=1), now)
    if flipped is None:
        raise WindowNotBegun(today=today.isoformat())
    await connection.execute(statements["add_maker"], programme_id, flipped, staff_id, now)
    return flipped


async def approve_run(connection: Connection, run_id: int, staff_id: int) -> None:
    """Record a person's approval of a published run, in the caller's transaction; the run is approved by it.

    Raises UnknownRun, MakerIsChecker, AlreadyApproved, RunNotPublished.
    """
    run = await locked_run(connection, run_id)
    if run is None:
        raise UnknownRun
    if run.maker_staff_id == staff_id:
        raise MakerIsChecker
    approved = (tables.Approval.run_id == run_id) & (tables.Approval.staff_id == staff_id)
    if await on(connection, tables.Approval.exists().where(approved)):
        raise AlreadyApproved
    if run.state not in {RunState.PUBLISHED, RunState.OBJECTION}:
        raise RunNotPublished(state=run.state)
    approval = tables.Approval(
        run_id=run_id,
        staff_id=staff_id,
        maker_staff_id=run.maker_staff_id,
        decision="approved",
        decided_at=machine_now(),
    )
    await add(connection, approval)
    await move_run(connection, run_id, RunState.APPROVED, staff_id)


async def locked_run(connection: Connection, run_id: int) -> tables.Run | None:
    """Return a run, or None, locked for whoever moves it."""
    return await on(connection, tables.Run.objects().where(tables.Run.run_id == run_id).lock_rows("UPDATE").first())


async def move_run(connection: Connection, run_id: int, state: RunState, staff_id: int | None) -> None:
    """Bring a run that the caller has locked to a state that may follow its own."""
    moved = await connection.fetchval(statements["move_run"], run_id, state)
    assert moved is not None, f"no run comes to {state} from where this one stands"  # noqa: S101  # an invariant of the states
    await connection.execute(statements["add_event"], run_id, state, staff_id)


async def raise_alert(programme_id: int, window_no: int, stopped: RunStopped) -> None:
    """Say what stands against a window's run, until it goes on or something else stands against it.

    It is tried again after a pause that grows with every try in a row, whatever each of them was stopped by.
    """
    now, explanation = machine_now(), str(stopped)
    async with transaction() as connection:
        tries = 1 + (await connection.fetchval(statements["standing_tries"], programme_id, window_no) or 0)
        await clear_alerts(connection, programme_id, window_no, but=explanation)
        await connection.execute(
            statements["raise_alert"], new_id(), programme_id, window_no, stopped.code, explanation, tries, now,
            now + pause_after(tries),
        )  # fmt: skip
    log.error("run stopped", programme_id=programme_id, window=window_no, code=stopped.code, explanation=explanation)


async def clear_alerts(connection: Connection, programme_id: int, window_no: int, but: str | None = None) -> None:
    """Clear what stood against a window's run and does no longer: everything but this explanation."""
    window = (tables.Alert.programme_id == programme_id) & (tables.Alert.window_no == window_no)
    cleared = tables.Alert.update({tables.Alert.cleared_at: machine_now()}).where(
        window, tables.Alert.cleared_at.is_null()
    )
    await on(connection, cleared if but is None else cleared.where(tables.Alert.explanation != but))


async def _read(programme_id: int, window_no: int) -> Books:
    if (finding := await pool().fetchval(statements["broken_invariant"], programme_id)) is not None:
        raise InvariantBroken(finding)
    try:
        return await read_books(programme_id, window_no)
    except SettlementError as error:
        raise BooksDoNotFit(str(error)) from None


async def _calculated(books: Books) -> Calculation:
    try:
        calculation = await asyncio.to_thread(books.calculate)
    except SettlementError as error:
        raise BooksDoNotFit(str(error)) from None
    if not calculation.pool.holds:
        raise PoolDoesNotHold(calculation.pool.explanation)
    return calculation


async def _record(books: Books, calculation: Calculation) -> int:
    """Record a run, all of it or nothing; of two who do it at once, the second finds the first one's."""
    facts, check = calculation.facts, calculation.pool
    place = books.programme_id, facts.window
    run_id, submission_id = new_id(), new_record_id()
    salts = [os.urandom(SALT_BYTES) for _ in calculation.statements]
    commitments = [
        commitment(salt, statement.content) for salt, statement in zip(salts, calculation.statements, strict=True)
    ]
    tree = CommitmentTree(commitments)
    places = [tree.path(item) for item in commitments]
    async with transaction() as connection:
        added = await connection.fetchval(
            statements["add_run"], run_id, *place, facts.currency, submission_id, facts.pool_before, check.balance,
            ratio_text(check.worth), ratio_text(check.apart), ratio_text(check.allowed), check.outstanding,
            calculation.part_rate_margins, check.explanation,
        )  # fmt: skip
        if added is None:
            current: int = await connection.fetchval(statements["current_run"], *place)
            return current
        leaf = run_leaf(rfc3339(machine_now()), facts.programme, facts.window, tree.root)
        await submit(connection, books.programme_id, submission_id, leaf)
        await _add_lines(connection, run_id, place, calculation)
        await connection.execute(
            statements["add_statements"], run_id, facts.window, tree.size,
            [books.partners[statement.partner] for statement in calculation.statements],
            [statement.content for statement in calculation.statements], salts, [index for index, _ in places],
            [b"".join(proof) for _, proof in places],
        )  # fmt: skip
        await connection.execute(statements["add_event"], run_id, RunState.CALCULATED, None)
        await clear_alerts(connection, *place)
    log.info("run calculated", run=public("run", run_id), programme=facts.programme, window=facts.window)
    return run_id


async def _add_lines(connection: Connection, run_id: int, place: tuple[int, int], calculation: Calculation) -> None:
    rows = [
        (
            line.cell.leg, line.cell.partner, line.cell.version, line.cell.counterparty,
            line.cell.counterparty_version, line.cell.debtor, line.cell.creditor, ratio_text(line.rate),
            line.points_before, line.billed_before, line.points, line.amount,
        )
        for line in calculation.moved
    ]  # fmt: skip
    if rows:
        await connection.execute(statements["add_lines"], run_id, *place, *map(list, zip(*rows, strict=True)))
    nets = calculation.nets
    await connection.execute(
        statements["add_nets"], run_id, [net.party for net in nets], [net.pays for net in nets],
        [net.receives for net in nets],
    )  # fmt: skip
