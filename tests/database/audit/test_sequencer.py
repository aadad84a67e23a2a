"""The sequencer over real PostgreSQL: every journal gets a leaf, counters are dense, seals commit to sums."""

from datetime import timedelta

import asyncpg
import msgspec
import pytest

from koinon.audit.alerts import open_alerts
from koinon.audit.appending import LogBroken
from koinon.audit.logs import checkpoint_path, log_key
from koinon.audit.notes import open_note, parse_checkpoint
from koinon.audit.operations import positions, submit
from koinon.audit.sequencer import sequence
from koinon.audit.signing import sign_log
from koinon.audit.stored import stored_tree
from koinon.audit.tree import leaf_hash, verify_inclusion
from koinon.database import transaction
from koinon.ids import new_id, new_record_id
from koinon.ledger.jobs import close_window
from koinon.ledger.model import Earn
from koinon.ledger.names import journal_name
from koinon.ledger.operations import post_now
from koinon.runtime import Runtime
from tests.kit.audit import Book, drain
from tests.kit.terms import NOW, TODAY


async def test_every_journal_gets_one_leaf_and_dense_counters(
    database: asyncpg.Pool, runtime: Runtime, book: Book
) -> None:
    """Four journals make four leaves; each partner's effects are numbered from 1 without a gap."""
    await drain(runtime)

    assert await database.fetchval("SELECT size FROM audit.log WHERE log_id = $1", book.log_id) == 4
    assert await database.fetchval("SELECT count(*) FROM ledger.outbox WHERE leaf_index IS NULL") == 0
    rows = await database.fetch(
        "SELECT p.code, o.counter, o.effect, o.points, o.version FROM audit.opening o"
        " JOIN parties.partner p USING (partner_id) ORDER BY p.code, o.counter"
    )
    assert [tuple(row) for row in rows] == [
        ("fuel", 1, "issued", 200, 2),
        ("fuel", 2, "held", 600, 2),
        ("fuel", 3, "accepted", 400, 2),
        ("fuel", 4, "honoured", 200, 2),
        ("fuel", 5, "accepted", 200, 2),
        ("grocer", 1, "issued", 400, 1),
        ("grocer", 2, "honoured", 400, 1),
    ]


async def test_the_open_log_shows_nobodys_business(database: asyncpg.Pool, runtime: Runtime, book: Book) -> None:
    """Two earns, a hold and a capture of two brands' points look alike: a type, an hour and eight commitments."""
    await drain(runtime)

    leaves = [msgspec.json.decode(row["leaf"]) for row in await database.fetch("SELECT leaf FROM audit.entry")]
    assert len(leaves) == 4
    for leaf in leaves:
        commitments = [leaf.pop(f"c{place}") for place in range(8)]
        assert len(set(commitments)) == 8
        assert leaf == {"at": leaf["at"][:13] + ":00:00Z", "type": "journal", "v": "2"}


async def test_contents_name_journals_as_receipts_do(database: asyncpg.Pool, runtime: Runtime, book: Book) -> None:
    """A journal's name leads to no account and no moment; all its contents, the shared ones too, say the same."""
    await drain(runtime)

    marks = await database.fetch("SELECT account_id, journal_id, leaf_index FROM ledger.outbox")
    for row in await database.fetch("SELECT leaf_index, content, shared_content FROM audit.opening"):
        (mark,) = [each for each in marks if each["leaf_index"] == row["leaf_index"]]
        name = journal_name(runtime.keys.secret, mark["account_id"], mark["journal_id"])
        contents = [row["content"]] + [row["shared_content"]] * (row["shared_content"] is not None)
        assert [msgspec.json.decode(content)["journal"] for content in contents] == [name] * len(contents)


