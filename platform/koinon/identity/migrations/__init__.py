"""Migrations of this package: Piccolo's records over hand-written SQL."""
