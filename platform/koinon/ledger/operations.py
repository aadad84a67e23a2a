"""Posting to the ledger: the only writers of accounts, wallets, lots, holds and journals."""

import asyncio
from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

import asyncpg
import msgspec

from koinon.context import OpenedProgramme
from koinon.database import DB, Connection, beside, pool, raced, transaction
from koinon.database.gather import Gatherer
from koinon.ledger.model import AnyCommand, Outcome, encode
from koinon.problems import Conflict, IdempotencyKeyReused, NotFound, Problem, Refused

statements = beside(__file__)

BATCH_MAXIMUM = 100
BARRIER_POLL_SECONDS = 0.02


class InsufficientBalance(Refused):
    """The account does not hold so many points."""

    code = "insufficient-balance"
    title = "The balance does not cover this redemption"


class ProofAlreadyUsed(Refused):
    """A pay code pays once."""

    code = "proof-already-used"
    title = "This proof was shown before; ask the member for a new pay code"


class UnknownAccount(NotFound):
    """No account stands behind the member."""

    code = "unknown-account"
    title = "There is no such account"


class UnknownRedemption(NotFound):
    """No redemption of this partner has this id."""

    code = "unknown-redemption"
    title = "There is no such redemption"


class UnknownEarning(NotFound):
    """No earning of this partner has this id."""

    code = "unknown-earning"
    title = "There is no such earning"


class RedemptionNotOpen(Conflict):
    """A redemption is captured or released once."""

    code = "redemption-not-open"
    title = "This redemption was captured or released before"


class AlreadyReversed(Conflict):
    """What was reversed once is not reversed again."""

    code = "already-reversed"
    title = "This was reversed before"


class PointsAlreadySpent(Refused):
    """The member has spent the points that should be taken back."""

    code = "points-already-spent"
    title = "The points of this earning were spent meanwhile"


class PointsNotPositive(Refused):
    """An earning, a redemption or a reversal moves at least one point."""

    code = "points-not-positive"
    title = "Points must be a positive whole number"


class NothingToReverse(Refused):
    """No point of it is left to take back."""

    code = "nothing-to-reverse"
    title = "Nothing is left to reverse"


class NothingToExpire(Refused):
    """No point of the account is due, or a till holds those that are."""

    code = "nothing-to-expire"
    title = "Nothing is due to expire"


PROBLEMS: dict[str, type[Problem]] = {
    problem.code: problem
    for problem in (
        InsufficientBalance,
        ProofAlreadyUsed,
        UnknownAccount,
        UnknownRedemption,
        UnknownEarning,
        RedemptionNotOpen,
        AlreadyReversed,
        PointsAlreadySpent,
        PointsNotPositive,
        NothingToReverse,
        NothingToExpire,
        IdempotencyKeyReused,
    )
}


def require_posted(outcome: Outcome) -> Outcome:
    """Return an outcome that was posted or replayed; raise the Problem of one that was refused or in conflict."""
    if outcome.status in {"posted", "replayed"}:
        return outcome
    facts = dict(outcome.answer)
    raise PROBLEMS[facts.pop("code")](**facts)


async def post(connection: Connection, programme_id: int, commands: Sequence[AnyCommand]) -> list[Outcome]:
    """Post commands of one programme in the caller's transaction, in their order, and answer each.

    A command that is refused changes nothing; the others stand. Raises asyncpg.SerializationError when another
    transaction recorded one of the requests meanwhile: the caller's whole transaction is to be tried again.
    """
    rows = await connection.fetch(statements["post"], programme_id, encode(commands))
    assert [row["position"] for row in rows] == list(range(len(commands))), "every command is answered once"  # noqa: S101  # an invariant of the books
    return [Outcome(status=row["status"], answer=msgspec.json.decode(row["answer"])) for row in rows]


async def post_now(programme_id: int, commands: Sequence[AnyCommand]) -> list[Outcome]:
    """Post commands in a transaction of their own, tried again when a request raced."""
    return await raced(lambda connection: post(connection, programme_id, commands))


