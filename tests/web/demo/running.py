"""Runs the `koinon` command as a user does, on an installation in a folder of its own."""

import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TIMEOUT_SECONDS = 540


# A server takes its port seconds after it was found free. Below this, no system gives ports of its own choice to the
# connections that other tests open meanwhile.
PORTS = range(10_000, 32_000)


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextmanager
def installation() -> Iterator[dict[str, str]]:
    """Give the environment of an installation that does not exist yet.

    Not in pytest's own folder: as root, the embedded server runs as a user whom pytest's next run locks out of it.
    """
    with tempfile.TemporaryDirectory(prefix="koinon-tests-") as folder:
        given = {name: value for name, value in os.environ.items() if not name.startswith("KOINON_")}
        yield given | {"KOINON_FOLDER": folder, "KOINON_PORT": str(free_port()), "COLUMNS": "200"}


def koinon(environment: dict[str, str], *arguments: str) -> str:
    """Run `koinon` with arguments and return what it printed; fails the test when it does not end well."""
    done = subprocess.run(
        [sys.executable, "-m", "koinon", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout
