"""Systems that call with keys of their own, and the forms that keys come in."""

import hashlib
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from koinon.base64url import decode_base64url, encode_base64url
from koinon.callers.model import OPERATOR_SCOPES, PARTNER_SCOPES

ClientKind = Literal["operator", "partner"]
SessionKind = Literal["member", "staff"]


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
