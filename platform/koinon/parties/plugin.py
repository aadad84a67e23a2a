"""What this package adds to the application."""

from koinon.context import Context


class Parties(Context):
    """Programmes, partners and contracts, plugged into the application."""
