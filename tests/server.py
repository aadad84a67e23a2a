"""A PostgreSQL server for one process of a test run. It ends when that process does, however that ends.

A server each, and not one for all: a window closes when no older transaction runs anywhere on the server, so a test
would wait for what another process's tests hold open.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from koinon.database.embedded import TUNING, embedded_server

# No server outlives its tests: what a crash of the whole machine would keep is not tested.
BRITTLE = TUNING | {"fsync": "off", "full_page_writes": "off"}


@contextmanager
def running_server() -> Iterator[str]:
    """Start a server and yield its URL.

    A process of its own keeps it, and reads a pipe that ends with this process, were it by SIGKILL. It leads a session,
    so that Ctrl-C reaches the tests alone, which still need the server to end in order.
    """
    keeper = subprocess.Popen(
        [sys.executable, "-m", "tests.server"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with keeper:
        assert keeper.stdout is not None
        url = keeper.stdout.readline().strip()
        assert url, "no PostgreSQL server started; what stands above says why"
        yield url


def keep() -> None:
    """Run a server in a folder of its own, say its URL, and stop it at the end of the input."""
    # Not in pytest's own folder: the next pytest to start closes that to other users, and the server, which runs as
    # one of them when the tests run as root, would lose its data under its feet.
    with (
        tempfile.TemporaryDirectory(prefix="koinon-tests-") as folder,
        embedded_server(Path(folder), BRITTLE) as url,
    ):
        print(url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    keep()
