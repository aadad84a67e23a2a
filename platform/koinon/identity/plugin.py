"""What this package adds to the application."""

from koinon.context import Context


class Identity(Context):
    """Tokens, sessions and guards, plugged into the application."""
