"""Payments: what all card messages about one of them say together."""
