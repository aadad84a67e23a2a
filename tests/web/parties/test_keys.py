"""A partner's keys over HTTP: a public key in, tokens out, and an end to it."""

import asyncio
import time
from typing import Any

import asyncpg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from koinon import ids
from koinon.callers.model import PARTNER_SCOPES
from tests.kit.scheme import assert_field, assert_refused, open_scheme, unchanged
from tests.web.conftest import Callers, jwk_of, problem_of

PATIENCE_SECONDS = 60


def key_body(private_key: Ed25519PrivateKey | None = None, **changes: Any) -> dict[str, Any]:
    """Return a right request for a key that may enrol members."""
    jwk = jwk_of(private_key or Ed25519PrivateKey.generate())
    right = {"name": "tills", "public_jwk": jwk, "scopes": ["members:write"]}
    return {name: value for name, value in (right | changes).items() if value is not ...}


async def test_a_key_calls_and_ends(callers: Callers) -> None:
    """A registered key gets tokens with its scopes; revoked, it gets none, and its tokens end."""
    scheme = await open_scheme(callers)
    partner = await scheme.partner()
    private_key = Ed25519PrivateKey.generate()
    made = await scheme.operator.post(f"/v1/partners/{partner}/keys", key_body(private_key))

    assert made.status_code == 201
    assert {name: made.json()[name] for name in ("name", "scopes", "revoked_at")} == {
        "name": "tills",
        "scopes": ["members:write"],
        "revoked_at": None,
    }
    client = made.json()["client"]
    token = await callers.token(client, private_key)
    assert (token.status_code, token.json()["scope"]) == (200, "members:write")
    shop = await callers.client.get(
        "/v1/members/mem_0000000000001", headers={"Authorization": f"Bearer {token.json()['access_token']}"}
    )
    assert problem_of(shop) == (404, "unknown-member")

    revoked = await scheme.operator.delete(f"/v1/partners/{partner}/keys/{client}")
    assert (revoked.status_code, revoked.json()["client"]) == (200, client)
    assert revoked.json()["revoked_at"] is not None
    assert problem_of(await callers.token(client, private_key)) == (401, "invalid-client")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while shop.status_code != 401 and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
        shop = await callers.client.get(
            "/v1/members/mem_0000000000001", headers={"Authorization": f"Bearer {token.json()['access_token']}"}
        )
    assert shop.status_code == 401


async def test_keys_are_listed(callers: Callers) -> None:
    """Revoked ones stay in the list; another brand's are not in it."""
    scheme = await open_scheme(callers)
    grocer, fuel = await scheme.partner("grocer"), await scheme.partner("fuel")
    made = [(await scheme.operator.post(f"/v1/partners/{grocer}/keys", key_body())).json()["client"] for _ in range(3)]
    await scheme.operator.post(f"/v1/partners/{fuel}/keys", key_body(scopes=...))
    await scheme.operator.delete(f"/v1/partners/{grocer}/keys/{made[1]}")

    first = (await scheme.operator.get(f"/v1/partners/{grocer}/keys", limit=2)).json()
    rest = (await scheme.operator.get(f"/v1/partners/{grocer}/keys", limit=2, cursor=first["next"])).json()
    listed = first["items"] + rest["items"]
    assert sorted(item["client"] for item in listed) == sorted(made)
    assert [item["client"] for item in listed if item["revoked_at"]] == [made[1]]
    (other,) = (await scheme.operator.get(f"/v1/partners/{fuel}/keys")).json()["items"]
    assert "earnings:write" in other["scopes"]
    assert "keys:write" not in other["scopes"]


async def test_only_a_public_ed25519_key_is_taken(callers: Callers, database: asyncpg.Pool) -> None:
    """A private key, another curve, a short one, an unknown or foreign scope: nothing is registered."""
    scheme = await open_scheme(callers)
    path = f"/v1/partners/{await scheme.partner()}/keys"
    jwk = jwk_of(Ed25519PrivateKey.generate())
    wrong: list[tuple[dict[str, Any], str, str]] = [
        ({"public_jwk": jwk | {"d": jwk["x"]}}, "/public_jwk", "key-unusable"),
        ({"public_jwk": jwk | {"kty": "EC"}}, "/public_jwk", "key-unusable"),
        ({"public_jwk": jwk | {"crv": "X25519"}}, "/public_jwk", "key-unusable"),
        ({"public_jwk": jwk | {"alg": "RS256"}}, "/public_jwk", "key-unusable"),
        ({"public_jwk": jwk | {"x": jwk["x"][:-1]}}, "/public_jwk", "key-unusable"),
        ({"public_jwk": {}}, "/public_jwk", "key-unusable"),
        ({"public_jwk": "x"}, "/public_jwk", "invalid-field"),
        ({"scopes": ["partners:write"]}, "/scopes", "unknown-scope"),
        ({"scopes": []}, "/scopes", "invalid-field"),
        ({"name": ""}, "/name", "invalid-field"),
    ]
    async with unchanged(database):
        for changes, pointer, code in wrong:
            answer = await scheme.operator.post(path, key_body(**changes))

            assert answer.status_code == 400, answer.text
            assert [(error["pointer"], error["code"]) for error in answer.json()["errors"]] == [(pointer, code)]
            assert jwk["x"] not in answer.text


