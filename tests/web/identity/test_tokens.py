"""Access tokens: a client's signed assertion is exchanged for one, once."""

import asyncio
import time
import uuid
from typing import Any

import asyncpg
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from koinon.base64url import encode_base64url
from koinon.database import transaction
from koinon.identity.client_assertions import ASSERTION_TYPE
from koinon.identity.model import Client
from koinon.identity.operations import grant_role, make_staff, register_client, revoke_client
from koinon.ids import new_id, public
from koinon.settings import Settings
from tests.web.conftest import Callers, assertion, jwk_of, problem_of
from tests.web.identity.conftest import Brand

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@pytest.fixture
async def operator_client(database: asyncpg.Pool) -> Client:
    """Give an operator's client with the key KEY."""
    async with transaction() as connection:
        staff_id = await make_staff(connection, email="ops@koinon.example", name="Ops")
        await grant_role(connection, staff_id=staff_id, role="operator")
        return await register_client(
            connection, kind="operator", name="test", public_jwk=jwk_of(KEY), staff_id=staff_id
        )


async def test_a_right_assertion_gets_a_token(
    callers: Callers, client: httpx.AsyncClient, operator_client: Client, settings: Settings
) -> None:
    """The token is an at+jwt of ten minutes that anyone verifies with the published key."""
    answer = await callers.token(public("cli", operator_client.client_id), KEY)

    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.json()
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == 600
    assert body["scope"] == " ".join(sorted(operator_client.scopes))
    keys = (await client.get("/.well-known/jwks.json")).json()["keys"]
    claims = jwt.decode_complete(
        body["access_token"],
        jwt.PyJWK(keys[0]),
        algorithms=["EdDSA"],
        audience=settings.base_url,
        issuer=settings.base_url,
    )
    assert claims["header"] == {"alg": "EdDSA", "typ": "at+jwt", "kid": keys[0]["kid"]}
    assert operator_client.staff_id is not None
    assert claims["payload"]["client_id"] == public("cli", operator_client.client_id)
    assert claims["payload"]["staff"] == public("stf", operator_client.staff_id)
    assert claims["payload"]["exp"] - claims["payload"]["iat"] == 600


async def test_a_partner_s_token_carries_partner_and_programme(
    callers: Callers, client: httpx.AsyncClient, brand: Brand, probe: str
) -> None:
    """A partner's key calls as the partner, in its programme, with what it was granted and no more."""
    shop = await callers.partner(brand.partner_id, brand.programme_id, frozenset({"earnings:write"}))

    caller = (await shop.get(probe)).json()

    assert caller["kind"] == "partner"
    assert caller["name"] == public("par", brand.partner_id)
    assert caller["partner_id"] == brand.partner_id
    assert caller["programme_id"] == brand.programme_id
    assert caller["scopes"] == ["earnings:write"]
    assert caller["session_id"] is None


async def test_fewer_scopes_may_be_asked_for(callers: Callers, operator_client: Client) -> None:
    """A token may be asked for with some of the client's scopes, and with none that it lacks."""
    client_id = public("cli", operator_client.client_id)

    fewer = await callers.token(client_id, KEY, scope="offers:read settlement:read")
    more = await callers.token(client_id, KEY, scope="offers:read earnings:write")

    assert fewer.json()["scope"] == "offers:read settlement:read"
    assert problem_of(more) == (400, "invalid-scope")
    assert more.json()["error"] == "invalid_scope"


WRONG_CLAIMS: tuple[dict[str, Any], ...] = (
    {"iss": "cli_0000000000001"},
    {"iss": "nobody"},
    {"iss": None},
    {"sub": "cli_0000000000001"},
    {"sub": None},
    {"aud": "https://elsewhere.example"},
    {"aud": None},
    {"aud": ["http://127.0.0.1:8700", "https://elsewhere.example"]},
    {"exp": 1},
    {"exp": None},
    {"exp": int(time.time()) + 86_400},
    {"exp": "soon"},
    {"jti": None},
    {"jti": ""},
    {"jti": 7},
    {"jti": "x" * 256},
    {"jti": "a\u0000b"},
    {"jti": "a\nb"},
    {"jti": "\ud800"},
    {"exp": str(int(time.time()) + 60)},
    {"exp": True},
    {"exp": float("inf")},
    {"exp": float("nan")},
    {"exp": 10**400},
    {"exp": [1]},
    {"nbf": float("inf")},
    {"iat": "now"},
    {"iss": "cli_\ud800"},
    {"sub": 7},
    {"aud": [7]},
    {"aud": {"a": "b"}},
    {"nbf": int(time.time()) + 86_400},
    {"iat": int(time.time()) + 86_400},
)


async def test_wrong_claims_are_refused(
    callers: Callers, operator_client: Client, database: asyncpg.Pool, subtests: pytest.Subtests
) -> None:
    """A claim that is missing or wrong gets no token, and the assertion is not taken."""
    for claims in WRONG_CLAIMS:
        with subtests.test(claims=claims):
            answer = await callers.token(public("cli", operator_client.client_id), KEY, **claims)

            assert problem_of(answer) == (401, "invalid-client")
            assert answer.json()["error"] == "invalid_client"
    assert await database.fetchval("SELECT count(*) FROM identity.assertion_used") == 0


