"""Gathering: concurrent callers of a process share one set-based call and one commit."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")

PENDING_MAXIMUM = 10_000


class Gatherer(Generic[Item, Answer]):
    """Hands items to `flush` in batches of at most `maximum`, one batch at a time, and each caller its answer.

    The next batch gathers while the last one is flushed. When a flush fails with more than one item, its items are
    flushed one by one, so that a bad item fails its own caller alone. At most PENDING_MAXIMUM items wait.
    """

    def __init__(self, flush: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]], *, maximum: int) -> None:
        self._flush = flush
        self._maximum = maximum
        self._pending: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._running: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Answer:
        """Return the answer for an item once its batch is flushed; raises what the flush raised.

        Raises asyncio.QueueFull when too many items wait.
        """
        if len(self._pending) >= PENDING_MAXIMUM:
            raise asyncio.QueueFull
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._pending.append((item, future))
        if self._running is None or self._running.done():
            # In a context of its own: a transaction that the first caller has open is none of the others' business.
            self._running = asyncio.create_task(self._run(), context=contextvars.Context())
        # A caller that goes away does not take back what is already on its way to the books.
        return await asyncio.shield(future)

    async def _run(self) -> None:
        batch: list[tuple[Item, asyncio.Future[Answer]]] = []
        try:
            while self._pending:
                batch, self._pending = self._pending[: self._maximum], self._pending[self._maximum :]
                await self._answer(batch)
        except asyncio.CancelledError:
            # The process is going down: nobody is left waiting for an answer that will not come.
            for _, future in [*batch, *self._pending]:
                future.cancel()
            self._pending = []
            raise

    async def _answer(self, batch: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._flush([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001  # every caller gets its own failure
            if len(batch) == 1:
                _fail(batch[0][1], error)
                return
            for entry in batch:
                await self._answer([entry])
            return
        if len(answers) != len(batch):
            # They stand in the books, but nobody knows which answer is whose; a retry with the same key will tell.
            failure = RuntimeError(f"{len(batch)} items were flushed and {len(answers)} answered")
            for _, future in batch:
                _fail(future, failure)
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            if not future.done():
                future.set_result(answer)


def _fail(future: asyncio.Future[Answer], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # a caller that went away leaves no warning behind
