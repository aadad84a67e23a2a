"""Where contexts tell of points that are on their way: the core asks all of them and knows none."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from koinon.database import Connection
from koinon.members.model import Pending


class PendingSource(Protocol):
    """Tells which points a member has coming, by brand, in one query."""

    async def __call__(self, connection: Connection, *, account_id: int, member_id: int) -> Sequence[Pending]:
        """Return the points on their way; a brand may come several times."""


class PendingSources:
    """The sources that contexts added to the application."""

    def __init__(self, *sources: PendingSource) -> None:
        self._sources = list(sources)

    def add(self, source: PendingSource) -> None:
        """Let a context tell of pending points; called where it plugs itself into the application."""
        self._sources.append(source)

    def __iter__(self) -> Iterator[PendingSource]:
        """Iterate over the sources in the order in which they came."""
        return iter(self._sources)
