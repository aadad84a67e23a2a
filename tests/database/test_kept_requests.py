"""How long requests are kept: both sides of every boundary, slice by slice, and never a second time."""

import asyncio
import re
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import pytest
import time_machine

from koinon.callers.model import Caller
from koinon.clock import machine_now
from koinon.database import Connection, transaction
from koinon.delivery.operations import statements as mail
from koinon.http.requests import Write, once
from koinon.idempotency import retention
from koinon.idempotency.model import content_hash
from koinon.idempotency.operations import Answered, answer, answered, claim, statements
from koinon.idempotency.retention import empty_bodies, forget_requests
from koinon.problems import AnswerNoLongerKept, IdempotencyKeyReused
from offers.feeds.retention import statements as feeds
from tests.kit.league import NOW, RUNTIME

CALLER = "par_grocer"
CONTENT, OTHER = content_hash("content"), content_hash("other")
PLACE = "pla_2de18rfzfcjcq"
BODY = {
    "place": PLACE, "record": "ern_00qcnjn0p5me581kjpwd6xqemq8k9w39qsaekf4", "name": "High Street", "points": 5,
    "none": None, "old": "pla_short", "inside": {"member": PLACE}, "list": [PLACE],
}  # fmt: skip
ROWS = "SELECT r FROM koinon.request r ORDER BY key"


async def written(key: str, now: datetime, *, lasting: bool = False, body: Any = BODY) -> None:
    """Write a request with its answer."""
    async with transaction() as connection:
        assert await claim(connection, CALLER, key, CONTENT, now.date(), lasting=lasting) is None
        await answer(connection, CALLER, key, Answered(201, msgspec.json.encode(body)))


async def retried(key: str, now: datetime, content: str = CONTENT) -> Any:
    """Ask for the same again, and return the body that is answered."""
    async with transaction() as connection:
        known = await claim(connection, CALLER, key, content, now.date())
    assert known is not None
    assert known.status == 201
    return msgspec.json.decode(known.body)


async def everything(database: asyncpg.Pool) -> list[asyncpg.Record]:
    """Return every request."""
    rows: list[asyncpg.Record] = await database.fetch(ROWS)
    return rows


async def test_a_body_goes_after_thirty_days(database: asyncpg.Pool) -> None:
    """On the thirtieth day it is still given; after it the ids of what was made are all that stands there."""
    now = machine_now()
    await written("a", now)
    before = await everything(database)

    for days in (0, 29, 30):
        assert not await empty_bodies(RUNTIME, now + timedelta(days=days))
    assert await everything(database) == before
    assert await retried("a", now) == BODY

    assert not await empty_bodies(RUNTIME, now + timedelta(days=31))
    row = await database.fetchrow("SELECT status, answer, used_on, emptied, content_hash FROM koinon.request")
    assert msgspec.json.decode(row["answer"]) == {"place": PLACE, "record": BODY["record"]}
    assert (row["status"], row["used_on"], row["emptied"], row["content_hash"].hex()) == (201, None, True, CONTENT)


async def test_an_emptied_answer_is_a_refusal(database: asyncpg.Pool) -> None:
    """The same content learns the status and the ids of then, another content that the key is used; nothing is done."""
    now = machine_now()
    await written("a", now)
    await empty_bodies(RUNTIME, now + timedelta(days=31))
    before = await everything(database)

    with pytest.raises(AnswerNoLongerKept) as refusal:
        await retried("a", now)
    with pytest.raises(IdempotencyKeyReused):
        await retried("a", now, OTHER)
    with pytest.raises(AnswerNoLongerKept):
        await answered(database, CALLER, "a", CONTENT)

    assert refusal.value.facts == {"answered_status": 201, "ids": {"place": PLACE, "record": BODY["record"]}}
    assert await everything(database) == before


@pytest.mark.parametrize("body", [[1, 2], "text", None, {}])
async def test_an_answer_that_names_nothing(database: asyncpg.Pool, body: Any) -> None:
    """Whatever JSON an answer was, what stays of it is an object of ids."""
    now = machine_now()
    await written("a", now, body=body)
    await empty_bodies(RUNTIME, now + timedelta(days=31))

    assert await database.fetchval("SELECT answer FROM koinon.request") == "{}"