async def test_a_brand_manages_its_own_keys(callers: Callers, database: asyncpg.Pool) -> None:
    """Its developer registers and revokes its own keys; another brand's partner and keys are not there for them."""
    scheme = await open_scheme(callers)
    grocer, fuel = await scheme.partner("grocer"), await scheme.partner("fuel")
    foreign = (await scheme.operator.post(f"/v1/partners/{fuel}/keys", key_body())).json()["client"]
    developer = await callers.staff(
        "dev@grocer.example",
        role="developer",
        partner_id=ids.private("par", grocer),
        programme_id=scheme.programme_id,
    )
    own = (await developer.post(f"/v1/partners/{grocer}/keys", key_body())).json()["client"]
    assert (await developer.delete(f"/v1/partners/{grocer}/keys/{own}")).status_code == 200
    async with unchanged(database):
        assert_refused(await developer.post(f"/v1/partners/{fuel}/keys", key_body()), 404, "unknown-partner")
        assert_refused(await developer.get(f"/v1/partners/{fuel}/keys"), 404, "unknown-partner")
        assert_refused(await developer.delete(f"/v1/partners/{fuel}/keys/{foreign}"), 404, "unknown-partner")
        assert_refused(await developer.delete(f"/v1/partners/{grocer}/keys/{foreign}"), 404, "unknown-client")
        assert_refused(await developer.delete(f"/v1/partners/{grocer}/keys/{own}"), 404, "unknown-client")
    shop = await scheme.api_of(grocer)
    async with unchanged(database):
        assert_refused(await shop.post(f"/v1/partners/{grocer}/keys", key_body()), 403, "scope-missing")


async def test_the_operators_partner_has_no_keys(callers: Callers, database: asyncpg.Pool) -> None:
    """Its clients belong to staff; an unknown partner has none either."""
    scheme = await open_scheme(callers)
    own = (await scheme.operator.get(f"/v1/programmes/{scheme.programme}")).json()["operator"]
    async with unchanged(database):
        assert_refused(await scheme.operator.post(f"/v1/partners/{own}/keys", key_body()), 422, "operator-has-no-keys")
        unknown = await scheme.operator.post("/v1/partners/par_0000000000001/keys", key_body())
    assert_refused(unknown, 404, "unknown-partner")


async def test_scopes_are_listed_by_who_lacks_them(callers: Callers, database: asyncpg.Pool) -> None:
    """A developer makes a key for tills by saying so; only an owner and the operator get all by saying nothing."""
    scheme = await open_scheme(callers)
    grocer = await scheme.partner("grocer")
    path = f"/v1/partners/{grocer}/keys"
    places = {"partner_id": ids.private("par", grocer), "programme_id": scheme.programme_id}
    developer = await callers.staff("dev@grocer.example", role="developer", **places)
    owner = await callers.staff("owner@grocer.example", role="owner", **places)
    async with unchanged(database):
        refused = await developer.post(path, key_body(scopes=...))
        assert_refused(refused, 400, "invalid-input")
        assert [(error["pointer"], error["code"]) for error in refused.json()["errors"]] == [
            ("/scopes", "scopes-needed")
        ]
        assert_field(await developer.post(path, key_body(scopes=None)), "/scopes")
    tills = ["earnings:write", "redemptions:write", "reversals:write"]
    assert (await developer.post(path, key_body(scopes=tills))).json()["scopes"] == tills
    for caller in (owner, scheme.operator):
        made = await caller.post(path, key_body(scopes=...))
        assert (made.status_code, made.json()["scopes"]) == (201, sorted(PARTNER_SCOPES))
