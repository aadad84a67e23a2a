"""Scopes of roles, and public keys as clients give them."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from koinon.base64url import decode_base64url, encode_base64url
from koinon.callers.model import MEMBER_SCOPES, OPERATOR_SCOPES, PARTNER_SCOPES, ROLE_SCOPES, SOURCE_SCOPES, scopes_of
from koinon.identity.model import KIND_SCOPES, KeyUnusable, checked_jwk, public_jwk, thumbprint
from koinon.identity.sign_in_web import session_cookie
from koinon.settings import Settings


def test_thumbprint_of_the_standard_s_example() -> None:
    """The key of RFC 8037 appendix A has the thumbprint that appendix A.3 states."""
    jwk = {"crv": "Ed25519", "kty": "OKP", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}

    assert thumbprint(jwk) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_a_public_key_is_taken_as_it_is() -> None:
    """A JWK of an Ed25519 key gives the members that make the key, and nothing else that it carries."""
    raw = Ed25519PrivateKey.generate().public_key().public_bytes_raw()

    assert checked_jwk(public_jwk(raw) | {"kid": "mine", "use": "sig", "alg": "EdDSA"}) == public_jwk(raw)
    assert checked_jwk({**public_jwk(raw), "key_ops": ["verify"], "alg": "Ed25519"}) == public_jwk(raw)


@pytest.mark.parametrize(
    "change",
    [
        {"d": "AAAA"},
        {"kty": "EC"},
        {"crv": "X25519"},
        {"x": "AAAA"},
        {"x": "!" * 43},
        {"x": "A" * 43 + "="},
        {"x": 7},
        {"x": None},
        {"x": "\u00e4" * 43},
        {"alg": "RS256"},
        {"alg": "ES256"},
        {"alg": None},
        {"alg": ["EdDSA"]},
        {"use": "enc"},
        {"use": None},
        {"key_ops": ["sign"]},
        {"key_ops": ["verify", "sign"]},
        {"key_ops": "verify"},
        {"kid": 7},
        {"kid": None},
    ],
)
def test_unusable_keys_are_refused(change: dict[str, object]) -> None:
    """A private key, another curve or purpose, and what is no key are refused, and the sentence repeats none of it."""
    with pytest.raises(KeyUnusable) as refusal:
        checked_jwk({**public_jwk(bytes(range(32))), **change})

    assert "AAAA" not in str(refusal.value)


def test_roles_never_reach_beyond_their_side() -> None:
    """Brand's staff have no operator's scope but the shared readings, and the operator none of the brands' business."""
    shared = {"settlement:read", "offers:read", "keys:write", "staff:read"}

    for role, scopes in ROLE_SCOPES.items():
        if role != "operator":
            assert scopes & OPERATOR_SCOPES <= shared, role
            assert scopes <= PARTNER_SCOPES | {"keys:write", "staff:read"}, role
    assert {"settlement:read", "offers:read"} == OPERATOR_SCOPES & PARTNER_SCOPES
    assert not (MEMBER_SCOPES | SOURCE_SCOPES) & (OPERATOR_SCOPES | PARTNER_SCOPES)


def test_keys_cannot_make_keys_of_partners() -> None:
    """A partner's key can be granted no right to make further keys, nor to see who works for the brand."""
    assert not {"keys:write", "staff:read"} & KIND_SCOPES["partner"]


def test_roles_add_up() -> None:
    """Somebody with two roles may do what either may, and somebody with none nothing."""
    assert scopes_of(["marketing", "finance"]) == {"offers:read", "offers:write", "settlement:read"}
    assert scopes_of([]) == frozenset()


@given(st.binary(max_size=80))
def test_base64url_reads_back(data: bytes) -> None:
    """What is encoded decodes to itself, without padding."""
    assert decode_base64url(encode_base64url(data)) == data
    assert "=" not in encode_base64url(data)


def test_cookies_are_kept_from_scripts_and_other_sites() -> None:
    """A session's cookie is HttpOnly and Lax, and Secure wherever the public address is https."""
    plain = session_cookie(Settings(), "token", "member").to_header(header="")
    secure = session_cookie(Settings(secure_cookies=True), "token", "staff").to_header(header="")

    assert plain == "koinon_session=token; HttpOnly; Max-Age=2592000; Path=/; SameSite=lax"
    assert secure == "koinon_session=token; HttpOnly; Max-Age=43200; Path=/; SameSite=lax; Secure"
