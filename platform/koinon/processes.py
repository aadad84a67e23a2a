"""The processes of an installation: web, worker, migration, and all of them at once."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import click
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from koinon.app import functions, jobs, runtime_of
from koinon.commands import database_url, require_database, run, settings_or_exit
from koinon.database.migrate import MigrationFailed, migrate
from koinon.identity.keys import KeysMissing, create
from koinon.logging import configure
from koinon.runtime import Runtime
from koinon.settings import Settings
from koinon.worker import work

READY_TIMEOUT_SECONDS = 180
LOOK_SECONDS = 0.5
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
        Granian(
            "koinon.app:create_app",
            factory=True,
            interface=Interfaces.ASGI,
            address=settings.host,
            port=settings.port,
            workers=settings.processes,
            log_level=LogLevels.warning,
            respawn_failed_workers=True,
        ).serve()


@click.command("worker")
def worker_command() -> None:
    """Work: take in card messages, log, mail, close the night. Run as many as you like."""
    settings = settings_or_exit()
    configure(settings.log_level)
    runtime = _runtime_or_exit(settings)
    with database_url(settings) as url:
        run(require_database(url))
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
    """Run all of it: the embedded database, migrations, web and worker."""
    settings = settings_or_exit()
    try:
        with running(settings) as installation:
            address = installation.address
            click.echo(f"web        {address}\nAPI        {address}/schema\nlog        {address}/log/checkpoint")
            click.echo("Ctrl-C stops everything; what was recorded stays in " + str(settings.folder))
            while True:
                installation.require_alive()
                time.sleep(LOOK_SECONDS)
    except KeyboardInterrupt:
        click.echo("stopped")


class Installation(NamedTuple):
    """What runs: the address that people see, and the processes behind it."""

    address: str
    children: dict[str, subprocess.Popen[bytes]]

    def require_alive(self) -> None:
        """Raise click.ClickException when a process has ended."""
        for name, child in self.children.items():
            if child.poll() is not None:
                raise click.ClickException(f"koinon {name} ended with {child.returncode}; its last lines say why")


@contextmanager
def running(settings: Settings) -> Iterator[Installation]:
    """Run an installation as long as the block runs, and yield it once it is ready.

    Raises click.ClickException when its port is somebody else's, or when a process ends before it is ready.
    """
    _require_free_port(settings)
    create(settings.keys_folder)
    signal.signal(signal.SIGTERM, _interrupt)
    with database_url(settings) as url:
        _migrate_or_exit(settings.migration_url or url)
        environment = os.environ | {"KOINON_DATABASE_URL": url} | _given(settings)
        children = {
            name: subprocess.Popen([sys.executable, "-m", "koinon", name], env=environment)  # noqa: S603  # our own command
            for name in ("serve", "worker")
        }
        installation = Installation(settings.base_url, children)
        try:
            _await_ready(settings, installation)
            yield installation
        finally:
            _stop(list(children.values()))


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
        installation.require_alive()
        try:
            with urllib.request.urlopen(f"{address}/ready", timeout=2) as answer:  # noqa: S310  # our own address
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise click.ClickException(f"{address}/ready did not answer within {READY_TIMEOUT_SECONDS} seconds")


def _stop(children: list[subprocess.Popen[bytes]]) -> None:
    for child in children:
        if child.poll() is None:
            child.terminate()
    for child in children:
        try:
            child.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _runtime_or_exit(settings: Settings) -> Runtime:
    try:
        return runtime_of(settings)
    except KeysMissing as error:
        raise click.ClickException(str(error)) from None


def _migrate_or_exit(url: str) -> None:
    try:
        run(migrate(url, functions()))
    except MigrationFailed as error:
        raise click.ClickException(f"the migration failed; nothing of it stands:\n{error}") from None


__all__ = ["migrate_command", "running", "serve", "up", "worker_command"]
