"""What a network calls a place, and which place a card message was sent from.

A merchant id is only unique within its acquirer, differs between authorisation and clearing, is padded with zeros by
some and recycled by others. So a place is known by several identities, each for a span of time, and is looked up by
keys: one string per identity, from the most telling to the least. Nothing here guesses: two places are no place.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

ShortText = Annotated[str, Meta(max_length=64)]
LongText = Annotated[str, Meta(max_length=200)]


class Network(StrEnum):
    """Who carried the card message."""

    VISA = "visa"
    MASTERCARD = "mastercard"
    AMEX = "amex"
    DISCOVER = "discover"
    OTHER = "other"


class IdentityKind(StrEnum):
    """What kind of name a network gives a place, from the most telling to the least."""

    SCHEME_STORE = "store"
    SCHEME_MERCHANT = "merchant"
    ACQUIRER_MERCHANT = "acquirer"
    TERMINAL = "terminal"
    SUB_MERCHANT = "sub"
    DESCRIPTOR = "descriptor"


class Merchant(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """The merchant as a card message names it; strings are kept as they were sent."""

    mid: ShortText | None = None
    acquirer_id: ShortText | None = None
    scheme_merchant_id: ShortText | None = None
    scheme_store_id: ShortText | None = None
    se_number: ShortText | None = None
    terminal_id: ShortText | None = None
    descriptor: LongText | None = None
    descriptor2: LongText | None = None
    city: LongText | None = None
    region: LongText | None = None
    postcode: ShortText | None = None
    country: ShortText | None = None


class Facilitator(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Who took the card for a smaller merchant (Square, SumUp, PayPal)."""

    id: ShortText | None = None
    sub_merchant_id: ShortText | None = None
    name: LongText | None = None


class NetworkIdentity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One name of a place, as it is registered.

    `value` is the store id, scheme merchant id or SE number, acquirer's merchant id, sub-merchant id or descriptor. A
    merchant id and a terminal need `acquirer_id`, a terminal `terminal_id`, a sub-merchant `facilitator_id`; `city` or
    `postcode` narrow a descriptor.
    """

    kind: Annotated[IdentityKind, Meta(examples=["acquirer"])]
    value: Annotated[str, Meta(min_length=1, max_length=200, examples=["000000012345678"])]
    network: Annotated[Network, Meta(examples=["visa"])] | None = None
    acquirer_id: Annotated[ShortText, Meta(examples=["400123"])] | None = None
    terminal_id: ShortText | None = None
    facilitator_id: ShortText | None = None
    city: LongText | None = None
    postcode: ShortText | None = None


class Candidate(msgspec.Struct, frozen=True):
    """A place that is known by `key` from `valid_from` up to, and not including, `valid_until`."""

    place_id: int
    key: str
    valid_from: datetime
    valid_until: datetime | None = None


class Resolution(msgspec.Struct, frozen=True):
    """The place that was found and the key that found it, or why there is none."""

    place_id: int | None
    key: str | None = None
    reason: str | None = None


UNKNOWN_PLACE = "unknown-place"
AMBIGUOUS_PLACE = "ambiguous-place"
LAPSED_PLACE = "lapsed-place"

# Some networks fill a field that they have no value for, instead of leaving it out.
NOTHING = frozenset({"", "NONE", "NULL", "NIL", "NAN", "NA", "UNDEFINED", "UNKNOWN"})
_PADDED = "~"
_PARTS = {
    IdentityKind.SCHEME_STORE: ("network",),
    IdentityKind.SCHEME_MERCHANT: ("network",),
    IdentityKind.ACQUIRER_MERCHANT: ("network", "acquirer_id"),
    IdentityKind.TERMINAL: ("acquirer_id", "terminal_id"),
    IdentityKind.SUB_MERCHANT: ("facilitator_id",),
    IdentityKind.DESCRIPTOR: ("city", "postcode"),
}
_LEVELS = (
    "store",
    "store~",
    "merchant",
    "merchant~",
    "acquirer",
    "acquirer~",
    "terminal",
    "terminal~",
    "sub",
    "sub~",
    "descriptor-postcode",
    "descriptor-city",
    "descriptor",
)


def is_nothing(text: str | None) -> bool:
    """Return whether a network's field says nothing: empty, a word for none, or only zeros."""
    return text is None or not identifier(text)


def identifier(text: str | None) -> str:
    """Return the comparable form of an id: upper case, letters and digits alone; empty when it says nothing."""
    if not text:
        return ""
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    kept = plain.upper() if plain.isalnum() else "".join(letter for letter in plain.upper() if letter.isalnum())
    return "" if kept in NOTHING or not kept.strip("0") else kept


def descriptor(text: str | None) -> str:
    """Return the comparable form of a descriptor: upper case, words parted by one space.

    The star of an aggregator stays (`PAYPAL *SHOP`), so that a shop's own descriptor never equals one behind it.
    """
    if not text:
        return ""
    plain = unicodedata.normalize("NFKC", text).upper()
    words = "".join(letter if letter.isalnum() or letter == "*" else " " for letter in plain).split()
    return " ".join(words)


def message_keys(network: Network, merchant: Merchant, facilitator: Facilitator | None = None) -> tuple[str, ...]:
    """Return the keys by which a message's merchant may be known, the most telling first.

    A bare merchant id is no key: it is unique only within its acquirer.
    """
    keys: list[str] = []
    acquirer, mid = identifier(merchant.acquirer_id), identifier(merchant.mid)
    _add(keys, "store", (network,), identifier(merchant.scheme_store_id))
    _add(keys, "merchant", (network,), identifier(merchant.scheme_merchant_id))
    _add(keys, "merchant", (network,), identifier(merchant.se_number))
    if acquirer:
        _add(keys, "acquirer", (network, acquirer), mid)
        if terminal := identifier(merchant.terminal_id):
            _add(keys, "terminal", (acquirer, terminal), mid)
    if facilitator is not None and (owner := identifier(facilitator.id)):
        _add(keys, "sub", (owner,), identifier(facilitator.sub_merchant_id))
    for text in (merchant.descriptor, merchant.descriptor2):
        keys.extend(_descriptor_keys(text, merchant.city, merchant.postcode))
    return tuple(dict.fromkeys(keys))


