"""Queues are served in the order of arrival, and what cannot be processed is set aside and stops nobody else."""

import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from koinon.database import transaction
from offers.feeds.messages import CardMessage, card_key
from offers.payments.joins import join_keys
from offers.purchases import intake
from offers.purchases.intake import take_in
from offers.queues import PAUSES
from offers.rewarding import operations as rewarding
from offers.rewarding.evidence import Contracts, Evidence
from offers.rewarding.operations import reopen_short, reward_waiting
from offers.rewarding.plans import Plan, plan_for
from tests.kit.league import NOW, RUNTIME, Holder, League, balance, pending, rewards

TORN = '{"message_id": "m1", "card_to'
INBOX = "SELECT message_id, state, tries, set_aside_at FROM offers.inbox WHERE state = 'new' ORDER BY received_at"
STATEMENTS = intake.statements | rewarding.statements


async def work(now: datetime = NOW) -> None:
    """Let the worker do all that is due."""
    while await take_in(RUNTIME, now) or await reward_waiting(RUNTIME, now) or await reopen_short(RUNTIME):
        pass


def times() -> Iterable[datetime]:
    """Yield when something that fails again and again is tried, the last time too."""
    now = NOW
    for pause in (timedelta(0), *PAUSES):
        now += pause
        yield now


def network(number: int) -> dict[str, Any]:
    """Return what makes a message the only one of its payment."""
    return {"network_transaction_id": f"46{number:013}"}


async def crowd(league: League, size: int) -> list[Holder]:
    """Enrol members with a card each, of which a clearing of 50.00 has arrived."""
    holders = [await league.holder(f"tok_{number}") for number in range(size)]
    await league.post(
        *(
            league.message("clearing", 5000, card_token=holder.token, **network(number))
            for number, holder in enumerate(holders)
        )
    )
    return holders


async def by_card_key(league: League) -> tuple[Holder, Holder]:
    """Enrol two members, the one whose card has the lower key first."""
    tokens = sorted(("tok_a", "tok_b"), key=lambda token: card_key(league.programme_id, league.source_id, token))
    return await league.holder(tokens[0]), await league.holder(tokens[1])


