"""What members add to the application."""

from collections.abc import Sequence
from pathlib import Path

from koinon.context import Context


class Members(Context):
    """Persons and their consents, plugged into the application."""

    def functions(self) -> Sequence[Path]:
        """Return the grants of the members' schema."""
        return [Path(__file__).with_name("functions.sql")]
