"""What this package adds to the application."""

from koinon.context import Context


class Audit(Context):
    """The log, plugged into the application."""