async def test_a_leaf_that_no_entry_holds_is_not_taken(database: asyncpg.Pool, runtime: Runtime, book: Book) -> None:
    """An entry of the log has 65,535 bytes at most: a longer leaf that is handed in waits, and an alert stands."""
    async with transaction() as connection:
        await submit(connection, book.programme_id, new_record_id(), b"x" * 65_536)

    await drain(runtime)

    assert await database.fetchval("SELECT count(*) FROM audit.entry") == 4, "the journals alone"
    assert await database.fetchval("SELECT leaf_index FROM audit.submission") is None
    (alert,) = await open_alerts(database, 10)
    assert (alert.programme, alert.code, alert.journal_id) == ("demo", "submissions-stopped", None)


async def test_a_closed_window_is_sealed_with_each_partners_sums(
    database: asyncpg.Pool, runtime: Runtime, book: Book
) -> None:
    """The seal says the last counter, the four sums and what stands outstanding."""
    await close_window(book.programme_id, TODAY + timedelta(days=1), NOW + timedelta(days=1))
    await drain(runtime)

    assert await database.fetchval("SELECT state FROM ledger.settlement_window WHERE window_no = 1") == "SEALED"
    contents = {
        (content := msgspec.json.decode(row["content"]))["partner"]: content
        for row in await database.fetch("SELECT content FROM audit.seal")
    }
    assert contents["grocer"] == {
        "accepted": "0", "counter": "2", "expired": "0", "honoured": "400", "issued": "400", "outstanding": "0",
        "partner": "grocer", "programme": "demo", "window": "1",
    }  # fmt: skip
    assert contents["fuel"]["accepted"] == "600"
    assert contents["fuel"]["counter"] == "5"


