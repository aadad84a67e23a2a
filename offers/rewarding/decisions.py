"""Decisions: which rules of an offer held for a purchase, and how many points follow.

A decision is a pure function of facts, activation and version, and carries all three, so that anybody can run it again.
A rule has three truth values: what nobody knows neither fulfils a rule nor breaks it, and earns nothing until it is
known. The reason of a decision is that of its first broken rule, else of its first unknown one.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

import msgspec

from koinon.places.model import UNKNOWN_PLACE, Resolution
from offers.feeds.messages import Channel
from offers.model import POINTS_MAX, Activation, FixedPoints, Hours, OfferVersion
from offers.payments.fold import Payment, PaymentState

ROUNDING = "floor"


class Truth(StrEnum):
    """Whether a rule held."""

    TRUE = "true"
    FALSE = "false"
    UNKNOWN = "unknown"


class PurchaseSeen(StrEnum):
    """Where a purchase was seen."""

    CARD = "card"
    TILL = "till"


class PlaceFacts(msgspec.Struct, frozen=True):
    """The place of a purchase: its id, its partner's code and its time zone (IANA)."""

    place_id: int
    partner: str
    time_zone: str


class PurchaseFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known about one purchase as one side saw it; amounts in minor units of `currency`.

    `confirmed_minor` has been paid, `pending_minor` is expected on top. `occurred_at` is in UTC, `local_at` the same
    moment on the place's clock. `linked_at` is when the card was linked to the member (nothing for a till).
    """

    seen: PurchaseSeen
    occurred_at: datetime
    currency: str
    confirmed_minor: int
    pending_minor: int = 0
    state: PaymentState | None = None
    local_at: datetime | None = None
    place_id: int | None = None
    place_partner: str | None = None
    place_reason: str | None = None
    mcc: str | None = None
    channel: Channel | None = None
    card_present: bool | None = None
    linked_at: datetime | None = None


class RuleOutcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one rule said, with a stable reason when it did not hold."""

    rule: str
    truth: Truth
    reason: str | None = None


class Limit(msgspec.Struct, frozen=True):
    """Points that the caller could grant at most, and why: a budget has only so much left."""

    points: int
    reason: str


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The receipt of one purchase × one offer version: inputs, every rule's outcome, and the target points.

    `confirmed_points` follow from what has cleared, `pending_points` are expected on top. Both are targets: what is
    posted is the difference to what was posted before.
    """

    offer_id: int
    version_id: int
    facts: PurchaseFacts
    activation: Activation | None
    rules: tuple[RuleOutcome, ...]
    qualifies: Truth
    reason: str | None
    confirmed_points: int
    pending_points: int
    rounding: str = ROUNDING
    limit: Limit | None = None


def card_facts(
    payment: Payment, resolution: Resolution, place: PlaceFacts | None, linked_at: datetime | None
) -> PurchaseFacts:
    """Return the facts of a card payment at the place that its merchants resolve to (`place`, None when none does)."""
    occurred_at = payment.occurred_at
    local_at = None
    if place is not None:
        zone = ZoneInfo(place.time_zone)
        if payment.local_datetime is not None:
            # A clearing alone happens days after the purchase, whose own time only the merchant's clock told.
            occurred_at = payment.local_datetime.replace(tzinfo=zone).astimezone(UTC)
        local_at = occurred_at.astimezone(zone).replace(tzinfo=None)
    return PurchaseFacts(
        seen=PurchaseSeen.CARD,
        occurred_at=occurred_at,
        currency=payment.currency,
        confirmed_minor=payment.confirmed_minor,
        pending_minor=payment.pending_minor,
        state=payment.state,
        local_at=local_at,
        place_id=place.place_id if place else None,
        place_partner=place.partner if place else None,
        place_reason=None if place else resolution.reason or UNKNOWN_PLACE,
        mcc=payment.mcc,
        channel=payment.channel,
        card_present=payment.card_present,
        linked_at=linked_at.astimezone(UTC) if linked_at else None,
    )


def till_facts(
    *, amount_minor: int, currency: str, occurred_at: datetime, place: PlaceFacts, mcc: str | None = None
) -> PurchaseFacts:
    """Return the facts of a purchase seen at a till: paid, in store, at a known place."""
    return PurchaseFacts(
        seen=PurchaseSeen.TILL,
        occurred_at=occurred_at.astimezone(UTC),
        currency=currency,
        confirmed_minor=amount_minor,
        local_at=occurred_at.astimezone(ZoneInfo(place.time_zone)).replace(tzinfo=None),
        place_id=place.place_id,
        place_partner=place.partner,
        mcc=mcc,
        channel=Channel.IN_STORE,
    )


def decide(facts: PurchaseFacts, activation: Activation | None, version: OfferVersion) -> Decision:
    """Return the decision on a purchase under one version; raise ValueError for another version's activation."""
    if activation is not None and activation.version_id != version.version_id:
        raise ValueError("the activation froze another version")
    rules = tuple(_outcomes(facts, activation, version))
    decisive = _decisive(rules)
    confirmed = total = 0
    if decisive is None:
        total = _points(facts.confirmed_minor + facts.pending_minor, version)
        confirmed = _points(facts.confirmed_minor, version)
    reason = decisive.reason if decisive else None
    return Decision(
        offer_id=version.offer_id,
        version_id=version.version_id,
        facts=facts,
        activation=activation,
        rules=rules,
        qualifies=decisive.truth if decisive else Truth.TRUE,
        reason=reason or (None if total else "rounds-to-nothing"),
        confirmed_points=confirmed,
        pending_points=total - confirmed,
    )


