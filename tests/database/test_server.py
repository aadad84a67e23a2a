"""The server that tests run on: none is left behind."""

import asyncio
import os
import sys
from pathlib import Path

import asyncpg

PATIENCE_SECONDS = 240
PROCESS = """
import sys
from tests.server import running_server
with running_server() as url:
    print(url, flush=True)
    sys.stdin.read()
"""


async def test_a_server_ends_with_its_process() -> None:
    """A process of tests that is killed, and so ends nothing, leaves no server and no folder."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROCESS,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    connection = await asyncpg.connect((await process.stdout.readline()).decode().strip())
    folder = Path(await connection.fetchval("SHOW data_directory")).parent
    assert folder.name.startswith("koinon-tests-")

    process.kill()
    await process.wait()

    async with asyncio.timeout(PATIENCE_SECONDS):
        while folder.exists() or not connection.is_closed():  # noqa: ASYNC110  # another process's end has no event
            await asyncio.sleep(0.02)
