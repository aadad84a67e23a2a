"""Right requests about offers."""

from typing import Any

from tests.kit.town import Shop


def offer_body(**changes: Any) -> dict[str, Any]:
    """Return a right offer of 10 points a euro in March 2026, to be switched on."""
    right = {
        "name": "Ten for one",
        "currency": "EUR",
        "earn": {"type": "per_amount", "points": 10, "amount_minor": 100},
        "starts_at": "2026-03-01T00:00:00",
        "ends_at": "2026-04-01T00:00:00",
    }
    return right | changes


async def published(shop: Shop, **changes: Any) -> str:
    """Publish an offer, which must be taken, and return its id."""
    answer = await shop.api.post("/v1/offers", offer_body(**changes))
    assert answer.status_code == 201, answer.text
    offer: str = answer.json()["offer"]
    return offer
