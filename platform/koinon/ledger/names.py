"""What journals are called in receipts and in the log's contents: the same name in both, and nothing else in it.

A journal's id carries its account and the millisecond in which it was made. A brand that read it could tell which of
its own customers spent its points at another brand's till.
"""

import hmac
from functools import lru_cache
from uuid import UUID

from koinon import ids
from koinon.keyring import derived

NAME_BYTES = 16


def journal_name(secret: bytes, account_id: int, journal_id: UUID) -> str:
    """Return a journal's name under the installation's secret: always the same, and nobody else can make it."""
    known = account_id.to_bytes(ids.ENTITY_BYTES) + journal_id.bytes
    return ids.opaque("jnl", hmac.digest(_key(secret), known, "sha256")[:NAME_BYTES])


@lru_cache(maxsize=8)
def _key(secret: bytes) -> bytes:
    return derived(secret, b"journal names")
