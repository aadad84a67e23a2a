"""What a context adds to the application: routes, database functions, commands, and work for the worker."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Literal, NamedTuple

import click
import msgspec
from litestar.config.app import AppConfig
from litestar.plugins import InitPlugin

from koinon.database import Connection
from koinon.runtime import Runtime

SLICE_DEADLINE_SECONDS = 300.0
"""How long a slice of a job may take unless it says otherwise: several statements' time-outs."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Work that the worker repeats: `run` does one bounded slice and tells whether there was any.

    After a slice without work the worker pauses for `idle_seconds`. A slice is its own transaction or more, and may
    be cut off at any point and run again: after `deadline_seconds` it is. Several workers may run it at once.
    """

    name: str
    run: Callable[[Runtime], Awaitable[bool]]
    idle_seconds: float
    deadline_seconds: float = SLICE_DEADLINE_SECONDS


class Invariants(NamedTuple):
    """A context's `invariants.sql`: what must hold of each account by itself, or else of each programme."""

    path: Path
    by_account: bool = True


Examine = Callable[[Connection, Sequence[int]], Awaitable[list[str]]]
"""Looks through the books of accounts for what no statement can say; returns what is broken, as `name: finding`."""


class OpenedProgramme(msgspec.Struct, frozen=True, kw_only=True):
    """A programme that is being opened: its ids, and its business date and time as it begins."""

    programme_id: int
    code: str
    mode: Literal["live", "sandbox"]
    unit_id: int
    unit: str
    today: date
    now: datetime


class Context(InitPlugin):
    """A part of the platform that plugs itself into the application; the composition root lists them all."""

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add the context's routes to the application."""
        return app_config

    async def programme_opened(self, connection: Connection, programme: OpenedProgramme) -> None:
        """Make what the context keeps for every programme, in the transaction that opens one."""

    def functions(self) -> Sequence[Path]:
        """Return the `functions.sql` files that every migrate creates again, in order."""
        return ()

    def invariants(self) -> Sequence[Invariants]:
        """Return what the auditor looks for breaks of."""
        return ()

    def examinations(self) -> Sequence[Examine]:
        """Return what else the auditor looks for, account by account."""
        return ()

    def commands(self) -> Sequence[click.Command]:
        """Return the commands that the context adds to `koinon`."""
        return ()

    def jobs(self) -> Sequence[Job]:
        """Return the work that the context gives the worker."""
        return ()