def registered_keys(identity: NetworkIdentity) -> tuple[str, ...]:
    """Return the keys under which a registered identity is stored: its own, and the one without left zeros.

    Raises ValueError when a part that the kind needs is missing or says nothing, and for one that it has no use for.
    """
    for name in ("network", "acquirer_id", "terminal_id", "facilitator_id", "city", "postcode"):
        if getattr(identity, name) is not None and name not in _PARTS[identity.kind]:
            raise ValueError(f"{name} does not belong to the kind {identity.kind}")
    if identity.city is not None and identity.postcode is not None:
        raise ValueError("give city or postcode, not both: a message may name either alone")
    keys: list[str] = []
    value = identifier(identity.value)
    match identity.kind:
        case IdentityKind.SCHEME_STORE | IdentityKind.SCHEME_MERCHANT:
            _add(keys, identity.kind, (_needed(identity.network, "network"),), value)
        case IdentityKind.ACQUIRER_MERCHANT:
            acquirer = _needed(identifier(identity.acquirer_id), "acquirer_id")
            _add(keys, identity.kind, (_needed(identity.network, "network"), acquirer), value)
        case IdentityKind.TERMINAL:
            acquirer = _needed(identifier(identity.acquirer_id), "acquirer_id")
            _add(keys, identity.kind, (acquirer, _needed(identifier(identity.terminal_id), "terminal_id")), value)
        case IdentityKind.SUB_MERCHANT:
            _add(keys, identity.kind, (_needed(identifier(identity.facilitator_id), "facilitator_id"),), value)
        case IdentityKind.DESCRIPTOR:
            keys.extend(_descriptor_keys(identity.value, identity.city, identity.postcode)[:1])
    if not keys:
        raise ValueError("value says nothing")
    return tuple(keys)


def unpadded(key: str) -> str:
    """Return the key that stands beside a registered one, of its value without left zeros."""
    kind, *scope, value = key.split(":")
    return ":".join((kind + _PADDED, *scope, value.lstrip("0")))


def by_key(candidates: Iterable[Candidate]) -> dict[str, list[Candidate]]:
    """Return candidates in the form in which `resolve` looks them up, to be made once for many purchases."""
    directory: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        directory.setdefault(candidate.key, []).append(candidate)
    return directory


def resolve(
    sightings: Iterable[Sequence[str]],
    candidates: Mapping[str, Sequence[Candidate]] | Iterable[Candidate],
    at: datetime,
) -> Resolution:
    """Return the one place that a purchase's merchants point at, as known at `at` (aware).

    `sightings` holds the keys of each merchant that the purchase's messages name, the authorisation's first: the first
    one that is known decides, because the clearing may name the brand's head office. Several places under one key are
    narrowed by the next keys; what is still more than one is no place.
    """
    directory = candidates if isinstance(candidates, Mapping) else by_key(candidates)
    reason = UNKNOWN_PLACE
    for keys in sightings:
        known = {key: directory[key] for key in keys if key in directory}
        valid = {key: {each.place_id for each in named if _is_valid(each, at)} for key, named in known.items()}
        found, key = _narrow(keys, valid)
        if len(found) == 1:
            return Resolution(next(iter(found)), key)
        if found:
            reason = AMBIGUOUS_PLACE
        elif known and reason == UNKNOWN_PLACE:
            reason = LAPSED_PLACE
    return Resolution(None, None, reason)


def _is_valid(candidate: Candidate, at: datetime) -> bool:
    return candidate.valid_from <= at and (candidate.valid_until is None or at < candidate.valid_until)


def _narrow(keys: Sequence[str], places: dict[str, set[int]]) -> tuple[set[int], str | None]:
    """Return the places that all telling keys agree on, and the key that settled it."""
    found: dict[str, tuple[str, set[int]]] = {}
    for key in keys:
        if places.get(key):
            level = key.partition(":")[0]
            first, others = found.get(level, (key, set()))
            found[level] = (first, others | places[key])
    remaining: set[int] = set()
    for level in _LEVELS:
        if level in found:
            key, named = found[level]
            narrowed = named & remaining if remaining else named
            if len(narrowed) == 1:
                return narrowed, key
            remaining = narrowed or remaining
    return remaining, None


def _add(keys: list[str], kind: str, scope: tuple[str, ...], value: str) -> None:
    """Append the key of a value, and the one of the value without its left zeros, which is tried after it."""
    if not value:
        return
    keys.append(":".join((kind, *scope, value)))
    # Both the padded and the bare form carry this key, so whichever side pads, they meet; an exact key comes first.
    keys.append(":".join((kind + _PADDED, *scope, value.lstrip("0"))))


def _descriptor_keys(text: str | None, city: str | None, postcode: str | None) -> list[str]:
    name = descriptor(text)
    if not name or is_nothing(name):
        return []
    keys = []
    if area := identifier(postcode):
        keys.append(f"descriptor-postcode:{area}:{name}")
    if town := descriptor(city):
        keys.append(f"descriptor-city:{town}:{name}")
    return [*keys, f"descriptor:{name}"]


def _needed(part: str | None, name: str) -> str:
    if not part:
        raise ValueError(f"{name} is missing")
    return part
