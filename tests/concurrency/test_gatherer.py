"""Gathering: shared batches, each caller its own answer or failure, and no caller left waiting."""

import asyncio
from collections.abc import Sequence

import asyncpg
import pytest

from koinon.database import gather
from koinon.database.engine import DB, Joined
from koinon.database.gather import Gatherer, OutcomeUnknown, TooManyWaiting


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
    """When a call fails its halves are called: the bad item's caller gets its failure, the others their answers."""
    flushes = Flushes()
    gatherer = Gatherer(flushes, maximum=10)

    answers = await asyncio.gather(*(gatherer.submit(item) for item in (1, -2, 3)), return_exceptions=True)

    assert answers[0] == 2
    assert answers[2] == 6
    assert isinstance(answers[1], ValueError)
    assert str(answers[1]) == "bad among 1"
    assert flushes.batches == [[1, -2, 3], [1], [-2, 3], [-2], [3]]


async def test_a_bad_item_among_many_is_found_by_halves() -> None:
    """Of 128 items the bad one is found in two calls a halving, not in 128: nobody waits for all the others' sake."""
    flushes = Flushes()
    gatherer = Gatherer(flushes, maximum=128)
    items = [-1 if item == 77 else item for item in range(128)]

    answers = await asyncio.gather(*(gatherer.submit(item) for item in items), return_exceptions=True)

    assert [answer for answer in answers if not isinstance(answer, ValueError)] == [
        item * 2 for item in range(128) if item != 77
    ]
    assert str(answers[77]) == "bad among 1"
    assert [len(batch) for batch in flushes.batches if -1 in batch] == [128, 64, 32, 16, 8, 4, 2, 1]
    assert len(flushes.batches) == 1 + 2 * 7


@pytest.mark.parametrize("refused", [ConnectionRefusedError, TimeoutError])
async def test_no_database(refused: type[OSError]) -> None:
    """Without a database a call's halves are not tried: every caller is told at once to send it again."""
    calls: list[int] = []

    async def fail(items: Sequence[int]) -> Sequence[int]:
        calls.append(len(items))
        raise refused

    gatherer = Gatherer(fail, maximum=10)

    answers = await asyncio.gather(*(gatherer.submit(item) for item in range(10)), return_exceptions=True)

    assert [type(answer) for answer in answers] == [OutcomeUnknown] * 10
    assert calls == [10]


@pytest.mark.parametrize(
    ("lost", "raised"),
    [
        (asyncpg.ConnectionDoesNotExistError, OutcomeUnknown),
        (asyncpg.InterfaceError, OutcomeUnknown),
        (asyncpg.exceptions.AdminShutdownError, OutcomeUnknown),
        # A value that cannot be sent: the client library files it under the same name, and it never left.
        (asyncpg.exceptions._base.DataError, asyncpg.exceptions._base.DataError),
    ],
)
async def test_a_connection_that_is_lost(lost: type[Exception], raised: type[Exception]) -> None:
    """Whoever was alone on it may be in the books; several are called again, for the same key gives the same answer."""
    calls: list[list[int]] = []

    async def fail_once(items: Sequence[int]) -> Sequence[int]:
        calls.append(list(items))
        if len(calls) in {1, 2}:
            message = "gone"
            raise lost(message)
        return list(items)

    gatherer = Gatherer(fail_once, maximum=10)
    with pytest.raises(raised):
        await gatherer.submit(0)

    assert await asyncio.gather(*(gatherer.submit(item) for item in (1, 2))) == [1, 2]
    assert calls == [[0], [1, 2], [1], [2]]


async def test_a_call_that_hangs() -> None:
    """After its time a call is given up, even one that does not end when it is told to, and the next one is made."""
    flushes = Flushes()
    told: list[int] = []

    async def hang(items: Sequence[int]) -> Sequence[int]:
        try:
            return await flushes(items)
        except asyncio.CancelledError:
            told.extend(items)
            await flushes.open.wait()
            raise

    gatherer = Gatherer(hang, maximum=10, batch_seconds=0.01)
    flushes.open.clear()

    answers = await asyncio.gather(*(gatherer.submit(item) for item in (1, 2)), return_exceptions=True)

    assert [type(answer) for answer in answers] == [OutcomeUnknown] * 2
    assert isinstance(answers[0], OutcomeUnknown)
    assert answers[0].document() == {
        "type": "https://koinon.example/problems/outcome-unknown",
        "title": "Nobody knows yet whether this was recorded; send it again under the same Idempotency-Key",
        "status": 503,
        "code": "outcome-unknown",
        "retry_after_seconds": 2,
    }
    while told != [1, 2]:  # noqa: ASYNC110  # each turn of the loop is one step of the others
        await asyncio.sleep(0)
    assert len(gatherer._given_up) == 1

    gatherer._batch_seconds = 10
    following = asyncio.create_task(gatherer.submit(3))
    await waiting(flushes, 2)
    flushes.open.set()
    assert await following == 6
    while gatherer._given_up:  # noqa: ASYNC110  # each turn of the loop is one step of the others
        await asyncio.sleep(0)


async def test_halves_share_the_batchs_time() -> None:
    """A batch's time is not begun anew by its halves: what is left when it is over is answered without an answer."""
    calls: list[list[int]] = []

    async def fail_late(items: Sequence[int]) -> Sequence[int]:
        calls.append(list(items))
        if len(calls) > 1:
            await asyncio.Event().wait()
        raise ValueError

    gatherer = Gatherer(fail_late, maximum=10, batch_seconds=0.01)

    answers = await asyncio.gather(*(gatherer.submit(item) for item in (1, 2, 3, 4)), return_exceptions=True)

    assert [type(answer) for answer in answers] == [OutcomeUnknown] * 4
    # The second half had no time left and began none of its own.
    assert calls == [[1, 2, 3, 4], [1, 2]]


async def test_a_caller_whose_time_is_over() -> None:
    """It is told to send it again; what had not left yet leaves no more, and what had left is flushed."""
    flushes = Flushes()
    gatherer = Gatherer(flushes, maximum=10)
    flushes.open.clear()
    first = asyncio.create_task(gatherer.submit(1))
    await waiting(flushes, 1)
    gatherer._wait_seconds = 0
    late = asyncio.create_task(gatherer.submit(2))

    with pytest.raises(OutcomeUnknown):
        await late

    gatherer._wait_seconds = 10
    following = asyncio.create_task(gatherer.submit(3))
    await asyncio.sleep(0)
    flushes.open.set()
    assert [await first, await following] == [2, 6]
    assert flushes.batches == [[1], [3]]


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
    assert flushes.batches == [[1], [2, -3, 4], [2], [-3, 4], [-3], [4]]


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

    with pytest.raises(TooManyWaiting):
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
