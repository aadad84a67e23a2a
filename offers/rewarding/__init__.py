"""Rewarding: what a purchase earns by its offers, decided and posted."""
