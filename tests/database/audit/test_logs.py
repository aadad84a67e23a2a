"""Logs side by side: each sandbox programme's is its own, under a key that is not the live one's."""

import shutil

import asyncpg
import pytest

from koinon import ids, keyring
from koinon.audit.alerts import open_alerts
from koinon.audit.logs import LIVE_LOG, checkpoint_path, log_key, log_path, origin
from koinon.audit.notes import NoteError, NoteKey, open_note, parse_checkpoint
from koinon.audit.signing import WrongKey, sign_checkpoint, sign_log
from koinon.audit.stored import stored_tree
from koinon.audit.tree import leaf_hash
from koinon.database import transaction
from koinon.runtime import Runtime
from tests.kit.audit import Book, drain


async def test_a_programmes_log_is_opened_with_it(database: asyncpg.Pool) -> None:
    """Live programmes share log 1; a sandbox programme has one of its own, empty from the first moment."""
    live, sandbox = await Book("here", "live").open(), await Book("there").open()

    assert (live.log_id, sandbox.log_id) == (LIVE_LOG, sandbox.programme_id)
    rows = await database.fetch("SELECT log_id, size, note FROM audit.log ORDER BY log_id")
    assert [tuple(row) for row in rows] == [(1, 0, None), (sandbox.programme_id, 0, None)]


async def test_logs_are_named_and_found_apart(runtime: Runtime) -> None:
    """A sandbox log's origin, address and kept checkpoint lie below the live one's, under the programme's public id."""
    book, settings = Book(), runtime.settings
    name = ids.public("pro", book.programme_id)

    assert origin(settings, LIVE_LOG) == "koinon.example/log"
    assert origin(settings, book.programme_id) == f"koinon.example/log/sandbox/{name}"
    assert log_path(LIVE_LOG) == "/log"
    assert log_path(book.programme_id) == f"/log/sandbox/{name}"
    assert checkpoint_path(settings, LIVE_LOG) == settings.folder / "log" / "checkpoint"
    assert checkpoint_path(settings, book.programme_id) == settings.folder / "log" / "sandbox" / name / "checkpoint"


async def test_each_log_holds_its_own_leaves_alone(database: asyncpg.Pool, runtime: Runtime) -> None:
    """Two sandbox programmes and a live one: three trees that begin at 0, each signed under its own name."""
    books = [await (await Book(code, mode).open()).day() for code, mode in MODES]
    await drain(runtime)
    assert await sign_checkpoint(runtime)

    for book in books:
        leaves = await database.fetch(
            "SELECT leaf_index, leaf FROM audit.entry WHERE log_id = $1 ORDER BY leaf_index", book.log_id
        )
        assert [row["leaf_index"] for row in leaves] == [0, 1, 2, 3]
        opened = await database.fetch(
            "SELECT DISTINCT leaf_index FROM audit.opening WHERE programme_id = $1", book.programme_id
        )
        assert {row["leaf_index"] for row in opened} == {0, 1, 2, 3}
        note = await database.fetchval("SELECT note FROM audit.log WHERE log_id = $1", book.log_id)
        signed = parse_checkpoint(open_note(note, [log_key(runtime, book.log_id)]).text)
        assert (signed.origin, signed.size) == (origin(runtime.settings, book.log_id), 4)
        async with transaction() as connection:
            tree = await stored_tree(connection, book.log_id, range(4), 4)
        assert tree.root() == signed.root
        assert leaf_hash(leaves[0]["leaf"]) in tree.inclusion_proof(1)
    assert len({bytes(row["root"]) for row in await database.fetch("SELECT root FROM audit.log")}) == 3


MODES = (("one", "sandbox"), ("two", "sandbox"), ("real", "live"))


async def test_the_live_key_signs_no_sandbox_log(database: asyncpg.Pool, runtime: Runtime, book: Book) -> None:
    """All sandbox logs are signed by one key, the live one by another: neither opens the other's notes."""
    other = await Book("other").open()
    await drain(runtime)
    await sign_checkpoint(runtime)

    live, sandbox = log_key(runtime, LIVE_LOG), log_key(runtime, book.log_id)
    assert live.public != sandbox.public
    assert sandbox.public == log_key(runtime, other.log_id).public
    notes = {row["log_id"]: row["note"] for row in await database.fetch("SELECT log_id, note FROM audit.log")}
    assert set(notes) == {LIVE_LOG, book.log_id, other.log_id}
    for log_id, note in notes.items():
        wrong = sandbox if log_id == LIVE_LOG else live
        with pytest.raises(NoteError, match="no known key signed"):
            open_note(note, [NoteKey(origin(runtime.settings, log_id), wrong.kind, wrong.public)])


