"""What requests add to the application."""

from collections.abc import Sequence
from pathlib import Path

from koinon.context import Context


class Idempotency(Context):
    """Requests and their answers, plugged into the application."""

    def functions(self) -> Sequence[Path]:
        """Return the grants of the schema."""
        return [Path(__file__).with_name("functions.sql")]
