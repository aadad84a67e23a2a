"""The core that every context of Koinon stands on."""

__version__ = "0.1.0"
