"""What this package adds to the application."""

from koinon.context import Context


class Web(Context):
    """The HTTP edge, plugged into the application."""
