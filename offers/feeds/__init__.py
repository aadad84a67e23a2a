"""Feeds: what payment processors send, read into card messages."""
