"""What tests over HTTP stand on: the application in the test's own loop, and callers of every kind.

`client` calls as nobody. `callers` makes the others, each with its key or session in the test's own database:

    operator = await callers.operator()
    answer = await operator.post("/v1/programmes", {...})          # with an Idempotency-Key of its own
    shop = await callers.partner(partner_id, programme_id)
    member = await callers.member(member_id)
    staff = await callers.staff("anna@brand.example", role="finance", partner_id=..., programme_id=...)
"""

import asyncio
import io
import logging
import re
import shutil
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from copy import copy
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import jwt
import msgspec
import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from litestar import Litestar

from koinon import keyring
from koinon import logging as log_chain
from koinon.app import create_app, runtime_for
from koinon.callers.guards import csrf_token
from koinon.database import pool, transaction
from koinon.delivery.model import Letter
from koinon.delivery.operations import open_letter
from koinon.identity.access_tokens import TOKEN_SECONDS, AccessTokens
from koinon.identity.client_assertions import ASSERTION_TYPE
from koinon.identity.model import Client, public_jwk
from koinon.identity.operations import grant_role, make_staff, register_client
from koinon.identity.revocations import Revocations
from koinon.identity.sessions import COOKIE, open_session, session_hash
from koinon.ids import public
from koinon.members.pending import PendingSources
from koinon.redemptions.proofs import AttestedHeadroom
from koinon.runtime import Runtime
from koinon.settings import Settings

ASSERTION_LIFE = timedelta(minutes=1)


class Api:
    """The API as one caller uses it; every write has a new Idempotency-Key unless `key` names one."""

    def __init__(self, client: httpx.AsyncClient, headers: dict[str, str], name: str = "") -> None:
        self.client = client
        self.headers = headers
        self.name = name

    async def get(self, path: str, **parameters: Any) -> httpx.Response:
        """Read; `parameters` are the query's."""
        return await self.client.get(path, params=parameters or None, headers=self.headers)

    async def post(
        self, path: str, body: Any = None, *, key: str | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """Write a JSON body."""
        return await self.request("POST", path, body, key=key, headers=headers)

    async def put(self, path: str, body: Any = None, *, key: str | None = None) -> httpx.Response:
        """Put a JSON body."""
        return await self.request("PUT", path, body, key=key)

    async def delete(self, path: str, *, key: str | None = None) -> httpx.Response:
        """Delete."""
        return await self.request("DELETE", path, key=key)

    async def request(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """Send any method with a JSON body."""
        sent = self.headers | {"Idempotency-Key": key or uuid.uuid4().hex} | (headers or {})
        return await self.client.request(method, path, json=body, headers=sent)


class Callers:
    """Makes callers in the test's database."""

    def __init__(self, client: httpx.AsyncClient, settings: Settings) -> None:
        self.client = client
        self.settings = settings

    async def operator(self, email: str = "ops@koinon.example", scopes: frozenset[str] | None = None) -> Api:
        """Make a member of the operator's staff with a client; another address is another person."""
        private_key = Ed25519PrivateKey.generate()
        async with transaction() as connection:
            staff_id = await make_staff(connection, email=email, name=email.partition("@")[0])
            await grant_role(connection, staff_id=staff_id, role="operator")
            client = await register_client(
                connection,
                kind="operator",
                name="test",
                public_jwk=jwk_of(private_key),
                staff_id=staff_id,
                scopes=scopes,
            )
        return await self.authorised(client, private_key, public("stf", staff_id))

    async def partner(self, partner_id: int, programme_id: int, scopes: frozenset[str] | None = None) -> Api:
        """Make a client of a partner that exists."""
        private_key = Ed25519PrivateKey.generate()
        async with transaction() as connection:
            client = await register_client(
                connection,
                kind="partner",
                name="test",
                public_jwk=jwk_of(private_key),
                partner_id=partner_id,
                programme_id=programme_id,
                scopes=scopes,
            )
        return await self.authorised(client, private_key, public("par", partner_id))

    async def authorised(self, client: Client, private_key: Ed25519PrivateKey, name: str) -> Api:
        """Return the API with a fresh access token of a client."""
        answer = await self.token(public("cli", client.client_id), private_key)
        assert answer.status_code == 200, answer.text
        return Api(self.client, {"Authorization": "Bearer " + answer.json()["access_token"]}, name)

    async def token(
        self, client_id: str, private_key: Ed25519PrivateKey, scope: str | None = None, **claims: Any
    ) -> httpx.Response:
        """Ask for an access token; `claims` replace those of a right assertion, and None leaves one out."""
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion(client_id, private_key, self.settings.base_url, **claims),
        } | ({"scope": scope} if scope is not None else {})
        return await self.client.post("/v1/oauth/token", data=form)

    async def member(self, member_id: int) -> Api:
        """Sign a member in, as a browser."""
        async with transaction() as connection:
            token = await open_session(connection, kind="member", member_id=member_id)
        return self.browser(token, public("mem", member_id))

    async def staff(
        self, email: str, *, role: Any = "operator", partner_id: int | None = None, programme_id: int | None = None
    ) -> Api:
        """Sign a member of staff in, as a browser; a brand's staff with its partner and programme."""
        async with transaction() as connection:
            staff_id = await make_staff(connection, email=email, name=email.partition("@")[0])
            await grant_role(connection, staff_id=staff_id, role=role, partner_id=partner_id)
            token = await open_session(
                connection, kind="staff", staff_id=staff_id, partner_id=partner_id, programme_id=programme_id
            )
        return self.browser(token, public("stf", staff_id))

    def browser(self, token: str, name: str) -> Api:
        """Return the API as a signed-in browser's own pages use it."""
        csrf = csrf_token(keyring.load(self.settings.keys_folder).secret, session_hash(token).hex())
        headers = {"Cookie": f"{COOKIE}={token}", "X-CSRF-Token": csrf, "Sec-Fetch-Site": "same-origin"}
        return Api(self.client, headers, name)


def jwk_of(private_key: Ed25519PrivateKey) -> dict[str, str]:
    """Return the public JWK of a key."""
    return public_jwk(private_key.public_key().public_bytes_raw())


def assertion(client_id: str, private_key: Ed25519PrivateKey, audience: str, **claims: Any) -> str:
    """Return a client assertion; `claims` replace those of a right one, and None leaves one out."""
    right = {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "exp": int(time.time() + ASSERTION_LIFE.total_seconds()),
        "jti": uuid.uuid4().hex,
    }
    given = {name: value for name, value in (right | claims).items() if value is not None}
    return jwt.encode(given, private_key, algorithm="EdDSA")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Litestar, dict[str, Any]]:
    """Give one application for the whole session, with its settings and its first state: building it takes long."""
    settings = Settings(folder=tmp_path_factory.mktemp("installation"), log_level="warning")
    keyring.create(settings.keys_folder)
    made = create_app(settings, connect=False)
    return settings, made, dict(made.state)


