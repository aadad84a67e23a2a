"""Reading card messages: from a processor's bytes to messages, or to every reason why not, one answer a message."""

import hashlib
import re
import unicodedata
from collections.abc import Container, Iterator
from typing import Any

import msgspec

from koinon.fields import LAST_YEAR, within_calendar
from koinon.http.card_numbers import passes_luhn
from koinon.places.model import identifier
from offers.feeds.currencies import letters
from offers.feeds.faults import Fault
from offers.feeds.messages import AMOUNT_MINOR_MAX, EXTRA_BYTES_MAX, MAY_BE_ZERO, NEEDS_MERCHANT, CardMessage
from offers.feeds.nesting import DEPTH_MAXIMUM, is_deeper
from offers.feeds.retention import MESSAGES_KEPT_FOR


class RefusedMessage(msgspec.Struct, frozen=True):
    """A message that was not taken, with every fault found; `message_id` when it could be read safely."""

    message_id: str | None
    faults: tuple[Fault, ...]


DETAILS = {
    "amount-not-positive": "The amount must be positive; the type says which way it goes.",
    "amount-too-large": f"An amount is at most {AMOUNT_MINOR_MAX} minor units.",
    "bad-format": "The text does not have the form that this field needs.",
    "card-number": "This looks like a card number; send the processor's token instead.",
    "component-exceeds-amount": "A part is larger than the whole amount.",
    "extra-too-large": f"`extra` is at most {EXTRA_BYTES_MAX} bytes of JSON.",
    "in-the-future": "The time lies more than a day ahead of the programme's clock.",
    "incomplete-pair": "The billing amount and its currency come together.",
    "malformed-json": "This is not JSON in UTF-8.",
    "nested-too-deeply": f"A message is at most {DEPTH_MAXIMUM} objects and lists deep.",
    "missing-field": "This field is needed.",
    "no-merchant": "The merchant needs an id or a descriptor.",
    "not-whole": "The number is whole: amounts are in minor units.",
    "no-offset": "The time needs its offset from UTC.",
    "not-an-object": "A message is a JSON object.",
    "out-of-range": "The number is outside what this field holds.",
    "source-mismatch": "The message names another source than the feed that it was sent to.",
    "time-out-of-range": "The time is before 1970 or after 2199.",
    "too-long": "The text is too long.",
    "too-old": f"The time lies more than {MESSAGES_KEPT_FOR.days} days back: whether it was told is not known now.",
    "too-short": "The text is too short.",
    "unknown-currency": "The currency is not in ISO 4217, or has no minor unit.",
    "unknown-field": "There is no such field.",
    "unknown-value": "The value is not one of those that this field takes.",
    "unprintable": "The text holds a NUL character.",
    "unwanted-offset": "The merchant's local time is given without an offset.",
    "wrong-type": "The value has another JSON type than this field.",
}

# msgspec's sentences, in the order in which they must be tried.
_CODES = (
    ("Invalid enum value", "unknown-value"),
    ("with a timezone component", "no-offset"),
    ("with no timezone component", "unwanted-offset"),
    ("of length <=", "too-long"),
    ("of length >=", "too-short"),
    ("matching regex", "bad-format"),
    ("Invalid RFC3339", "bad-format"),
    ("`int` >=", "out-of-range"),
    ("`int` <=", "out-of-range"),
    ("Number out of range", "out-of-range"),
    ("missing required field", "missing-field"),
    ("unknown field", "unknown-field"),
)
_FIELDS = {field.encode_name: field for field in msgspec.structs.fields(CardMessage)}
_IDENTIFIERS = (
    "payment_ref",
    "network_transaction_id",
    "original_network_transaction_id",
    "original_message_id",
    "arn",
    "auth_code",
    "rrn",
)
_DIGIT_GROUPS = re.compile(r"(?<![0-9A-Za-z])[0-9]+(?:[ .\-][0-9]+)*(?![0-9A-Za-z])")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_PATH = re.compile(r" - at `\$([\w.\[\]]*)`$")
_NUL = b"\\u0000"
_STRING_OR_NUMBER = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|-?[0-9][-+.0-9eE]*+', re.DOTALL)
_BEYOND = "\0beyond"
_DECODE = msgspec.json.Decoder(CardMessage).decode
_ENCODE_SORTED = msgspec.json.Encoder(order="sorted").encode


def looks_like_card_number(text: str) -> bool:
    """Return whether the text holds 13 to 19 digits, alone or in groups, that pass Luhn.

    Digits that touch a letter are part of something else: one hexadecimal token in two hundred holds such a run.
    """
    if len(text) < 13:
        return False
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    if _UUID.fullmatch(plain):
        return False
    for run in _DIGIT_GROUPS.findall(plain):
        groups = re.split(r"[ .\-]", run)
        for first in range(len(groups)):
            digits = ""
            for group in groups[first:]:
                digits += group
                if 13 <= len(digits) <= 19 and passes_luhn(digits):
                    return True
    return False


