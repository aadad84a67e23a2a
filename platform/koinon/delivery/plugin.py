"""What this package adds to the application."""

from koinon.context import Context


class Delivery(Context):
    """Mail, plugged into the application."""
