"""Gathering: concurrent callers of a process share one set-based call and one commit.

TooManyWaiting  503  nothing was taken: the caller may send it again
OutcomeUnknown  503  nobody knows what became of it: the caller sends it again under the same key
"""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import asyncpg
import structlog

from koinon.problems import ServiceUnavailable

log = structlog.get_logger(__name__)

Item = TypeVar("Item")
Answer = TypeVar("Answer")

PENDING_MAXIMUM = 10_000
BATCH_SECONDS = 10.0
"""How long a batch may take with all its halves. Above what a busy database takes, below what a till waits."""
WAIT_SECONDS = 15.0
"""How long a caller waits for its answer, the batches before its own included."""
RETRY_AFTER_SECONDS = 2

LOST = (OSError, asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError, asyncpg.InterfaceError)
"""What says that a connection went away, before its COMMIT or after it; a ValueError among them is a bad value."""


class TooManyWaiting(ServiceUnavailable):
    """More items wait than are taken; this one was not."""

    code = "too-many-waiting"
    title = "More wait than can be taken; nothing was recorded, send it again shortly"

    def __init__(self) -> None:
        super().__init__(retry_after_seconds=RETRY_AFTER_SECONDS)


class OutcomeUnknown(ServiceUnavailable):
    """No answer came in time: the item may have been recorded, or may still be."""

    code = "outcome-unknown"
    title = "Nobody knows yet whether this was recorded; send it again under the same Idempotency-Key"

    def __init__(self) -> None:
        super().__init__(retry_after_seconds=RETRY_AFTER_SECONDS)


Entry = tuple[Item, asyncio.Future[Answer]]


class Gatherer(Generic[Item, Answer]):
    """Hands items to `flush` in batches of at most `maximum`, one batch at a time, and each caller its answer.

    The next batch gathers while the last one is flushed. When a flush fails with more than one item, it is halved and
    each half flushed, so that a bad item fails its own caller alone, after as many flushes as the batch has halvings.
    At most PENDING_MAXIMUM items wait, each WAIT_SECONDS at most; a batch and its halves have BATCH_SECONDS.
    """

    def __init__(
        self,
        flush: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]],
        *,
        maximum: int,
        batch_seconds: float = BATCH_SECONDS,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._flush = flush
        self._maximum = maximum
        self._batch_seconds = batch_seconds
        self._wait_seconds = wait_seconds
        self._pending: list[Entry[Item, Answer]] = []
        self._running: asyncio.Task[None] | None = None
        self._given_up: set[asyncio.Task[Sequence[Answer]]] = set()

    async def submit(self, item: Item) -> Answer:
        """Return the answer for an item once its batch is flushed; raises what the flush raised for it alone.

        Raises TooManyWaiting, and OutcomeUnknown when no answer came in time. What was not yet on its way then is
        not flushed any more: its caller is told to send it again, and nobody else waits for it.
        """
        if len(self._pending) >= PENDING_MAXIMUM:
            raise TooManyWaiting
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._pending.append((item, future))
        if self._running is None or self._running.done():
            # In a context of its own: a transaction that the first caller has open is none of the others' business.
            self._running = asyncio.create_task(self._run(), context=contextvars.Context())
        try:
            async with asyncio.timeout(self._wait_seconds) as deadline:
                # A caller that goes away does not take back what is already on its way to the books.
                return await asyncio.shield(future)
        except TimeoutError:
            if not deadline.expired():
                raise
            future.cancel()
            raise OutcomeUnknown from None

    async def _run(self) -> None:
        batch: list[Entry[Item, Answer]] = []
        try:
            while self._pending:
                batch, self._pending = self._pending[: self._maximum], self._pending[self._maximum :]
                until = asyncio.get_running_loop().time() + self._batch_seconds
                await self._answer([entry for entry in batch if not entry[1].cancelled()], until)
        except asyncio.CancelledError:
            # The process is going down: nobody is left waiting for an answer that will not come.
            for _, future in [*batch, *self._pending]:
                future.cancel()
            self._pending = []
            raise

    async def _answer(self, batch: list[Entry[Item, Answer]], until: float) -> None:
        if not batch:
            return
        try:
            answers = await self._flushed([item for item, _ in batch], until)
        except Exception as error:  # noqa: BLE001  # every caller gets its own failure
            # Without a database, or without time, the halves would fail as well.
            if len(batch) > 1 and not isinstance(error, (OSError, OutcomeUnknown)):
                half = len(batch) // 2
                await self._answer(batch[:half], until)
                await self._answer(batch[half:], until)
            elif isinstance(error, (OutcomeUnknown, *LOST)) and not isinstance(error, ValueError):
                log.warning("a batch was not answered", items=len(batch), error=repr(error))
                _fail(batch, OutcomeUnknown())
            else:
                _fail(batch, error)
            return
        if len(answers) != len(batch):
            # They stand in the books, but nobody knows which answer is whose; the same key sent again will tell.
            _fail(batch, RuntimeError(f"{len(batch)} items were flushed and {len(answers)} answered"))
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            if not future.done():
                future.set_result(answer)

    async def _flushed(self, items: Sequence[Item], until: float) -> Sequence[Answer]:
        """Return the flush's answers; raises OutcomeUnknown at `until`, and what the flush raises."""

        async def flush() -> Sequence[Answer]:
            return await self._flush(items)

        left = until - asyncio.get_running_loop().time()
        if left <= 0:
            raise OutcomeUnknown
        task = asyncio.create_task(flush())
        try:
            # Not asyncio.timeout, which waits for what it cancels: a connection that hangs may hang in its end too.
            await asyncio.wait({task}, timeout=left)
        finally:
            if not task.done():
                task.cancel()
                self._given_up.add(task)
                task.add_done_callback(self._ended)
        if not task.done():
            raise OutcomeUnknown
        return task.result()

    def _ended(self, task: asyncio.Task[Sequence[Answer]]) -> None:
        self._given_up.discard(task)
        if not task.cancelled():
            task.exception()  # its callers were told already


def _fail(batch: Sequence[Entry[Item, Answer]], error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
            future.exception()  # a caller that went away leaves no warning behind
