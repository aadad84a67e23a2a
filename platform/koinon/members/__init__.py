"""Persons and their consents."""
