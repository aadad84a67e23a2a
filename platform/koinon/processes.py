"""The processes of an installation: web, worker, migration, and all of them at once."""

import fcntl
import os
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels
from litestar import Litestar

from koinon.app import create_app, functions, jobs, runtime_for
from koinon.commands import database_url, require_database, run, settings_or_exit
from koinon.database.embedded import embedded
from koinon.database.migrate import MigrationFailed, migrate
from koinon.keyring import KeysMissing, create
from koinon.logging import configure
from koinon.runtime import Runtime
from koinon.settings import Settings
from koinon.supervision import (
    LOOK_SECONDS,
    PARENT,
    CannotRun,
    Child,
    Supervised,
    end_with_parent,
    watch,
)
from koinon.worker import work

READY_TIMEOUT_SECONDS = 180
STOP_TIMEOUT_SECONDS = 20


@click.command()
def serve() -> None:
    """Serve HTTP: as many processes as KOINON_PROCESSES says."""
    settings = settings_or_exit()
    configure(settings.log_level)
    _runtime_or_exit(settings)
    with database_url(settings) as url:
        os.environ["KOINON_DATABASE_URL"] = url
        # Web processes that cannot begin would be started again and again, each with a traceback.
        run(require_database(url))
        end_with_parent()
        os.environ[PARENT] = str(os.getpid())  # its web processes end with this one
        Granian(
            "koinon.processes:web",
            factory=True,
            interface=Interfaces.ASGI,
            address=settings.host,
            port=settings.port,
            workers=settings.processes,
            log_level=LogLevels.warning,
            respawn_failed_workers=True,
        ).serve()


def web() -> Litestar:
    """Return the application of a web process, which ends with the process that started it; granian calls it."""
    end_with_parent()
    return create_app()


@click.command("worker")
def worker_command() -> None:
    """Work: take in card messages, log, mail, close the night. Run as many as you like."""
    settings = settings_or_exit()
    configure(settings.log_level)
    runtime = _runtime_or_exit(settings)
    with database_url(settings) as url:
        run(require_database(url))
        end_with_parent()
        run(work(runtime, jobs(), url))


@click.command("migrate")
def migrate_command() -> None:
    """Bring the database to this release; safe to run from several machines at once."""
    settings = settings_or_exit()
    with database_url(settings) as url:
        _migrate_or_exit(settings.migration_url or url)
    click.echo("the database is at this release")


@click.command()
def up() -> None:
    """Run all of it: the embedded database, migrations, web and worker; what ends is started again."""
    settings = settings_or_exit()
    try:
        with running(settings) as installation:
            address = installation.address
            click.echo(f"web        {address}\nAPI        {address}/schema\nlog        {address}/log/checkpoint")
            click.echo("Ctrl-C stops everything; what was recorded stays in " + str(settings.folder))
            installation.failed.wait()
    except KeyboardInterrupt:
        click.echo("stopped")


class Installation:
    """What runs: the address that people see, and what is looked after behind it."""

    def __init__(self, address: str, supervised: Sequence[Supervised]) -> None:
        self.address = address
        self.failed = threading.Event()
        self.failure: CannotRun | None = None
        self._supervised = supervised
        self._stopping = threading.Event()
        self._watching = threading.Thread(target=self._watch, name="supervision", daemon=True)

    def begin(self) -> None:
        """Start everything."""
        for each in self._supervised:
            each.begin(time.monotonic())

    def look_after(self) -> None:
        """Start again, from now on, what ends."""
        self._watching.start()

    def require_begun(self) -> None:
        """Raise click.ClickException for what ended before it was ready: to start it again would end the same way."""
        for each in self._supervised:
            if (how := each.ended()) is not None:
                raise click.ClickException(f"{each.name} ended with {how}; its last lines say why")

    def stop(self) -> None:
        """Look after nothing any more, and stop the processes."""
        self._stopping.set()
        if self._watching.is_alive():
            self._watching.join()
        children = [each for each in self._supervised if isinstance(each, Child)]
        for child in children:
            child.stop()
        for child in children:
            child.wait(STOP_TIMEOUT_SECONDS)

    def require_running(self) -> None:
        """Raise click.ClickException when something ended again and again."""
        if self.failure is not None:
            raise click.ClickException(f"{self.failure}; its last lines say why")

    def _watch(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            try:
                watch(self._supervised, lambda line: click.echo(line, err=True))
            except CannotRun as failure:
                self.failure = failure
                self.failed.set()
                return


@contextmanager
def running(settings: Settings) -> Iterator[Installation]:
    """Run an installation as long as the block runs, and yield it once it is ready.

    Raises click.ClickException when its port or its folder is somebody else's, or when what it needs does not run.
    """
    _require_free_port(settings)
    with _folder_lock(settings.folder), ExitStack() as stack:
        create(settings.keys_folder)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _interrupt)
        supervised: list[Supervised] = []
        url = settings.database_url
        if url is None:
            server = stack.enter_context(embedded(settings.folder))
            url = server.url
            supervised.append(Supervised("the database", server.start, server.ended))
        _migrate_or_exit(settings.migration_url or url)
        environment = os.environ | {"KOINON_DATABASE_URL": url} | _given(settings)
        supervised += [
            Child(f"koinon {name}", [sys.executable, "-m", "koinon", name], environment) for name in ("serve", "worker")
        ]
        installation = Installation(settings.base_url, supervised)
        try:
            installation.begin()
            _await_ready(settings, installation)
            installation.look_after()
            yield installation
            installation.require_running()
        finally:
            installation.stop()


@contextmanager
def _folder_lock(folder: Path) -> Iterator[None]:
    # Two installations in one folder would share keys, log and database, and neither would know of the other.
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            told = f"another installation runs in {folder}: end it, or name another folder with KOINON_FOLDER"
            raise click.ClickException(told) from None
        yield


def _given(settings: Settings) -> dict[str, str]:
    values = {name: getattr(settings, name) for name in settings.__struct_fields__ if name != "database_url"}
    return {
        f"KOINON_{name.upper()}": ("true" if value else "") if isinstance(value, bool) else str(value)
        for name, value in values.items()
        if value is not None
    }


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _require_free_port(settings: Settings) -> None:
    # Whoever listens there would answer for us, and nobody would notice that our own process could not.
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            told = f"{settings.host}:{settings.port} is not free ({error}): end what listens there, or set KOINON_PORT"
            raise click.ClickException(told) from None


def _await_ready(settings: Settings, installation: Installation) -> None:
    # Where it listens, and not where the world sees it: a proxy in front may not be there yet.
    address = f"http://{settings.host}:{settings.port}"
    deadline = time.monotonic() + READY_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        installation.require_begun()
        try:
            with urllib.request.urlopen(f"{address}/ready", timeout=2) as answer:  # noqa: S310  # our own address
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise click.ClickException(f"{address}/ready did not answer within {READY_TIMEOUT_SECONDS} seconds")


def _runtime_or_exit(settings: Settings) -> Runtime:
    try:
        return runtime_for(settings)
    except KeysMissing as error:
        raise click.ClickException(str(error)) from None


def _migrate_or_exit(url: str) -> None:
    try:
        run(migrate(url, functions()))
    except MigrationFailed as error:
        raise click.ClickException(f"the migration failed; nothing of it stands:\n{error}") from None


__all__ = ["migrate_command", "running", "serve", "up", "worker_command"]