async def test_a_card_with_endless_messages_keeps_nobody_waiting(
    database: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its key is the lowest and three more of its messages arrive before every slice of three: who came, is served."""
    monkeypatch.setattr(intake, "SLICE_MESSAGES", 3)
    league = await League().found()
    greedy, quiet = await by_card_key(league)

    async def more(slice_number: int) -> None:
        numbers = range(10 + 3 * slice_number, 13 + 3 * slice_number)
        await league.post(*(league.message(card_token=greedy.token, **network(number)) for number in numbers))

    await more(0)
    await league.post(league.message(message_id="quiet", card_token=quiet.token, **network(1)))
    states = []
    for slice_number in range(1, 4):
        await more(slice_number)
        assert await take_in(RUNTIME)
        states.append(await database.fetchval("SELECT state FROM offers.inbox WHERE message_id = 'quiet'"))

    assert states == ["new", "folded", "folded"]
    assert await database.fetchval("SELECT count(*) FROM offers.inbox WHERE state = 'new'") == 13 - 9


async def test_an_account_with_endless_purchases_keeps_nobody_waiting(
    database: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two accounts the lower one always has a new purchase; a purchase that is touched again keeps its place."""
    monkeypatch.setattr(rewarding, "SLICE_PURCHASES", 1)
    league = await League().found()
    await league.offer(activation_required=False)
    greedy, quiet = sorted(
        [await league.holder("tok_a"), await league.holder("tok_b")], key=lambda each: each.account_id
    )
    await league.till(greedy)
    await league.till(quiet)
    await league.till(greedy)
    await database.execute("UPDATE offers.purchase SET revision = revision + 1 WHERE account_id = $1", quiet.account_id)
    balances = []
    for _ in range(2):
        await league.till(greedy)
        assert await reward_waiting(RUNTIME)
        balances.append((await balance(greedy), await balance(quiet)))

    assert balances == [(500, 0), (500, 500)]


async def test_touched_again_a_purchase_keeps_its_place(database: asyncpg.Pool) -> None:
    """It waits since more was known than was settled, not since the last that became known; settled, it waits anew."""
    league = await League().found()
    ada = await league.holder()
    since = "SELECT waiting_since FROM offers.purchase"

    async def arrive(kind: str) -> datetime:
        await league.post(league.message(kind, 100))
        assert await take_in(RUNTIME)
        found: datetime = await database.fetchval(since)
        return found

    first, second = await arrive("authorisation"), await arrive("increment")
    await league.work()
    third = await arrive("clearing")

    assert first == second < third
    assert await balance(ada) == 0


async def test_what_another_worker_has_is_passed_over(database: asyncpg.Pool) -> None:
    """A message and a purchase whose rows are locked stay for who has them; all others are done meanwhile."""
    league = await League().found()
    await league.offer(activation_required=False)
    ada, bob = await crowd(league, 2)
    async with transaction() as connection:
        await connection.execute("SELECT FROM offers.inbox WHERE message_id = 'm1' FOR UPDATE")
        async with database.acquire() as another:
            keys = [tuple(row) for row in await another.fetch(intake.statements["arrived_messages"], NOW, 10)]
            columns = [list(column) for column in zip(*keys, strict=True)]
            taken = await another.fetch(intake.statements["take_messages"], *columns, 10)
    assert [row["message_id"] for row in taken] == ["m2"]

    while await take_in(RUNTIME):
        pass
    async with transaction() as connection:
        await connection.execute("SELECT FROM offers.purchase WHERE account_id = $1 FOR UPDATE", ada.account_id)
        async with database.acquire() as another:
            columns = [
                list(column)
                for column in zip(
                    *await another.fetch("SELECT account_id, purchase_id FROM offers.purchase"), strict=True
                )
            ]
            settled = await another.fetch(rewarding.statements["take_purchases"], *columns, 10)
    assert [row["account_id"] for row in settled] == [bob.account_id]


async def test_what_was_done_meanwhile_is_not_taken(database: asyncpg.Pool) -> None:
    """Candidates are chosen without a lock: what another worker has done since, or has set aside, is nobody's again."""
    league = await League().found()
    await crowd(league, 2)
    messages = await database.fetch(intake.statements["arrived_messages"], NOW, 10)
    assert await take_in(RUNTIME)
    purchases = await database.fetch(rewarding.statements["waiting_purchases"], NOW, 10)
    assert await reward_waiting(RUNTIME)

    for sql, rows in (
        (intake.statements["take_messages"], messages),
        (rewarding.statements["take_purchases"], purchases),
    ):
        assert len(rows) == 2
        columns = [list(column) for column in zip(*map(tuple, rows), strict=True)]
        assert await database.fetch(sql, *columns, 10) == []


async def test_what_was_set_aside_crowds_nothing_out(database: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a slice was set aside; what is due to be tried again comes to its turn all the same."""
    monkeypatch.setattr(intake, "SLICE_MESSAGES", 1)
    monkeypatch.setattr(rewarding, "SLICE_PURCHASES", 1)
    league = await League().found()
    await league.offer(activation_required=False)
    (*aside, late) = await crowd(league, 4)
    await database.execute(
        "UPDATE offers.inbox SET"
        " next_try_at = CASE WHEN message_id = 'm4' THEN $1::timestamptz ELSE $2::timestamptz END,"
        " set_aside_at = CASE WHEN message_id <> 'm4' THEN $2::timestamptz END",
        NOW, NOW - PAUSES[0],
    )  # fmt: skip
    assert await take_in(RUNTIME, NOW)
    assert not await take_in(RUNTIME, NOW)

    for holder in aside:
        await league.till(holder)
    await database.execute(
        "UPDATE offers.purchase SET"
        " next_try_at = CASE WHEN account_id = $3 THEN $1::timestamptz ELSE $2::timestamptz END,"
        " set_aside_at = CASE WHEN account_id <> $3 THEN $2::timestamptz END",
        NOW, NOW - PAUSES[0], late.account_id,
    )  # fmt: skip
    assert await reward_waiting(RUNTIME, NOW)
    assert await balance(late) == 500


@pytest.mark.parametrize(
    ("statement", "index", "order"),
    [("arrived_messages", "inbox_arrived", "received_at"), ("waiting_purchases", "purchase_waiting", "waiting_since")],
)
async def test_a_queue_is_read_by_its_index(database: asyncpg.Pool, statement: str, index: str, order: str) -> None:
    """However long the history is, a slice reads what is not done by its own index, in order, and sorts nothing."""
    async with database.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")
        rows = await connection.fetch(f"EXPLAIN {STATEMENTS[statement]}", NOW, 10)
    plan = "\n".join(row[0] for row in rows)

    assert f"Index Scan using {index}" in plan
    assert "Sort Key" in plan  # those that failed, of which there are few
    assert not re.search(rf"Sort Key: \w+\.{order}", plan)


async def test_a_poisoned_card_stops_nobody(database: asyncpg.Pool) -> None:
    """Fifty others are rewarded at once, its own other message too; after six tries it is set aside, and kept."""
    league = await League().found()
    await league.offer(activation_required=False)
    eve = await league.holder("tok_eve")
    await league.post(
        league.message("authorisation", 9900, message_id="poison", card_token=eve.token, **network(900)),
        league.message("clearing", 700, message_id="good", card_token=eve.token, **network(901)),
    )
    await database.execute("UPDATE offers.inbox SET body = $1 WHERE message_id = 'poison'", TORN)
    holders = await crowd(league, 50)
    tries = []
    with capture_logs() as logs:
        for now in times():
            await work(now)
            (row,) = await database.fetch(INBOX)
            tries.append((row["message_id"], row["tries"], row["set_aside_at"]))
            if len(tries) == 1:
                assert [await balance(holder) for holder in holders] == [500] * 50
                assert (await balance(eve), await pending(eve)) == (70, 0)
            await work(now)  # nothing is due: nothing is tried

    assert tries == [("poison", number, None) for number in range(1, 6)] + [("poison", 6, now)]
    assert await database.fetchval("SELECT body FROM offers.inbox WHERE message_id = 'poison'") == TORN
    assert [each["event"] for each in logs] == ["put off"] * 5 + ["set aside"]
    told = dict(logs[-1]) | {"where": ""}
    assert told == {
        "event": "set aside", "log_level": "error", "what": "card message", "programme_id": league.programme_id,
        "tries": 6, "code": "unreadable", "where": "",
    }  # fmt: skip
    assert logs[-1]["where"].startswith("msgspec.DecodeError at offers/purchases/intake.py:")
    await work(now + timedelta(days=365))
    assert len(logs) == 6


async def test_what_heals_in_time_is_done(database: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that failed for a reason in the code is folded on its next try, and leaves no trace of the failure."""
    league = await League().found()
    await league.offer(activation_required=False)
    ada = await league.holder()
    await league.post(league.message("clearing", 5000))
    with monkeypatch.context() as broken:
        broken.setattr(intake, "join_keys", failing_for("tok_a"))
        await work()
    failed = await database.fetchrow("SELECT tries, failure, failed_where FROM offers.inbox")
    assert (failed["tries"], failed["failure"]) == (1, "unforeseen")
    assert failed["failed_where"].startswith("builtins.KeyError at ")
    assert "tok_a" not in failed["failed_where"]

    await work(NOW + PAUSES[0] - timedelta(microseconds=1))
    assert await balance(ada) == 0
    await work(NOW + PAUSES[0])
    assert await balance(ada) == 500
    row = await database.fetchrow("SELECT state, body, next_try_at, failure, failed_where FROM offers.inbox")
    assert tuple(row) == ("folded", None, None, None, None)


async def test_two_workers_that_fail_at_once_count_as_one_try(database: asyncpg.Pool) -> None:
    """The second one's word on the same try changes nothing."""
    league = await League().found()
    await crowd(league, 1)
    (key,) = [tuple(row) for row in await database.fetch("SELECT card_key, source_id, message_id FROM offers.inbox")]
    told = (*key, NOW, PAUSES, "unforeseen", "here")
    first = await database.fetchrow(intake.statements["put_off_message"], *told)
    second = await database.fetchrow(intake.statements["put_off_message"], *told)

    assert (first["tries"], second) == (1, None)
    assert [row["tries"] for row in await database.fetch(INBOX)] == [1]


@pytest.mark.parametrize("poisoned", [1, 7, 50])
async def test_a_batch_is_halved_until_what_fails_is_alone(
    database: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch, poisoned: int
) -> None:
    """However many of fifty fail, the others are rewarded in the same slice, and every one that fails is put off."""
    league = await League().found()
    await league.offer(activation_required=False)
    holders = await crowd(league, 50)
    tokens = [f"tok_{number}" for number in range(0, 50, 50 // poisoned)][:poisoned]
    monkeypatch.setattr(intake, "join_keys", failing_for(*tokens))
    assert await take_in(RUNTIME, NOW)
    assert not await take_in(RUNTIME, NOW)
    await work()

    assert await database.fetchval("SELECT count(*) FROM offers.inbox WHERE tries = 1") == poisoned
    rewarded = [holder.token for holder in holders if await balance(holder) == 500]
    assert rewarded == [holder.token for holder in holders if holder.token not in tokens]


@pytest.mark.parametrize(
    "error",
    [asyncpg.DeadlockDetectedError("x"), asyncpg.AdminShutdownError("x"), asyncpg.UndefinedColumnError("x"), OSError()],
)
async def test_what_says_nothing_about_a_message_puts_none_off(
    database: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A lost race, a server that stops or a schema that does not fit fails the slice, and counts as nobody's try."""
    league = await League().found()
    await crowd(league, 2)

    def fail(_: CardMessage) -> frozenset[str]:
        raise error

    monkeypatch.setattr(intake, "join_keys", fail)
    with pytest.raises(type(error)):
        await take_in(RUNTIME)

    assert {row["tries"] for row in await database.fetch(INBOX)} == {0}


async def test_a_poisoned_purchase_stops_nobody(database: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is set aside; when more becomes known of it, it is tried once more, and settled when it can be."""
    league = await League().found()
    await league.offer(activation_required=False)
    holders = await crowd(league, 20)
    eve = holders[7]
    state = "SELECT tries, failure, set_aside_at FROM offers.purchase WHERE account_id = $1"

    def plan(evidence: Evidence, contracts: Contracts) -> Plan:
        if evidence.key[0] == eve.account_id:
            raise ZeroDivisionError
        return plan_for(evidence, contracts)

    with monkeypatch.context() as broken:
        broken.setattr(rewarding, "plan_for", plan)
        for now in times():
            await work(now)
        assert [await balance(holder) for holder in holders] == [0 if holder is eve else 500 for holder in holders]
        assert tuple(await database.fetchrow(state, eve.account_id)) == (6, "unforeseen", now)
        assert not await reward_waiting(RUNTIME, now + timedelta(days=365))
        await league.post(league.message("refund", 1000, card_token=eve.token, **network(7)))
        await work(now)
        assert tuple(await database.fetchrow(state, eve.account_id)) == (7, "unforeseen", now)

    await league.post(league.message("refund", 500, card_token=eve.token, **network(7)))
    await work(now)
    assert await balance(eve) == 350
    assert tuple(await database.fetchrow(state, eve.account_id)) == (0, None, None)


async def test_what_came_back_is_asked_for_once(database: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Points that were spent are there again while their purchase cannot be settled: it is reopened once."""
    league = await League().found()
    await league.offer(activation_required=False)
    (ada,) = await crowd(league, 1)
    await work()
    capture = await league.spend(ada, 400)
    await league.post(league.message("refund", 4000, card_token=ada.token, **network(0)))
    await work()
    assert (await balance(ada), await rewards(ada)) == (0, [(400, 0, 300)])
    await league.unspend(ada, capture)

    def plan(_: Evidence, __: Contracts) -> Plan:
        raise ZeroDivisionError

    with monkeypatch.context() as broken:
        broken.setattr(rewarding, "plan_for", plan)
        assert await reopen_short(RUNTIME)
        assert await reward_waiting(RUNTIME, NOW)
        assert not await reopen_short(RUNTIME)
    await work(NOW + PAUSES[0])
    assert (await balance(ada), await rewards(ada)) == (100, [(100, 0, 0)])


def failing_for(*tokens: str) -> Callable[[CardMessage], frozenset[str]]:
    """Return the keys of messages, but fail for those of some cards."""

    def keys(message: CardMessage) -> frozenset[str]:
        if message.card_token in tokens:
            raise KeyError(message.card_token)
        return join_keys(message)

    return keys
