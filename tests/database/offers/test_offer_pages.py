"""Pages of offers over real PostgreSQL: one reads what it shows, however many offers and places there are."""

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from koinon.database import Connection, transaction
from koinon.ids import new_id, private
from offers.catalogue import operations as catalogue
from offers.catalogue.activations import member_offers
from tests.kit.league import NOW, League

READ = """
SELECT schemaname || '.' || relname AS name, seq_tup_read + coalesce(idx_tup_fetch, 0) AS read
FROM pg_stat_xact_user_tables
WHERE schemaname || '.' || relname IN ('offers.offer', 'offers.offer_version', 'places.place')
"""
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ENDED = "SELECT offers.ended($1, $2, $3, $4, 'Asia/Tokyo')"
LATER = datetime(2026, 12, 1)  # noqa: DTZ001  # the place's own time
SOON = (NOW + timedelta(hours=1)).replace(tzinfo=None)
"""An hour ahead in UTC, and past in Helsinki."""


async def read(connection: Connection) -> dict[str, int]:
    """Return the rows that the connection has read and not reported yet."""
    return {row["name"]: row["read"] for row in await connection.fetch(READ)}


async def places(league: League, *zones: str) -> list[int]:
    """Give the grocer more places, in these zones."""
    async with transaction() as connection:
        return [await league.add_place(connection, "grocer", time_zone=zone) for zone in zones]


async def test_a_members_page_reads_the_offers_that_it_shows(database: asyncpg.Pool) -> None:
    """Of 300 offers of a brand with 200 places a page of five reads six, wherever it starts, and no place."""
    league = await League().found()
    ada = await league.holder()
    await places(league, *["Europe/Helsinki"] * 200)
    newest = await league.crowd(300, 2, ends_at=LATER)
    listed: list[int] = []
    after = None
    async with transaction() as connection:
        await connection.execute("SET LOCAL enable_seqscan = off")
        await connection.execute("SET LOCAL enable_bitmapscan = off")
        for _ in range(2):
            before = await read(connection)
            page = await member_offers(
                connection, programme_id=league.programme_id, account_id=ada.account_id, after=after, limit=5
            )
            now = await read(connection)
            listed += [private("off", each.offer) for each in page.items]
            # The second page looks up the offer that it starts after.
            assert now["offers.offer"] - before["offers.offer"] == (6 if after is None else 7)
            # Each is found by its version, whose body this process has not read yet.
            assert now["offers.offer_version"] - before["offers.offer_version"] <= 2 * 6
            assert now["places.place"] == before["places.place"]
            after = listed[-1]

    assert listed == sorted((each.offer_id for each in newest), reverse=True)[:10]


async def test_offers_that_ended_today_cost_a_look_a_zone(database: asyncpg.Pool) -> None:
    """Thirty offers ended an hour ago at all of 200 places in two zones: three looks each, and none is shown."""
    league = await League().found()
    ada = await league.holder()
    await places(league, *["Europe/Helsinki"] * 100, *["Asia/Tokyo"] * 100)
    await league.crowd(30, 1, ends_at=SOON)
    async with transaction() as connection:
        await connection.execute("SET LOCAL enable_seqscan = off")
        await connection.execute("SET LOCAL enable_bitmapscan = off")
        before = await read(connection)
        page = await member_offers(
            connection, programme_id=league.programme_id, account_id=ada.account_id, after=None, limit=5
        )
        now = await read(connection)

    assert (page.items, page.next) == ([], None)
    assert now["places.place"] - before["places.place"] <= 3 * 30


async def test_a_brands_pages_show_each_offer_once(database: asyncpg.Pool) -> None:
    """Pages of seven of 20 offers, most of them made at one instant; a cursor that names none finds nothing."""
    league = await League().found()
    newest = await league.crowd(20, 3)
    await league.offer("fuel")
    listed: list[int] = []
    after = None
    while True:
        page = await catalogue.offers(database, league.partners["grocer"], after, 7)
        listed += [private("off", each.offer) for each in page.items]
        if page.next is None:
            break
        after = private("off", page.next)

    assert listed == sorted((each.offer_id for each in newest), reverse=True)
    assert (await catalogue.offers(database, league.partners["grocer"], new_id(), 7)).items == []


@pytest.mark.parametrize(
    ("zones", "listed", "last"),
    [
        (["Pacific/Kiritimati", "Etc/GMT+12", "Asia/Tokyo"], [], "2026-03-02T00:00:00"),
        (["Pacific/Kiritimati", "Asia/Tokyo"], [0], "2026-03-03T02:00:00"),
        (["Pacific/Kiritimati", "Asia/Tokyo"], [0, 1], "2026-03-02T21:00:00"),
        (["Pacific/Kiritimati"], [], "2026-03-02T14:00:00"),
    ],
)
async def test_an_offer_has_ended_when_its_last_place_says_so(
    database: asyncpg.Pool, zones: list[str], listed: list[int], last: str
) -> None:
    """The westernmost of the places that it counts at, beside the grocer's own in Helsinki when it lists none."""
    league = await League().found()
    made = await places(league, *zones)
    own = [made[at] for at in listed]
    end = datetime.fromisoformat(last)
    for ends_at, ended in ((end, True), (end + timedelta(seconds=1), False)):
        found = await database.fetchval(ENDED, NOON, ends_at, own, league.partners["grocer"])
        assert found is ended


async def test_an_offer_of_a_brand_without_places_ends_on_the_programmes_clock(database: asyncpg.Pool) -> None:
    """At noon in UTC it is 21:00 in Tokyo."""
    for ends_at, ended in ((NOON.replace(hour=21), True), (NOON.replace(hour=21, second=1), False)):
        assert await database.fetchval(ENDED, NOON, ends_at.replace(tzinfo=None), [], new_id()) is ended
