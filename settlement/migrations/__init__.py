"""Migrations of this context: Piccolo's records over hand-written SQL."""
