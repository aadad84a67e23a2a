"""Races: many at one balance, one key from two sides, two accounts in two orders, a capture after the flip."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import asyncpg
import msgspec
import pytest

from koinon.database import ATTEMPTS, Connection, transaction
from koinon.ledger import invariants, operations
from koinon.ledger.model import AnyCommand, Outcome, encode
from koinon.ledger.operations import (
    Ledger,
    close_flipped_windows,
    flip_window,
    post,
    post_now,
)
from koinon.problems import ServiceUnavailable
from tests.kit.ledger import Coalition, hashed, lots, statuses, wallet
from tests.kit.terms import NOW, TODAY

WAITING = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"
Open = Callable[[], Awaitable[Connection]]


async def account_with(kit: Coalition, points: int) -> int:
    """Return an account that has points in lots of ten, the soonest expiry last."""
    async with transaction() as connection:
        account = await kit.account(connection)
        for number in range(points // 10):
            expires_on = TODAY + timedelta(days=400 - number)
            await post(connection, kit.programme_id, [kit.earn(account, 10, expires_on)])
    return account


async def sound(pool: asyncpg.Pool) -> None:
    """See that every invariant holds."""
    async with pool.acquire() as connection:
        assert await invariants.check(connection) == []


async def test_fifty_holds_of_one_balance_gathered(database: asyncpg.Pool, coalition: Coalition) -> None:
    """Fifty parallel holds of 30 of a balance of 300: exactly ten succeed, the rest are told what was left."""
    account, ledger = await account_with(coalition, 300), Ledger()

    outcomes = await asyncio.gather(
        *(ledger.post(coalition.programme_id, coalition.hold(account, 30)) for _ in range(50))
    )

    assert Counter(statuses(outcomes)) == {"posted": 10, "insufficient-balance": 40}
    refused = {outcome.answer["available"] for outcome in outcomes if outcome.status == "refused"}
    assert refused == {0}
    async with database.acquire() as connection:
        assert await wallet(connection, account, coalition.unit_id) == (0, 300)
    await sound(database)


async def test_fifty_holds_of_one_balance_from_many_sessions(
    database: asyncpg.Pool, coalition: Coalition, session: Open
) -> None:
    """The same from ten sessions that share nothing; holds of different sizes: never more than there is."""
    account = await account_with(coalition, 300)
    sessions = [await session() for _ in range(10)]
    sizes = itertools.cycle((7, 30, 55, 110, 1))
    holds = [[coalition.hold(account, next(sizes)) for _ in range(5)] for _ in sessions]

    async def hold_all(connection: Connection, commands: list[Any]) -> list[Outcome]:
        return [outcome for command in commands for outcome in await coalition.post(connection, command)]

    outcomes = await asyncio.gather(*map(hold_all, sessions, holds))

    posted = sum(outcome.answer["points"] for each in outcomes for outcome in each if outcome.status == "posted")
    for each, commands in zip(outcomes, holds, strict=True):
        for outcome, command in zip(each, commands, strict=True):
            # Whoever was refused wanted more than was left at that moment, and what is left only shrinks.
            assert outcome.status == "posted" or command.points > outcome.answer["available"] >= 300 - posted
    async with database.acquire() as connection:
        assert await wallet(connection, account, coalition.unit_id) == (300 - posted, posted)
        assert sum(held for _, _, held in await lots(connection, account)) == posted
    await sound(database)


async def test_a_hot_account(database: asyncpg.Pool, coalition: Coalition) -> None:
    """Three hundred earns of one account at once: every balance from 1 to 300 is answered once, in few commits."""
    account, ledger = await account_with(coalition, 0), Ledger()

    outcomes = await asyncio.gather(
        *(ledger.post(coalition.programme_id, coalition.earn(account, 1)) for _ in range(300))
    )

    assert sorted(outcome.answer["balance"] for outcome in outcomes) == list(range(1, 301))
    commits = await database.fetchval(
        "SELECT count(DISTINCT transaction_id) FROM ledger.journal WHERE account_id = $1", account
    )
    assert commits == 3
    await sound(database)


async def test_one_key_from_two_sessions(database: asyncpg.Pool, coalition: Coalition, session: Open) -> None:
    """Two sessions post the same command: the second waits for the first and is answered with its answer."""
    account = await account_with(coalition, 0)
    command = coalition.earn(account, 10)
    first, second, observer = await session(), await session(), await session()
    race = first.transaction()
    await race.start()
    (posted,) = await post(first, coalition.programme_id, [command])
    waiting = asyncio.create_task(coalition.post(second, command))
    await blocked(observer)

    await race.commit()

    (replayed,) = await waiting
    assert (posted.status, replayed.status) == ("posted", "replayed")
    assert posted.answer == replayed.answer
    assert await wallet(observer, account, coalition.unit_id) == (10, 0)


@pytest.mark.parametrize("kind", ["earn", "hold"])
async def test_one_key_for_two_accounts(database: asyncpg.Pool, coalition: Coalition, session: Open, kind: str) -> None:
    """No wallet makes the second wait, but its key does: its call is tried again and finds the conflict."""
    account, other = await account_with(coalition, 10), await account_with(coalition, 10)
    make = coalition.earn if kind == "earn" else coalition.hold
    first, observer = await session(), await session()
    race = first.transaction()
    await race.start()
    (posted,) = await post(first, coalition.programme_id, [make(account, 10, key="one")])
    waiting = asyncio.create_task(post_now(coalition.programme_id, [make(other, 10, key="one")]))
    await blocked(observer)

    await race.commit()

    (clash,) = await waiting
    assert (posted.status, clash.status) == ("posted", "conflict")
    assert await lots(observer, other) == [(10, 10, 0)]
    await sound(database)


async def test_a_race_is_told_to_whoever_has_a_transaction(coalition: Coalition, session: Open) -> None:
    """Inside a caller's own transaction a lost race is its failure: the whole transaction is to be tried again."""
    account, other = await account_with(coalition, 0), await account_with(coalition, 0)
    first, second, observer = await session(), await session(), await session()
    race = first.transaction()
    await race.start()
    await post(first, coalition.programme_id, [coalition.earn(account, 10, key="one")])
    waiting = asyncio.create_task(coalition.post(second, coalition.earn(other, 10, key="one")))
    await blocked(observer)

    await race.commit()

    with pytest.raises(asyncpg.SerializationError):
        await waiting
    assert await lots(observer, other) == []


