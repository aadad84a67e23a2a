"""Who is calling, and what they may."""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

CallerKind = Literal["operator", "partner", "member", "source"]
ClientKind = Literal["operator", "partner"]
Role = Literal["owner", "marketing", "finance", "developer", "support", "operator"]
SessionKind = Literal["member", "staff"]


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """An authenticated caller.

    `name` is the scope of idempotency: a partner (`par_…`), a member of the operator's staff (`stf_…`), a member
    (`mem_…`) or a source (`src_…`), whichever key or session they used. `scopes` is what the key or role grants.
    `session_id` is set for a browser that signed in.
    """

    kind: CallerKind
    name: str
    scopes: frozenset[str]
    programme_id: int | None = None
    partner_id: int | None = None
    staff_id: int | None = None
    member_id: int | None = None
    account_id: int | None = None
    session_id: str | None = None


OPERATOR_SCOPES = frozenset(
    {
        "programmes:write",
        "partners:write",
        "keys:write",
        "places:write",
        "sources:write",
        "staff:read",
        "settlement:approve",
        "settlement:operate",
        "settlement:read",
        "offers:read",
    }
)
"""What an operator's staff may do; partners' business calls are not among them."""

PARTNER_SCOPES = frozenset(
    {
        "members:write",
        "earnings:write",
        "redemptions:write",
        "reversals:write",
        "offers:write",
        "offers:read",
        "settlement:read",
    }
)
"""What a partner's key may be granted."""

MEMBER_SCOPES = frozenset({"me:read", "me:write"})
"""What a member's session may do."""

SOURCE_SCOPES = frozenset({"cards:write", "feeds:write"})
"""What a processor's signature may do."""

ROLE_SCOPES: Mapping[Role, frozenset[str]] = {
    "operator": OPERATOR_SCOPES,
    "owner": PARTNER_SCOPES | {"keys:write", "staff:read"},
    "marketing": frozenset({"offers:read", "offers:write"}),
    "finance": frozenset({"settlement:read"}),
    "developer": frozenset({"keys:write", "offers:read"}),
    "support": frozenset({"offers:read"}),
}
"""What each role of staff may do in a browser."""

KIND_SCOPES: Mapping[ClientKind, frozenset[str]] = {"operator": OPERATOR_SCOPES, "partner": PARTNER_SCOPES}
"""What a client of a kind may be granted at most."""


SIGNATURE_ALGORITHMS = ("EdDSA", "Ed25519")
"""What a client's key may call its algorithm: by RFC 8037, or by the newer name for this curve (RFC 9864)."""


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """A system that calls with a key of its own: an operator's (of one member of staff) or a partner's."""

    client_id: int
    kind: ClientKind
    name: str
    public_jwk: dict[str, str]
    scopes: frozenset[str]
    staff_id: int | None = None
    partner_id: int | None = None
    programme_id: int | None = None
    revoked: bool = False


class KeyUnusable(ValueError):
    """A public key is not one that a client may have; the message says why."""


def scopes_of(roles: Iterable[Role]) -> frozenset[str]:
    """Return what somebody with these roles may do."""
    return frozenset().union(*(ROLE_SCOPES[role] for role in roles))


def decode_base64url(text: str) -> bytes:
    """Return the bytes behind base64url without padding (RFC 7515 §2); raises ValueError."""
    if not text.isascii() or "=" in text or "+" in text or "/" in text:
        raise ValueError("not base64url without padding")
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def encode_base64url(data: bytes) -> str:
    """Return base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def public_jwk(key: bytes) -> dict[str, str]:
    """Return the JWK of a raw Ed25519 public key (RFC 8037)."""
    return {"kty": "OKP", "crv": "Ed25519", "x": encode_base64url(key)}


def checked_jwk(given: Mapping[str, Any]) -> dict[str, str]:
    """Return the members of a public Ed25519 JWK that make the key (RFC 8037); raises KeyUnusable.

    A private key is refused: whoever sent it has to make a new one. So is a key that says it is for something else than
    checking EdDSA signatures (RFC 7517 §4): it was made for another system, or by a mistake that would show later.
    """
    if "d" in given:
        raise KeyUnusable("this is a private key, which nobody but its owner may know: make a new pair")
    if given.get("kty") != "OKP" or given.get("crv") != "Ed25519":
        raise KeyUnusable("the key must be an Ed25519 public key: kty OKP, crv Ed25519")
    if given.get("alg", "EdDSA") not in SIGNATURE_ALGORITHMS:
        raise KeyUnusable("alg, where it is given, must be EdDSA")
    if given.get("use", "sig") != "sig":
        raise KeyUnusable("use, where it is given, must be sig: the key checks signatures")
    if given.get("key_ops", ["verify"]) != ["verify"]:
        raise KeyUnusable("key_ops, where it is given, must be verify alone: the key checks signatures")
    if not isinstance(given.get("kid", ""), str):
        raise KeyUnusable("kid, where it is given, must be text")
    coordinate = given.get("x")
    try:
        raw = decode_base64url(coordinate) if isinstance(coordinate, str) else b""
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise KeyUnusable("x must be 32 bytes in base64url without padding")
    return public_jwk(raw)


def thumbprint(jwk: Mapping[str, str]) -> str:
    """Return the thumbprint of an Ed25519 JWK (RFC 7638, RFC 8037 appendix A.3): its key id."""
    members = {name: jwk[name] for name in ("crv", "kty", "x")}
    return encode_base64url(hashlib.sha256(msgspec.json.encode(members, order="sorted")).digest())