class Ledger:
    """The ledger as the callers of one process use it: concurrent callers share one call and one commit.

    The next batch gathers while the last one commits; each caller is answered after its own commit.
    """

    def __init__(self) -> None:
        self._gatherers: dict[int, Gatherer[AnyCommand, Outcome]] = {}

    async def post(self, programme_id: int, command: AnyCommand) -> Outcome:
        """Post one command and return its outcome once it is durable.

        Raises TooManyWaiting, OutcomeUnknown, and RuntimeError inside a transaction: the shared call would wait for
        rows that the caller's transaction holds. Inside one, use `post`.
        """
        _require_no_transaction()
        gatherer = self._gatherers.get(programme_id)
        if gatherer is None:

            async def flush(commands: Sequence[AnyCommand]) -> Sequence[Outcome]:
                return await post_now(programme_id, commands)

            gatherer = self._gatherers[programme_id] = Gatherer(flush, maximum=BATCH_MAXIMUM)
        return await gatherer.submit(command)


async def open_books(connection: Connection, programme: OpenedProgramme) -> None:
    """Make a programme's unit and its first window in the transaction that opens it."""
    await connection.execute(statements["add_unit"], programme.unit_id, programme.programme_id, programme.unit)
    await connection.execute(statements["first_window"], programme.programme_id, programme.today, programme.now)


async def open_account(
    connection: Connection, *, account_id: int, programme_id: int, unit_id: int, now: datetime
) -> None:
    """Make an account with an empty wallet in the caller's transaction."""
    await connection.execute(statements["open_account"], account_id, programme_id, unit_id, now)


async def pooled(connection: Connection, account_id: int, unit_id: int) -> list[asyncpg.Record]:
    """Return an account's unspent points of a unit, by issuer and by expiry."""
    rows: list[asyncpg.Record] = await connection.fetch(statements["pooled"], account_id, unit_id)
    return rows


async def history(connection: Connection, account_id: int, after: UUID | None, limit: int) -> list[asyncpg.Record]:
    """Return an account's journals after one, the newest first, at most `limit`."""
    rows: list[asyncpg.Record] = await connection.fetch(statements["history"], account_id, after, limit)
    return rows


async def flip_window(programme_id: int, business_date: date, now: datetime) -> int | None:
    """Let writers stamp the next window, whose date is `business_date`; return the window that is now closing.

    Does nothing and returns None when the open window has that date or a later one.
    """
    async with transaction() as connection:
        window_no: int | None = await connection.fetchval(statements["flip_window"], programme_id, business_date, now)
        return window_no


async def close_flipped_windows(programme_id: int, now: datetime) -> list[int]:
    """Close every flipped window once no writer of it is left, and return their numbers.

    Writers never wait for this. The barrier is an id from a transaction after the flip was committed: whoever read
    the old window has a smaller one. It may be called again after a crash at any point.
    Raises RuntimeError inside a transaction: its id could be older than the flip, and the barrier would wait for it.
    """
    _require_no_transaction()
    closed: list[int] = []
    for row in await pool().fetch(statements["closing_windows"], programme_id):
        async with transaction() as connection:
            own = await connection.fetchval(statements["transaction_id"])
            barrier = await connection.fetchval(statements["set_barrier"], programme_id, row["window_no"], own)
        if barrier is None:
            continue
        while not await pool().fetchval(statements["barrier_passed"], barrier):  # noqa: ASYNC110  # the database knows
            await asyncio.sleep(BARRIER_POLL_SECONDS)
        async with transaction() as connection:
            if await connection.fetchval(statements["close_window"], programme_id, row["window_no"], now) is not None:
                closed.append(row["window_no"])
    return closed


def _require_no_transaction() -> None:
    if DB.current_transaction.get() is not None:
        message = "this opens transactions of its own and must not be called inside one"
        raise RuntimeError(message)
