"""Who calls the API: systems with a key, processors that sign, browsers that signed in."""

import asyncio
import time
import uuid
from pathlib import Path
from typing import Any, Self

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from koinon.identity.model import public_jwk
from koinon.identity.webhook_signatures import decode_secret, sign
from load_tests.driver.connection import JSON, Connection, decoded
from load_tests.driver.mail import Post

FORM = "application/x-www-form-urlencoded"
ASSERTION_SECONDS = 60
RENEWED_BEFORE_SECONDS = 60
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Api:
    """The API as one caller uses it: JSON in, JSON out, a key for every write; raises Refusal."""

    def __init__(self, connection: Connection) -> None:
        """Call over this connection."""
        self.connection = connection

    async def headers(self) -> dict[str, str]:
        """Return what says who is calling; nothing for nobody."""
        return {}

    async def get(self, path: str, **query: Any) -> Any:
        """Read; `query` without its None values."""
        given = {name: value for name, value in query.items() if value is not None}
        return decoded(await self.connection.send("GET", path, headers=await self.headers(), query=given or None))

    async def read(self, path: str, **query: Any) -> bytes:
        """Read the very bytes of something."""
        answer = await self.connection.send("GET", path, headers=await self.headers(), query=query or None)
        return answer.content

    async def post(self, path: str, body: Any = None, *, key: str | None = None) -> Any:
        """Write a JSON body under an idempotency key (a new one when none is given)."""
        headers = await self.headers() | {"Idempotency-Key": key or uuid.uuid4().hex, "Content-Type": JSON}
        content = None if body is None else msgspec.json.encode(body)
        return decoded(await self.connection.send("POST", path, content=content, headers=headers))


class Machine(Api):
    """A system with a key of its own (`private_key_jwt`): an operator's or a partner's."""

    def __init__(self, connection: Connection, client: str, private_key: Ed25519PrivateKey, audience: str) -> None:
        """Call as this client; a token is asked for when one is needed."""
        super().__init__(connection)
        self.client = client
        self.private_key = private_key
        self.audience = audience
        self._token = ""
        self._renew_at = 0.0
        self._renewing = asyncio.Lock()

    @classmethod
    def from_file(cls, connection: Connection, path: Path) -> Self:
        """Call with the credentials that `koinon keys operator` wrote; raises ValueError for another key."""
        given = msgspec.json.decode(path.read_bytes())
        private_key = load_pem_private_key(given["private_key"].encode(), password=None)
        if not isinstance(private_key, Ed25519PrivateKey):
            raise ValueError(f"{path} holds no Ed25519 key")  # noqa: TRY004  # the file's content is wrong, not a type
        return cls(connection, given["client_id"], private_key, given["audience"])

    async def headers(self) -> dict[str, str]:
        """Return the bearer token, renewed a minute before it runs out."""
        if time.monotonic() >= self._renew_at:
            async with self._renewing:
                if time.monotonic() >= self._renew_at:
                    await self._renew()
        return {"Authorization": f"Bearer {self._token}"}

    async def _renew(self) -> None:
        content = token_request(self.client, self.private_key, self.audience)
        headers = {"Content-Type": FORM}
        asked_at = time.monotonic()
        answer = decoded(await self.connection.send("POST", "/v1/oauth/token", content=content, headers=headers))
        self._token = answer["access_token"]
        self._renew_at = asked_at + answer["expires_in"] - RENEWED_BEFORE_SECONDS


class Processor:
    """A source of card messages: it signs the raw bytes of what it sends (Standard Webhooks)."""

    def __init__(self, connection: Connection, source: str, secret: str) -> None:
        """Call as this source (`src_…`) with its secret (`whsec_…`)."""
        self.connection = connection
        self.source = source
        self.secret = secret
        self._key = decode_secret(secret)

    async def post(self, path: str, body: Any, *, key: str | None = None) -> Any:
        """Send a JSON body, signed; `key` is its webhook-id."""
        return await self.post_bytes(path, msgspec.json.encode(body), key=key)

    async def post_bytes(self, path: str, content: bytes, *, key: str | None = None) -> Any:
        """Send the bytes of a JSON body, signed."""
        headers = sign(self._key, key or f"msg_{uuid.uuid4().hex}", int(time.time()), content)
        headers |= {"Koinon-Source": self.source, "Content-Type": JSON}
        return decoded(await self.connection.send("POST", path, content=content, headers=headers))

    async def feed(self, messages: list[Any]) -> Any:
        """Post a batch of card messages (objects, or `msgspec.Raw`) to the feed; returns the verdicts."""
        return await self.post(f"/v1/feeds/{self.source}/transactions", {"messages": messages})


class Browser(Api):
    """Somebody who signed in with a one-time code: a member, or a member of staff."""

    def __init__(self, connection: Connection, cookie: str, csrf: str) -> None:
        """Call with a session's cookie and its token for writes."""
        super().__init__(connection)
        self._headers = {"Cookie": cookie, "X-CSRF-Token": csrf, "Sec-Fetch-Site": "same-origin"}

    async def headers(self) -> dict[str, str]:
        """Return the session."""
        return dict(self._headers)

    @classmethod
    async def sign_in(
        cls,
        connection: Connection,
        mailroom: Post,
        email: str,
        *,
        programme: str | None = None,
        partner: str | None = None,
    ) -> Self:
        """Ask for a code, read it in the mail, and sign in; with a programme as a member, else as staff."""
        who = {"email": email} | ({"programme": programme} if programme else {})
        headers = {"Content-Type": JSON}
        await connection.send("POST", "/v1/sign-in/codes", content=msgspec.json.encode(who), headers=headers)
        code = await mailroom.code_for(email)
        used = who | {"code": code} | ({"partner": partner} if partner else {})
        answer = await connection.send(
            "POST", "/v1/sign-in/sessions", content=msgspec.json.encode(used), headers=headers
        )
        cookie = answer.headers["Set-Cookie"].partition(";")[0]
        return cls(connection, cookie, decoded(answer)["csrf"])


def token_request(client: str, private_key: Ed25519PrivateKey, audience: str) -> bytes:
    """Return the form by which a client asks for an access token (RFC 7523), good once and for a minute."""
    claims = {
        "iss": client,
        "sub": client,
        "aud": audience,
        "exp": int(time.time()) + ASSERTION_SECONDS,
        "jti": uuid.uuid4().hex,
    }
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": jwt.encode(claims, private_key, algorithm="EdDSA"),
    }
    return "&".join(f"{name}={value}" for name, value in form.items()).encode()


def new_key() -> tuple[Ed25519PrivateKey, dict[str, str]]:
    """Return a new private key and its public JWK, as a partner registers it."""
    private_key = Ed25519PrivateKey.generate()
    return private_key, public_jwk(private_key.public_key().public_bytes_raw())
