"""What this package adds to the application."""

from koinon.context import Context


class Members(Context):
    """Persons and their consents, plugged into the application."""
