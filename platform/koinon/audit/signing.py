"""Signing: the checkpoint of what is committed, and only of what extends the last one that was signed.

The last checkpoint is kept in a file outside the database, so that a database restored from a backup, or changed by
hand, cannot make the log fork: the signer then refuses until a person has looked.
"""

import asyncio
import os
from pathlib import Path

import asyncpg
import structlog

from koinon.audit.notes import Checkpoint, NoteKey, open_note, parse_checkpoint, public_key, sign, write_note
from koinon.audit.sequencer import LogBroken
from koinon.audit.stored import statements, stored_tree
from koinon.audit.tree import verify_consistency
from koinon.database import Connection, transaction
from koinon.runtime import Runtime

log = structlog.get_logger(__name__)


def checkpoint_path(runtime: Runtime) -> Path:
    """Return where the last signed checkpoint is kept, outside the database."""
    return runtime.settings.folder / "log" / "checkpoint"


def log_key(runtime: Runtime) -> NoteKey:
    """Return the log's public key; its name is the log's origin."""
    return public_key(runtime.settings.log_origin, runtime.keys.log)


async def sign_checkpoint(runtime: Runtime) -> bool:
    """Sign what was appended since the last checkpoint; tells whether there was anything to sign.

    Raises LogBroken when the log does not extend the last checkpoint, or when that is lost: nothing is signed then.
    """
    async with transaction() as connection:
        state = await connection.fetchrow(statements["lock_log"])
        if state is None or (state["note"] is not None and state["signed_size"] == state["size"]):
            return False
        checkpoint = Checkpoint(runtime.settings.log_origin, state["size"], state["root"])
        path = checkpoint_path(runtime)
        await _require_extension(connection, runtime, checkpoint, path, state)
        note = write_note(checkpoint.body, [sign(checkpoint.body, runtime.settings.log_origin, runtime.keys.log)])
        # The file first: should the commit below fail, the same size and root are signed again, which is no fork.
        await asyncio.to_thread(_write_durably, path, note)
        await connection.execute(statements["sign_log"], state["size"], note)
    return True


async def _require_extension(
    connection: Connection, runtime: Runtime, new: Checkpoint, path: Path, state: asyncpg.Record
) -> None:
    """Hold the log to what was signed: to the kept checkpoint, and to the database's, should the kept one be older."""
    kept = await asyncio.to_thread(_read, path)
    if kept is None and state["signed_size"]:
        raise LogBroken(
            f"{path} is missing, and {state['signed_size']} leaves were signed: put the newest checkpoint there that "
            "anybody holds (a mirror's, or the note in a brand's last bundle); without it the log could fork unseen"
        )
    for note, place in dict.fromkeys([(kept, str(path)), (state["note"], "the database")]):
        if note is not None:
            old = parse_checkpoint(open_note(note, [log_key(runtime)]).text)
            await _require_extension_of(connection, old, new, place)


async def _require_extension_of(connection: Connection, old: Checkpoint, new: Checkpoint, place: str) -> None:
    if old.size > new.size:
        raise LogBroken(f"the log has {new.size} leaves, and {old.size} were signed before ({place})")
    if old.size == 0 or (old.size == new.size and old.root == new.root):
        return
    tree = await stored_tree(connection, [old.size - 1], new.size)
    if not verify_consistency(old.size, new.size, old.root, new.root, tree.consistency_proof(old.size)):
        raise LogBroken(f"the log of {new.size} leaves does not extend the {old.size} that were signed ({place})")


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _write_durably(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
