"""The sequencer over real PostgreSQL: every journal gets a leaf, counters are dense, seals commit to sums."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest

from koinon.audit.notes import open_note, parse_checkpoint
from koinon.audit.sequencer import LogBroken, sequence
from koinon.audit.signing import checkpoint_path, log_key, sign_checkpoint
from koinon.audit.stored import statements as audit_statements
from koinon.audit.stored import stored_tree
from koinon.audit.tree import leaf_hash, verify_inclusion
from koinon.database import transaction
from koinon.identity import keys
from koinon.ids import new_id, new_record_id
from koinon.ledger.jobs import close_window
from koinon.ledger.model import Capture, Earn, Hold
from koinon.ledger.names import journal_name
from koinon.ledger.operations import Ledger, open_account, post_now, statements
from koinon.runtime import Runtime
from koinon.settings import Settings

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TODAY = date(2026, 3, 2)


class Book:
    """A programme with two partners and one account."""

    def __init__(self) -> None:
        """Choose the ids."""
        self.programme, self.unit, self.account, self.grocer, self.fuel = (new_id() for _ in range(5))

    async def open(self) -> None:
        """Write the programme, its partners and the account."""
        async with transaction() as connection:
            await connection.execute(
                "INSERT INTO parties.programme (programme_id, code, name, mode, time_zone, settlement_currency,"
                " face_value_num, face_value_den, unit_id, operator_id)"
                " VALUES ($1, 'demo', 'Demo', 'sandbox', 'UTC', 'EUR', 1, 1, $2, 1)",
                self.programme,
                self.unit,
            )
            await connection.execute("INSERT INTO ledger.unit VALUES ($1, $2, 'points')", self.unit, self.programme)
            for partner, code in ((self.grocer, "grocer"), (self.fuel, "fuel")):
                await connection.execute(
                    "INSERT INTO parties.partner (partner_id, programme_id, code, brand) VALUES ($1, $2, $3, $3)",
                    partner,
                    self.programme,
                    code,
                )
            await connection.execute(statements["first_window"], self.programme, TODAY, NOW)
            await open_account(
                connection, account_id=self.account, programme_id=self.programme, unit_id=self.unit, now=NOW
            )

    def base(self, key: str, partner: int) -> dict[str, Any]:
        """Return what every command of a partner says."""
        return {
            "caller": "par_test", "key": key, "content_hash": "00", "account_id": self.account,
            "unit_id": self.unit, "occurred_at": NOW, "partner_id": partner,
        }  # fmt: skip

    async def day(self) -> None:
        """Earn 400 at the grocer and 200 at the fuel station, then burn 600 at the fuel station."""
        earned = await post_now(
            self.programme,
            [
                Earn(version=1, points=400, **self.base("1", self.grocer)),
                Earn(version=2, points=200, **self.base("2", self.fuel)),
                Hold(
                    version=2, points=600, today=TODAY, proof_kind="pay_code", proof_ref="a",
                    hold_expires_at=NOW + timedelta(hours=1), **self.base("3", self.fuel),
                ),
            ],
        )  # fmt: skip
        hold = UUID(earned[2].answer["hold_id"])
        captured = await post_now(self.programme, [Capture(hold_id=hold, **self.base("4", self.fuel))])
        assert captured[0].status == "posted"


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    """Give a runtime with keys of its own."""
    settings = Settings(folder=tmp_path)
    keys.create(settings.keys_folder)
    return Runtime(settings=settings, keys=keys.load(settings.keys_folder), ledger=Ledger())


@pytest.fixture
async def book(database: asyncpg.Pool) -> Book:
    """Give a programme after its day, with nothing logged yet."""
    book = Book()
    await book.open()
    await book.day()
    return book


async def drain(runtime: Runtime) -> None:
    """Run the sequencer until it has nothing to do."""
    while await sequence(runtime):
        pass


async def test_every_journal_gets_one_leaf_and_dense_counters(
    database: asyncpg.Pool, runtime: Runtime, book: Book
) -> None:
    """Four journals make four leaves; each partner's effects are numbered from 1 without a gap."""
    await drain(runtime)

    assert await database.fetchval("SELECT size FROM audit.log") == 4
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


async def test_a_leaf_that_no_entry_holds_stops_the_log(database: asyncpg.Pool, runtime: Runtime) -> None:
    """An entry of the log has 65,535 bytes at most: a longer leaf is not appended, and the log says so."""
    async with transaction() as connection:
        await connection.execute(audit_statements["submit"], new_record_id(), b"x" * 65_536)

    with pytest.raises(LogBroken, match="a leaf has 65536 bytes, and an entry of the log at most 65535"):
        await sequence(runtime)

    assert await database.fetchval("SELECT count(*) FROM audit.entry") == 0


async def test_a_closed_window_is_sealed_with_each_partners_sums(
    database: asyncpg.Pool, runtime: Runtime, book: Book
) -> None:
    """The seal says the last counter, the four sums and what stands outstanding."""
    await close_window(book.programme, TODAY + timedelta(days=1), NOW + timedelta(days=1))
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