async def test_many_retries_of_one_command(database: asyncpg.Pool, coalition: Coalition) -> None:
    """Twenty senders of one command, through two processes' ledgers: one posts, nineteen get its answer."""
    account = await account_with(coalition, 10)
    command = coalition.hold(account, 10, proof_kind="pay_code", proof_ref="code")
    ledgers = [Ledger(), Ledger()]

    outcomes = await asyncio.gather(
        *(ledgers[number % 2].post(coalition.programme_id, command) for number in range(20))
    )

    assert Counter(statuses(outcomes)) == {"posted": 1, "replayed": 19}
    assert len({msgspec.json.encode(outcome.answer, order="sorted") for outcome in outcomes}) == 1
    await sound(database)


async def test_accounts_in_any_order(database: asyncpg.Pool, coalition: Coalition) -> None:
    """Calls that touch the same accounts in opposite orders lock them in one order: none is a deadlock's victim."""
    accounts = [await account_with(coalition, 0) for _ in range(4)]
    before = await deadlocks(database)

    async def post_round(order: tuple[int, ...]) -> None:
        for _ in range(5):
            async with transaction() as connection:
                commands = [coalition.earn(accounts[index], 1) for index in order]
                await post(connection, coalition.programme_id, commands)

    await asyncio.gather(*(asyncio.create_task(post_round(order)) for order in itertools.permutations(range(4), 4)))

    async with database.acquire() as connection:
        assert {await wallet(connection, account, coalition.unit_id) for account in accounts} == {(120, 0)}
    assert await deadlocks(database) == before


async def test_a_deadlock_of_keys_is_tried_again(database: asyncpg.Pool, coalition: Coalition, session: Open) -> None:
    """Keys in opposite orders over different accounts can deadlock; whoever loses is tried again and answered."""
    account, other = await account_with(coalition, 0), await account_with(coalition, 0)
    first, observer = await session(), await session()
    race = first.transaction()
    await race.start()
    await post(first, coalition.programme_id, [coalition.earn(account, 1, key="b")])
    # Not in one call of earns, which sorts its keys: an expiry stands between.
    nothing = coalition.expire(other, TODAY)
    commands: list[AnyCommand] = [coalition.earn(other, 1, key="a"), nothing, coalition.earn(other, 1, key="b")]
    losing = asyncio.create_task(post_now(coalition.programme_id, commands))
    await blocked(observer)

    (late,) = await post(first, coalition.programme_id, [coalition.earn(account, 1, key="c")])
    clash = asyncio.create_task(post(first, coalition.programme_id, [coalition.earn(account, 1, key="a")]))
    outcomes, others = await asyncio.gather(losing, finish(race, clash), return_exceptions=True)

    assert late.status == "posted"
    assert not isinstance(outcomes, BaseException)
    if isinstance(others, asyncpg.DeadlockDetectedError):
        assert statuses(outcomes) == ["posted", "nothing-to-expire", "posted"]
    else:
        assert statuses(outcomes) == ["idempotency-key-reused", "nothing-to-expire", "idempotency-key-reused"]
    await sound(database)


async def finish(race: Any, clash: "asyncio.Task[list[Outcome]]") -> list[Outcome]:
    """End a transaction as its last call ended."""
    try:
        outcomes = await clash
    except BaseException:
        await race.rollback()
        raise
    await race.commit()
    return outcomes


