"""What the ledger adds to the application."""

from collections.abc import Sequence
from pathlib import Path

from koinon.context import Context


class LedgerContext(Context):
    """The ledger, plugged into the application."""

    def functions(self) -> Sequence[Path]:
        """Return the posting functions."""
        return [Path(__file__).with_name("functions.sql")]
