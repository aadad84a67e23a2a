"""A sender that signs with an Ed25519 key: the product only verifies such signatures."""

import base64

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def signed_by_key(key: Ed25519PrivateKey, webhook_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the three headers of a body signed with Ed25519 (`v1a`); `timestamp` is in Unix seconds."""
    signature = key.sign(f"{webhook_id}.{timestamp}.".encode() + body)
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1a,{base64.b64encode(signature).decode()}",
    }
