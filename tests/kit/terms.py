"""The one programme, brand and contract that tests speak of unless they say otherwise, as the platform takes them."""

from datetime import UTC, datetime
from typing import Any

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TODAY = NOW.date()
IBAN = "FI2112345600000785"
S1 = {"price": "0.0100", "fee": "0.0015", "issue_share": "1", "honour": "0.0085"}
"""The contract of all three brands of S-1: 1.00 ct a point issued, 0.15 ct of it the operator's, 0.85 ct honoured."""


def programme_terms(**changes: Any) -> dict[str, Any]:
    """Return what opens a programme: a sandbox in euros whose clock stands at NOW; a live one has none.

    `...` takes a field away.
    """
    right = {
        "code": "league",
        "name": "The League",
        "mode": "sandbox",
        "time_zone": "UTC",
        "settlement_currency": "EUR",
        "face_value_per_point": "0.01",
        "clock_at": ... if changes.get("mode") == "live" else NOW,
    }
    return said(right | changes)


def partner_terms(programme: str, code: str = "grocer", **changes: Any) -> dict[str, Any]:
    """Return what a brand joins a programme with; `...` takes a field away."""
    right = {
        "programme": programme,
        "code": code,
        "brand": code.title(),
        "iban": IBAN,
        "contact_email": f"finance@{code}.example",
    }
    return said(right | changes)


def contract_terms(**changes: Any) -> dict[str, Any]:
    """Return a right first contract, S-1's in euros; `...` takes a field away."""
    return said(S1 | {"currency": "EUR"} | changes)


def said(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that are said."""
    return {name: value for name, value in fields.items() if value is not ...}
