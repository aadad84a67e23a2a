"""Migrations: Piccolo's command over hand-written SQL, one process at a time.

A migration is a Python module that names its `.sql` file. Database functions stand in a `functions.sql` beside the
code that calls them, and are created again by every migrate, so that they are always those of this release.
"""

import contextlib
import inspect
import io
import os
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import asyncpg
from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.apps.migrations.commands.forwards import run_forwards
from piccolo.conf.apps import AppConfig
from piccolo.table import Table

from koinon.database.engine import DB, connected, pool

# One number for all processes of a database; no writer of business data ever takes this lock.
MIGRATION_LOCK = 7_311_001
LOCK_TIMEOUT = "5s"


def app_beside(
    name: str, module_file: str, *, tables: Sequence[type[Table]] = (), after: Sequence[str] = ()
) -> AppConfig:
    """Return the Piccolo app of a package: its migrations lie beside it, and run after those of the apps in `after`."""
    return AppConfig(
        app_name=name,
        migrations_folder_path=str(Path(module_file).with_name("migrations")),
        table_classes=list(tables),
        migration_dependencies=list(after),
    )


def sql_migration(app_name: str, sql_file: str) -> tuple[str, Callable[[], Coroutine[Any, Any, MigrationManager]]]:
    """Return the (ID, forwards) that Piccolo looks for, of a migration that runs an SQL file beside its module."""
    caller = Path(inspect.stack()[1].filename)
    text = caller.with_name(sql_file).read_text(encoding="utf-8")

    async def forwards() -> MigrationManager:
        manager = MigrationManager(migration_id=caller.stem, app_name=app_name, description=sql_file)

        async def run() -> None:
            current = DB.current_transaction.get()
            if current is None:
                message = "a migration runs inside Piccolo's transaction"
                raise RuntimeError(message)
            await current.connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
            await current.connection.execute(text)

        manager.add_raw(run)
        return manager

    return caller.stem, forwards


async def migrate(url: str, functions: list[Path]) -> None:
    """Bring a database to this release: migrations of all apps, then every `functions.sql`, in the given order.

    Runs as the URL's own user, the owner of the schema. Waits for another process that migrates.
    Raises MigrationFailed.
    """
    os.environ.setdefault("PICCOLO_CONF", "koinon.piccolo_conf")
    async with connected(url, role=None, max_size=4), pool().acquire() as connection:
        await connection.execute("SET statement_timeout = 0")
        await connection.execute("SELECT pg_advisory_lock($1)", MIGRATION_LOCK)
        try:
            await _run_forwards()
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
                for path in functions:
                    await connection.execute(path.read_text(encoding="utf-8"))
        except asyncpg.LockNotAvailableError as error:
            raise MigrationFailed(
                f"another session held for more than {LOCK_TIMEOUT} what it changes ({error}): "
                "run it again, or end that session first"
            ) from None
        finally:
            await connection.execute("SELECT pg_advisory_unlock($1)", MIGRATION_LOCK)


async def _run_forwards() -> None:
    # Piccolo prints its progress; it is shown only when something went wrong.
    progress = io.StringIO()
    with contextlib.redirect_stdout(progress):
        result = await run_forwards(app_name="all")
    if not result.success:
        raise MigrationFailed(progress.getvalue() + (result.message or ""))


class MigrationFailed(Exception):
    """A migration could not be applied; the message holds Piccolo's progress."""
