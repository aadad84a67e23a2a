"""Standard Webhooks signatures: third-party vectors, several keys and signatures, time, and the raw bytes."""

import base64
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from koinon.clock import machine_now
from koinon.identity.webhook_signatures import (
    SignatureInvalid,
    TimestampStale,
    VerifyingKeys,
    decode_public_key,
    decode_secret,
    encode_secret,
    sign,
    verify,
)
from tests.unit.identity.signing import signed_by_key

SECRET = bytes(range(32))
OTHER = bytes(range(1, 33))
KEYS = VerifyingKeys(secrets=(SECRET,))
NOW = 1_772_446_530
BODY = b'{"amount_minor": 100}'


def verify_vector(vector: dict[str, Any], now: float) -> None:
    """Verify one third-party vector with the key that it names."""
    keys = (
        VerifyingKeys(secrets=(decode_secret(vector["secret"]),))
        if vector["scheme"] == "v1"
        else VerifyingKeys(public_key=decode_public_key(vector["public"]))
    )
    headers = {
        "webhook-id": vector["id"],
        "webhook-timestamp": str(vector["timestamp"]),
        "webhook-signature": vector["signature"],
    }
    assert verify(headers, vector["body"].encode(), keys, now) == vector["id"]


def test_third_party_vectors(vectors: Path) -> None:
    """Every vector of other implementations is accepted or refused as it says."""
    cases = msgspec.json.decode((vectors / "standard-webhooks" / "vectors.json").read_bytes())["vectors"]
    for vector in cases:
        if vector["valid"]:
            verify_vector(vector, vector["timestamp"])
        else:
            with pytest.raises(SignatureInvalid):
                verify_vector(vector, vector["timestamp"])

    print(f"{len(cases)} Standard Webhooks vectors")
    assert cases


def test_our_signature_is_the_vector_s(vectors: Path) -> None:
    """What we sign equals, byte for byte, what other implementations signed."""
    cases = msgspec.json.decode((vectors / "standard-webhooks" / "vectors.json").read_bytes())["vectors"]
    compared = 0
    for vector in cases:
        single = vector["valid"] and " " not in vector["signature"]
        if single and vector["scheme"] == "v1":
            signed = sign(decode_secret(vector["secret"]), vector["id"], vector["timestamp"], vector["body"].encode())
        elif single:
            seed = base64.b64decode(vector["private"].removeprefix("whsk_"))[:32]
            key = Ed25519PrivateKey.from_private_bytes(seed)
            signed = signed_by_key(key, vector["id"], vector["timestamp"], vector["body"].encode())
        else:
            continue
        assert vector["signature"] == signed["webhook-signature"]
        compared += 1

    assert compared


@pytest.mark.parametrize("seconds", [-300, -1, 0, 300])
def test_five_minutes_either_way_are_fresh(seconds: int) -> None:
    """A signature counts within 300 seconds of our clock, the last included."""
    assert verify(sign(SECRET, "msg_1", NOW, BODY), BODY, KEYS, NOW + seconds) == "msg_1"


@pytest.mark.parametrize("seconds", [-301, 301, 10**9])
def test_stale_timestamps_are_refused(seconds: int) -> None:
    """Beyond 300 seconds a right signature is stale."""
    with pytest.raises(TimestampStale):
        verify(sign(SECRET, "msg_1", NOW, BODY), BODY, KEYS, NOW + seconds)


def test_a_wrong_signature_is_wrong_before_it_is_stale() -> None:
    """Who has no key learns nothing about our clock."""
    with pytest.raises(SignatureInvalid):
        verify(sign(OTHER, "msg_1", NOW, BODY), BODY, KEYS, NOW + 10_000)


def test_both_secrets_of_a_rotation_count() -> None:
    """While a sender changes its secret, signatures with either count, and with no third one."""
    keys = VerifyingKeys(secrets=(OTHER, SECRET))

    assert verify(sign(SECRET, "msg_1", NOW, BODY), BODY, keys, NOW) == "msg_1"
    assert verify(sign(OTHER, "msg_1", NOW, BODY), BODY, keys, NOW) == "msg_1"
    with pytest.raises(SignatureInvalid):
        verify(sign(bytes(32), "msg_1", NOW, BODY), BODY, keys, NOW)