async def test_the_token_url_is_an_audience_too(callers: Callers, operator_client: Client, settings: Settings) -> None:
    """The audience may be this server or its token address, alone or in a list of one."""
    client_id = public("cli", operator_client.client_id)
    for audience in (settings.base_url + "/v1/oauth/token", [settings.base_url]):
        assert (await callers.token(client_id, KEY, aud=audience)).status_code == 200


async def test_an_assertion_is_used_once(
    callers: Callers, client: httpx.AsyncClient, operator_client: Client, settings: Settings
) -> None:
    """Of the same assertion sent ten times at once, one gets a token."""
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion(public("cli", operator_client.client_id), KEY, settings.base_url),
    }

    answers = await asyncio.gather(*(client.post("/v1/oauth/token", data=form) for _ in range(10)))

    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 9


def forged(settings: Settings, client: Client) -> dict[str, str]:
    """Return assertions of a client that its key did not sign."""
    client_id = public("cli", client.client_id)
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": settings.base_url,
        "exp": int(time.time()) + 60,
        "jti": uuid.uuid4().hex,
    }
    public_bytes = KEY.public_key().public_bytes_raw()
    right = jwt.encode(claims, KEY, algorithm="EdDSA")
    return {
        "another key": jwt.encode(claims, Ed25519PrivateKey.generate(), algorithm="EdDSA"),
        "another algorithm": jwt.encode(claims, generate_ec_key(SECP256R1()), algorithm="ES256"),
        "the public key as a secret": jwt.encode(claims, public_bytes, algorithm="HS256"),
        "no signature": jwt.encode(claims, "", algorithm="none"),
        "changed": right[:-8] + ("A" if right[-8] != "A" else "B") + right[-7:],
        "no token": "hello",
        "nothing": " ",
        "not UTF-8": "\udcff",
        "nested claims": f"{right.partition('.')[0]}.{encode_base64url(b'[' * 8_000)}.x",
        "nested header": f"{encode_base64url(b'[' * 8_000)}.{right.partition('.')[2]}",
    }


async def test_forged_assertions_are_refused(
    client: httpx.AsyncClient, operator_client: Client, settings: Settings, subtests: pytest.Subtests
) -> None:
    """Nothing but the client's own EdDSA signature counts."""
    for kind, token in forged(settings, operator_client).items():
        with subtests.test(kind):
            form = {
                "grant_type": "client_credentials",
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": token.encode("utf-8", "surrogateescape"),
            }

            assert problem_of(await client.post("/v1/oauth/token", data=form)) == (401, "invalid-client")


OTHER_REQUESTS: tuple[tuple[dict[str, Any], str, str], ...] = (
    ({}, "unsupported-grant-type", "unsupported_grant_type"),
    ({"grant_type": "password"}, "unsupported-grant-type", "unsupported_grant_type"),
    ({"grant_type": "client_credentials"}, "token-request-invalid", "invalid_request"),
    (
        {"grant_type": "client_credentials", "client_assertion_type": "x", "client_assertion": "y"},
        "token-request-invalid",
        "invalid_request",
    ),
    (
        {"grant_type": ["client_credentials", "client_credentials"]},
        "token-request-invalid",
        "invalid_request",
    ),
)


async def test_other_requests_are_refused(client: httpx.AsyncClient, subtests: pytest.Subtests) -> None:
    """Another grant, a missing or a doubled parameter is named as RFC 6749 does."""
    for form, code, error in OTHER_REQUESTS:
        with subtests.test(form=form):
            answer = await client.post("/v1/oauth/token", data=form)

            assert problem_of(answer) == (400, code)
            assert answer.json()["error"] == error


async def test_a_body_that_is_no_form_is_refused(client: httpx.AsyncClient) -> None:
    """JSON is no token request."""
    answer = await client.post("/v1/oauth/token", json={"grant_type": "client_credentials"})

    assert answer.status_code == 400


async def test_a_revoked_client_gets_no_token(
    callers: Callers, operator_client: Client, database: asyncpg.Pool
) -> None:
    """From its revocation on, a client is as unknown as one that never was."""
    async with transaction() as connection:
        await revoke_client(connection, operator_client.client_id)

    revoked = await callers.token(public("cli", operator_client.client_id), KEY)
    unknown = await callers.token(public("cli", new_id()), KEY)

    assert problem_of(revoked) == (401, "invalid-client")
    assert revoked.json() == unknown.json()


async def test_unknown_parameters_are_ignored(
    client: httpx.AsyncClient, operator_client: Client, settings: Settings
) -> None:
    """A parameter that this server does not know changes nothing (RFC 6749 §3.2)."""
    client_id = public("cli", operator_client.client_id)
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion(client_id, KEY, settings.base_url),
        "resource": "x",
        "client_id": client_id,
    }

    assert (await client.post("/v1/oauth/token", data=form)).status_code == 200
    form["client_assertion"] = assertion(client_id, KEY, settings.base_url)
    form["client_id"] = public("cli", new_id())
    assert problem_of(await client.post("/v1/oauth/token", data=form)) == (401, "invalid-client")