def _decisive(rules: tuple[RuleOutcome, ...]) -> RuleOutcome | None:
    """Return the first broken rule, else the first unknown one, None when all held."""
    decisive = None
    for rule in rules:
        if rule.truth is Truth.FALSE:
            return rule
        if rule.truth is Truth.UNKNOWN and decisive is None:
            decisive = rule
    return decisive


def limited(decision: Decision, limit: Limit) -> Decision:
    """Return the decision with at most the points that could be granted, confirmed ones first, and why."""
    if decision.confirmed_points + decision.pending_points <= limit.points:
        return decision
    confirmed = min(decision.confirmed_points, limit.points)
    return msgspec.structs.replace(
        decision,
        confirmed_points=confirmed,
        pending_points=limit.points - confirmed,
        reason=limit.reason,
        limit=limit,
    )


def re_execute(decision: Decision, version: OfferVersion) -> Decision:
    """Return what the decision's own inputs give now; it equals the decision, or the receipt was not honest."""
    again = decide(decision.facts, decision.activation, version)
    return limited(again, decision.limit) if decision.limit else again


def receipt_bytes(decision: Decision) -> bytes:
    """Return the decision as canonical JSON: sorted names, no spaces."""
    return msgspec.json.encode(decision, order="sorted")


def _points(spent_minor: int, version: OfferVersion) -> int:
    """Return the points for an amount spent: none below the minimum, rounded down, at most the cap."""
    if spent_minor <= 0 or spent_minor < version.minimum_minor:
        return 0
    earn = version.earn
    points = earn.points if isinstance(earn, FixedPoints) else spent_minor * earn.points // earn.amount_minor
    return min(points, version.cap_points_per_payment or POINTS_MAX)


def _outcomes(facts: PurchaseFacts, activation: Activation | None, version: OfferVersion) -> Iterator[RuleOutcome]:
    """Yield every rule's outcome, in the order in which a reason is given to the member."""
    if facts.seen is PurchaseSeen.CARD:
        linked = facts.linked_at is not None and facts.occurred_at >= facts.linked_at
        yield _told("linked", holds=linked, reason="not-linked-yet")
    yield from _activation(facts, activation, version)
    spent = facts.confirmed_minor + facts.pending_minor > 0
    yield _told("spend", holds=spent, reason=_NOTHING_SPENT.get(facts.state, "no-spend"))
    yield _told("currency", holds=facts.currency == version.currency, reason="currency-mismatch")
    yield from _place_and_time(facts, version)
    if version.mcc_included or version.mcc_excluded:
        yield _known("mcc", holds=_fits_mcc(facts, version), unknown="unknown-mcc", broken="mcc-not-in-offer")
    if version.channels:
        fits = _fits_channel(facts, version)
        yield _known("channel", holds=fits, unknown="unknown-channel", broken="channel-not-in-offer")
    if version.minimum_minor:
        enough = facts.confirmed_minor + facts.pending_minor >= version.minimum_minor
        yield _told("minimum", holds=enough, reason="below-minimum")