async def test_a_copy_of_the_live_key_is_refused(database: asyncpg.Pool, runtime: Runtime, book: Book) -> None:
    """An operator who puts the live key in the sandbox key's place gets an alert, and no sandbox log is signed."""
    folder = runtime.settings.keys_folder
    for half in (".pem", ".pub.pem"):
        shutil.copy(folder / f"log{half}", folder / f"sandbox-log{half}")
    confused = Runtime(runtime.settings, keyring.load(folder))
    await drain(confused)

    with pytest.raises(WrongKey, match="the live log's key, which signs no sandbox log"):
        await sign_log(confused, book.log_id)
    assert await sign_checkpoint(confused), "the live log is signed all the same"

    notes = {row["log_id"]: row["note"] for row in await database.fetch("SELECT log_id, note FROM audit.log")}
    assert notes[book.log_id] is None
    assert notes[LIVE_LOG] is not None
    (alert,) = await open_alerts(database, 10)
    assert (alert.log_id, alert.code) == (book.log_id, "not-signed")
    assert "signs no sandbox log" in alert.explanation


async def test_a_signing_key_that_is_not_the_published_one_signs_nothing(
    database: asyncpg.Pool, runtime: Runtime, book: Book
) -> None:
    """A private half of another pair than the public one that brands pin is refused."""
    folder = runtime.settings.keys_folder
    shutil.copy(folder / "token.pem", folder / "log.pem")

    with pytest.raises(WrongKey, match=r"log.pem is not the key that log.pub.pem is the public half of"):
        await sign_log(runtime, LIVE_LOG)

    assert await database.fetchval("SELECT note FROM audit.log WHERE log_id = 1") is None


async def test_only_whoever_signs_needs_the_signing_keys(runtime: Runtime, book: Book) -> None:
    """Without the private halves a process reads the logs' public keys; what it cannot do is sign."""
    folder = runtime.settings.keys_folder
    for name in ("log.pem", "sandbox-log.pem"):
        (folder / name).unlink()
    web = Runtime(runtime.settings, keyring.load(folder))

    assert log_key(web, LIVE_LOG) == log_key(runtime, LIVE_LOG)
    with pytest.raises(keyring.KeysMissing, match=r"sandbox-log.pem is missing: run `koinon keys init`"):
        await sign_log(web, book.log_id)


async def test_a_log_that_is_broken_stops_no_other(database: asyncpg.Pool, runtime: Runtime) -> None:
    """The signer goes past a log that lost its checkpoint, says so, and signs the rest."""
    first, second = [await (await Book(code).open()).day() for code in ("one", "two")]
    await sign_checkpoint(runtime)
    await drain(runtime)
    await sign_checkpoint(runtime)
    path = checkpoint_path(runtime.settings, first.log_id)
    kept = path.read_text(encoding="utf-8")
    path.unlink()
    for book in (first, second):
        await book.close()
    await drain(runtime)

    assert await sign_checkpoint(runtime)

    rows = await database.fetch("SELECT log_id, size - signed_size AS unsigned FROM audit.log")
    assert {row["log_id"]: row["unsigned"] for row in rows} == {LIVE_LOG: 0, first.log_id: 1, second.log_id: 0}
    (alert,) = await open_alerts(database, 10)
    assert (alert.log_id, alert.code, alert.tries) == (first.log_id, "not-signed", 1)
    assert "is missing, and 4 leaves were signed" in alert.explanation
    assert not await sign_checkpoint(runtime), "the worker waits before it tries again"
    assert not await sign_checkpoint(runtime, first.log_id), "whoever asks for it alone does not"
    (alert,) = await open_alerts(database, 10)
    assert alert.tries == 2
    assert (alert.retry_at - alert.tried_at).total_seconds() == 4
    path.write_text(kept, encoding="utf-8")
    assert await sign_checkpoint(runtime, first.log_id)
    assert await open_alerts(database, 10) == []


async def test_what_a_log_holds_is_not_changed(database: asyncpg.Pool) -> None:
    """The application appends leaves, openings and seals and changes none; nothing of the logs is deleted."""
    rows = await database.fetch(
        "SELECT table_name, column_name, privilege_type FROM information_schema.column_privileges"
        " WHERE table_schema = 'audit' AND grantee = 'koinon_app' AND privilege_type NOT IN ('SELECT', 'INSERT')"
    )
    assert {row["privilege_type"] for row in rows} == {"UPDATE"}
    changed: dict[str, set[str]] = {}
    for row in rows:
        changed.setdefault(row["table_name"], set()).add(row["column_name"])
    assert changed == {
        "log": {"size", "root", "signed_size", "note"},
        "tile": {"hashes"},
        "counter": {"counter"},
        "total": {"points", "entries"},
        "submission": {"leaf_index"},
        "alert": {"explanation", "tries", "tried_at", "retry_at", "cleared_at"},
    }
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await database.execute("DELETE FROM audit.entry")
