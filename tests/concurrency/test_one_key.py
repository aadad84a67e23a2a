"""One key at two processes: what a till sent twice is recorded once, whoever was first."""

import asyncio
from datetime import timedelta

import asyncpg

from koinon import ids
from koinon.callers.model import Caller
from koinon.http.requests import Write
from offers.purchases.earnings import TillAnswer, earn_many
from offers.purchases.sightings import Asked, NewEarning, read_ids
from tests.kit.league import BOUGHT, KEYRING, Holder, League, balance

WAITING = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"
SAME, OTHER = "aa", "bb"


def asked(league: League, holder: Holder, content_hash: str = SAME, points: int = 40) -> Asked:
    """Return a till's call under the key `k`."""
    caller = Caller(
        kind="partner",
        name="par_grocer",
        scopes=frozenset(),
        programme_id=league.programme_id,
        partner_id=league.partners["grocer"],
    )
    earning = NewEarning(
        member=ids.public("mem", holder.member_id),
        place=ids.public("pla", league.places["grocer"]),
        amount_minor=5000,
        currency="EUR",
        occurred_at=BOUGHT - timedelta(hours=1),
        points=points,
    )
    return read_ids(Write(caller=caller, key="k", content_hash=content_hash), earning)


async def beside(league: League, holder: Holder, database: asyncpg.Pool, content_hash: str) -> TillAnswer:
    """Return a call's answer when another process records its key after it has looked and before it writes."""
    async with database.acquire() as other:
        transaction = other.transaction()
        await transaction.start()
        await other.execute(
            "INSERT INTO koinon.request (caller, key, content_hash, status, answer) "
            "VALUES ('par_grocer', 'k', decode($1, 'hex'), 201, '{\"points\": 40}')",
            content_hash,
        )
        call = asyncio.create_task(earn_many(KEYRING, [asked(league, holder)]))
        while not await database.fetchval(WAITING):  # noqa: ASYNC110  # the database knows
            await asyncio.sleep(0.01)
        await transaction.commit()
    (answer,) = await call
    return answer


async def written(database: asyncpg.Pool) -> int:
    """Return how many rows stand in what an earning writes, but for its request."""
    tables = ("offers.purchase", "offers.till_sighting", "offers.reward", "ledger.journal", "ledger.lot")
    return sum([await database.fetchval(f"SELECT count(*) FROM {table}") for table in tables])  # noqa: S608  # from above


async def test_another_process_was_faster(database: asyncpg.Pool) -> None:
    """The one that comes second gives the answer of the first, and leaves nothing of its own."""
    league = await League().found()
    ada = await league.holder()

    answer = await beside(league, ada, database, SAME)

    assert (answer.body, answer.replayed, answer.problem) == (b'{"points": 40}', True, None)
    assert (await written(database), await balance(ada)) == (0, 0)


async def test_another_process_was_faster_with_another_content(database: asyncpg.Pool) -> None:
    """Under one key there is one content: the second one is refused, and leaves nothing."""
    league = await League().found()
    ada = await league.holder()

    answer = await beside(league, ada, database, OTHER)

    assert answer.problem is not None
    assert answer.problem.code == "idempotency-key-reused"
    assert (await written(database), await balance(ada)) == (0, 0)


async def test_one_key_twice_in_one_call(database: asyncpg.Pool) -> None:
    """The first one is recorded; its double is its replay, and another content under the key is refused."""
    league = await League().found()
    ada = await league.holder()

    calls = [asked(league, ada), asked(league, ada), asked(league, ada, OTHER, points=70)]
    first, double, other = await earn_many(KEYRING, calls)

    assert (first.replayed, double.replayed) == (False, True)
    assert first.body is not None
    assert double.body is not None
    assert other.problem is not None
    assert other.problem.code == "idempotency-key-reused"
    assert (await written(database), await balance(ada)) == (5, 40)