async def test_no_seal_before_every_journal_has_its_leaf(
    database: asyncpg.Pool, runtime: Runtime, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slice that leaves one journal of a closed window without its leaf does not seal it; the next one does."""
    await close_window(book.programme_id, TODAY + timedelta(days=1), NOW + timedelta(days=1))
    monkeypatch.setattr("koinon.audit.appending.BATCH_JOURNALS", 3)
    await sequence(runtime)

    assert await database.fetchval("SELECT count(*) FROM audit.entry") == 3
    assert await database.fetchval("SELECT count(*) FROM audit.seal") == 0
    assert await database.fetchval("SELECT state FROM ledger.settlement_window WHERE window_no = 1") == "CLOSED"
    await sequence(runtime)
    assert await database.fetchval("SELECT count(*) FROM audit.seal") == 3, "one each, the operator's too"


async def test_running_totals_are_the_sums_of_the_openings(
    database: asyncpg.Pool, runtime: Runtime, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over several batches each cell's points and entries, and each last counter, are those of what was opened."""
    monkeypatch.setattr("koinon.audit.appending.BATCH_JOURNALS", 1)
    await drain(runtime)
    await book.post(Earn(version=1, points=5, **book.base("9", book.grocer)))
    await drain(runtime)

    cell = "partner_id, window_no, unit_id, effect, version, counterparty_id, counterparty_version"
    summed = await database.fetch(
        f"SELECT {cell}, programme_id, sum(points)::bigint, count(*) FROM audit.opening"  # noqa: S608  # names of ours
        f" GROUP BY {cell}, programme_id ORDER BY {cell}"
    )
    assert summed == await database.fetch(
        f"SELECT {cell}, programme_id, points, entries FROM audit.total ORDER BY {cell}"  # noqa: S608  # names of ours
    )
    assert [row["counter"] for row in await database.fetch("SELECT counter FROM audit.counter ORDER BY counter")] == [
        3,
        5,
    ]
    kept = await positions(database, book.programme_id, 1)
    assert [tuple(row) for row in kept if row["partner"] == "grocer"] == [
        ("grocer", "honoured", 1, "fuel", 2, 400, 1),
        ("grocer", "issued", 1, None, None, 405, 2),
    ]


async def test_counters_are_dense_over_all_units_of_a_window(
    database: asyncpg.Pool, runtime: Runtime, book: Book
) -> None:
    """Two units of one programme share a partner's counters, and have totals of their own."""
    stamps = new_id()
    async with transaction() as connection:
        await connection.execute("INSERT INTO ledger.unit VALUES ($1, $2, 'stamps')", stamps, book.programme_id)
        await connection.execute(
            "INSERT INTO ledger.wallet (account_id, unit_id) VALUES ($1, $2)", book.account, stamps
        )
    await book.post(
        Earn(version=1, points=7, **book.base("8", book.grocer, stamps)),
        Earn(version=1, points=1, **book.base("9", book.grocer)),
    )
    await close_window(book.programme_id, TODAY + timedelta(days=1), NOW + timedelta(days=1))
    await drain(runtime)

    rows = await database.fetch(
        "SELECT counter, content FROM audit.opening WHERE partner_id = $1 ORDER BY counter", book.grocer
    )
    assert [row["counter"] for row in rows] == [1, 2, 3, 4]
    contents = [msgspec.json.decode(row["content"]) for row in rows]
    assert [each["counter"] for each in contents] == ["1", "2", "3", "4"]
    assert sorted((each["unit"], each["effect"], each["points"]) for each in contents) == [
        ("points", "honoured", "400"),
        ("points", "issued", "1"),
        ("points", "issued", "400"),
        ("stamps", "issued", "7"),
    ]
    totals = await database.fetch(
        "SELECT u.code, t.points, t.entries FROM audit.total t JOIN ledger.unit u USING (unit_id)"
        " WHERE t.partner_id = $1 AND t.effect = 'issued' ORDER BY u.code",
        book.grocer,
    )
    assert [tuple(row) for row in totals] == [("points", 401, 2), ("stamps", 7, 1)]
    sealed = msgspec.json.decode(
        await database.fetchval("SELECT content FROM audit.seal WHERE partner_id = $1", book.grocer)
    )
    assert sealed["counter"] == "4"


async def test_the_signed_checkpoint_holds_every_leaf(database: asyncpg.Pool, runtime: Runtime, book: Book) -> None:
    """The note is signed by the log's key, and its root includes each entry at its index."""
    await drain(runtime)
    assert await sign_log(runtime, book.log_id)
    assert not await sign_log(runtime, book.log_id)

    note = checkpoint_path(runtime.settings, book.log_id).read_text(encoding="utf-8")
    assert note == await note_of(database, book)
    checkpoint = parse_checkpoint(open_note(note, [log_key(runtime, book.log_id)]).text)
    assert checkpoint.size == 4
    async with transaction() as connection:
        tree = await stored_tree(connection, book.log_id, range(4), 4)
    for row in await database.fetch("SELECT leaf_index, leaf FROM audit.entry"):
        proof = tree.inclusion_proof(row["leaf_index"])
        assert verify_inclusion(row["leaf_index"], 4, leaf_hash(row["leaf"]), proof, checkpoint.root)


async def test_every_checkpoint_extends_the_one_before(database: asyncpg.Pool, runtime: Runtime) -> None:
    """From the first leaf on and over the edges of tiles of 256, each size is signed on top of the last one."""
    book = Book()
    await book.open()
    signed = []
    for number, more in enumerate((1, 1, 1, 2, 250, 1, 1, 263)):
        earns = [Earn(version=1, points=1, **book.base(f"{number}.{each}", book.grocer)) for each in range(more)]
        await post_now(book.programme_id, earns)
        await drain(runtime)
        assert await sign_log(runtime, book.log_id)
        note = checkpoint_path(runtime.settings, book.log_id).read_text(encoding="utf-8")
        signed.append(parse_checkpoint(open_note(note, [log_key(runtime, book.log_id)]).text).size)

    assert signed == [1, 2, 3, 5, 255, 256, 257, 520]
    assert await database.fetchval("SELECT signed_size FROM audit.log WHERE log_id = $1", book.log_id) == 520


async def test_a_log_that_shrank_is_not_signed(
    database: asyncpg.Pool, database_url: str, runtime: Runtime, book: Book
) -> None:
    """A database put back to an earlier state is refused by the checkpoint kept outside it."""
    await drain(runtime)
    await sign_log(runtime, book.log_id)
    owner = await asyncpg.connect(database_url)
    await owner.execute("TRUNCATE audit.entry, audit.tile, audit.opening, audit.counter, audit.total")
    await owner.execute("UPDATE audit.log SET size = 0, root = sha256(''), signed_size = 0, note = NULL")
    await owner.execute(
        "UPDATE ledger.outbox SET leaf_index = NULL"
        " WHERE journal_id = (SELECT journal_id FROM ledger.outbox ORDER BY journal_id LIMIT 1)"
    )
    await owner.close()

    with pytest.raises(LogBroken, match="4 were signed before"):
        await sign_log(runtime, book.log_id)
    await drain(runtime)
    with pytest.raises(LogBroken):
        await sign_log(runtime, book.log_id)
    assert await note_of(database, book) is None


async def test_nothing_is_signed_when_the_last_checkpoint_is_lost(
    database: asyncpg.Pool, runtime: Runtime, book: Book
) -> None:
    """Without the file, a changed database could fork the log; whoever puts back a checkpoint goes on from it."""
    await drain(runtime)
    assert await sign_log(runtime, book.log_id)
    path = checkpoint_path(runtime.settings, book.log_id)
    kept = path.read_text(encoding="utf-8")
    path.unlink()
    await post_now(book.programme_id, [Earn(version=1, points=1, **book.base("9", book.grocer))])
    await drain(runtime)

    with pytest.raises(LogBroken, match=r"checkpoint is missing, and 4 leaves were signed: put the newest checkpoint"):
        await sign_log(runtime, book.log_id)

    assert await note_of(database, book) == kept
    assert not path.exists()
    path.write_text(kept, encoding="utf-8")
    assert await sign_log(runtime, book.log_id)
    assert await database.fetchval("SELECT signed_size FROM audit.log WHERE log_id = $1", book.log_id) == 5


async def test_an_older_kept_checkpoint_does_not_let_the_log_fork(
    database: asyncpg.Pool, database_url: str, runtime: Runtime, book: Book
) -> None:
    """What the database says was signed is held to as well, should the file be put back to an earlier one."""
    await sign_log(runtime, book.log_id)
    path = checkpoint_path(runtime.settings, book.log_id)
    earlier = path.read_text(encoding="utf-8")
    await drain(runtime)
    await sign_log(runtime, book.log_id)
    path.write_text(earlier, encoding="utf-8")
    owner = await asyncpg.connect(database_url)
    await owner.execute("UPDATE audit.log SET signed_size = 3, root = sha256('another') WHERE log_id = $1", book.log_id)
    await owner.close()

    with pytest.raises(LogBroken, match=r"does not extend the 4 that were signed \(the database\)"):
        await sign_log(runtime, book.log_id)


async def test_the_sequencer_stops_when_the_tiles_were_changed(
    database: asyncpg.Pool, database_url: str, runtime: Runtime, book: Book
) -> None:
    """Tiles that do not give the stored root stop the log, with an alert; nothing is appended until they do again."""
    await drain(runtime)
    owner = await asyncpg.connect(database_url)
    flipped = "UPDATE audit.tile SET hashes = set_byte(hashes, 0, get_byte(hashes, 0) # 1)"
    await owner.execute(flipped)
    await post_now(book.programme_id, [Earn(version=1, points=1, **book.base("9", book.grocer))])

    await drain(runtime)

    assert await database.fetchval("SELECT count(*) FROM audit.entry") == 4
    assert await database.fetchval("SELECT count(*) FROM ledger.outbox WHERE leaf_index IS NULL") == 1
    (alert,) = await open_alerts(database, 10)
    assert (alert.log_id, alert.code, alert.programme) == (book.log_id, "log-broken", None)
    assert alert.explanation.startswith("the tiles of 4 leaves do not give the stored root")
    await owner.execute(flipped)
    await owner.close()
    assert not await sequence(runtime), "the worker waits before it tries again"
    assert await sequence(runtime, book.programme_id), "whoever settles does not"
    assert await open_alerts(database, 10) == []


async def note_of(database: asyncpg.Pool, book: Book) -> str | None:
    """Return the note that was signed last of a book's log."""
    note: str | None = await database.fetchval("SELECT note FROM audit.log WHERE log_id = $1", book.log_id)
    return note