def content_hash(raw: bytes | msgspec.Raw) -> bytes:
    """Return the SHA-256 of a message's content: spaces and the order of its members do not count.

    It is taken of what was sent, before anything of ours is applied to it, so that it stays the same for a replay
    months and versions later. Raises msgspec.DecodeError for what is no JSON.
    """
    return hashlib.sha256(_ENCODE_SORTED(msgspec.json.decode(raw))).digest()


def read_message(raw: bytes | msgspec.Raw, source_id: str, known_as: str = "") -> CardMessage | RefusedMessage:
    """Return the canonical message that a processor's JSON object says, or every fault in it.

    A message may name its own source, as `source_id` or as the outside knows it, and no other.
    A reference that a network filled for want of a value (`0000`, `NULL`) is dropped, lest payments join by it; the
    merchant stays as it was sent; currencies become letters.
    """
    try:
        message = _DECODE(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _read_slowly(raw, source_id, known_as)
    if _NUL in bytes(raw):
        return _read_slowly(raw, source_id, known_as)
    return _normal(message, source_id, known_as)


def _normal(message: CardMessage, source_id: str, known_as: str) -> CardMessage | RefusedMessage:
    """Bring a well-typed message, which nobody else has seen yet, into canonical form."""
    faults = tuple(_faults(message, {"", source_id, known_as}))
    if faults:
        return RefusedMessage(message.message_id if not looks_like_card_number(message.message_id) else None, faults)
    assign = msgspec.structs.force_setattr  # it is not shared yet; a copy would cost as much as reading it
    assign(message, "source_id", source_id)
    assign(message, "currency", letters(message.currency))
    if message.billing_currency is not None:
        assign(message, "billing_currency", letters(message.billing_currency))
    for name in _IDENTIFIERS:
        value = getattr(message, name)
        if value is not None and not identifier(value):
            assign(message, name, None)
    return message


def _faults(message: CardMessage, sources: Container[str]) -> Iterator[Fault]:
    """Yield what is wrong with a message whose fields all have their types."""
    if message.source_id not in sources:
        yield _fault("/source_id", "source-mismatch")
    if not within_calendar(message.occurred_at, since=1970):
        yield _fault("/occurred_at", "time-out-of-range")
    local = message.merchant_local_datetime
    if local is not None and not 1970 <= local.year <= LAST_YEAR:
        yield _fault("/merchant_local_datetime", "time-out-of-range")
    if looks_like_card_number(message.card_token):
        yield _fault("/card_token", "card-number")
    if message.type in NEEDS_MERCHANT and not _names_merchant(message):
        yield _fault("/merchant", "no-merchant")
    if is_deeper(message.extra, DEPTH_MAXIMUM - 1):
        yield _fault("/extra", "nested-too-deeply")
    elif message.extra is not None and len(msgspec.json.encode(message.extra)) > EXTRA_BYTES_MAX:
        yield _fault("/extra", "extra-too-large")
    yield from _amount_faults(message)


def _amount_faults(message: CardMessage) -> Iterator[Fault]:
    if message.amount_minor == 0 and message.type not in MAY_BE_ZERO:
        yield _fault("/amount_minor", "amount-not-positive")
    if message.amount_minor > AMOUNT_MINOR_MAX:
        yield _fault("/amount_minor", "amount-too-large")
    if letters(message.currency) is None:
        yield _fault("/currency", "unknown-currency")
    if (message.billing_amount_minor is None) != (message.billing_currency is None):
        yield _fault("/billing_amount_minor", "incomplete-pair")
    if message.billing_amount_minor is not None and message.billing_amount_minor > AMOUNT_MINOR_MAX:
        yield _fault("/billing_amount_minor", "amount-too-large")
    if message.billing_currency is not None and letters(message.billing_currency) is None:
        yield _fault("/billing_currency", "unknown-currency")
    if message.components is not None:
        for name, part in msgspec.structs.asdict(message.components).items():
            if part is not None and part > message.amount_minor:
                yield _fault(f"/components/{name}", "component-exceeds-amount")


def _names_merchant(message: CardMessage) -> bool:
    """Return whether the merchant has any name; one that says nothing is the network's doing, not a fault."""
    facilitator = message.payment_facilitator
    if facilitator is not None and facilitator.sub_merchant_id:
        return True
    merchant = message.merchant
    return merchant is not None and bool(
        merchant.mid
        or merchant.descriptor
        or merchant.scheme_store_id
        or merchant.scheme_merchant_id
        or merchant.se_number
    )


def _read_slowly(raw: bytes | msgspec.Raw, source_id: str, known_as: str) -> CardMessage | RefusedMessage:
    """Read a message that failed to decode: mend a numeric currency, or find every fault, not only the first."""
    try:
        content, is_bounded = _content(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return RefusedMessage(None, (_fault("", "malformed-json"),))
    if not isinstance(content, dict):
        return RefusedMessage(None, (_fault("", "not-an-object"),))
    for name in ("currency", "billing_currency"):
        # The same processor may send 826 or "826".
        if type(content.get(name)) is int and 0 <= content[name] <= 999:
            content[name] = f"{content[name]:03d}"
    faults = list(_field_faults(content))
    if not is_bounded and not faults:
        faults = [_fault("", "out-of-range")]  # in a member that stands twice
    if not faults:
        return _normal(msgspec.convert(content, CardMessage), source_id, known_as)
    message_id = content.get("message_id")
    readable = isinstance(message_id, str) and 0 < len(message_id) <= 128 and not looks_like_card_number(message_id)
    if readable and any(fault.pointer == "/message_id" for fault in faults):
        readable = False
    return RefusedMessage(message_id if readable else None, tuple(faults))


def _content(raw: bytes | msgspec.Raw) -> tuple[Any, bool]:
    """Return what a message says, and whether all of its numbers are some that we can hold; others are _BEYOND."""
    try:
        return msgspec.json.decode(raw), True
    except msgspec.ValidationError:
        return msgspec.json.decode(_STRING_OR_NUMBER.sub(_bounded, bytes(raw))), False


def _bounded(token: re.Match[bytes]) -> bytes:
    text = token[0]
    if text.startswith(b'"'):
        return text
    try:
        msgspec.json.decode(text)
    except msgspec.ValidationError:
        return msgspec.json.encode(_BEYOND)
    except msgspec.DecodeError:
        return text
    return text


def _field_faults(content: dict[str, Any]) -> Iterator[Fault]:
    for name, field in _FIELDS.items():
        if name not in content:
            if field.required:
                yield _fault(f"/{name}", "missing-field")
            continue
        if wrong := next(_unstorable(content[name], f"/{name}"), None):
            yield wrong
            continue
        try:
            msgspec.convert(content[name], field.type)
        except msgspec.ValidationError as error:
            yield _translated(f"/{name}", str(error))
    for name in content.keys() - _FIELDS.keys():
        yield _fault("/" + _safe(name), "unknown-field")


def _translated(pointer: str, sentence: str) -> Fault:
    """Return the fault that a sentence of msgspec's tells; the sentence itself may repeat what was sent."""
    path = _PATH.search(sentence)
    problem = sentence[: path.start()] if path else sentence
    code = next((code for words, code in _CODES if words in problem), "wrong-type")
    if code == "wrong-type" and "`int" in problem and problem.endswith("got `float`"):
        code = "not-whole"
    elif code == "out-of-range" and pointer == "/amount_minor":
        code = "amount-not-positive"
    parts = [part for part in path[1].split(".") if part and not part.startswith("[")] if path else []
    if code in {"missing-field", "unknown-field"}:
        parts.append(problem.rpartition(" field ")[2].strip("`"))
    full = "/".join((pointer, *(_safe(part) for part in parts)))
    return _fault(pointer if looks_like_card_number(full.replace("/", " ")) else full, code)


def _safe(name: str) -> str:
    """Return a member's name for a pointer, or a dash when it is not fit to be repeated."""
    fit = len(name) <= 64 and name.isprintable() and not looks_like_card_number(name)
    return name.replace("~", "~0").replace("/", "~1") if fit else "-"


def _unstorable(value: object, pointer: str) -> Iterator[Fault]:
    """Yield the NULs and the numbers beyond all bounds in a value, each by its place."""
    if value == _BEYOND:
        yield _fault(pointer, "out-of-range")
    elif isinstance(value, str) and "\0" in value:
        yield _fault(pointer, "unprintable")
    elif isinstance(value, dict):
        for name, each in value.items():
            if "\0" in name:
                yield _fault(pointer, "unprintable")
            yield from _unstorable(each, f"{pointer}/{_safe(name)}")
    elif isinstance(value, list):
        for place, each in enumerate(value):
            yield from _unstorable(each, f"{pointer}/{place}")


def in_the_future(message: CardMessage) -> RefusedMessage:
    """Return the refusal of a message that says more than anybody can know yet."""
    return RefusedMessage(message.message_id, (_fault("/occurred_at", "in-the-future"),))


def too_old(message: CardMessage) -> RefusedMessage:
    """Return the refusal of a message of which nobody knows any more whether it was taken in before."""
    return RefusedMessage(message.message_id, (_fault("/occurred_at", "too-old"),))


def _fault(pointer: str, code: str) -> Fault:
    return Fault(pointer, code, DETAILS[code])
