"""base64url without padding (RFC 7515 §2), in which keys, tokens and hashes travel."""

import base64


def decode_base64url(text: str) -> bytes:
    """Return the bytes behind base64url without padding (RFC 7515 §2); raises ValueError."""
    if not text.isascii() or "=" in text or "+" in text or "/" in text:
        raise ValueError("not base64url without padding")
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def encode_base64url(data: bytes) -> str:
    """Return base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
