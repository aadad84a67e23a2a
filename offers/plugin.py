"""What this package adds to the application."""

from koinon.context import Context


class Offers(Context):
    """Cards, feeds, purchases, offers and rewards, plugged into the application."""
