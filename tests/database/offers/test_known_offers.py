"""What a process knows of offers, over real PostgreSQL: read once, in order, and no more of it with more offers."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import Any

import asyncpg
import msgspec
import pytest

from koinon.database import Connection, pool, transaction
from koinon.ids import new_id
from offers.catalogue.operations import statements
from offers.model import OfferVersion
from offers.rewarding import considered, known_offers
from offers.rewarding.decisions import PlaceFacts, till_facts
from offers.rewarding.known_offers import KNOWN, KnownOffers
from offers.rewarding.operations import reward_purchases
from tests.kit.league import BOUGHT, League, balance, decisions

ROWS = """
SELECT relname, seq_tup_read + coalesce(idx_tup_fetch, 0) AS read FROM pg_stat_xact_user_tables
WHERE relname IN ('offer', 'offer_version', 'activation', 'catalogue')
"""

COFFEE = till_facts(
    amount_minor=100, currency="EUR", occurred_at=BOUGHT, place=PlaceFacts(1, "grocer", "Europe/Helsinki")
)
"""A purchase at the grocer's."""


class Cost(msgspec.Struct, frozen=True):
    """What settling some purchases took: statements, rows read of the tables of offers, and bodies decoded."""

    statements: int
    rows: dict[str, int]
    decoded: int


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count how often each version's body is decoded."""
    counted: Counter[str] = Counter()
    decode = known_offers.decode_version

    def counting(body: str) -> OfferVersion:
        counted[body] += 1
        return decode(body)

    monkeypatch.setattr(known_offers, "decode_version", counting)
    return counted


@contextmanager
def logged(connection: Any) -> Iterator[list[str]]:
    """Collect the statements that a connection runs."""
    ran: list[str] = []

    def log(record: Any) -> None:
        ran.append(record.query)

    with connection.query_logger(log):
        yield ran


@asynccontextmanager
async def measured() -> AsyncIterator[tuple[Connection, Callable[[], Any]]]:
    """Give a connection in a transaction, and what tells the rows that it has read of the tables of offers in it."""
    async with transaction() as connection:
        # Of a table with a few rows it is cheaper to read all than to look into an index.
        await connection.execute("SET LOCAL enable_seqscan = off")

        # What the connection did before may not be reported yet.
        before = {row["relname"]: row["read"] for row in await connection.fetch(ROWS)}

        async def rows() -> dict[str, int]:
            return {row["relname"]: row["read"] - before[row["relname"]] for row in await connection.fetch(ROWS)}

        yield connection, rows


async def cost(league: League, decoded: Counter[str]) -> Cost:
    """Settle twenty purchases of five members at the grocer's, each rewarded, and return what it took."""
    holders = [await league.holder(f"tok_{new_id()}") for _ in range(5)]
    keys = [(holder.account_id, await league.till(holder)) for holder in holders for _ in range(4)]
    before = decoded.total()
    async with measured() as (connection, rows):
        with logged(connection) as ran:
            await reward_purchases(connection, keys)
        read = await rows()
    assert [await balance(holder) for holder in holders] == [2000] * 5
    # Nobody can have switched on what never needed it, so nobody is asked.
    assert considered.statements["activations_of"] not in ran
    return Cost(statements=len(ran), rows=read, decoded=decoded.total() - before)


