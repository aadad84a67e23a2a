"""A member's purchases: what each earned, and for every offer why, or why not."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import asyncpg
import msgspec

from koinon import ids
from koinon.database import Connection
from koinon.fields import BrandName, CurrencyText, PlaceName, named
from koinon.http.cursors import Page, page_of
from offers.catalogue.operations import statements, versions_of
from offers.model import OfferId, OfferName, OfferVersion
from offers.payments.fold import Payment, PaymentState
from offers.purchases.intake import decode_payment
from offers.terms import reason_text

PurchaseId = Annotated[str, named("A purchase", "pur_00qcnjn0p5me581kjpwd75vfknvnwqeeejdqed7")]
State = Literal["pending", "confirmed", "refunded", "cancelled", "declined"]

CANCELLED = frozenset({PaymentState.REVERSED, PaymentState.EXPIRED})
REFUNDED = frozenset({PaymentState.REFUNDED_FULL, PaymentState.ORPHAN_REFUND, PaymentState.DISPUTED})


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """What one offer made of a purchase; `reason` is a stable code and `text` what it means, null when all was well."""

    offer: OfferId
    name: OfferName
    brand: BrandName
    points: Annotated[int, msgspec.Meta(examples=[250])]
    reason: str | None
    text: str | None


class Purchase(msgspec.Struct, frozen=True, kw_only=True):
    """One act of buying, seen at a till, by card, or both.

    `amount_minor` is what was paid and is still expected to be, less what was refunded. `points` count;
    `pending_points` come when the payment is settled, `stated_points` of them are what the
    brand gave at its till by itself, without an offer. `place` and `brand` are null while nobody knows the shop.
    """

    purchase: PurchaseId
    occurred_at: datetime
    place: PlaceName | None
    brand: BrandName | None
    amount_minor: Annotated[int, msgspec.Meta(examples=[2500])]
    currency: CurrencyText
    state: Annotated[State, msgspec.Meta(examples=["confirmed"])]
    seen_at_till: bool
    seen_by_card: bool
    points: Annotated[int, msgspec.Meta(examples=[250])]
    pending_points: Annotated[int, msgspec.Meta(examples=[0])]
    stated_points: Annotated[int, msgspec.Meta(examples=[0])]
    decisions: list[Why]


async def purchases(connection: Connection, account_id: int, after: UUID | None, limit: int) -> Page[Purchase]:
    """Return a page of an account's purchases, the latest recorded first; the cursor is the last one's id."""
    rows = await connection.fetch(statements["purchases"], account_id, after, limit + 1)
    reasons: dict[UUID, list[Why]] = {row["purchase_id"]: [] for row in rows}
    decided = await connection.fetch(statements["decisions"], account_id, list(reasons))
    versions = await versions_of(connection, decided)
    for row in decided:
        reasons[row["purchase_id"]].append(_why(row, versions[row["version_id"]]))

    def name(row: asyncpg.Record) -> str:
        return ids.public_record("pur", account_id, row["purchase_id"])

    def purchase(row: asyncpg.Record) -> Purchase:
        amount_minor, currency, state = _paid(row)
        return Purchase(
            purchase=name(row),
            occurred_at=row["occurred_at"],
            place=row["place"],
            brand=row["brand"],
            amount_minor=amount_minor,
            currency=currency,
            state=state,
            seen_at_till=row["amount_minor"] is not None,
            seen_by_card=row["fold"] is not None,
            points=row["posted"],
            pending_points=row["pending"],
            stated_points=row["stated"],
            decisions=reasons[row["purchase_id"]],
        )

    return page_of(rows, limit, purchase, name)


def _why(row: asyncpg.Record, version: OfferVersion) -> Why:
    return Why(
        offer=ids.public("off", row["offer_id"]),
        name=version.name,
        brand=row["brand"],
        points=row["points"],
        reason=row["reason"],
        text=reason_text(row["reason"]) if row["reason"] else None,
    )


def _paid(row: asyncpg.Record) -> tuple[int, str, State]:
    """Return (minor units, currency, state): by card, which follows the payment to its end, else as the till said."""
    if row["fold"] is None:
        return row["amount_minor"], row["currency"], "confirmed" if row["reversed_at"] is None else "cancelled"
    payment = decode_payment(row["fold"])
    return payment.left_minor, payment.currency, shown_state(payment)


def shown_state(payment: Payment) -> State:
    """Return what a card payment's state is to its member: refunded, when nothing is left of what was paid."""
    if payment.state is PaymentState.DECLINED:
        return "declined"
    if payment.state in CANCELLED:
        return "cancelled"
    if payment.state in REFUNDED and not payment.left_minor:
        return "refunded"
    return "pending" if payment.state is PaymentState.OPEN or payment.left_minor > payment.net_minor else "confirmed"