async def test_a_replay_counts_as_a_use(database: asyncpg.Pool) -> None:
    """Given again on day 29 a body stays for thirty days more, and goes on the day after them."""
    now = machine_now()
    await written("a", now)
    assert await retried("a", now + timedelta(days=29)) == BODY

    for days in (31, 59):
        await empty_bodies(RUNTIME, now + timedelta(days=days))
        assert await retried("a", now) == BODY
    await empty_bodies(RUNTIME, now + timedelta(days=60))
    with pytest.raises(AnswerNoLongerKept):
        await retried("a", now)


async def test_a_replayed_call_counts_as_a_use(database: asyncpg.Pool) -> None:
    """Over HTTP too: the day on which a call is repeated is the day from which its answer is kept."""
    ran = []

    async def operation(_: Connection) -> dict[str, Any]:
        ran.append(1)
        return {"place": PLACE, "name": "High Street"}

    now = machine_now()
    write = Write(caller=Caller(kind="partner", name=CALLER, scopes=frozenset()), key="a", content_hash=CONTENT)
    first = await once(write, 201, operation)
    with time_machine.travel(now + timedelta(days=29), tick=True):
        await once(write, 201, operation)
    await empty_bodies(RUNTIME, now + timedelta(days=58))
    again = await once(write, 201, operation)
    await empty_bodies(RUNTIME, now + timedelta(days=60))
    with pytest.raises(AnswerNoLongerKept):
        await once(write, 201, operation)

    assert msgspec.json.decode(again.content) == msgspec.json.decode(first.content)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert ran == [1]


async def test_a_use_is_written_once_a_day(database: asyncpg.Pool) -> None:
    """Replays of one day leave one mark, and a machine whose clock is behind takes none back."""
    now = machine_now()
    await written("a", now)
    version = "SELECT (ctid::text, used_on) FROM koinon.request"
    first = await database.fetchval(version)
    await retried("a", now)
    assert await database.fetchval(version) == first

    later = now + timedelta(days=3)
    await retried("a", later)
    moved = await database.fetchval(version)
    assert moved[1] == later.date()
    for again in (later, now):
        await retried("a", again)
    assert await database.fetchval(version) == moved


async def test_what_is_used_meanwhile_is_not_emptied(database: asyncpg.Pool) -> None:
    """A candidate that was given again before its turn came keeps its body."""
    now = machine_now()
    await written("a", now)
    before = (now + timedelta(days=1)).date()
    due = await database.fetch(statements["bodies_due"], before, 10)
    await retried("a", now + timedelta(days=1))

    columns = [[row["caller"] for row in due], [row["key"] for row in due]]
    assert await database.execute(statements["empty_bodies"], *columns, before) == "UPDATE 0"
    assert await retried("a", now) == BODY


async def test_lasting_answers_are_not_emptied(database: asyncpg.Pool) -> None:
    """What is ids and figures alone is given again as long as its key is known."""
    now = machine_now()
    await written("a", now, lasting=True)
    before = await everything(database)
    for days in (31, 399):
        await empty_bodies(RUNTIME, now + timedelta(days=days))
        assert await retried("a", now + timedelta(days=days)) == BODY

    assert await everything(database) == before


async def test_requests_go_after_four_hundred_days(database: asyncpg.Pool) -> None:
    """Key and hash stand for 400 days, emptied or not; then the row is gone, and it is known since when."""
    now = machine_now()
    await written("body", now)
    await written("lasting", now, lasting=True)
    await empty_bodies(RUNTIME, now + timedelta(days=31))
    before = await everything(database)

    assert not await forget_requests(RUNTIME, now + timedelta(days=399))
    assert await everything(database) == before
    assert await database.fetchval("SELECT kept_since = '-infinity' FROM koinon.kept_requests")

    later = machine_now() + timedelta(days=401)
    assert not await forget_requests(RUNTIME, later)
    assert await everything(database) == []
    assert await database.fetchval("SELECT kept_since FROM koinon.kept_requests") == later - timedelta(days=400)


async def test_what_is_known_to_be_gone_never_comes_back(database: asyncpg.Pool) -> None:
    """A worker whose clock is behind does not claim that older requests are kept."""
    now = machine_now()
    for days in (402, 401):
        await written("a", now)
        await database.execute(statements["forget_requests"], [CALLER], ["a"], now + timedelta(days=days))

    assert await database.fetchval("SELECT kept_since FROM koinon.kept_requests") == now + timedelta(days=402)


