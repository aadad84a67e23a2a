"""Card messages, offers and facts that the tests of offers share."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from koinon.places.model import Resolution
from offers.feeds.messages import CardMessage
from offers.feeds.reading import RefusedMessage, read_message
from offers.model import Activation, OfferVersion, PointsPerAmount
from offers.payments.fold import Payment, fold
from offers.rewarding.decisions import Decision, PlaceFacts, card_facts, decide

HELSINKI = PlaceFacts(place_id=7, partner="grocer", time_zone="Europe/Helsinki")
LINKED_AT = datetime(2026, 1, 1, tzinfo=UTC)
ACTIVATED_AT = datetime(2026, 1, 2, tzinfo=UTC)
NETWORK_ID = "461234567890123"
ARN = "7411111606100000000001"
LATER = "2026-03-04T05:00:00Z"


def body(kind: str = "authorisation", amount_minor: int = 5000, **fields: Any) -> dict[str, Any]:
    """Return a message as a processor sends it; a field that is None is left out."""
    sent = {
        "message_id": f"{kind}-{amount_minor}",
        "type": kind,
        "occurred_at": "2026-03-02T10:00:00Z",
        "network": "visa",
        "network_transaction_id": NETWORK_ID,
        "amount_minor": amount_minor,
        "currency": "EUR",
        "mcc": "5411",
        "merchant": {"mid": "000123", "acquirer_id": "400012", "descriptor": "GROCER 12 HELSINKI"},
        "card_token": "tok_a",
    }
    return {name: value for name, value in (sent | fields).items() if value is not None}


def message(
    kind: str = "authorisation", amount_minor: int = 5000, *, source: str = "src_a", **fields: Any
) -> CardMessage:
    """Return a canonical message, read as its feed reads it."""
    read = read_message(msgspec.json.encode(body(kind, amount_minor, **fields)), source)
    assert not isinstance(read, RefusedMessage), read
    return read


def version(**changes: Any) -> OfferVersion:
    """Return an offer of 10 points for each whole unit of money, at all of the grocer's places, all year."""
    offer = OfferVersion(
        offer_id=1,
        version_id=11,
        partner="grocer",
        name="Ten for one",
        currency="EUR",
        earn=PointsPerAmount(points=10, amount_minor=100),
        starts_at=datetime(2026, 1, 1),  # noqa: DTZ001  # the place's own time
        ends_at=datetime(2027, 1, 1),  # noqa: DTZ001  # the place's own time
    )
    return msgspec.structs.replace(offer, **changes)


def activation(of: OfferVersion, at: datetime = ACTIVATED_AT) -> Activation:
    """Return the activation that froze a version."""
    return Activation(version_id=of.version_id, activated_at=at)


def decided(payment: Payment, offer: OfferVersion | None = None, place: PlaceFacts | None = HELSINKI) -> Decision:
    """Return the decision on a payment by an activated offer, the card linked since the new year."""
    offer = offer or version()
    resolution = Resolution(place.place_id) if place else Resolution(None, None, "unknown-place")
    return decide(card_facts(payment, resolution, place, LINKED_AT), activation(offer), offer)


def points(*messages: CardMessage, offer: OfferVersion | None = None) -> tuple[int, int]:
    """Return the (pending, confirmed) points that one payment's messages are worth."""
    decision = decided(fold(messages), offer)
    return decision.pending_points, decision.confirmed_points


def amounts(payment: Payment) -> dict[str, int]:
    """Return the amounts of a payment that are not zero, by short name."""
    names = (
        "authorised",
        "open",
        "cleared",
        "refunded",
        "refund_excess",
        "charged_back",
        "net",
        "confirmed",
        "pending",
    )
    return {name: amount for name in names if (amount := getattr(payment, f"{name}_minor"))}


def leg(number: int, amount_minor: int, count: int | None = None) -> CardMessage:
    """Return one of a payment's clearings."""
    return message(
        "clearing",
        amount_minor,
        message_id=f"leg-{number}",
        occurred_at=LATER,
        clearing_sequence=number,
        clearing_count=count,
        arn=f"{ARN}{number}",
    )


def refund(amount_minor: int, **fields: Any) -> CardMessage:
    """Return a refund that names its purchase."""
    named = {"network_transaction_id": None, "original_network_transaction_id": NETWORK_ID, "occurred_at": LATER}
    return message("refund", amount_minor, **(named | fields))


A_LEG_TAKEN_BACK = [
    message("clearing", 1, clearing_sequence=1),
    *(message(amount_minor=1, message_id=f"try-{number}") for number in range(4)),
    message("clearing_reversal", 1),
]
"""Of four authorisations of 1 a first leg was cleared and reversed: 3 are expected still."""
