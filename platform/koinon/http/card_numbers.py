"""The card-number firewall: what looks like a card number is refused by its place, never echoed, never logged.

A card number is 13 to 19 digits, of any script, alone or in groups parted by blanks, hyphens, dots or underscores, that
begin as a card network's numbers of that length do and pass Luhn (ISO/IEC 7812). What is not looked for: a number split
over several fields, or one that was encoded on purpose.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import schwifty
from litestar import Request
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from koinon.callers.guards import FORM_TYPE
from koinon.problems import Refused, field_error

CHECKED_BY_HANDLER = "card_numbers_checked_by_handler"
"""The `opt` key of a route whose handler looks through the body itself, to refuse a part of it (`found_in_json`)."""
LENGTHS = range(13, 20)
FOUND_MAXIMUM = 20
MASKED = "[card number]"
KEY_HEADERS = {b"idempotency-key": "Idempotency-Key", b"webhook-id": "webhook-id"}
BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})
MESSAGE = "this looks like a card number; send the processor's token or the last four digits"

# (first prefix, last prefix, lengths), prefixes of four digits. Left out: UATP (1…, airlines' own), because machine
# times and most counters begin with 1; and every length that a network has never issued, because ids have it.
NETWORKS: tuple[tuple[int, int, tuple[int, ...]], ...] = (
    (4000, 4999, (13, 16, 19)),  # Visa
    (5100, 5599, (16,)),  # Mastercard
    (2221, 2720, (16,)),  # Mastercard
    (3400, 3499, (15,)),  # American Express
    (3700, 3799, (15,)),  # American Express
    (3000, 3059, (14, 16, 17, 18, 19)),  # Diners Club
    (3095, 3095, (14, 16, 17, 18, 19)),  # Diners Club
    (3600, 3699, (14, 16, 17, 18, 19)),  # Diners Club
    (3800, 3999, (14, 16, 17, 18, 19)),  # Diners Club
    (3528, 3589, (16, 17, 18, 19)),  # JCB
    (6000, 6099, (16, 17, 18, 19)),  # Discover 6011, RuPay
    (6200, 6299, (16, 17, 18, 19)),  # UnionPay
    (6360, 6369, (16, 17, 18, 19)),  # InterPayment
    (6440, 6599, (16, 17, 18, 19)),  # Discover, RuPay
    (8100, 8199, (16, 17, 18, 19)),  # UnionPay
    (2200, 2204, (16, 17, 18, 19)),  # Mir
    (5060, 5061, (16, 18, 19)),  # Verve
    (5081, 5089, (16,)),  # RuPay
    (9792, 9792, (16,)),  # Troy
    (5018, 5020, (13, 14, 15, 16, 17, 18, 19)),  # Maestro
    (5038, 5038, (13, 14, 15, 16, 17, 18, 19)),  # Maestro
    (5893, 5893, (13, 14, 15, 16, 17, 18, 19)),  # Maestro
    (6304, 6304, (13, 14, 15, 16, 17, 18, 19)),  # Maestro
    (6700, 6799, (13, 14, 15, 16, 17, 18, 19)),  # Maestro
)
PREFIXES = {
    length: frozenset(
        f"{prefix:04}" for first, last, lengths in NETWORKS if length in lengths for prefix in range(first, last + 1)
    )
    for length in LENGTHS
}

_BETWEEN = r"(?:[\s._-]|[^\w\x00-\x7f])"
_RUN = re.compile(rf"\d(?:{_BETWEEN}{{0,3}}\d){{12,}}")
_DIGITS = re.compile(r"\d+")
# Random identifiers: one SHA-256 in 3,000 would hold such a run.
_IDENTIFIER = re.compile(
    r"(?<![0-9A-Za-z])(?:[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|(?=[0-9]*[a-fA-F])[0-9a-fA-F]{32,})(?![0-9A-Za-z])"
)

# For bodies as bytes: every digit becomes a zero, everything else an x, and what may stand between digits goes away.
_SHAPE = bytes(0x30 if 0x30 <= byte <= 0x39 else 0x78 for byte in range(256))
_BLANKS = b" \t\r\n\x0b\x0c\x1c\x1d\x1e\x1f._-"
_THIRTEEN = b"0" * LENGTHS.start
_DECIMAL = re.compile(r"-?(?P<whole>[0-9]+)(?:\.(?P<fraction>[0-9]+))?(?:[eE](?P<sign>[+-]?)0*(?P<exponent>[0-9]*))?")
# No body is so long that its digits and an exponent of more than nine come to a card number's length.
_EXPONENT_DIGITS = 9
_ESCAPE = re.compile(rb"\\(?:u[0-9a-fA-F]{4}|[\s\S])")
_RAW_RUN = re.compile(rb"[0-9][0-9\s._-]{11,}[0-9][eE]?")
# Outside ASCII, digits and what may stand between them: everything that is not a letter, and digits in small print.
_SMALL_PRINT = r"\u00b2\u00b3\u00b9\u2070-\u209f\u2460-\u24ff\u2776-\u2793"
_UNUSUAL = re.compile(rf"[^\x00-\x7f](?:(?<=\W)|(?<=\d)|(?<=[{_SMALL_PRINT}]))")


def _has_fifteen_digits(text: str) -> bool:
    return re.fullmatch(r"[0-9]{15}", text) is not None


def _is_telephone(text: str) -> bool:
    return re.fullmatch(r"\+(?:[0-9][ ().-]{0,2}){7,14}[0-9]", text) is not None


def _is_iban(text: str) -> bool:
    return text.isascii() and schwifty.IBAN(text, allow_invalid=True).is_valid


# Fields that hold digits of a network's or a bank's own, by their exact place, and only in the form that is theirs: a
# sixteen-digit number in any of them is refused as everywhere, and so is a card number in a member of the same name
# anywhere else. An ARN (23 digits), an RRN (12) and a terminal (8) have lengths that no card number has and need no
# exemption; message and receipt ids, tokens and free text get none, for they can hold anything.
TYPED_FIELDS: Mapping[str, Callable[[str], bool]] = {
    # Visa's and American Express's transaction ids: the feed's joins stand on them, and one in 500 reads like a card.
    "/network_transaction_id": _has_fifteen_digits,
    "/original_network_transaction_id": _has_fifteen_digits,
    # A merchant id is fixed: without this, one merchant in 500 could never be paid at.
    "/merchant/mid": _has_fifteen_digits,
    "/phone": _is_telephone,
    # An IBAN has two check digits of its own (ISO 7064), which a card number passes one time in 97.
    "/iban": _is_iban,
}
# A batch's messages are looked at one by one, and together only when the batch around them cannot be read.
_IN_BATCH = re.compile(r"/messages/[0-9]+(?=/)")


class CardNumberRefused(Refused):
    """The request holds what looks like a card number; `errors` says where, and nobody says what."""

    code = "card-number-refused"
    title = "Card numbers are not taken here; send the processor's token"


def holds_card_number(text: str) -> bool:
    """Tell whether a text holds what looks like a card number."""
    return _has_thirteen_digits(text) and next(_spans(_plain(text)), None) is not None


def mask(text: str) -> str:
    """Return a text with [card number] in place of what looks like one."""
    if not _has_thirteen_digits(text):
        return text
    plain = _plain(text)
    spans = list(_spans(plain))
    if not spans:
        return text
    masked, end = "", 0
    for start, stop in spans:
        # Where readings of one run overlap, all of it goes.
        masked += plain[end:start] + MASKED if start >= end else ""
        end = max(end, stop)
    return masked + plain[end:]


def found_in_json(body: bytes) -> list[str]:
    """Return the JSON pointers (RFC 6901) of what looks like a card number, at most FOUND_MAXIMUM of them.

    A member whose name does is named by its object. A body that cannot be read is looked through as text, and its
    pointer is the whole document's. A body without a run of 13 digits costs microseconds.
    """
    if not _suspicious(body):
        return []
    try:
        document = json.loads(
            body, object_pairs_hook=_Members, parse_int=_Number, parse_float=_Number, parse_constant=str
        )
    except (ValueError, RecursionError):
        return [""] if holds_card_number(body.decode("utf-8", "replace")) else []
    found: list[str] = []
    for pointer in _pointers(document):
        found.append(pointer)
        if len(found) == FOUND_MAXIMUM:
            break
    return found


def mask_event(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask what looks like a card number everywhere in a log event; a processor of structlog's chain."""
    return {key: _masked(value) for key, value in event.items()}


