"""A journal that cannot become a leaf: its programme's window waits, with an alert, and nobody else does."""

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import msgspec
import pytest

from koinon.audit.alerts import LogAlert, open_alerts
from koinon.audit.sequencer import sequence
from koinon.ledger.model import Earn
from koinon.ledger.names import journal_name
from koinon.runtime import Runtime
from tests.kit.audit import Book, drain

LATER = timedelta(days=1)


class Owner:
    """The schema's owner, who can do to the books what nobody else can."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def does(self, statement: str, *values: Any) -> None:
        """Execute a statement."""
        connection = await asyncpg.connect(self.url)
        await connection.execute(statement, *values)
        await connection.close()

    async def poison(self, book: Book, kind: str = "hold", into: str = "adjust") -> None:
        """Make a book's journals of a kind be of one that the log does not know."""
        await self.does(
            "UPDATE ledger.journal SET kind = $3 WHERE programme_id = $1 AND kind = $2", book.programme_id, kind, into
        )


@pytest.fixture
def owner(database_url: str) -> Owner:
    """Give the schema's owner."""
    return Owner(database_url)


async def states(database: asyncpg.Pool) -> dict[int, str]:
    """Return the state of every programme's first window."""
    rows = await database.fetch("SELECT programme_id, state FROM ledger.settlement_window WHERE window_no = 1")
    return {row["programme_id"]: row["state"] for row in rows}


async def unmarked(database: asyncpg.Pool, book: Book) -> int:
    """Return how many of a book's journals have no leaf."""
    count: int = await database.fetchval(
        "SELECT count(*) FROM ledger.outbox WHERE leaf_index IS NULL AND programme_id = $1", book.programme_id
    )
    return count


async def alert(database: asyncpg.Pool) -> LogAlert:
    """Return the only alert that stands."""
    (found,) = await open_alerts(database, 10)
    return found


@pytest.mark.parametrize("mode", ["sandbox", "live"])
async def test_a_journal_of_an_unknown_kind_stops_its_programme_alone(
    database: asyncpg.Pool, runtime: Runtime, owner: Owner, mode: str
) -> None:
    """Its other journals get their leaves, its window is not sealed; another programme of the same log is sealed."""
    sick, well = [await (await Book(code, mode).open()).day() for code in ("sick", "well")]
    await owner.poison(sick)
    for book in (sick, well):
        await book.close()

    await drain(runtime)

    assert await states(database) == {sick.programme_id: "CLOSED", well.programme_id: "SEALED"}
    assert (await unmarked(database, sick), await unmarked(database, well)) == (1, 0)
    counters = await database.fetch(
        "SELECT counter FROM audit.opening WHERE partner_id = $1 ORDER BY counter", sick.fuel
    )
    assert [row["counter"] for row in counters] == [1, 2, 3, 4], "dense without the effect that waits"
    held = await database.fetchrow("SELECT account_id, journal_id FROM ledger.journal WHERE kind = 'adjust'")
    found = await alert(database)
    assert (found.programme, found.code, found.window_no) == ("sick", "no-leaf", 1)
    assert (found.account_id, found.journal_id) == tuple(held)
    assert found.explanation == (
        f"The log cannot take the journal {journal_name(runtime.keys.secret, *held)}: nobody is known to see a journal"
        " of kind adjust. Window 1 is not sealed before it has its leaf. It is tried again by itself: install a release"
        " that can take it."
    )


async def test_what_waits_goes_on_by_itself(database: asyncpg.Pool, runtime: Runtime, owner: Owner) -> None:
    """Put right, the journal gets its leaf when it is tried again, its window is sealed, and the alert is cleared."""
    book = await (await Book().open()).day()
    await owner.poison(book)
    await book.close()
    await drain(runtime)
    await owner.poison(book, "adjust", "hold")

    assert not await sequence(runtime), "it is not time yet"
    await owner.does("UPDATE audit.alert SET retry_at = tried_at")
    await drain(runtime)

    assert await states(database) == {book.programme_id: "SEALED"}
    assert await open_alerts(database, 10) == []
    assert await database.fetchval("SELECT count(*) FROM audit.alert WHERE cleared_at IS NOT NULL") == 1
    sealed = msgspec.json.decode(
        await database.fetchval("SELECT content FROM audit.seal WHERE partner_id = $1", book.fuel)
    )
    assert sealed["counter"] == "5"


