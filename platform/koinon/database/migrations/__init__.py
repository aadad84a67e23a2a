"""Migrations of the core: Piccolo's records over hand-written SQL."""
