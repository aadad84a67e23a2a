"""Rewards: of all that a purchase could earn, what it does earn.

A purchase may be seen at a till and by card, and several offers may fit it. Within a stack group the member gets the
one reward that is best for them; different groups add up. The choice depends on what is known, never on what came
first: when more becomes known the winner may change, and the ledger is given the difference.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import msgspec

from koinon.places.model import identifier
from offers.feeds.messages import MessageType
from offers.model import DEFAULT_STACK_GROUP, OfferVersion
from offers.payments.fold import Payment
from offers.rewarding.decisions import Decision, Limit, PurchaseSeen

STACKED_OUT = "stacked-out"
TENDER_SPAN = timedelta(days=1)
"""How far apart a till and a card may date one purchase."""
TENDER_SPAN_CLEARING = timedelta(days=35)
"""The same when only the clearing is known, which happens days after the purchase."""

_ALWAYS = datetime.min.replace(tzinfo=UTC)


class Contender(msgspec.Struct, frozen=True, kw_only=True):
    """One reward that a purchase could earn: by an offer's decision, or as a brand's till stated it (no offer)."""

    seen: PurchaseSeen
    partner: str
    confirmed_points: int
    pending_points: int = 0
    stack_group: str = DEFAULT_STACK_GROUP
    offer_id: int = 0
    activated_at: datetime | None = None
    decision: Decision | None = None

    @property
    def points(self) -> int:
        """The points that the member gets in the end, as far as is known."""
        return self.confirmed_points + self.pending_points


class Reward(msgspec.Struct, frozen=True):
    """What a purchase earns: one winner for each stack group that earns anything, and those that lost to them."""

    winners: tuple[Contender, ...]
    stacked_out: tuple[Contender, ...]


class TillSighting(msgspec.Struct, frozen=True, kw_only=True):
    """What a till said about how a purchase was paid; `occurred_at` is aware."""

    card_token: str | None = None
    source_id: str | None = None
    par: str | None = None
    auth_code: str
    place_id: int
    amount_minor: int
    currency: str
    occurred_at: datetime


def contender(decision: Decision, version: OfferVersion) -> Contender:
    """Return the contender that an offer's decision puts up."""
    return Contender(
        seen=decision.facts.seen,
        partner=version.partner,
        confirmed_points=decision.confirmed_points,
        pending_points=decision.pending_points,
        stack_group=version.stack_group,
        offer_id=version.offer_id,
        activated_at=decision.activation.activated_at if decision.activation else None,
        decision=decision,
    )


def reward(contenders: Iterable[Contender]) -> Reward:
    """Return what one purchase earns.

    Most points win; of equal ones the earlier activation (what needs none was always on), then the lower offer id,
    then what is confirmed, then the till. A contender without points neither wins nor loses: its decision has its own
    reason.
    """
    winners: dict[str, Contender] = {}
    ranked = sorted((each for each in contenders if each.points > 0), key=_preference)
    losers = [each for each in ranked if winners.setdefault(each.stack_group, each) is not each]
    return Reward(tuple(winners[group] for group in sorted(winners)), tuple(map(_stacked_out, losers)))


def is_same_purchase(sighting: TillSighting, payment: Payment, place_id: int | None) -> bool:
    """Return whether a till's tender and a card payment are one purchase.

    The card and the authorisation code must agree (codes repeat, so never alone), the place too, or while the payment's
    place is unknown (`place_id` None) the amount; and the times must be near.
    """
    by_token = sighting.card_token is not None and (sighting.source_id, sighting.card_token) in payment.card_tokens
    by_account = sighting.par is not None and sighting.par in payment.pars
    code = identifier(sighting.auth_code)
    if not (by_token or by_account) or not code or code not in map(identifier, payment.auth_codes):
        return False
    if place_id is not None:
        agrees = sighting.place_id == place_id
    else:
        paid = {payment.authorised_minor, payment.cleared_minor}
        agrees = sighting.currency == payment.currency and sighting.amount_minor in paid
    from_clearing = payment.led_by in {MessageType.CLEARING, MessageType.CLEARING_ADJUSTMENT}
    span = TENDER_SPAN_CLEARING if from_clearing else TENDER_SPAN
    return agrees and abs(sighting.occurred_at - payment.occurred_at) <= span


def _preference(contender: Contender) -> tuple[int, datetime, int, int, bool]:
    return (
        -contender.points,
        contender.activated_at or _ALWAYS,
        contender.offer_id,
        -contender.confirmed_points,
        contender.seen is not PurchaseSeen.TILL,
    )


def _stacked_out(loser: Contender) -> Contender:
    """Return the loser with a decision that says why it gives nothing; a stated reward has no decision."""
    decision = loser.decision
    if decision is not None:
        decision = msgspec.structs.replace(
            decision, confirmed_points=0, pending_points=0, reason=STACKED_OUT, limit=Limit(0, STACKED_OUT)
        )
    return msgspec.structs.replace(loser, confirmed_points=0, pending_points=0, decision=decision)
