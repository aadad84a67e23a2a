"""Signing: each log's checkpoint of what is committed, and only of what extends the last one that was signed.

The last checkpoint of a log is kept in a file outside the database, so that a database restored from a backup, or
changed by hand, cannot make the log fork: the signer then refuses until a person has looked. All sandbox programmes'
logs have one key, which is never the live log's.
"""

import asyncio
import os
from pathlib import Path

import asyncpg
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from koinon.audit.alerts import NOT_SIGNED, UNEXPECTED, Pauses, Still, clear_alert, stand_still
from koinon.audit.appending import LogBroken
from koinon.audit.logs import LIVE_LOG, checkpoint_path, log_key, origin
from koinon.audit.notes import Checkpoint, NoteError, open_note, parse_checkpoint, sign, write_note
from koinon.audit.stored import statements, stored_tree
from koinon.audit.tree import verify_consistency
from koinon.database import Connection, pool, transaction
from koinon.keyring import LOG, SANDBOX_LOG, KeysMissing, signing_key
from koinon.runtime import Runtime

log = structlog.get_logger(__name__)


class WrongKey(Exception):
    """The key at hand is not the log's: nothing is signed with it."""


async def sign_checkpoint(runtime: Runtime, log_id: int | None = None) -> bool:
    """Sign every log that has grown since its last checkpoint, or one; tells whether there was any.

    A log that cannot be signed stands still with an alert, and stops no other.
    """
    async with pool().acquire() as connection:
        pauses = await Pauses.read(connection)
        unsigned = [row["log_id"] for row in await connection.fetch(statements["unsigned_logs"], log_id)]
    worked = False
    for each in unsigned:
        still = Still(log_id=each, code=NOT_SIGNED)
        if log_id is None and pauses.holds(still):
            continue
        try:
            signed = await sign_log(runtime, each)
        except (LogBroken, WrongKey, KeysMissing, NoteError) as error:
            await stand_still(still, f"{error}. Nothing is signed of this log until a person has looked")
        except Exception:
            log.exception("a log was not signed", log_id=each)
            await stand_still(still, UNEXPECTED)
        else:
            worked |= signed
            if signed and still in pauses:
                async with transaction() as connection:
                    await clear_alert(connection, still)
    return worked


async def sign_log(runtime: Runtime, log_id: int) -> bool:
    """Sign what was appended to a log since its last checkpoint; tells whether there was anything to sign.

    Raises LogBroken when the log does not extend the last checkpoint, or when that is lost, and WrongKey: nothing is
    signed then.
    """
    async with transaction() as connection:
        state = await connection.fetchrow(statements["lock_log"], log_id)
        if state is None or (state["note"] is not None and state["signed_size"] == state["size"]):
            return False
        name, key = origin(runtime.settings, log_id), _signing_key(runtime, log_id)
        checkpoint = Checkpoint(name, state["size"], state["root"])
        path = checkpoint_path(runtime.settings, log_id)
        await _require_extension(connection, runtime, checkpoint, path, state)
        note = write_note(checkpoint.body, [sign(checkpoint.body, name, key)])
        # The file first: should the commit below fail, the same size and root are signed again, which is no fork.
        await asyncio.to_thread(_write_durably, path, note)
        await connection.execute(statements["sign_log"], log_id, state["size"], note)
    return True


def _signing_key(runtime: Runtime, log_id: int) -> Ed25519PrivateKey:
    """Return the key that signs a log: the one that is published as its, and for a sandbox log never the live one."""
    name = LOG if log_id == LIVE_LOG else SANDBOX_LOG
    key = signing_key(runtime.settings.keys_folder, name)
    public = key.public_key().public_bytes_raw()
    if public != log_key(runtime, log_id).public:
        raise WrongKey(f"{name}.pem is not the key that {name}.pub.pem is the public half of")
    if log_id != LIVE_LOG and public == log_key(runtime, LIVE_LOG).public:
        raise WrongKey(f"{name}.pem is the live log's key, which signs no sandbox log")
    return key


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
    log_id = state["log_id"]
    for note, place in dict.fromkeys([(kept, str(path)), (state["note"], "the database")]):
        if note is not None:
            old = parse_checkpoint(open_note(note, [log_key(runtime, log_id)]).text)
            await _require_extension_of(connection, log_id, old, new, place)


async def _require_extension_of(
    connection: Connection, log_id: int, old: Checkpoint, new: Checkpoint, place: str
) -> None:
    if old.size > new.size:
        raise LogBroken(f"the log has {new.size} leaves, and {old.size} were signed before ({place})")
    if old.size == 0 or (old.size == new.size and old.root == new.root):
        return
    tree = await stored_tree(connection, log_id, [old.size - 1], new.size)
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
