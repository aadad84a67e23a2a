"""Pay codes: short-lived, single-use texts that show a till that the member is there.

A code is `KPC` and 64 symbols of Crockford base32, all upper case so that a QR code holds them in its denser
alphanumeric mode: 8 bytes member, 12 bytes nonce, 4 bytes expiry (Unix seconds), and the first 16 bytes of
HMAC-SHA256 over these under the installation's secret. Any process checks a code without asking the database; the
ledger refuses the second use by the nonce, which is the code's reference.
"""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec

from koinon.ids import ALPHABET, VALUES
from koinon.problems import Refused

PAY_CODE = "KPC229CFYWQ169HA4PJH4C5V58EX20KC28PD6JNHN3VT9MAFH36M6Y0RT37MEJ9MB8M"
"""What a pay code looks like."""
PayCodeText = Annotated[
    str,
    msgspec.Meta(
        max_length=100,
        description="A pay code.",
        examples=[PAY_CODE],
    ),
]

PREFIX = "KPC"
LIFETIME_SECONDS = 60
NONCE_BYTES = 12
CODE_BYTES = 40
MAC_BYTES = 16
SYMBOLS = CODE_BYTES * 8 // 5

# The installation's secret serves several purposes; this label keeps a tag of one from being a tag of another.
LABEL = b"koinon pay code v1\0"


class PayCodeInvalid(Refused):
    """The text is no pay code of this installation."""

    code = "pay-code-invalid"
    title = "This is not a valid pay code"


class PayCodeExpired(Refused):
    """The pay code has run out."""

    code = "pay-code-expired"
    title = "This pay code has run out; ask the member for a new one"


class PayCode(msgspec.Struct, frozen=True):
    """A pay code and the instant (machine time, UTC) from which it is no longer taken."""

    code: PayCodeText
    expires_at: Annotated[datetime, msgspec.Meta(examples=["2026-03-02T09:31:00Z"])]


def issue(member_id: int, secret: bytes, now: datetime, nonce: bytes) -> PayCode:
    """Return a member's pay code; `now` is machine time, `nonce` NONCE_BYTES random bytes."""
    if len(nonce) != NONCE_BYTES:
        message = f"a nonce has {NONCE_BYTES} bytes"
        raise ValueError(message)
    expiry = int(now.timestamp()) + LIFETIME_SECONDS
    payload = member_id.to_bytes(8, "big") + nonce + expiry.to_bytes(4, "big")
    number = int.from_bytes(payload + _tag(payload, secret), "big")
    symbols = "".join(ALPHABET[number >> (5 * place) & 31] for place in range(SYMBOLS - 1, -1, -1))
    return PayCode(PREFIX + symbols.upper(), datetime.fromtimestamp(expiry, UTC))


def verify(code: str, secret: bytes, now: datetime) -> tuple[int, str]:
    """Return (member id, the code's reference for the ledger) of a code that is genuine and has not run out.

    `now` is machine time. Letters may come in lower case. Raises PayCodeInvalid, PayCodeExpired.
    """
    data = _bytes(code)
    payload, tag = data[:-MAC_BYTES], data[-MAC_BYTES:]
    if not hmac.compare_digest(tag, _tag(payload, secret)):
        raise PayCodeInvalid
    expires_at = datetime.fromtimestamp(int.from_bytes(payload[-4:], "big"), UTC)
    # A code from further ahead than its lifetime was made by a machine whose clock stood wrong: it would live too long.
    if expires_at > now + timedelta(seconds=2 * LIFETIME_SECONDS):
        raise PayCodeInvalid
    if expires_at <= now:
        raise PayCodeExpired
    return int.from_bytes(payload[:8], "big"), payload[8 : 8 + NONCE_BYTES].hex()


def _tag(payload: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, LABEL + payload, hashlib.sha256)[:MAC_BYTES]


def _bytes(code: str) -> bytes:
    symbols = code.strip().lower()
    head, tail = symbols[: len(PREFIX)], symbols[len(PREFIX) :]
    if head != PREFIX.lower() or len(tail) != SYMBOLS or any(symbol not in VALUES for symbol in tail):
        raise PayCodeInvalid
    number = 0
    for symbol in tail:
        number = number << 5 | VALUES[symbol]
    return number.to_bytes(CODE_BYTES, "big")
