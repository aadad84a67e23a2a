"""`koinon up`: an installation that cannot run says so, and one whose process dies does not pretend to run."""

import asyncio
import os
import signal
import socket
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.web.demo.running import free_port

STARTED_SECONDS = 240


async def up(**environment: str) -> asyncio.subprocess.Process:
    """Start `koinon up` with settings, its words on one pipe."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "koinon", "up",
        env=os.environ | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip


async def words(process: asyncio.subprocess.Process) -> str:
    """Return everything that a process says until it ends."""
    told, _ = await asyncio.wait_for(process.communicate(), STARTED_SECONDS)
    return told.decode()


def children_of(parent: int) -> dict[int, bytes]:
    """Return the command lines of what a process started; any of its threads may have."""
    lists = (path.read_text(encoding="utf-8") for path in Path(f"/proc/{parent}/task").glob("*/children"))
    found = [int(each) for listed in lists for each in listed.split()]
    return {each: Path(f"/proc/{each}/cmdline").read_bytes() for each in found}


async def child_of(parent: int, word: bytes) -> int:
    """Return the process that another one started with a word in its command, once it has that command."""
    deadline = time.monotonic() + STARTED_SECONDS
    while time.monotonic() < deadline:
        for child, command in children_of(parent).items():
            if word in command:
                return child
        await asyncio.sleep(0.05)
    raise AssertionError(f"no child with {word!r}")


def made_in(folder: Path) -> list[Path]:
    """Return what stands in a folder."""
    return list(folder.iterdir())


async def test_a_port_that_somebody_has(tmp_path: Path) -> None:
    """It is named before anything is made: no database, no keys, and nobody else's answer is taken for ours."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = await up(KOINON_FOLDER=str(tmp_path), KOINON_PORT=str(port))
        told = await words(process)

    assert process.returncode == 1
    assert told.startswith(f"Error: 127.0.0.1:{port} is not free (")
    assert told.rstrip().endswith("end what listens there, or set KOINON_PORT")
    assert made_in(tmp_path) == []


async def line_of(process: asyncio.subprocess.Process, words: bytes) -> bytes:
    """Return the next line that holds some words."""
    assert process.stdout is not None
    while words not in (line := await asyncio.wait_for(process.stdout.readline(), STARTED_SECONDS)):
        assert line, "it ended before"
    return line


async def until_free(port: int) -> None:
    """Wait until nobody listens at a port any more."""
    deadline = time.monotonic() + STARTED_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            await asyncio.sleep(0.05)
        else:
            return
    raise AssertionError("somebody listens still")


children_are_found = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="children are found by Linux's /proc"
)


@children_are_found
async def test_a_process_that_dies(tmp_path: Path, database_url: str) -> None:
    """It is started again, and a line says so; all the rest runs on."""
    port = free_port()
    process = await up(KOINON_FOLDER=str(tmp_path), KOINON_PORT=str(port), KOINON_DATABASE_URL=database_url)
    await line_of(process, b"Ctrl-C")
    web, worker = await child_of(process.pid, b"serve"), await child_of(process.pid, b"worker")
    os.kill(worker, signal.SIGKILL)
    ended = await line_of(process, b"koinon worker ended")
    again = await line_of(process, b"koinon worker was")

    assert ended == b"koinon worker ended with signal SIGKILL: it is started again in 1 s\n"
    assert again == b"koinon worker was started again\n"
    assert await child_of(process.pid, b"serve") == web
    assert await child_of(process.pid, b"worker") != worker
    process.send_signal(signal.SIGHUP)
    assert (await words(process)).endswith("stopped\n")
    await until_free(port)


@children_are_found
async def test_children_end_with_their_parent(tmp_path: Path, database_url: str) -> None:
    """A parent that is killed tells nobody; its children see that it has gone, and free the port."""
    port = free_port()
    process = await up(KOINON_FOLDER=str(tmp_path), KOINON_PORT=str(port), KOINON_DATABASE_URL=database_url)
    await line_of(process, b"Ctrl-C")
    process.kill()
    await process.wait()

    await until_free(port)


@children_are_found
async def test_a_folder_that_somebody_has(tmp_path: Path, database_url: str) -> None:
    """Two installations in one folder would share keys and log: the second one ends and says so."""
    given = {"KOINON_FOLDER": str(tmp_path), "KOINON_DATABASE_URL": database_url}
    first = await up(KOINON_PORT=str(free_port()), **given)
    await line_of(first, b"Ctrl-C")
    second = await up(KOINON_PORT=str(free_port()), **given)
    told = await words(second)

    assert second.returncode == 1
    assert (
        told == f"Error: another installation runs in {tmp_path}: end it, or name another folder with KOINON_FOLDER\n"
    )
    first.send_signal(signal.SIGINT)
    await words(first)


@children_are_found
async def test_an_embedded_database_that_dies(tmp_path: Path) -> None:
    """Its server is started again under the same installation, which then serves as before."""
    port = free_port()
    process = await up(KOINON_FOLDER=str(tmp_path), KOINON_PORT=str(port))
    await line_of(process, b"Ctrl-C")
    postmaster = int((tmp_path / "postgresql" / "postmaster.pid").read_text(encoding="utf-8").split()[0])
    os.kill(postmaster, signal.SIGKILL)
    await line_of(process, b"the database was started again")

    transport = httpx.AsyncHTTPTransport(retries=3)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", transport=transport) as client:
        assert (await client.get("/ready")).status_code == 200
    process.send_signal(signal.SIGTERM)
    assert (await words(process)).endswith("stopped\n")
    assert process.returncode == 0