def test_one_right_signature_among_several_counts() -> None:
    """A sender may sign with an old and a new key at once; unknown versions are passed over."""
    right = sign(SECRET, "msg_1", NOW, BODY)
    wrong = sign(OTHER, "msg_1", NOW, BODY)["webhook-signature"]
    right["webhook-signature"] = f"v2,abc {wrong} v1a,AAAA {right['webhook-signature']}"

    assert verify(right, BODY, KEYS, NOW) == "msg_1"


def test_signatures_beyond_a_bound_are_not_looked_at() -> None:
    """At most sixteen signatures are checked, so that a header cannot buy work."""
    headers = sign(SECRET, "msg_1", NOW, BODY)
    headers["webhook-signature"] = "v1,AAAA " * 16 + headers["webhook-signature"]

    with pytest.raises(SignatureInvalid):
        verify(headers, BODY, KEYS, NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "msg_2"},
        {"webhook-id": ""},
        {"webhook-timestamp": str(NOW + 1)},
        {"webhook-timestamp": ""},
        {"webhook-timestamp": f"{NOW}.0"},
        {"webhook-timestamp": "\u0661\u0662\u0663"},
        {"webhook-timestamp": "9" * 400},
        {"webhook-timestamp": f"+{NOW}"},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,\u00e4"},
        {"webhook-signature": "v1a," + base64.b64encode(bytes(64)).decode()},
    ],
)
def test_changed_headers_are_refused(change: dict[str, str]) -> None:
    """Another id, another time, or no readable signature is no signature."""
    with pytest.raises(SignatureInvalid):
        verify(sign(SECRET, "msg_1", NOW, BODY) | change, BODY, KEYS, NOW)


def test_the_raw_bytes_count() -> None:
    """A body that means the same but is written otherwise is not what was signed."""
    with pytest.raises(SignatureInvalid):
        verify(sign(SECRET, "msg_1", NOW, BODY), BODY.replace(b" ", b""), KEYS, NOW)


def test_the_border_cannot_be_moved() -> None:
    """An id with a full stop is refused: what follows it could have been the timestamp of another request."""
    signed = sign(SECRET, f"msg.{NOW - 5}", NOW, BODY)

    with pytest.raises(SignatureInvalid):
        verify(signed, BODY, KEYS, NOW)
    moved = {"webhook-id": "msg", "webhook-timestamp": str(NOW - 5), "webhook-signature": signed["webhook-signature"]}
    assert verify(moved, f"{NOW}.".encode() + BODY, KEYS, NOW) == "msg"


def test_ed25519_needs_its_own_key() -> None:
    """A v1a signature counts with the source's public key and with no other."""
    key = Ed25519PrivateKey.generate()
    headers = signed_by_key(key, "msg_1", NOW, BODY)
    right = VerifyingKeys(public_key=key.public_key().public_bytes_raw())
    wrong = VerifyingKeys(public_key=Ed25519PrivateKey.generate().public_key().public_bytes_raw())

    assert verify(headers, BODY, right, NOW) == "msg_1"
    for keys in (wrong, KEYS):
        with pytest.raises(SignatureInvalid):
            verify(headers, BODY, keys, NOW)


def test_secrets_have_a_form() -> None:
    """A secret is whsec_ and base64 of 24 to 64 bytes, and reads back as it was written."""
    assert decode_secret(encode_secret(SECRET)) == SECRET
    for text in (
        "",
        "whsec_",
        "whsec_AAAA",
        "AAAA",
        "whsec_" + "!" * 32,
        encode_secret(bytes(23)),
        encode_secret(bytes(65)),
    ):
        with pytest.raises(ValueError, match=r"."):
            decode_secret(text)
    for text in ("", "whpk_AAAA", encode_secret(SECRET)):
        with pytest.raises(ValueError, match=r"."):
            decode_public_key(text)


@given(
    st.binary(min_size=24, max_size=64), st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True), st.text(max_size=200)
)
def test_ours_and_anothers_read_each_other(secret: bytes, webhook_id: str, text: str) -> None:
    """The library of the specification's authors takes what we sign and we take what it signs, and no other body."""
    now, body = int(machine_now().timestamp()), text.encode()
    peer = Webhook(encode_secret(secret))
    theirs = peer.sign(webhook_id, datetime.fromtimestamp(now, UTC), text)
    ours = sign(secret, webhook_id, now, body)

    assert theirs == ours["webhook-signature"]
    peer.verify(body, ours, json_parse=False)
    assert verify(ours | {"webhook-signature": theirs}, body, VerifyingKeys(secrets=(secret,)), now) == webhook_id
    with pytest.raises(WebhookVerificationError):
        peer.verify(body + b"x", ours, json_parse=False)
