"""Gathering: shared batches, each caller its own answer or failure, and no caller left waiting."""

import asyncio
from collections.abc import Sequence

import pytest

from koinon.database import gather
from koinon.database.engine import DB, Joined
from koinon.database.gather import Gatherer


class Flushes:
    """A flush that keeps its batches, waits when it is told to, and fails on bad items."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.seen_transaction: object = None

    async def __call__(self, items: Sequence[int]) -> Sequence[int]:
        """Answer each item with its double."""
        self.batches.append(list(items))
        self.seen_transaction = DB.current_transaction.get()
        await self.open.wait()
        if any(item < 0 for item in items):
            message = f"bad among {len(items)}"
            raise ValueError(message)
        return [item * 2 for item in items]


async def waiting(flushes: Flushes, batches: int) -> None:
    """Let others run until so many batches have been flushed or stand in the flush."""
    while len(flushes.batches) < batches:  # noqa: ASYNC110  # each turn of the loop is one step of the others
        await asyncio.sleep(0)


async def test_the_next_batch_gathers_while_the_last_is_flushed() -> None:
    """The first caller goes at once; those who come meanwhile share the next call, and each gets its own answer."""
    flushes = Flushes()
    gatherer = Gatherer(flushes, maximum=100)
    flushes.open.clear()
    first = asyncio.create_task(gatherer.submit(1))
    await waiting(flushes, 1)
    others = [asyncio.create_task(gatherer.submit(item)) for item in (2, 3, 4)]
    await asyncio.sleep(0)
    flushes.open.set()

    assert await asyncio.gather(first, *others) == [2, 4, 6, 8]
    assert flushes.batches == [[1], [2, 3, 4]]


async def test_more_than_the_maximum_go_in_several_calls() -> None:
    """No call takes more than the maximum; the order is that of the callers."""
    flushes = Flushes()
    gatherer = Gatherer(flushes, maximum=10)

    answers = await asyncio.gather(*(gatherer.submit(item) for item in range(25)))

    assert answers == [item * 2 for item in range(25)]
    assert [len(batch) for batch in flushes.batches] == [10, 10, 5]
    assert [item for batch in flushes.batches for item in batch] == list(range(25))


async def test_a_bad_item_fails_alone() -> None:
    """When a call fails its items go one by one: the bad one's caller gets its failure, the others their answers."""
    flushes = Flushes()
    gatherer = Gatherer(flushes, maximum=10)

    answers = await asyncio.gather(*(gatherer.submit(item) for item in (1, -2, 3)), return_exceptions=True)

    assert answers[0] == 2
    assert answers[2] == 6
    assert isinstance(answers[1], ValueError)
    assert str(answers[1]) == "bad among 1"
    assert flushes.batches == [[1, -2, 3], [1], [-2], [3]]


async def test_it_goes_on_after_a_failure() -> None:
    """A failure stops nothing: the next caller is served."""
    gatherer = Gatherer(Flushes(), maximum=10)
    with pytest.raises(ValueError, match="bad among 1"):
        await gatherer.submit(-1)

    assert await gatherer.submit(1) == 2


async def test_a_caller_that_goes_away() -> None:
    """Its item is flushed all the same, and the others in the call get their answers, or their failures."""
    flushes = Flushes()
    gatherer = Gatherer(flushes, maximum=10)
    flushes.open.clear()
    first = asyncio.create_task(gatherer.submit(1))
    await waiting(flushes, 1)
    gone, bad_and_gone, stays = [asyncio.create_task(gatherer.submit(item)) for item in (2, -3, 4)]
    await asyncio.sleep(0)
    gone.cancel()
    bad_and_gone.cancel()
    flushes.open.set()

    assert await first == 2
    assert await stays == 8
    assert gone.cancelled()
    assert bad_and_gone.cancelled()
    assert flushes.batches == [[1], [2, -3, 4], [2], [-3], [4]]


async def test_too_many_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond PENDING_MAXIMUM a caller is refused at once, and those who wait are not disturbed."""
    monkeypatch.setattr(gather, "PENDING_MAXIMUM", 3)
    flushes = Flushes()
    gatherer = Gatherer(flushes, maximum=10)
    flushes.open.clear()
    first = asyncio.create_task(gatherer.submit(0))
    await waiting(flushes, 1)
    pending = [asyncio.create_task(gatherer.submit(item)) for item in (1, 2, 3)]
    await asyncio.sleep(0)

    with pytest.raises(asyncio.QueueFull):
        await gatherer.submit(4)

    flushes.open.set()
    assert await asyncio.gather(first, *pending) == [0, 2, 4, 6]
    assert await gatherer.submit(4) == 8


async def test_the_first_callers_transaction_is_its_own() -> None:
    """Whoever comes first may be inside a transaction: the others' items are not flushed in it."""
    flushes = Flushes()
    gatherer = Gatherer(flushes, maximum=10)
    token = DB.current_transaction.set(Joined("mine"))  # type: ignore[arg-type]  # anything will do
    try:
        assert await gatherer.submit(1) == 2
    finally:
        DB.current_transaction.reset(token)

    assert flushes.batches == [[1]]
    assert flushes.seen_transaction is None


async def test_a_flush_that_miscounts() -> None:
    """When answers and items do not pair up nobody is given another's answer, and nothing is flushed again."""
    calls: list[int] = []

    async def miscount(items: Sequence[int]) -> Sequence[int]:
        calls.append(len(items))
        return [0]

    gatherer = Gatherer(miscount, maximum=10)

    answers = await asyncio.gather(*(gatherer.submit(item) for item in (1, 2)), return_exceptions=True)

    assert [str(answer) for answer in answers] == ["2 items were flushed and 1 answered"] * 2
    assert calls == [2]


async def test_a_process_that_goes_down() -> None:
    """When the gatherer is stopped no caller waits for ever, neither those in the call nor those behind it."""
    flushes = Flushes()
    gatherer = Gatherer(flushes, maximum=1)
    flushes.open.clear()
    callers = [asyncio.create_task(gatherer.submit(item)) for item in (1, 2)]
    await waiting(flushes, 1)
    assert gatherer._running is not None

    gatherer._running.cancel()

    answers = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(answer) for answer in answers] == [asyncio.CancelledError] * 2
    flushes.open.set()
    assert await gatherer.submit(3) == 6
