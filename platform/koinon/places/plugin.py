"""What this package adds to the application."""

from koinon.context import Context


class Places(Context):
    """Places and their network identities, plugged into the application."""
