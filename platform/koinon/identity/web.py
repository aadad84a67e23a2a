"""Tokens for systems, and the key that anyone verifies them with."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.exceptions import ValidationException
from litestar.params import URLEncodedBody

from koinon.clock import machine_now
from koinon.database import transaction
from koinon.http.bodies import FORM, MediaTypeUnsupported
from koinon.http.errors import BodyTooLarge, render
from koinon.http.openapi import gives, refusals
from koinon.identity.access_tokens import TOKEN_SECONDS, AccessTokens
from koinon.identity.client_assertions import (
    ASSERTION_TYPE,
    GRANT_TYPE,
    InvalidClient,
    InvalidScope,
    TokenRequestInvalid,
    UnsupportedGrantType,
    authenticate,
    granted,
)
from koinon.ids import public
from koinon.runtime import runtime_of

TOKEN_PATH = "/v1/oauth/token"  # noqa: S105  # a path, not a secret
JwtText = Annotated[
    str,
    msgspec.Meta(
        description="A signed JWT, in its compact form.",
        examples=["eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJjbGlfMmJmc3F3NDVobmU0ayJ9.c2lnbmVkLXdpdGgtZWQyNTUxOQ"],
    ),
]
KEYS_FRESH_SECONDS = 300
BODY_BYTES_MAXIMUM = 16 * 1024


class TokenRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A token request of a client (RFC 6749 §4.4 with RFC 7523 §2.2); unknown parameters are ignored."""

    grant_type: Annotated[str, msgspec.Meta(examples=["client_credentials"])] | None = None
    client_assertion_type: Annotated[str, msgspec.Meta(examples=[ASSERTION_TYPE])] | None = None
    client_assertion: JwtText | None = None
    client_id: str | None = None
    scope: Annotated[str, msgspec.Meta(examples=["earnings:write redemptions:write"])] | None = None


class KeySet(msgspec.Struct, frozen=True):
    """A set of public keys (RFC 7517); each one's `kid` is its thumbprint (RFC 7638)."""

    keys: Annotated[
        list[dict[str, str]],
        msgspec.Meta(
            examples=[
                [
                    {
                        "kty": "OKP",
                        "crv": "Ed25519",
                        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
                        "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
                        "alg": "EdDSA",
                        "use": "sig",
                    }
                ]
            ]
        ),
    ]


class TokenAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An access token (RFC 6749 §5.1)."""

    access_token: JwtText
    expires_in: Annotated[int, msgspec.Meta(examples=[TOKEN_SECONDS])]
    scope: Annotated[str, msgspec.Meta(examples=["earnings:write redemptions:write"])]
    token_type: str = "Bearer"  # noqa: S105  # a kind of token, not a secret


def _not_a_token_request(request: Request[Any, Any, Any], _: Exception) -> Response[dict[str, Any]]:
    return render(request, TokenRequestInvalid("the body must be a form, and hold no parameter twice"))


@post(
    TOKEN_PATH,
    opt={"public": True, FORM: True},
    status_code=200,
    operation_id="issueAccessToken",
    tags=["identity"],
    summary="Exchange a signed client assertion for an access token",
    request_max_body_size=BODY_BYTES_MAXIMUM,
    exception_handlers={ValidationException: _not_a_token_request, MediaTypeUnsupported: _not_a_token_request},
    responses=refusals(TokenRequestInvalid, UnsupportedGrantType, InvalidScope, InvalidClient, BodyTooLarge),
)
async def issue_access_token(
    request: Request[Any, Any, Any], data: URLEncodedBody[TokenRequest]
) -> Response[TokenAnswer]:
    """Exchange a client assertion (`private_key_jwt`, EdDSA) for an access token of ten minutes.

    The assertion's `iss` and `sub` are the client id, `aud` is this address or this server's, `exp` is at most five
    minutes ahead, and `jti` is new. Refusals carry `error` as RFC 6749 §5.2 says.
    """
    if data.grant_type != GRANT_TYPE:
        raise UnsupportedGrantType("grant_type must be client_credentials")
    if data.client_assertion_type != ASSERTION_TYPE or not data.client_assertion:
        raise TokenRequestInvalid(f"client_assertion is needed, and client_assertion_type must be {ASSERTION_TYPE}")
    base = runtime_of(request).settings.base_url
    now = machine_now()
    async with transaction() as connection:
        client = await authenticate(connection, data.client_assertion, frozenset({base, base + TOKEN_PATH}), now)
        if data.client_id not in {None, public("cli", client.client_id)}:
            raise InvalidClient("client_id is another one than the assertion's")
    scopes = granted(client, data.scope)
    tokens = runtime_of(request)[AccessTokens]
    answer = TokenAnswer(
        access_token=tokens.issue(client, scopes, now), expires_in=TOKEN_SECONDS, scope=" ".join(sorted(scopes))
    )
    return Response(answer, headers={"Cache-Control": "no-store"})


@get(
    "/.well-known/jwks.json",
    opt={"public": True},
    operation_id="readKeySet",
    tags=["identity"],
    summary="The key that access tokens are signed with",
    responses=gives(200, KeySet, "The keys.") | refusals(),
    sync_to_thread=False,
)
def key_set(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
    """Return the public key of access tokens as a JWK set (RFC 7517); its id is its thumbprint (RFC 7638)."""
    tokens = runtime_of(request)[AccessTokens]
    return Response(tokens.jwks(), headers={"Cache-Control": f"public, max-age={KEYS_FRESH_SECONDS}"})


router = Router("/", route_handlers=[issue_access_token, key_set])
