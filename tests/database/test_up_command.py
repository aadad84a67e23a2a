"""`koinon up`: an installation that cannot run says so, and one whose process dies does not pretend to run."""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

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


def child_of(parent: int, word: bytes) -> int:
    """Return the process that another one started with a word in its command."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="utf-8").split()
    return next(int(each) for each in children if word in Path(f"/proc/{each}/cmdline").read_bytes())


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


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are found by Linux's /proc")
async def test_a_process_that_dies(tmp_path: Path, database_url: str) -> None:
    """The rest is stopped, and the command ends saying which one it was."""
    port = free_port()
    process = await up(KOINON_FOLDER=str(tmp_path), KOINON_PORT=str(port), KOINON_DATABASE_URL=database_url)
    assert process.stdout is not None
    while not (line := await asyncio.wait_for(process.stdout.readline(), STARTED_SECONDS)).startswith(b"Ctrl-C"):
        assert line, "it ended before it was up"
    os.kill(child_of(process.pid, b"worker"), signal.SIGKILL)
    told = await words(process)

    assert process.returncode == 1
    assert "Error: koinon worker ended with -9; its last lines say why" in told
    with socket.create_server(("127.0.0.1", port)):
        pass  # nobody listens there any more
