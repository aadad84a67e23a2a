"""Standard Webhooks signatures: `v1` (HMAC-SHA256) and `v1a` (Ed25519) over the raw bytes of a body.

Signed is `webhook-id.webhook-timestamp.body`; the signature header holds one or more, parted by spaces, so that a
sender can sign with an old and a new key while it changes them. Source: the Standard Webhooks specification 1.0.
"""

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from koinon.problems import NotAuthenticated

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"
SECRET_PREFIX = "whsec_"  # noqa: S105  # the prefix that the specification gives secrets
PUBLIC_KEY_PREFIX = "whpk_"
TOLERANCE_SECONDS = 300
SECRET_BYTES = range(24, 65)
SIGNATURES_MAXIMUM = 16


class SignatureInvalid(NotAuthenticated):
    """No signature of the request is one of the source's over these very bytes."""

    code = "signature-invalid"
    title = "The request is not signed with the source's key (Standard Webhooks, over the raw bytes)"


class TimestampStale(NotAuthenticated):
    """The request was signed too long ago, or in the future."""

    code = "timestamp-stale"
    title = "webhook-timestamp is more than five minutes away from our clock"


class VerifyingKeys(msgspec.Struct, frozen=True):
    """What a sender's signatures are checked with: up to two HMAC secrets, and an Ed25519 public key."""

    secrets: tuple[bytes, ...] = ()
    public_key: bytes | None = None


def decode_secret(text: str) -> bytes:
    """Return the bytes of a `whsec_…` secret; raises ValueError unless it has 24 to 64 bytes."""
    secret = _decoded(text, SECRET_PREFIX)
    if len(secret) not in SECRET_BYTES:
        raise ValueError("a secret has 24 to 64 bytes")
    return secret


def encode_secret(secret: bytes) -> str:
    """Return the `whsec_…` form of a secret."""
    return SECRET_PREFIX + base64.b64encode(secret).decode()


def decode_public_key(text: str) -> bytes:
    """Return the 32 bytes of a `whpk_…` Ed25519 public key; raises ValueError."""
    key = _decoded(text, PUBLIC_KEY_PREFIX)
    if len(key) != 32:
        raise ValueError("an Ed25519 public key has 32 bytes")
    return key


def encode_public_key(key: bytes) -> str:
    """Return the `whpk_…` form of an Ed25519 public key."""
    return PUBLIC_KEY_PREFIX + base64.b64encode(key).decode()


def sign(secret: bytes, webhook_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the three headers of a body signed with HMAC-SHA256; `timestamp` is in Unix seconds."""
    digest = hmac.digest(secret, _signed(webhook_id, str(timestamp), body), "sha256")
    return _headers(webhook_id, timestamp, f"v1,{base64.b64encode(digest).decode()}")


def verify(headers: Mapping[str, str], body: bytes, keys: VerifyingKeys, now: float) -> str:
    """Return the webhook-id of a body that one of the keys signed within 300 seconds of `now` (Unix, machine time).

    Header names are looked up in lower case. Raises SignatureInvalid, TimestampStale.
    """
    webhook_id, timestamp = headers.get(ID_HEADER, ""), headers.get(TIMESTAMP_HEADER, "")
    # Neither may hold a full stop: it is what parts the three, and a moved border would sign something else.
    if not webhook_id or "." in webhook_id or not webhook_id.isascii():
        raise SignatureInvalid("webhook-id is missing, or holds a full stop or another character than ASCII")
    if not timestamp.isascii() or not timestamp.isdecimal() or len(timestamp) > 15:
        raise SignatureInvalid("webhook-timestamp must be whole Unix seconds")
    signatures = headers.get(SIGNATURE_HEADER, "").split(" ", SIGNATURES_MAXIMUM)[:SIGNATURES_MAXIMUM]
    signed = _signed(webhook_id, timestamp, body)
    # Every signature is looked at, also after one was right, so that the time it takes says nothing.
    results = [_is_right(signature, signed, keys) for signature in signatures]
    if True not in results:
        raise SignatureInvalid
    if abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        raise TimestampStale
    return webhook_id


def _is_right(signature: str, signed: bytes, keys: VerifyingKeys) -> bool:
    version, _, text = signature.partition(",")
    try:
        given = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    if version == "v1":
        return _any(hmac.compare_digest(given, hmac.digest(secret, signed, "sha256")) for secret in keys.secrets)
    if version == "v1a" and keys.public_key is not None:
        try:
            Ed25519PublicKey.from_public_bytes(keys.public_key).verify(given, signed)
        except InvalidSignature:
            return False
        return True
    return False


def _any(results: Iterable[bool]) -> bool:
    # Unlike any(), it looks at all of them.
    return True in list(results)


def _signed(webhook_id: str, timestamp: str, body: bytes) -> bytes:
    return b".".join((webhook_id.encode(), timestamp.encode(), body))


def _headers(webhook_id: str, timestamp: int, signature: str) -> dict[str, str]:
    return {ID_HEADER: webhook_id, TIMESTAMP_HEADER: str(timestamp), SIGNATURE_HEADER: signature}


def _decoded(text: str, prefix: str) -> bytes:
    if not text.startswith(prefix):
        raise ValueError(f"it must start with {prefix}")
    return base64.b64decode(text.removeprefix(prefix), validate=True)