class CardNumberFirewall(ASGIMiddleware):
    """Refuses a request whose path, query, key or body holds what looks like a card number.

    The body stays readable for the handler. Raises CardNumberRefused.
    """

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Look through the request and pass it on."""
        _check_line(scope)
        request: Request[Any, Any, Any] = Request(scope, receive, send)
        if request.method not in BODILESS and _is_for_us(scope):
            pointers = _found_in_body(await request.body(), is_form=request.content_type[0] == FORM_TYPE)
            if pointers:
                raise CardNumberRefused(errors=[field_error(pointer, MESSAGE, "card-number") for pointer in pointers])
        await next_app(scope, receive, send)


def _is_for_us(scope: Scope) -> bool:
    options = scope["route_handler"].opt
    # Without a caller the guard refuses, and no handler sees the body: nobody can make us read it for nothing.
    refused_anyway = scope.get("user", ...) is None and not options.get("public")
    return not (refused_anyway or options.get(CHECKED_BY_HANDLER))


class _Members(list[tuple[str, Any]]):
    """The members of a JSON object, one after another, so that a name that stands twice hides nothing."""


class _Number(str):
    """A JSON number as it was written."""

    __slots__ = ()


def _check_line(scope: Scope) -> None:
    """Refuse a path, a query or a key (of all headers, these two are stored) that holds one."""
    if holds_card_number(scope["path"]):
        raise _refused("path", "")
    query = scope["query_string"].decode("latin-1")
    if len(query) >= LENGTHS.start and holds_card_number(unquote_plus(query)):
        for name, value in parse_qsl(query, keep_blank_values=True):
            if holds_card_number(name):
                raise _refused("query", "")
            if holds_card_number(value):
                raise _refused("query", name)
    for header, content in scope["headers"]:
        if header in KEY_HEADERS and holds_card_number(content.decode("latin-1")):
            raise _refused("header", KEY_HEADERS[header])


def _refused(place: str, name: str) -> CardNumberRefused:
    return CardNumberRefused(errors=[{"in": place, "name": name, "code": "card-number", "message": MESSAGE}])


def _found_in_body(body: bytes, *, is_form: bool) -> list[str]:
    """Look at a body as JSON whatever its type says: who sends it chooses the type, and the handler the reading."""
    if len(body) < LENGTHS.start:
        return []
    fields = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True) if is_form else []
    found = [
        "" if holds_card_number(name) else _member("", name)
        for name, value in fields
        if holds_card_number(name) or holds_card_number(value)
    ]
    return found[:FOUND_MAXIMUM] or found_in_json(body)


def _suspicious(body: bytes) -> bool:
    """Tell whether a JSON body must be read to know; but for escapes, its bytes are what its strings hold."""
    if b"\\" in body:
        if any(_is_between_digits(escape) for escape in set(_ESCAPE.findall(body))):
            return True
        body = _ESCAPE.sub(b"x", body)
    if not body.isascii() and _UNUSUAL.search(body.decode("utf-8", "replace")):
        return True
    if _THIRTEEN not in body.translate(_SHAPE, _BLANKS):
        return False
    return any(_may_be_one(run.decode("ascii")) for run in _RAW_RUN.findall(body))


def _is_between_digits(escape: bytes) -> bool:
    """Tell whether a JSON escape may stand for a digit or for what parts digits, and not for a letter or a quote."""
    if len(escape) == 6:
        return not chr(int(escape[-4:], 16)).isalpha()
    return escape[1:2] not in b'"\\/'


def _may_be_one(run: str) -> bool:
    if run.isdigit():
        return len(run) in LENGTHS and _is_plausible(run)
    # A number with an exponent is worth other digits than it is written with.
    return run[-1] in "eE" or next(_readings(run, 0, len(run)), None) is not None


def _has_thirteen_digits(text: str) -> bool:
    """Tell, in half a microsecond, whether a text is worth a closer look."""
    if len(text) < LENGTHS.start:
        return False
    return not text.isascii() or _THIRTEEN in text.encode().translate(_SHAPE, _BLANKS)


def _pointers(document: Any) -> Iterator[str]:
    """Yield the pointers of what looks like a card number."""
    waiting: list[tuple[Any, str]] = [(document, "")]
    while waiting:
        value, pointer = waiting.pop()
        if isinstance(value, _Members):
            for key, item in value:
                if holds_card_number(key):
                    yield pointer
                else:
                    waiting.append((item, _member(pointer, key)))
        elif isinstance(value, list):
            waiting.extend((item, f"{pointer}/{index}") for index, item in enumerate(value))
        elif isinstance(value, str) and _is_card_number(pointer, _written_out(value)):
            yield pointer


def _member(pointer: str, name: str) -> str:
    return f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"


def _is_card_number(pointer: str, text: str) -> bool:
    if not holds_card_number(text):
        return False
    of_its_own_form = TYPED_FIELDS.get(_IN_BATCH.sub("", pointer, count=1))
    return of_its_own_form is None or not of_its_own_form(text)


def _written_out(value: str) -> str:
    """Return a text as it is, and a number with an exponent as the whole number that it is, if it is one.

    By its digits, not as a Decimal: an exponent may be any number, and whoever sends one must get an answer.
    """
    number = _DECIMAL.fullmatch(value) if isinstance(value, _Number) else None
    if number is None:
        return value
    digits = (number["whole"] + (number["fraction"] or "")).rstrip("0")
    exponent = number["exponent"] or "0"
    if len(exponent) > _EXPONENT_DIGITS:
        return value
    length = len(number["whole"]) + int((number["sign"] or "") + exponent)
    if not len(digits) <= length <= len(digits) + LENGTHS.stop:
        return value
    whole = digits.ljust(length, "0").lstrip("0")
    return whole if len(whole) in LENGTHS else value


def _plain(text: str) -> str:
    """Return a text with full-width, raised and other compatible forms of digits as plain ones."""
    return text if text.isascii() else unicodedata.normalize("NFKC", text)


def _spans(plain: str) -> Iterator[tuple[int, int]]:
    """Yield where in a text what looks like a card number starts and stops, by start."""
    identifiers: list[tuple[int, int]] | None = None
    for run in _RUN.finditer(plain):
        if next(_readings(plain, *run.span()), None) is None:
            continue
        if identifiers is None:
            identifiers = [found.span() for found in _IDENTIFIER.finditer(plain)]
        for start, stop in _readings(plain, *run.span()):
            if not any(first <= start and stop <= last for first, last in identifiers):
                yield start, stop


def _readings(text: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield every reading of neighbouring groups of digits as one card number: an expiry date may stand beside it."""
    groups = [group.span() for group in _DIGITS.finditer(text, begin, end)]
    for first, (start, _) in enumerate(groups):
        digits = ""
        for low, high in groups[first:]:
            digits += text[low:high]
            if len(digits) >= LENGTHS.stop:
                break
            if len(digits) in LENGTHS and _is_plausible(digits):
                yield start, high


def _is_plausible(digits: str) -> bool:
    if not digits.isascii():
        digits = "".join(str(unicodedata.decimal(digit)) for digit in digits)
    return digits[:4] in PREFIXES[len(digits)] and passes_luhn(digits)


def passes_luhn(digits: str) -> bool:
    """Tell whether ASCII digits end in their check digit (ISO/IEC 7812-1 annex B)."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = ord(digit) - 48
        total += value if position % 2 == 0 else value * 2 - 9 * (value > 4)
    return total % 10 == 0


def _masked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_masked(key): _masked(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(item) for item in value]
    if isinstance(value, bytes):
        return mask(value.decode("utf-8", "replace"))
    if isinstance(value, int) and holds_card_number(str(value)):
        return MASKED
    return mask(value) if isinstance(value, str) else value
