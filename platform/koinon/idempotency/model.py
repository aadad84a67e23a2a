"""What a request is compared by."""

import hashlib


def content_hash(*parts: bytes | str) -> str:
    """Return the SHA-256 (hex) of a request's content; parts are length-prefixed, so that no two lists collide."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()