@pytest.fixture
def settings(tmp_path: Path, built: tuple[Settings, Litestar, dict[str, Any]]) -> Settings:
    """Give the settings of an installation with a folder of this test's own; its keys are the session's."""
    made = msgspec.structs.replace(built[0], folder=tmp_path)
    shutil.copytree(built[0].keys_folder, made.keys_folder)
    return made


@pytest.fixture
async def app(
    settings: Settings, built: tuple[Settings, Litestar, dict[str, Any]], database: asyncpg.Pool
) -> AsyncIterator[Litestar]:
    """Give the application, started, on the test's database and folder; what a test puts into its state goes with it.

    A test that brings settings of its own gets an application of its own.
    """
    base, made, state = built
    if msgspec.structs.replace(settings, folder=base.folder) == base:
        _as_new(made, state, settings)
    else:
        made = create_app(settings, connect=False)
    started, stopping = asyncio.Event(), asyncio.Event()

    # Litestar's lifespan must end in the task that began it, and a fixture's two halves run in two.
    async def live() -> None:
        async with made.lifespan():
            started.set()
            await stopping.wait()

    living = asyncio.create_task(live())
    beginning = asyncio.create_task(started.wait())
    await asyncio.wait({living, beginning}, return_when=asyncio.FIRST_COMPLETED)
    if living.done():
        await living
    yield made
    stopping.set()
    await living


def _as_new(app: Litestar, state: dict[str, Any], settings: Settings) -> None:
    app.state.clear()
    for name, value in state.items():
        app.state[name] = copy(value) if isinstance(value, list | dict) else value
    built: Runtime = state["runtime"]
    own = runtime_for(settings)
    own.share(AttestedHeadroom())
    own.share(PendingSources(*built[PendingSources]))
    for thing in built._shared.values():
        if type(thing) not in own._shared:
            own.share(thing)
    own[AccessTokens]._known.clear()
    own[AccessTokens].revocations = Revocations(TOKEN_SECONDS)
    app.state["runtime"] = own


@pytest.fixture
async def client(app: Litestar, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Give an HTTP client that calls as nobody, in the test's own loop."""
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]  # Litestar types ASGI's messages more closely
    async with httpx.AsyncClient(transport=transport, base_url=settings.base_url) as made:
        yield made


@pytest.fixture
def secret(settings: Settings) -> bytes:
    """Give the installation's secret, by which a test opens what the database keeps sealed."""
    return keyring.load(settings.keys_folder).secret


@pytest.fixture
def callers(client: httpx.AsyncClient, settings: Settings) -> Callers:
    """Give what makes callers of every kind."""
    return Callers(client, settings)


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], str]]:
    """Log as the platform does, whatever its severity, and give all of it; the test's own HTTP client is left out."""
    written = io.StringIO()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", written)
        log_chain.configure("debug")
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore"):
        caplog.set_level(logging.CRITICAL, logger=name)
    yield lambda: written.getvalue() + caplog.text
    structlog.reset_defaults()


async def newest_letter(secret: bytes) -> Letter:
    """Return to whom and what the newest mail is that waits, as the worker will open it."""
    row = await pool().fetchrow("SELECT * FROM delivery.mail ORDER BY created_at DESC LIMIT 1")
    return open_letter(secret, row["mail_id"], row["sealed_letter"])


async def newest_code(secret: bytes) -> str:
    """Return the sign-in code that the newest mail holds."""
    return str(re.findall(r"\b[0-9]{6}\b", (await newest_letter(secret)).body)[0])


def problem_of(answer: httpx.Response) -> tuple[int, str]:
    """Return the status and the stable code of a refusal."""
    assert answer.headers["Content-Type"].startswith("application/problem+json"), answer.text
    return answer.status_code, msgspec.json.decode(answer.content)["code"]
