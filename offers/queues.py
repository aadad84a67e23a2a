"""Queues of the worker: served in the order of arrival; what cannot be processed is set aside and stops nobody else.

An item that fails is tried again after growing pauses, since some causes pass, and set aside after the last of them,
with an alert (offers/backlog_web.py). Nobody waits for it, not even what else is known of its card: a payment is a
commutative fold, so a message that comes late, or never, is what it was made for.
"""

import traceback
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, TypeVar

import asyncpg
import msgspec
import structlog

from koinon.database import RACES, Connection, beside

statements = beside(__file__, "backlog.sql")

PAUSES = (
    timedelta(seconds=10),
    timedelta(minutes=1),
    timedelta(minutes=10),
    timedelta(hours=1),
    timedelta(hours=6),
)
"""How long an item waits after each time that it failed; failing once more, it is set aside."""

UNREADABLE = "unreadable"
"""What is stored cannot be read."""
UNFORESEEN = "unforeseen"
"""Processing raised what nobody expected."""

# SQLSTATE classes that speak of the data at hand: data exceptions, integrity, what a function raised, internal errors.
# All others (connections, resources, shutdowns, races, a schema that does not fit) would stop any other item, too.
_OF_THE_ITEM = frozenset({"21", "22", "23", "P0", "XX"})
_SOURCES = Path(__file__).parent.parent

log = structlog.get_logger(__name__)

Key = TypeVar("Key")


TRY_AGAIN = "Then post to this programme's /backlog/retries."
WHAT_TO_DO = {
    UNREADABLE: "What was stored is damaged or of another version: restore it, or run the version that wrote it.",
    UNFORESEEN: "This is a fault of the software, named by its place: run a version that mends it.",
}


class SetAside(msgspec.Struct, frozen=True, kw_only=True):
    """An alert: `count` items that failed in every try for one reason at one place, and what to do about them.

    `code` says what they are and why they failed; `oldest` has waited since then.
    """

    code: Annotated[str, msgspec.Meta(examples=["card-message-unreadable"])]
    where: Annotated[str, msgspec.Meta(examples=["msgspec.DecodeError at offers/purchases/intake.py:136"])]
    count: Annotated[int, msgspec.Meta(examples=[1])]
    oldest: datetime
    remedy: Annotated[str, msgspec.Meta(examples=[f"{WHAT_TO_DO[UNREADABLE]} {TRY_AGAIN}"])]


class Retries(msgspec.Struct, frozen=True, kw_only=True):
    """How many card messages and purchases that were set aside wait for the worker again."""

    card_messages: Annotated[int, msgspec.Meta(examples=[1])]
    purchases: Annotated[int, msgspec.Meta(examples=[0])]


class Failure(msgspec.Struct, frozen=True):
    """Why an item failed: a stable code, and what was raised where, without the words of it, which may repeat data."""

    code: str
    where: str


def failure_of(error: Exception) -> Failure:
    """Return why an item failed, by the last line of this project's code that the error came through."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _SOURCES in Path(frame.filename).parents]
    raised = f"{type(error).__module__}.{type(error).__qualname__}"
    if isinstance(error, asyncpg.PostgresError) and error.sqlstate:
        raised += f" {error.sqlstate}"
    at = f" at {Path(frames[-1].filename).relative_to(_SOURCES)}:{frames[-1].lineno}" if frames else ""
    unreadable = isinstance(error, msgspec.DecodeError | UnicodeDecodeError)
    return Failure(UNREADABLE if unreadable else UNFORESEEN, raised + at)


def is_passing(error: Exception) -> bool:
    """Return whether an error says nothing about the items at hand: anything else would have met it there and then."""
    if isinstance(error, asyncpg.PostgresError):
        return isinstance(error, RACES) or (error.sqlstate or "")[:2] not in _OF_THE_ITEM
    if isinstance(error, asyncpg.InterfaceError):
        return not isinstance(error, ValueError)  # an argument that the driver cannot encode is the item's own
    return isinstance(error, OSError | MemoryError)


async def each_alone(
    keys: Sequence[Key],
    work: Callable[[Sequence[Key]], Awaitable[bool]],
    put_off: Callable[[Key, Failure], Awaitable[None]],
) -> bool:
    """Do the work on all keys at once, or when it fails on halves of them, until what fails is alone and put off.

    `work` is one transaction, and may take a part of the keys alone; tells whether there was anything to do. Raises
    what says nothing about the items.
    """
    try:
        return await work(keys)
    except Exception as error:
        if is_passing(error):
            raise
        if len(keys) == 1:
            await put_off(keys[0], failure_of(error))
            return True
    middle = len(keys) // 2
    first = await each_alone(keys[:middle], work, put_off)
    return await each_alone(keys[middle:], work, put_off) or first


def log_put_off(what: str, row: asyncpg.Record, failure: Failure) -> None:
    """Say in the log what was put off or set aside, by its programme alone: an id is its sender's own text."""
    told = {"what": what, "programme_id": row["programme_id"], "tries": row["tries"]}
    if row["set_aside_at"] is None:
        log.warning("put off", code=failure.code, where=failure.where, **told)
    else:
        log.error("set aside", code=failure.code, where=failure.where, **told)


async def set_aside(connection: Connection, programme_id: int) -> list[SetAside]:
    """Return the alerts of a programme, the one whose items wait longest first."""
    return [
        SetAside(
            code=f"{row['what']}-{row['failure']}",
            where=row["failed_where"],
            count=row["count"],
            oldest=row["oldest"],
            remedy=f"{WHAT_TO_DO[row['failure']]} {TRY_AGAIN}",
        )
        for row in await connection.fetch(statements["set_aside"], programme_id)
    ]


async def try_again(connection: Connection, programme_id: int) -> Retries:
    """Let all that was set aside of a programme be tried again, as if it had never failed."""
    messages = await connection.execute(statements["messages_again"], programme_id)
    purchases = await connection.execute(statements["purchases_again"], programme_id)
    return Retries(card_messages=_changed(messages), purchases=_changed(purchases))


def _changed(status: str) -> int:
    """Return how many rows an update changed, by its command tag."""
    return int(status.rpartition(" ")[2])