async def test_a_thousand_standing_offers_cost_as_much_as_ten(database: asyncpg.Pool, decoded: Counter[str]) -> None:
    """The same statements and rows with 1,000 offers in five versions each; nothing is read or decoded again."""
    few, many = await League().found(), await League().found()
    for league, others in ((few, 9), (many, 999)):
        await league.offer(activation_required=False)
        # Of other places of the brand, of another brand, and of last year: none of them concerns what is bought here.
        await league.crowd(others // 3, 5, places=(new_id(),))
        await league.crowd(others // 3, 5, "fuel")
        await league.crowd(others // 3, 5, ends_at=datetime(2026, 2, 1))  # noqa: DTZ001  # the place's own time
    first = {league: await cost(league, decoded) for league in (few, many)}
    again = {league: await cost(league, decoded) for league in (few, many)}

    assert (first[few].decoded, first[many].decoded) == (1, 1)
    assert (again[few].decoded, again[many].decoded) == (0, 0)
    assert again[few] == again[many]
    assert sum(again[many].rows.values()) == 0
    # At the first look the catalogue is listed, a thousand at once, and the one body is read.
    assert first[many].statements == again[many].statements + 4 + 1
    assert first[few].rows["offer_version"] == 46 + 1


async def test_what_is_published_counts_from_then_on(database: asyncpg.Pool, decoded: Counter[str]) -> None:
    """The next purchase finds a new version, and of the catalogue only that one is read."""
    league = await League().found()
    ada = await league.holder()
    await league.crowd(50, 2, places=(new_id(),))
    await KNOWN.indexes(database, [league.programme_id])
    offer = await league.offer(activation_required=False)
    purchase_id = await league.till(ada)
    async with measured() as (connection, rows):
        await reward_purchases(connection, [(ada.account_id, purchase_id)])
        read = await rows()

    assert (await balance(ada), await decisions(ada)) == (500, [(None, 500)])
    # It is listed, and then its body is read.
    assert read["offer_version"] == 2
    assert [msgspec.json.decode(body)["version_id"] for body in decoded] == [offer.version_id]


async def test_versions_are_kept_as_they_were_used(database: asyncpg.Pool, decoded: Counter[str]) -> None:
    """With room for two, the one that was used last stays and the other one is read again."""
    league = await League().found()
    one, two, three = (each.version_id for each in await league.crowd(3, 1))
    known = KnownOffers(kept=2)
    for asked in ([one, two], [one], [three], [one], [two]):
        found = await known.versions(database, asked)
        assert [found[each].version.version_id for each in asked] == asked
        assert {each.partner_id for each in found.values()} == {league.partners["grocer"]}

    assert sorted(decoded.values()) == [1, 1, 2]
    assert {msgspec.json.decode(body)["version_id"] for body, times in decoded.items() if times == 2} == {two}


async def test_neighbours_that_look_at_once_take_each_version_once(
    database: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten batches begin with an empty process and read in small steps: of every offer the newest version stands."""
    monkeypatch.setattr(known_offers, "LISTED_AT_ONCE", 2)
    league = await League().found()
    newest = await league.crowd(5, 3)
    known = KnownOffers()
    found = await asyncio.gather(*(known.indexes(pool(), [league.programme_id]) for _ in range(10)))

    for indexes in found:
        candidates = indexes[league.programme_id].candidates([COFFEE])
        assert {each.version_id for each in candidates} == {each.version_id for each in newest}


async def test_a_catalogue_is_its_programmes_own(database: asyncpg.Pool) -> None:
    """Two programmes with brands of one name: the purchases of each find its own offers."""
    here, there = await League().found(), await League().found()
    ours, theirs = await here.offer(activation_required=False), await there.offer(activation_required=False)
    indexes = await KnownOffers().indexes(database, [here.programme_id, there.programme_id])

    found = [indexes[each.programme_id].candidates([COFFEE]) for each in (here, there)]
    assert [[each.version_id for each in one] for one in found] == [[ours.version_id], [theirs.version_id]]


async def test_revisions_become_visible_in_their_order(database: asyncpg.Pool) -> None:
    """A publisher waits for the one before: nobody ever sees a later revision while an earlier one may still come."""
    league = await League().found()
    await league.crowd(1, 1)
    known = KnownOffers()
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    async with pool().acquire() as connection:
        publishing = connection.transaction()
        await publishing.start()
        await connection.fetchval(statements["next_revision"], league.programme_id)
        second = asyncio.create_task(league.offer(activation_required=False))
        async with asyncio.timeout(10):
            while not await database.fetchval(waiting):  # noqa: ASYNC110  # the database has no event for it
                await asyncio.sleep(0.01)
        await known.indexes(database, [league.programme_id])
        assert not second.done()
        await publishing.commit()
    await second

    assert await database.fetch("SELECT revision FROM offers.offer_version ORDER BY revision") == [(1,), (3,)]
    assert len((await known.indexes(database, [league.programme_id]))[league.programme_id].candidates([COFFEE])) == 2
