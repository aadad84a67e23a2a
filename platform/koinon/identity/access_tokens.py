"""Access tokens (RFC 9068): short, signed with Ed25519, and verified once."""

from collections import OrderedDict
from datetime import datetime
from typing import Any

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from koinon.callers.model import Caller
from koinon.clock import machine_now
from koinon.identity.model import Client, public_jwk, thumbprint
from koinon.identity.revocations import Revocations
from koinon.ids import new_record_id, private, public
from koinon.problems import NotAuthenticated

TOKEN_SECONDS = 600
CACHE_MAXIMUM = 10_000
TYPE = "at+jwt"
ALGORITHM = "EdDSA"
REQUIRED = ["iss", "aud", "exp", "iat", "sub", "client_id", "scope"]


class TokenInvalid(NotAuthenticated):
    """An access token is not ours, has run out, or its client was revoked."""

    code = "token-invalid"
    title = "The access token is not valid: ask for a new one"


class KnownToken(msgspec.Struct, frozen=True):
    """A token whose signature was seen to be right."""

    caller: Caller
    client_id: int
    expires_at: float


class AccessTokens:
    """Issues and verifies the access tokens of one installation; each process keeps the last that it verified."""

    def __init__(self, key: Ed25519PrivateKey, issuer: str) -> None:
        self._key = key
        self._issuer = issuer
        self.jwk = public_jwk(key.public_key().public_bytes_raw())
        self.key_id = thumbprint(self.jwk)
        self._known: OrderedDict[str, KnownToken] = OrderedDict()
        self.revocations = Revocations(TOKEN_SECONDS)

    def jwks(self) -> dict[str, Any]:
        """Return the key set that anyone verifies tokens with (RFC 7517)."""
        return {"keys": [{**self.jwk, "use": "sig", "alg": ALGORITHM, "kid": self.key_id}]}

    def issue(self, client: Client, scopes: frozenset[str], now: datetime) -> str:
        """Return a new token of TOKEN_SECONDS for a client."""
        seconds = int(now.timestamp())
        client_id = public("cli", client.client_id)
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "aud": self._issuer,
            "sub": client_id,
            "client_id": client_id,
            "scope": " ".join(sorted(scopes)),
            "iat": seconds,
            "exp": seconds + TOKEN_SECONDS,
            "jti": new_record_id().hex,
        }
        for claim, prefix, entity in (
            ("staff", "stf", client.staff_id),
            ("partner", "par", client.partner_id),
            ("programme", "pro", client.programme_id),
        ):
            if entity is not None:
                claims[claim] = public(prefix, entity)
        return jwt.encode(claims, self._key, algorithm=ALGORITHM, headers={"typ": TYPE, "kid": self.key_id})

    async def caller(self, token: str) -> Caller:
        """Return who calls with a token; raises TokenInvalid.

        A token that was verified before costs no signature and, but once a second for all of them, no query.
        """
        known = self._known.get(token)
        if known is None:
            known = self._verified(token)
            self._known[token] = known
            if len(self._known) > CACHE_MAXIMUM:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(token)
        if known.expires_at <= machine_now().timestamp():
            del self._known[token]
            raise TokenInvalid("it has run out")
        if await self.revocations.revoked(known.client_id):
            self._known.pop(token, None)
            raise TokenInvalid("its client was revoked")
        return known.caller

    def _verified(self, token: str) -> KnownToken:
        try:
            decoded = jwt.decode_complete(
                token,
                self._key.public_key(),
                algorithms=[ALGORITHM],
                audience=self._issuer,
                issuer=self._issuer,
                options={"require": REQUIRED},
            )
        except jwt.ExpiredSignatureError:
            raise TokenInvalid("it has run out") from None
        except jwt.InvalidTokenError:
            raise TokenInvalid("it was not issued here") from None
        # The type keeps any other token that this key may come to sign from passing as an access token.
        if decoded["header"].get("typ") != TYPE:
            raise TokenInvalid("it is not an access token")
        return _known(decoded["payload"])


def _known(claims: dict[str, Any]) -> KnownToken:
    partner, staff, programme = claims.get("partner"), claims.get("staff"), claims.get("programme")
    caller = Caller(
        kind="partner" if partner else "operator",
        name=partner or claims["staff"],
        scopes=frozenset(claims["scope"].split()),
        programme_id=private("pro", programme) if programme else None,
        partner_id=private("par", partner) if partner else None,
        staff_id=private("stf", staff) if staff else None,
    )
    return KnownToken(caller, private("cli", claims["client_id"]), claims["exp"])