async def test_a_capture_after_the_flip(database: asyncpg.Pool, coalition: Coalition) -> None:
    """A till's capture after the close lands in the next window; the hold stays in the one it was made in."""
    kit, account = coalition, await account_with(coalition, 10)
    (hold,) = await post_now(kit.programme_id, [kit.hold(account, 10)])
    assert await flip_window(kit.programme_id, TODAY + timedelta(days=1), NOW) == 1

    (capture,) = await post_now(kit.programme_id, [kit.capture(account, hold)])

    assert (hold.answer["window_no"], capture.answer["window_no"]) == (1, 2)
    assert await close_flipped_windows(kit.programme_id, NOW) == [1]
    movements = await database.fetch(
        "SELECT window_no, credit_kind FROM ledger.movement WHERE account_id = $1 ORDER BY window_no", account
    )
    assert [tuple(row) for row in movements] == [(1, "wallet"), (1, "held"), (2, "honoured")]
    await sound(database)


async def test_a_window_flips_and_closes_once(database: asyncpg.Pool, coalition: Coalition) -> None:
    """Several workers flip and close at once: one flip, one close, and asking again does nothing."""
    kit = coalition
    tomorrow = TODAY + timedelta(days=1)

    flips = await asyncio.gather(*(flip_window(kit.programme_id, tomorrow, NOW) for _ in range(5)))
    closes = await asyncio.gather(*(close_flipped_windows(kit.programme_id, NOW) for _ in range(5)))

    assert sorted(flips, key=str) == [1, None, None, None, None]
    assert sorted(closes) == [[], [], [], [], [1]]
    assert await flip_window(kit.programme_id, tomorrow, NOW) is None
    assert await flip_window(kit.programme_id, TODAY, NOW) is None
    assert await close_flipped_windows(kit.programme_id, NOW) == []
    windows = await database.fetch(
        "SELECT window_no, state FROM ledger.settlement_window WHERE programme_id = $1 ORDER BY 1", kit.programme_id
    )
    assert [tuple(row) for row in windows] == [(1, "CLOSED"), (2, "OPEN")]


async def test_what_needs_its_own_transaction(database: asyncpg.Pool, coalition: Coalition) -> None:
    """Inside a caller's transaction the shared ledger and the close refuse: both would wait for their caller."""
    ledger, account = Ledger(), await account_with(coalition, 0)

    async with transaction():
        with pytest.raises(RuntimeError, match="must not be called inside one"):
            await ledger.post(coalition.programme_id, coalition.earn(account, 1))
        with pytest.raises(RuntimeError, match="must not be called inside one"):
            await close_flipped_windows(coalition.programme_id, NOW)


async def test_a_bad_command_fails_alone(database: asyncpg.Pool, coalition: Coalition) -> None:
    """A command that the database cannot read fails its own caller; those gathered with it are posted."""
    ledger, account = Ledger(), await account_with(coalition, 0)
    good = [coalition.earn(account, 1) for _ in range(5)]
    bad = hashed(msgspec.structs.replace(coalition.earn(account, 1), points=2**70))

    outcomes = await asyncio.gather(
        *(ledger.post(coalition.programme_id, command) for command in [*good, bad]), return_exceptions=True
    )

    assert isinstance(outcomes[-1], asyncpg.NumericValueOutOfRangeError)
    assert [outcome.status for outcome in outcomes[:-1] if isinstance(outcome, Outcome)] == ["posted"] * 5
    await sound(database)


async def test_an_overfull_ledger_says_so(
    database: asyncpg.Pool, coalition: Coalition, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When too many commands wait the caller is told that the service is not ready, and nothing is lost."""
    monkeypatch.setattr("koinon.database.gather.PENDING_MAXIMUM", 10)
    ledger, account = Ledger(), await account_with(coalition, 0)

    outcomes = await asyncio.gather(
        *(ledger.post(coalition.programme_id, coalition.earn(account, 1)) for _ in range(30)), return_exceptions=True
    )

    answered = [outcome for outcome in outcomes if isinstance(outcome, Outcome)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, ServiceUnavailable)]
    assert len(answered) + len(refused) == 30
    assert len(answered) == 10
    async with database.acquire() as connection:
        assert await wallet(connection, account, coalition.unit_id) == (10, 0)


async def test_retries_come_to_an_end(coalition: Coalition, monkeypatch: pytest.MonkeyPatch) -> None:
    """A race that is lost again and again is the caller's failure in the end, after ATTEMPTS tries."""
    tries = []

    async def lose(*_: object) -> list[Outcome]:
        tries.append(1)
        raise asyncpg.SerializationError

    monkeypatch.setattr(operations, "post", lose)

    with pytest.raises(asyncpg.SerializationError):
        await post_now(coalition.programme_id, [])
    assert len(tries) == ATTEMPTS


async def blocked(observer: Connection) -> None:
    """Wait until some session waits for another's lock."""
    async with asyncio.timeout(120):
        while not await observer.fetchval(WAITING):  # noqa: ASYNC110  # the database has no event for it
            await asyncio.sleep(0.005)


async def deadlocks(pool: asyncpg.Pool) -> int:
    """Return how many deadlocks this database has seen."""
    seen: int = await pool.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    return seen


async def test_encoding_keeps_the_order(coalition: Coalition) -> None:
    """Commands travel with their positions, from 0."""
    commands = msgspec.json.decode(encode([coalition.earn(1, 5), coalition.hold(2, 6)]))

    assert [(each["position"], each["kind"], each["points"]) for each in commands] == [(0, "earn", 5), (1, "hold", 6)]
