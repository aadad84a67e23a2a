"""Which log is whose: the live one, and one of each sandbox programme, with names, addresses and keys of their own.

The live log is 1, a sandbox programme's has the programme's id; the view `audit.programme_logs` says the same to SQL. A
log's origin, which is its key's name too, is the installation's for the live log, and that with the programme's public
id behind it for a sandbox programme's: no other checkpoint can be taken for it.
"""

from pathlib import Path

from koinon import ids
from koinon.audit.notes import NoteKey, public_key
from koinon.runtime import Runtime
from koinon.settings import Settings

LIVE_LOG = 1


def origin(settings: Settings, log_id: int) -> str:
    """Return a log's origin: the name in its checkpoints and of its key."""
    return settings.log_origin + _below(log_id)


def log_path(log_id: int) -> str:
    """Return where a log stands below the installation's address; its checkpoint, tiles and vkey stand under it."""
    return "/log" + _below(log_id)


def checkpoint_path(settings: Settings, log_id: int) -> Path:
    """Return where the last signed checkpoint of a log is kept, outside the database."""
    return settings.folder / f"log{_below(log_id)}" / "checkpoint"


def log_key(runtime: Runtime, log_id: int) -> NoteKey:
    """Return a log's public key; its name is the log's origin."""
    key = runtime.keys.log if log_id == LIVE_LOG else runtime.keys.sandbox_log
    return public_key(origin(runtime.settings, log_id), key)


def sandbox_log(programme: str) -> int:
    """Return the log of the sandbox programme with a public id, which may not exist; raises ValueError."""
    return ids.private("pro", programme)


def _below(log_id: int) -> str:
    return "" if log_id == LIVE_LOG else f"/sandbox/{ids.public('pro', log_id)}"
