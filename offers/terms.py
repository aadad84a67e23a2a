"""What a member reads: an offer's terms, made from its rules, and why a purchase earned what it did.

The terms are made when a version is published and kept with each activation as they were shown; `terms_hash` proves it.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime, time

from koinon.money import format_amount
from offers.feeds.messages import Channel
from offers.model import FixedPoints, Hours, OfferVersion

REASONS = {
    "ambiguous-place": "The card message names a merchant that several places share, so we cannot tell where it was.",
    "before-activation": "The purchase was made before you switched this offer on.",
    "below-minimum": "The purchase is below this offer's minimum.",
    "budget-exhausted": "The points set aside for this offer are used up.",
    "card-check": "This was only a check of your card, not a purchase.",
    "channel-not-in-offer": "The offer does not cover this way of buying.",
    "contract-missing": "The brand was not yet part of the programme at the time of the purchase.",
    "currency-mismatch": "The purchase was made in another currency than the offer's.",
    "declined": "The payment was declined.",
    "disputed": "The payment was charged back.",
    "expired": "The shop never collected the payment.",
    "lapsed-place": "The merchant's number did not belong to a participating place at that time.",
    "mcc-not-in-offer": "The offer does not cover this kind of shop.",
    "no-spend": "Nothing was spent that can earn.",
    "not-activated": "You had not switched this offer on.",
    "not-linked-yet": "The purchase was made before the card was linked.",
    "orphan-refund": "This is a refund without a purchase that we know.",
    "outside-hours": "The purchase was outside the offer's hours.",
    "outside-weekdays": "The offer does not run on this day of the week.",
    "outside-window": "The purchase was outside the offer's dates.",
    "place-not-in-offer": "The offer does not cover this place.",
    "refunded": "The purchase was refunded.",
    "reversed": "The payment was cancelled.",
    "rounds-to-nothing": "The purchase is too small for one point.",
    "stacked-out": "Another reward for the same purchase gave you more.",
    "unknown-channel": "Nobody told us yet whether this was bought in store or online.",
    "unknown-mcc": "Nobody told us yet what kind of shop this was.",
    "unknown-place": "We do not know yet which shop this was.",
    "unknown-time": "We do not know yet what the time was at the shop.",
}
_WEEKDAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
_CHANNELS = {Channel.IN_STORE: "in store", Channel.ONLINE: "online", Channel.MAIL_PHONE: "by mail or telephone"}


def reason_text(code: str) -> str:
    """Return what a reason code means, for members; raise KeyError for a code that no rule gives."""
    return REASONS[code]


def terms(version: OfferVersion, *, brand: str, unit: str = "points", places: Sequence[str] = ()) -> str:
    """Return a version's terms in English, a sentence for each rule; `places` are the names of those it lists."""
    sentences = [
        _earning(version, brand, unit, places),
        f"From {_moment(version.starts_at)} until {_moment(version.ends_at)}, local time at the shop.",
    ]
    if version.weekdays:
        sentences.append(f"Only on {_listed([_WEEKDAYS[day - 1] for day in sorted(version.weekdays)])}.")
    if version.hours:
        sentences.append(f"Only {_listed([_span(hours) for hours in version.hours])}.")
    if version.channels:
        sentences.append(f"Only for purchases {_listed([_CHANNELS[each] for each in version.channels], 'or')}.")
    if version.mcc_included:
        sentences.append(f"Only at shops of category {_listed(list(version.mcc_included), 'or')}.")
    if version.mcc_excluded:
        sentences.append(f"Not at shops of category {_listed(list(version.mcc_excluded), 'or')}.")
    if version.activation_required:
        sentences.append("Switch the offer on first: earlier purchases do not count.")
    if version.budget_points is not None:
        sentences.append(f"The offer ends when {_count(version.budget_points)} {unit} have been given.")
    sentences.append(f"Your {unit} are pending until the payment is settled, and follow what you finally paid.")
    sentences.append("A refund takes back its part.")
    sentences.append("If several offers fit a purchase, the one that gives you most counts.")
    return " ".join(sentences)


def terms_hash(text: str) -> str:
    """Return the SHA-256 of terms as they were shown, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def _earning(version: OfferVersion, brand: str, unit: str, places: Sequence[str]) -> str:
    where = f"{brand} ({_listed(list(places))})" if version.places and places else brand
    at_least = ""
    if version.minimum_minor:
        at_least = f" when you spend at least {format_amount(version.minimum_minor, version.currency)}"
    if isinstance(version.earn, FixedPoints):
        sentence = f"Get {_count(version.earn.points)} {unit} for a purchase at {where}{at_least}."
    else:
        each = format_amount(version.earn.amount_minor, version.currency)
        sentence = f"Get {_count(version.earn.points)} {unit} for every {each} at {where}{at_least}, rounded down."
    if version.cap_points_per_payment is not None:
        sentence += f" At most {_count(version.cap_points_per_payment)} {unit} for one purchase."
    return sentence


def _count(points: int) -> str:
    return f"{points:,}"


def _moment(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y, %H:%M}"


def _span(hours: Hours) -> str:
    return f"from {_clock(hours.since)} to {_clock(hours.until)}"


def _clock(clock: time) -> str:
    return f"{clock:%H:%M}"


def _listed(names: list[str], last: str = "and") -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"