async def test_no_seal_before_every_journal_has_its_leaf(database: asyncpg.Pool, runtime: Runtime, book: Book) -> None:
    """The first slice after the close appends journals; the seal comes after the last of them."""
    await close_window(book.programme, TODAY + timedelta(days=1), NOW + timedelta(days=1))
    await sequence(runtime)

    assert await database.fetchval("SELECT count(*) FROM audit.seal") == 0
    assert await database.fetchval("SELECT state FROM ledger.settlement_window WHERE window_no = 1") == "CLOSED"


async def test_the_signed_checkpoint_holds_every_leaf(database: asyncpg.Pool, runtime: Runtime, book: Book) -> None:
    """The note is signed by the log's key, and its root includes each entry at its index."""
    await drain(runtime)
    assert await sign_checkpoint(runtime)
    assert not await sign_checkpoint(runtime)

    note = checkpoint_path(runtime).read_text(encoding="utf-8")
    assert note == await database.fetchval("SELECT note FROM audit.log")
    checkpoint = parse_checkpoint(open_note(note, [log_key(runtime)]).text)
    assert checkpoint.size == 4
    async with transaction() as connection:
        tree = await stored_tree(connection, range(4), 4)
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
        await post_now(book.programme, earns)
        await drain(runtime)
        assert await sign_checkpoint(runtime)
        note = checkpoint_path(runtime).read_text(encoding="utf-8")
        signed.append(parse_checkpoint(open_note(note, [log_key(runtime)]).text).size)

    assert signed == [1, 2, 3, 5, 255, 256, 257, 520]
    assert await database.fetchval("SELECT signed_size FROM audit.log") == 520


async def test_a_log_that_shrank_is_not_signed(
    database: asyncpg.Pool, database_url: str, runtime: Runtime, book: Book
) -> None:
    """A database put back to an earlier state is refused by the checkpoint kept outside it."""
    await drain(runtime)
    await sign_checkpoint(runtime)
    owner = await asyncpg.connect(database_url)
    await owner.execute("TRUNCATE audit.entry, audit.tile, audit.opening")
    await owner.execute("UPDATE audit.log SET size = 0, root = sha256(''), signed_size = 0, note = NULL")
    await owner.execute(
        "UPDATE ledger.outbox SET leaf_index = NULL"
        " WHERE journal_id = (SELECT journal_id FROM ledger.outbox ORDER BY journal_id LIMIT 1)"
    )
    await owner.close()

    with pytest.raises(LogBroken, match="4 were signed before"):
        await sign_checkpoint(runtime)
    await drain(runtime)
    with pytest.raises(LogBroken):
        await sign_checkpoint(runtime)
    assert await database.fetchval("SELECT note FROM audit.log") is None


async def test_nothing_is_signed_when_the_last_checkpoint_is_lost(
    database: asyncpg.Pool, runtime: Runtime, book: Book
) -> None:
    """Without the file, a changed database could fork the log; whoever puts back a checkpoint goes on from it."""
    await drain(runtime)
    assert await sign_checkpoint(runtime)
    path = checkpoint_path(runtime)
    kept = path.read_text(encoding="utf-8")
    path.unlink()
    await post_now(book.programme, [Earn(version=1, points=1, **book.base("9", book.grocer))])
    await drain(runtime)

    with pytest.raises(LogBroken, match=r"checkpoint is missing, and 4 leaves were signed: put the newest checkpoint"):
        await sign_checkpoint(runtime)

    assert await database.fetchval("SELECT note FROM audit.log") == kept
    assert not path.exists()
    path.write_text(kept, encoding="utf-8")
    assert await sign_checkpoint(runtime)
    assert await database.fetchval("SELECT signed_size FROM audit.log") == 5


async def test_an_older_kept_checkpoint_does_not_let_the_log_fork(
    database: asyncpg.Pool, database_url: str, runtime: Runtime, book: Book
) -> None:
    """What the database says was signed is held to as well, should the file be put back to an earlier one."""
    await sign_checkpoint(runtime)
    earlier = checkpoint_path(runtime).read_text(encoding="utf-8")
    await drain(runtime)
    await sign_checkpoint(runtime)
    checkpoint_path(runtime).write_text(earlier, encoding="utf-8")
    owner = await asyncpg.connect(database_url)
    await owner.execute("UPDATE audit.log SET signed_size = 3, root = sha256('another')")
    await owner.close()

    with pytest.raises(LogBroken, match=r"does not extend the 4 that were signed \(the database\)"):
        await sign_checkpoint(runtime)


async def test_the_sequencer_stops_when_the_tiles_were_changed(
    database: asyncpg.Pool, database_url: str, runtime: Runtime, book: Book
) -> None:
    """Tiles that do not give the stored root stop the log; nothing is appended."""
    await drain(runtime)
    owner = await asyncpg.connect(database_url)
    await owner.execute("UPDATE audit.tile SET hashes = set_byte(hashes, 0, get_byte(hashes, 0) # 1)")
    await owner.close()
    await post_now(book.programme, [Earn(version=1, points=1, **book.base("9", book.grocer))])

    with pytest.raises(LogBroken, match="do not give the stored root"):
        await sequence(runtime)

    assert await database.fetchval("SELECT count(*) FROM audit.entry") == 4
    assert await database.fetchval("SELECT count(*) FROM ledger.outbox WHERE leaf_index IS NULL") == 1