async def test_tries_come_at_growing_distances_and_never_end(
    database: asyncpg.Pool, runtime: Runtime, owner: Owner
) -> None:
    """The pause doubles from two seconds to ten minutes; meanwhile the programme's new journals get their leaves."""
    book = await (await Book().open()).day()
    await owner.poison(book)
    pauses = []
    for _ in range(12):
        await drain(runtime)
        found = await alert(database)
        pauses.append((found.retry_at - found.tried_at).total_seconds())
        await owner.does("UPDATE audit.alert SET retry_at = tried_at")

    assert pauses == [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600]
    assert found.tries == 12
    await book.post(Earn(version=1, points=1, **book.base("9", book.grocer)))
    await drain(runtime)
    assert await unmarked(database, book) == 1


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("UPDATE ledger.movement SET acceptor_id = NULL WHERE credit_kind = 'honoured'", "a till's movement names its"),
        ("UPDATE ledger.movement SET issuer_id = 77 WHERE credit_kind = 'honoured'", "Something unexpected happened"),
        ("DELETE FROM ledger.movement WHERE credit_kind = 'honoured'", "nobody is seen in it"),
    ],
)
async def test_whatever_is_wrong_with_a_journal_stops_it_alone(
    database: asyncpg.Pool, runtime: Runtime, owner: Owner, broken: str, why: str
) -> None:
    """Points that nobody accepted, a brand that is not there, no movement at all: the others have leaves."""
    book = await (await Book().open()).day()
    await book.post(Earn(version=2, points=1, **book.base("9", book.fuel)))
    await owner.does(broken)

    await drain(runtime)

    assert await unmarked(database, book) == 1
    assert await database.fetchval("SELECT size FROM audit.log WHERE log_id = $1", book.log_id) == 4
    counters = await database.fetch(
        "SELECT counter FROM audit.opening WHERE partner_id = $1 ORDER BY counter", book.fuel
    )
    assert [row["counter"] for row in counters] == [1, 2, 3], "what waits has taken no number"
    found = await alert(database)
    assert why in found.explanation
    assert found.code == "no-leaf"


async def test_a_leaf_that_no_entry_holds_is_set_aside(
    database: asyncpg.Pool, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal of so many parties that its leaf is too long waits alone."""
    book = await (await Book().open()).day()
    monkeypatch.setattr("koinon.audit.appending.ENTRY_BYTES_MAX", 300)
    monkeypatch.setattr("koinon.audit.leaves.SLOT_STEP", 1)

    await drain(runtime)

    assert await unmarked(database, book) == 1
    assert "its leaf has " in (await alert(database)).explanation


async def test_a_programme_of_too_many_such_journals_waits_whole(
    database: asyncpg.Pool, runtime: Runtime, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their number is bounded: then the programme's later journals wait too, and the other programmes go on."""
    monkeypatch.setattr("koinon.audit.appending.SET_ASIDE_MOST", 2)
    sick, well = [await (await Book(code).open()).day() for code in ("sick", "well")]
    await owner.poison(sick, "earn")
    await drain(runtime)
    for book in (sick, well):
        await book.post(Earn(version=1, points=1, **book.base("9", book.grocer)))
    await drain(runtime)

    assert (await unmarked(database, sick), await unmarked(database, well)) == (3, 0)
    assert [each.programme for each in await open_alerts(database, 10)] == ["sick", "sick"]


async def test_what_nobody_foresaw_stops_one_programme(database: asyncpg.Pool, runtime: Runtime, owner: Owner) -> None:
    """A sum that no column holds rolls back its programme's batch, and no other's; the alert tells nothing inside."""
    sick, well = [await (await Book(code, "live").open()).day() for code in ("sick", "well")]
    await owner.does("UPDATE ledger.movement SET amount = 9223372036854775807 WHERE account_id = $1", sick.account)

    await drain(runtime)

    assert (await unmarked(database, sick), await unmarked(database, well)) == (4, 0)
    found = await alert(database)
    assert (found.programme, found.code, found.journal_id) == ("sick", "journals-stopped", None)
    assert found.explanation == "Something unexpected happened; the worker's log says what"
    assert await database.fetchval("SELECT size FROM audit.log WHERE log_id = 1") == 4
    await owner.does("UPDATE ledger.movement SET amount = 100 WHERE account_id = $1", sick.account)
    assert not await sequence(runtime), "it is tried again after a while"
    await owner.does("UPDATE audit.alert SET retry_at = tried_at")
    await drain(runtime)
    assert await unmarked(database, sick) == 0
    assert await open_alerts(database, 10) == []


async def test_a_programme_without_a_log_says_so(database: asyncpg.Pool, runtime: Runtime, owner: Owner) -> None:
    """A log that nobody opened is not one that another process has locked: an alert names the programme."""
    lost, well = [await (await Book(code).open()).day() for code in ("lost", "well")]
    await owner.does("DELETE FROM audit.log WHERE log_id = $1", lost.log_id)

    await drain(runtime)

    assert (await unmarked(database, lost), await unmarked(database, well)) == (4, 0)
    found = await alert(database)
    assert (found.log_id, found.code) == (lost.log_id, "log-broken")
    assert found.explanation.startswith("the programme lost has no log.")


async def test_several_workers_share_the_logs(database: asyncpg.Pool, runtime: Runtime) -> None:
    """Three sequencers at once over three logs and a shared one: every journal has one leaf, every counter is dense."""
    books = [await (await Book(f"p{number}", mode).open()).day() for number, mode in enumerate(("sandbox", "live") * 3)]
    for book in books:
        await book.close()
    while any(await asyncio.gather(*(sequence(runtime) for _ in range(3)))):
        pass
    await drain(runtime)

    assert set((await states(database)).values()) == {"SEALED"}
    rows = await database.fetch("SELECT log_id, size FROM audit.log")
    sizes = {row["log_id"]: row["size"] for row in rows}
    assert sizes == {1: 15} | {book.log_id: 5 for book in books if book.mode == "sandbox"}
    assert await open_alerts(database, 10) == []
    gaps = await database.fetchval(
        "SELECT count(*) FROM (SELECT max(counter) <> count(*) AS gap FROM audit.opening"
        " GROUP BY partner_id, window_no) p WHERE gap"
    )
    assert gaps == 0
