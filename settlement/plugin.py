"""What this package adds to the application."""

from koinon.context import Context


class Settlement(Context):
    """Positions, runs and statements, plugged into the application."""
