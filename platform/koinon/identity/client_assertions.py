"""Client assertions (RFC 7523, `private_key_jwt`): a client proves who it is with a key that never leaves it."""

from datetime import UTC, datetime
from typing import Annotated, ClassVar

import jwt
import msgspec

from koinon.database import Connection, beside, on
from koinon.identity import tables
from koinon.identity.model import Client
from koinon.ids import private
from koinon.problems import InvalidInput, NotAuthenticated

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
GRANT_TYPE = "client_credentials"
AHEAD_SECONDS_MAXIMUM = 300
LEEWAY_SECONDS = 10
REQUIRED = ["iss", "sub", "aud", "exp", "jti"]

statements = beside(__file__)

NumericDate = Annotated[float, msgspec.Meta(ge=0, le=2**40)]
"""Seconds since 1970 (RFC 7519 §2), so few that every clock can tell them."""


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """The claims of an assertion, each of its own type: what reads tokens for everybody takes text for a time."""

    iss: str
    sub: str
    aud: str | list[str]
    exp: NumericDate
    # The database keeps it: it is text that can be kept.
    jti: Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x1f\x7f\ud800-\udfff]{1,255}$(?!\n)")]
    nbf: NumericDate | None = None
    iat: NumericDate | None = None


class InvalidClient(NotAuthenticated):
    """The client assertion does not prove a living client (RFC 6749 §5.2)."""

    code = "invalid-client"
    title = "The client assertion is not valid"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, error="invalid_client", error_description=detail)


class TokenRequestInvalid(InvalidInput):
    """The token request is not one that this server knows (RFC 6749 §5.2)."""

    code = "token-request-invalid"
    title = "The token request is not valid"
    error: ClassVar[str] = "invalid_request"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, error=self.error, error_description=detail)


class UnsupportedGrantType(TokenRequestInvalid):
    """Only client credentials are granted."""

    code = "unsupported-grant-type"
    title = "grant_type must be client_credentials"
    error = "unsupported_grant_type"


class InvalidScope(TokenRequestInvalid):
    """A scope was asked for that the client was not granted."""

    code = "invalid-scope"
    title = "The client was not granted this scope"
    error = "invalid_scope"


def granted(client: Client, scope: str | None) -> frozenset[str]:
    """Return the scopes of a token: those asked for, or all of the client's; raises InvalidScope."""
    if scope is None or not scope.strip():
        return client.scopes
    asked = frozenset(scope.split())
    if not asked <= client.scopes:
        raise InvalidScope("the client may ask for: " + " ".join(sorted(client.scopes)))
    return asked


async def authenticate(connection: Connection, assertion: str, audiences: frozenset[str], now: datetime) -> Client:
    """Return the client that an assertion proves, and take the assertion so that it is never good again.

    The assertion is EdDSA; iss and sub are the client's id, aud is one of `audiences` alone, exp is at most five
    minutes of machine time ahead, and jti was not used before. Raises InvalidClient.
    """
    claims = _claims(assertion)
    client = await _claimed(connection, claims)
    _verify(assertion, claims, client, audiences)
    if claims.exp > now.timestamp() + AHEAD_SECONDS_MAXIMUM + LEEWAY_SECONDS:
        raise InvalidClient(f"exp is more than {AHEAD_SECONDS_MAXIMUM} seconds ahead")
    last = datetime.fromtimestamp(int(claims.exp) + 2 * LEEWAY_SECONDS, UTC)
    if await connection.fetchval(statements["use_assertion"], client.client_id, claims.jti, last) is None:
        raise InvalidClient("this assertion was used before: sign a new one with a new jti")
    return client


async def load_client(connection: Connection, client_id: int) -> Client | None:
    """Return a client, revoked or not, or None."""
    row = await on(connection, tables.Client.objects().where(tables.Client.client_id == client_id).first())
    if row is None:
        return None
    facts = {"public_jwk": msgspec.json.decode(row.public_jwk), "revoked": row.revoked_at is not None}
    return msgspec.convert(row.to_dict() | facts, Client)


def _claims(assertion: str) -> Claims:
    """Return the claims of an assertion as nobody has proven them yet."""
    try:
        return msgspec.convert(jwt.decode(assertion, options={"verify_signature": False}), Claims)
    except msgspec.ValidationError as error:
        raise InvalidClient(f"its claims are not those of an assertion: {error}") from None
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        raise InvalidClient("it is not a JWT") from None


async def _claimed(connection: Connection, claims: Claims) -> Client:
    try:
        client_id = private("cli", claims.iss)
    except ValueError:
        raise InvalidClient("iss is not a client id (cli_…)") from None
    client = await load_client(connection, client_id)
    # The same words for both, so that nobody learns which clients there were.
    if client is None or client.revoked:
        raise InvalidClient("there is no such client, or it was revoked")
    return client


def _verify(assertion: str, claims: Claims, client: Client, audiences: frozenset[str]) -> None:
    try:
        jwt.decode(
            assertion,
            jwt.PyJWK({**client.public_jwk, "alg": "EdDSA"}),
            algorithms=["EdDSA"],
            audience=audiences,
            leeway=LEEWAY_SECONDS,
            options={"require": REQUIRED},
        )
    except jwt.InvalidTokenError as error:
        # PyJWT's messages name claims and never hold their values, but for an unknown algorithm, which is no secret.
        raise InvalidClient(str(error)) from None
    if claims.sub != claims.iss:
        raise InvalidClient("sub and iss must both be the client id")
    if isinstance(claims.aud, list) and len(claims.aud) != 1:
        raise InvalidClient("aud must name this server alone: whoever else it names could use the assertion here")
