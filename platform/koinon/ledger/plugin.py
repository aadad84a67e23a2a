"""What the ledger adds to the application."""

from collections.abc import Sequence
from pathlib import Path

from koinon.context import Context, Invariants, Job, OpenedProgramme
from koinon.database import Connection
from koinon.ledger.jobs import close_due_windows, expire_due_lots, release_due_holds
from koinon.ledger.operations import open_books


class LedgerContext(Context):
    """The ledger, plugged into the application."""

    async def programme_opened(self, connection: Connection, programme: OpenedProgramme) -> None:
        """Make the programme's unit and its first window."""
        await open_books(connection, programme)

    def functions(self) -> Sequence[Path]:
        """Return the posting functions."""
        return [Path(__file__).with_name(name) for name in ("functions.sql", "views.sql")]

    def invariants(self) -> Sequence[Invariants]:
        """Return the ledger's own."""
        return [Invariants(Path(__file__).with_name("invariants.sql"))]

    def jobs(self) -> Sequence[Job]:
        """Return the close of the night, expiry, and the release of forgotten holds."""
        return [
            Job(name="close windows", run=close_due_windows, idle_seconds=0.5),
            Job(name="expire lots", run=expire_due_lots, idle_seconds=30.0),
            Job(name="release holds", run=release_due_holds, idle_seconds=5.0),
        ]