@pytest.mark.parametrize("job", [empty_bodies, forget_requests])
async def test_slice_by_slice(database: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch, job: Any) -> None:
    """No slice is larger than it may be, the longest waiting go first, and what is not due is left."""
    monkeypatch.setattr(retention, "SLICE", 2)
    now = machine_now()
    owner_age = "UPDATE koinon.request SET recorded_at = $2, used_on = $2::timestamptz::date WHERE key = $1"
    for place, key in enumerate("edcba"):
        await written(key, now)
        await database.execute(owner_age, key, now - timedelta(days=401 + place))
    await written("young", now)
    left = "SELECT coalesce(string_agg(key, '' ORDER BY key) FILTER (WHERE NOT emptied), '') FROM koinon.request"

    seen, more = [], True
    while more:
        more = await job(RUNTIME, now)
        seen.append(await database.fetchval(left))

    assert seen == ["cdeyoung", "eyoung", "young"]
    assert not await job(RUNTIME, now)
    assert await retried("young", now) == BODY


async def test_several_workers_at_once(database: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """They may choose the same slice: each row is emptied and forgotten once, and nobody fails."""
    monkeypatch.setattr(retention, "SLICE", 20)
    now = machine_now()
    for number in range(60):
        await written(f"k{number}", now)

    for job, days in ((empty_bodies, 31), (forget_requests, 401)):
        later = machine_now() + timedelta(days=days)
        while any(await asyncio.gather(*[job(RUNTIME, later) for _ in range(4)])):
            pass
        assert await database.fetchval("SELECT count(*) FROM koinon.request WHERE NOT emptied") == 0
    assert await everything(database) == []


async def test_a_slice_that_is_cut_off(database: asyncpg.Pool) -> None:
    """It leaves the requests, and with them that they are kept; the next one does the whole of it."""
    await written("a", machine_now())
    before, later = await everything(database), machine_now() + timedelta(days=401)

    async def cut_off() -> None:
        async with transaction() as connection:
            await connection.execute(statements["forget_requests"], [CALLER], ["a"], later)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await cut_off()
    assert await everything(database) == before
    assert await database.fetchval("SELECT kept_since = '-infinity' FROM koinon.kept_requests")

    await forget_requests(RUNTIME, later)
    assert await everything(database) == []


@pytest.mark.parametrize(
    ("sql", "arguments", "index"),
    [
        (statements["bodies_due"], (NOW.date(), 10), "request_used"),
        (statements["requests_due"], (NOW, 10), "request_recorded"),
        (feeds["inbox_done"], (NOW, 10), "inbox_done"),
        (feeds["forget_messages"], (1, NOW, 10), "message_occurred"),
        (mail["forget_mail"], (NOW, 10), "mail_settled"),
    ],
)
async def test_what_is_due_is_found_by_its_index(
    database: asyncpg.Pool, sql: str, arguments: tuple[Any, ...], index: str
) -> None:
    """However much is kept, a slice reads what is due by an index of that, in order, and sorts nothing."""
    async with database.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")
        await connection.execute("SET LOCAL enable_bitmapscan = off")
        plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {sql}", *arguments))

    assert re.search(rf"Index (Only )?Scan using {index} ", plan), plan
    assert "Sort" not in plan


async def test_the_application_forgets_by_age_alone(database: asyncpg.Pool) -> None:
    """The function deletes no request that is younger than it is told, whichever is named."""
    await written("a", machine_now())

    await database.execute(statements["forget_requests"], [CALLER], ["a"], machine_now() - timedelta(days=1))

    assert len(await everything(database)) == 1


async def test_a_key_that_is_forgotten_at_this_moment(database: asyncpg.Pool) -> None:
    """Who finds the key taken, and then gone, begins again: nothing is done without a request of its own."""
    await written("a", machine_now())

    class Between:
        """A connection at which the request goes after the claim and before the look."""

        async def fetchval(self, *arguments: Any) -> Any:
            """Claim, and let the request be forgotten."""
            claimed = await database.fetchval(*arguments)
            later = machine_now() + timedelta(days=401)
            assert not await forget_requests(RUNTIME, later)
            return claimed

        async def fetchrow(self, *arguments: Any) -> Any:
            """Look."""
            return await database.fetchrow(*arguments)

    connection: Any = Between()
    with pytest.raises(asyncpg.SerializationError, match="forgotten meanwhile"):
        await claim(connection, CALLER, "a", CONTENT, machine_now().date())

    assert await everything(database) == []
