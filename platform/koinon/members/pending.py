"""Where contexts tell of points that are on their way: the core asks all of them and knows none."""

from collections.abc import Sequence
from typing import Protocol

from litestar.config.app import AppConfig
from litestar.datastructures import State

from koinon.database import Connection
from koinon.members.model import Pending

SOURCES = "pending_sources"


class PendingSource(Protocol):
    """Tells which points a member has coming, by brand, in one query."""

    async def __call__(self, connection: Connection, *, account_id: int, member_id: int) -> Sequence[Pending]:
        """Return the points on their way; a brand may come several times."""


def add_pending_source(app_config: AppConfig, source: PendingSource) -> None:
    """Let a context tell of pending points; called where it plugs itself into the application."""
    app_config.state.setdefault(SOURCES, []).append(source)


def pending_sources(state: State) -> Sequence[PendingSource]:
    """Return the sources that contexts added to the application."""
    sources: Sequence[PendingSource] = state.get(SOURCES, [])
    return sources
