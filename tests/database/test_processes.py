"""`koinon serve`, `worker` and `migrate` on a database that they cannot use: one line says why, and what to do."""

import asyncio
import errno
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from click.testing import CliRunner

from koinon import keyring
from koinon.__main__ import cli
from koinon.settings import Settings
from tests.web.demo.running import ROOT

COMMANDS = ("serve", "worker", "migrate")
PATIENCE_SECONDS = 240
STRANGER = "test_stranger"
SET = "KOINON_DATABASE_URL (or KOINON_MIGRATION_URL)"
NOBODY = "postgresql://127.0.0.1:1/none"
AWAY = (
    f"Error: the database cannot be reached ([Errno {errno.ECONNREFUSED}] Connect call failed ('127.0.0.1', 1)): "
    f"start it, or mend {SET}\n"
)


@pytest.fixture
def koinon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """Give what runs commands on an installation that has its keys."""
    keyring.create(Settings(folder=tmp_path).keys_folder)
    monkeypatch.setenv("KOINON_FOLDER", str(tmp_path))
    # It binds this process's logs to the streams of one command.
    monkeypatch.setattr("koinon.processes.configure", lambda _: None)
    return CliRunner()


@pytest.fixture
async def wrong_password(server_url: str) -> AsyncIterator[str]:
    """Let the server ask one user for a password, and give the URL with a wrong one."""
    owner = await asyncpg.connect(server_url)
    rules = Path(await owner.fetchval("SHOW hba_file"))
    before = await asyncio.to_thread(rules.read_bytes)
    await owner.execute(f"CREATE ROLE {STRANGER} LOGIN PASSWORD 'right'")
    await asyncio.to_thread(rules.write_bytes, f"local all {STRANGER} scram-sha-256\n".encode() + before)
    url = server_url.replace("//postgres:@", f"//{STRANGER}:wrong@")
    await owner.execute("SELECT pg_reload_conf()")
    await until_refused(url)
    yield url
    await asyncio.to_thread(rules.write_bytes, before)
    await owner.execute("SELECT pg_reload_conf()")
    await owner.execute(f"DROP ROLE {STRANGER}")
    await owner.close()


async def until_refused(url: str) -> None:
    """Wait until the server has read its rules again, and asks for the password."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            await (await asyncpg.connect(url)).close()
        except asyncpg.InvalidPasswordError:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the server takes any password")


@pytest.fixture
async def not_migrated(server_url: str) -> AsyncIterator[str]:
    """Give the URL of a database with nothing in it."""
    server = await asyncpg.connect(server_url)
    await server.execute("CREATE DATABASE test_bare TEMPLATE template0")
    yield server_url.replace("/postgres?", "/test_bare?")
    await server.execute("DROP DATABASE test_bare WITH (FORCE)")
    await server.close()


def told(koinon: CliRunner, command: str, url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a command that must end with exit code 1 and nothing but an error, and return the error."""
    monkeypatch.setenv("KOINON_DATABASE_URL", url)
    done = koinon.invoke(cli, [command])
    assert (done.exit_code, done.stdout, type(done.exception)) == (1, "", SystemExit), done.output
    return done.stderr


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("url", ["nonsense", "postgresql://u:secret/7@127.0.0.1:1/x", "mysql://u:secret@127.0.0.1/x"])
def test_a_url_that_is_none(koinon: CliRunner, command: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process ends with how to write it, and does not repeat what may be a password."""
    assert told(koinon, command, url, monkeypatch) == (
        f"Error: the database's URL cannot be read: write {SET} as postgresql://USER:PASSWORD@HOST:PORT/NAME, "
        "with what is neither letter nor digit in a password as %XX\n"
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_a_database_that_is_away(koinon: CliRunner, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens: each process ends and says at which address, and what to do."""
    assert told(koinon, command, NOBODY, monkeypatch) == AWAY


@pytest.mark.parametrize("command", COMMANDS)
def test_a_database_that_is_not_there(
    koinon: CliRunner, command: str, server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server answers and has no such database."""
    assert told(koinon, command, server_url.replace("/postgres?", "/nowhere?"), monkeypatch) == (
        f'Error: the database cannot be reached (database "nowhere" does not exist): start it, or mend {SET}\n'
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_password(
    koinon: CliRunner, command: str, wrong_password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each process ends and says whom the server refused and what to mend, and repeats no password."""
    assert told(koinon, command, wrong_password, monkeypatch) == (
        f'Error: the database refuses who signs in (password authentication failed for user "{STRANGER}"): '
        f"mend the user and the password in {SET}\n"
    )


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_a_database_that_is_not_migrated(
    koinon: CliRunner, command: str, not_migrated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The web and the worker end, and say what to run first."""
    error = told(koinon, command, not_migrated, monkeypatch)
    assert error.startswith("Error: the database is not migrated (")
    assert error.endswith("): run `koinon migrate`\n")
    assert error.count("\n") == 1


def test_the_web_does_not_start_again_and_again(tmp_path: Path) -> None:
    """As a process of its own too it ends with the one line: no web process begins that could only fail."""
    keyring.create(Settings(folder=tmp_path).keys_folder)
    done = subprocess.run(
        [sys.executable, "-m", "koinon", "serve"],
        cwd=ROOT,
        env=os.environ | {"KOINON_DATABASE_URL": NOBODY, "KOINON_FOLDER": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "", AWAY)
