"""What this package adds to the application."""

from koinon.context import Context


class Partners(Context):
    """Applications, credentials and the portal, plugged into the application."""
