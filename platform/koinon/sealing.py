"""Sealing: AES-256-GCM with random nonces of 96 bits (NIST SP 800-38D §8.2.2), for keys that seal few values each.

What is authenticated beside the value says what it is and whose, so that it opens nowhere else.
"""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12


class Unreadable(Exception):
    """A sealed value does not open: it was changed, or sealed for another place, or under another key."""


class Box:
    """A key of 32 bytes that seals and opens; it shows itself to nobody."""

    def __init__(self, key: bytes) -> None:
        self._key = AESGCM(key)

    def seal(self, data: bytes, purpose: bytes) -> bytes:
        """Return the nonce and what it sealed; `purpose` says what it is and whose."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._key.encrypt(nonce, data, purpose)

    def open(self, sealed: bytes, purpose: bytes, name: str) -> bytes:
        """Return what was sealed for a purpose; raises Unreadable, which says its name."""
        try:
            return self._key.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], purpose)
        except (InvalidTag, ValueError):
            # ValueError: too short to hold a nonce and a tag.
            raise Unreadable(f"{name} does not open") from None
