"""An installation to drive: started here with a mail server of its own, or one that runs already; and its operators."""

import asyncio
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from koinon.commands import settings_or_exit
from koinon.processes import running
from koinon.settings import Settings
from load_tests.driver.callers import Machine
from load_tests.driver.connection import Connection, DriveError


class OperatorNotMade(DriveError):
    """`koinon keys operator` did not make an operator; its own words say why."""


Result = TypeVar("Result")


def settings_with(**given: str | None) -> Settings:
    """Return the settings of this process with some of them given, for its children too; ends the command when wrong.

    They go through the environment, where every process of the installation reads them.
    """
    os.environ.update({f"KOINON_{name.upper()}": value for name, value in given.items() if value is not None})
    return settings_or_exit()


@contextmanager
def started(settings: Settings) -> Iterator[str]:
    """Run an installation as long as the block runs, and yield its address."""
    with running(settings) as installation:
        yield installation.address


def driven(runner: asyncio.Runner, drive: Coroutine[Any, Any, Result]) -> Result:
    """Run a drive; what it cannot get over ends the command with its one sentence."""
    try:
        return runner.run(drive)
    except (DriveError, BaseExceptionGroup) as error:
        first = error
        while isinstance(first, BaseExceptionGroup):
            # Of calls that ran side by side, the first that failed ended the others.
            first = first.exceptions[0]
        if isinstance(first, DriveError):
            raise click.ClickException(str(first)) from error
        raise


def answers(address: str) -> bool:
    """Tell whether an installation is ready at an address."""
    try:
        with urllib.request.urlopen(f"{address}/ready", timeout=2) as answer:  # noqa: S310  # the settings' own address
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


async def new_operator(connection: Connection, path: Path, *, email: str, name: str) -> Machine:
    """Make an operator's key as `koinon keys operator` does, on this machine, and return its API.

    Who is known by the address already gets one more key; `path` must not exist. Raises OperatorNotMade.
    """
    arguments = ("keys", "operator", "--email", email, "--name", name, "--out", str(path))
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "koinon", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    told, _ = await child.communicate()
    if child.returncode != 0:
        raise OperatorNotMade(told.decode().strip())
    return Machine.from_file(connection, path)
