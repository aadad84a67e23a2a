"""How long it is known what a source has sent: what is taken in is known to be new, and the rest is refused."""

from datetime import datetime, timedelta

import asyncpg
import pytest

from koinon.clock import machine_now
from offers.feeds import retention
from offers.feeds.retention import forget_done, forget_messages
from tests.kit.league import NOW, RUNTIME, League, balance, journal
from tests.kit.scheme import unchanged

KNOWN = "SELECT coalesce(string_agg(message_id, ' ' ORDER BY message_id), '') FROM offers.message"
INBOX = "SELECT coalesce(string_agg(message_id, ' ' ORDER BY message_id), '') FROM offers.inbox"
INSTANT = timedelta(microseconds=1)


def days_ago(days: int, now: datetime = NOW) -> str:
    """Return an instant of days before a moment, as a processor writes it."""
    return (now - timedelta(days=days)).isoformat()


async def test_an_old_message_is_refused(database: asyncpg.Pool) -> None:
    """To the instant, by the programme's clock: what is older than ids are kept is not taken in, the others are."""
    league = await League().found()
    edge = NOW - timedelta(days=400)
    messages = [
        league.message("clearing", 5000, message_id=name, occurred_at=at)
        for name, at in (
            ("m399", days_ago(399)), ("edge", edge.isoformat()), ("past", (edge - INSTANT).isoformat()),
            ("m401", days_ago(401)),
        )
    ]  # fmt: skip

    answer = await league.post(*messages)

    assert [each.verdict for each in answer.verdicts] == ["accepted", "accepted", "refused", "refused"]
    assert [(fault.pointer, fault.code) for each in answer.verdicts for fault in each.errors] == [
        ("/occurred_at", "too-old")
    ] * 2
    assert await database.fetchval(KNOWN) == await database.fetchval(INBOX) == "edge m399"


async def test_ids_go_when_their_messages_would_be_refused(database: asyncpg.Pool) -> None:
    """At 399 days a repetition is a duplicate; at 401 its id is gone, it is refused, and no point is given twice."""
    league = await League().found()
    ada = await league.holder()
    await league.offer(activation_required=False)
    message = league.message("clearing", 5000, message_id="m", occurred_at=NOW.isoformat())
    await league.tell(message)
    assert await balance(ada) == 500
    clock = "UPDATE parties.programme SET clock_at = $1"

    await database.execute(clock, NOW + timedelta(days=399))
    async with unchanged(database):
        assert not await forget_messages(RUNTIME)
        assert (await league.post(message)).duplicate == 1
    await database.execute(clock, NOW + timedelta(days=401))
    assert not await forget_messages(RUNTIME)
    assert await database.fetchval(KNOWN) == ""
    async with unchanged(database):
        (verdict,) = (await league.post(message)).verdicts
    assert (verdict.verdict, [fault.code for fault in verdict.errors]) == ("refused", ["too-old"])
    await league.work()
    assert await balance(ada) == 500
    assert await journal(ada) == [("earn", 500)]
    assert await database.fetchval("SELECT count(*) FROM offers.payment_message") == 1


async def test_every_source_has_its_programmes_time(database: asyncpg.Pool) -> None:
    """Ids of a programme whose clock stands elsewhere stay; without a test clock the machine's time counts."""
    first, second = await League().found(), await League().found()
    for league in (first, second):
        await league.post(league.message("clearing", 1, message_id=f"m{league.source_id}", occurred_at=NOW.isoformat()))
    clock = "UPDATE parties.programme SET clock_at = $2 WHERE programme_id = $1"
    await database.execute(clock, first.programme_id, NOW + timedelta(days=401))
    await forget_messages(RUNTIME, NOW + timedelta(days=900))
    assert await database.fetchval(KNOWN) == f"m{second.source_id}"

    await database.execute(clock, second.programme_id, None)
    await forget_messages(RUNTIME, NOW + timedelta(days=400))
    assert await database.fetchval(KNOWN) == f"m{second.source_id}"
    await forget_messages(RUNTIME, NOW + timedelta(days=400) + INSTANT)
    assert await database.fetchval(KNOWN) == ""


async def test_ids_go_slice_by_slice(database: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go first, so many a source and no more; what is not due is left."""
    monkeypatch.setattr(retention, "SLICE", 2)
    league = await League().found()
    ages = zip("abcde", (390, 391, 392, 393, 0), strict=True)
    await league.post(
        *[league.message("clearing", 1, message_id=name, occurred_at=days_ago(age)) for name, age in ages]
    )
    await database.execute("UPDATE parties.programme SET clock_at = $1", NOW + timedelta(days=15))

    seen = []
    while await forget_messages(RUNTIME):
        seen.append(await database.fetchval(KNOWN))

    assert seen == ["a b e", "e"]


async def test_what_is_done_leaves_the_inbox_after_a_week(database: asyncpg.Pool) -> None:
    """Folded or nobody's, it goes a week after it came; what waits or was set aside stays, however long."""
    league = await League().found()
    await league.holder()
    await league.tell(
        league.message("clearing", 5000, message_id="folded"),
        league.message("clearing", 5000, message_id="strange", card_token="tok_strange"),
    )
    await league.post(league.message("clearing", 5000, message_id="waiting"))
    now = machine_now()

    async with unchanged(database):
        assert not await forget_done(RUNTIME, now + timedelta(days=6))
    assert not await forget_done(RUNTIME, now + timedelta(days=8))
    assert await database.fetchval(INBOX) == "waiting"
    assert not await forget_done(RUNTIME, now + timedelta(days=900))
    assert await database.fetchval(INBOX) == "waiting"
    assert await database.fetchval(KNOWN) == "folded strange waiting"


async def test_the_inbox_is_left_slice_by_slice(database: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest there go first, and no slice is larger than it may be."""
    monkeypatch.setattr(retention, "SLICE", 2)
    league = await League().found()
    for name in "edcba":
        await league.tell(league.message("clearing", 1, message_id=name))
    now = machine_now() + timedelta(days=8)

    seen = []
    while await forget_done(RUNTIME, now):
        seen.append(await database.fetchval(INBOX))

    assert seen == ["a b c", "a"]
    assert await database.fetchval(INBOX) == ""