def _activation(facts: PurchaseFacts, activation: Activation | None, version: OfferVersion) -> Iterator[RuleOutcome]:
    if not version.activation_required:
        return
    if activation is None:
        yield RuleOutcome("activation", Truth.FALSE, "not-activated")
    else:
        yield _told("activation", holds=facts.occurred_at >= activation.activated_at, reason="before-activation")


def _place_and_time(facts: PurchaseFacts, version: OfferVersion) -> Iterator[RuleOutcome]:
    """Yield the rules that hang on the place; without one, its clock is unknown too."""
    if facts.place_id is None:
        yield RuleOutcome("place", Truth.UNKNOWN, facts.place_reason or UNKNOWN_PLACE)
    else:
        listed = facts.place_id in version.places if version.places else facts.place_partner == version.partner
        yield _told("place", holds=listed, reason="place-not-in-offer")
    local = facts.local_at
    inside = None if local is None else version.starts_at <= local < version.ends_at
    yield _known("window", holds=inside, unknown="unknown-time", broken="outside-window")
    if version.weekdays:
        fits = None if local is None else local.isoweekday() in version.weekdays
        yield _known("weekday", holds=fits, unknown="unknown-time", broken="outside-weekdays")
    if version.hours:
        fits = None if local is None else any(_within(local, hours) for hours in version.hours)
        yield _known("hours", holds=fits, unknown="unknown-time", broken="outside-hours")


def _within(local: datetime, hours: Hours) -> bool:
    clock = local.time()
    if hours.since < hours.until:
        return hours.since <= clock < hours.until
    return clock >= hours.since or clock < hours.until


def _fits_mcc(facts: PurchaseFacts, version: OfferVersion) -> bool | None:
    """Return whether the merchant's category is one of the offer's; None when nobody sent it."""
    if facts.mcc is None:
        return None
    if version.mcc_included and facts.mcc not in version.mcc_included:
        return False
    return facts.mcc not in version.mcc_excluded


def _fits_channel(facts: PurchaseFacts, version: OfferVersion) -> bool | None:
    """Return whether the purchase's channel is one of the offer's; None when too little is known to tell."""
    if facts.channel is not None:
        return facts.channel in version.channels
    if facts.card_present is False:  # not in store, but online or by telephone nobody said
        remote = {Channel.ONLINE, Channel.MAIL_PHONE}.intersection(version.channels)
        return None if len(remote) == 1 else bool(remote)
    return None


_NOTHING_SPENT: dict[PaymentState | None, str] = {
    PaymentState.OPEN: "card-check",
    PaymentState.REVERSED: "reversed",
    PaymentState.EXPIRED: "expired",
    PaymentState.REFUNDED_FULL: "refunded",
    PaymentState.REFUNDED_PARTIAL: "refunded",
    PaymentState.DISPUTED: "disputed",
    PaymentState.ORPHAN_REFUND: "orphan-refund",
    PaymentState.DECLINED: "declined",
}


_HELD = {
    rule: RuleOutcome(rule, Truth.TRUE)
    for rule in (
        "linked",
        "activation",
        "spend",
        "currency",
        "place",
        "window",
        "weekday",
        "hours",
        "mcc",
        "channel",
        "minimum",
    )
}


def _told(rule: str, *, holds: bool, reason: str) -> RuleOutcome:
    return _HELD[rule] if holds else RuleOutcome(rule, Truth.FALSE, reason)


def _known(rule: str, *, holds: bool | None, unknown: str, broken: str) -> RuleOutcome:
    return RuleOutcome(rule, Truth.UNKNOWN, unknown) if holds is None else _told(rule, holds=holds, reason=broken)
