"""Calls with access tokens: what counts, for how long, and what it costs."""

import asyncio
import time
from typing import Any

import asyncpg
import httpx
import jwt
import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from litestar import Litestar

from koinon import keyring
from koinon.database import transaction
from koinon.identity import access_tokens, revocations
from koinon.identity.access_tokens import AccessTokens
from koinon.identity.operations import UnknownClient, end_grant, grant_role, revoke_client
from koinon.ids import private
from koinon.settings import Settings
from tests.web.conftest import Api, Callers, problem_of
from tests.web.identity.conftest import Brand


@pytest.fixture
async def operator(callers: Callers) -> Api:
    """Give an operator with a token."""
    return await callers.operator()


def claims_of(api: Api) -> dict[str, Any]:
    """Return the claims of a caller's token, unverified."""
    return jwt.decode(api.headers["Authorization"].removeprefix("Bearer "), options={"verify_signature": False})


def client_of(api: Api) -> int:
    """Return the id of a caller's client."""
    return private("cli", claims_of(api)["client_id"])


def bearer(client: httpx.AsyncClient, token: str) -> Api:
    """Return the API with a token."""
    return Api(client, {"Authorization": f"Bearer {token}"})


async def test_a_token_is_its_caller(operator: Api, probe: str) -> None:
    """An operator's token calls as the member of staff, with the operator's scopes."""
    caller = (await operator.get(probe)).json()

    assert caller["kind"] == "operator"
    assert caller["name"] == operator.name
    assert caller["programme_id"] is None
    assert "programmes:write" in caller["scopes"]


async def test_nobody_is_refused(client: httpx.AsyncClient, probe: str) -> None:
    """Without credentials the answer is 401, and says how to authenticate."""
    answer = await client.get(probe)

    assert problem_of(answer) == (401, "not-authenticated")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_missing_scope_is_named(callers: Callers, brand: Brand, probe: str) -> None:
    """Every scope that is missing is named, and none that is there."""
    shop = await callers.partner(brand.partner_id, brand.programme_id, frozenset({"settlement:read"}))

    answer = await shop.get(f"{probe}/scoped")

    assert problem_of(answer) == (403, "scope-missing")
    assert answer.json()["missing_scopes"] == ["offers:write"]
    assert (
        await (await callers.partner(brand.partner_id, brand.programme_id)).get(f"{probe}/scoped")
    ).status_code == 200


def wrong_tokens(settings: Settings, claims: dict[str, Any]) -> dict[str, str]:
    """Return tokens that look right and are not."""
    key = keyring.load(settings.keys_folder).token
    headers = {"typ": "at+jwt"}
    right = jwt.encode(claims, key, algorithm="EdDSA", headers=headers)
    return {
        "another key": jwt.encode(claims, Ed25519PrivateKey.generate(), algorithm="EdDSA", headers=headers),
        "another type": jwt.encode(claims, key, algorithm="EdDSA"),
        "another audience": jwt.encode(claims | {"aud": "x"}, key, algorithm="EdDSA", headers=headers),
        "another issuer": jwt.encode(claims | {"iss": "x"}, key, algorithm="EdDSA", headers=headers),
        "run out": jwt.encode(claims | {"exp": int(time.time()) - 1}, key, algorithm="EdDSA", headers=headers),
        "no end": jwt.encode(
            {name: value for name, value in claims.items() if name != "exp"}, key, algorithm="EdDSA", headers=headers
        ),
        "a secret for a key": jwt.encode(
            claims, key.public_key().public_bytes_raw(), algorithm="HS256", headers=headers
        ),
        "no signature": jwt.encode(claims, "", algorithm="none", headers=headers),
        "changed": right[:-8] + ("A" if right[-8] != "A" else "B") + right[-7:],
        "no token": "hello",
        "nothing": "",
    }


async def test_wrong_tokens_are_refused(
    operator: Api, client: httpx.AsyncClient, settings: Settings, probe: str, subtests: pytest.Subtests
) -> None:
    """Only what this installation signed as an access token, for itself and now, counts."""
    for kind, token in wrong_tokens(settings, claims_of(operator)).items():
        with subtests.test(kind):
            assert problem_of(await bearer(client, token).get(probe)) == (401, "token-invalid")


async def test_another_scheme_is_refused(client: httpx.AsyncClient, probe: str) -> None:
    """Basic credentials are told apart from a missing token."""
    answer = await client.get(probe, headers={"Authorization": "Basic YTpi"})

    assert problem_of(answer) == (401, "token-invalid")


async def test_a_public_route_minds_no_token(client: httpx.AsyncClient, probe: str) -> None:
    """A stale token does not close what is open to anyone."""
    assert (await bearer(client, "stale").post(f"{probe}/echo", {})).status_code == 200


async def test_a_token_ends_after_ten_minutes(operator: Api, probe: str) -> None:
    """A token that was seen before ends with its time, too."""
    assert (await operator.get(probe)).status_code == 200
    with time_machine.travel(time.time() + 601, tick=True):
        assert problem_of(await operator.get(probe)) == (401, "token-invalid")


async def test_a_revoked_client_s_token_ends_within_a_second(
    operator: Api, app: Litestar, probe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process's revocation is known to this one at the latest a second later."""
    tokens = app.state["runtime"][AccessTokens]
    seconds = 1000.0
    monkeypatch.setattr(tokens.revocations, "_now", lambda: seconds)
    assert (await operator.get(probe)).status_code == 200
    async with transaction() as connection:
        await revoke_client(connection, client_of(operator))

    seconds += revocations.SECONDS_KNOWN

    refusal = await operator.get(probe)
    assert problem_of(refusal) == (401, "token-invalid")
    assert "revoked" in refusal.json()["detail"]
    seconds += 10
    assert problem_of(await operator.get(probe)) == (401, "token-invalid")


async def test_who_is_no_operator_any_more_has_no_client(
    operator: Api, callers: Callers, app: Litestar, probe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the operator's role its clients end, too."""
    await callers.operator("other@koinon.example")
    async with transaction() as connection:
        grant_id = await grant_role(connection, staff_id=private("stf", operator.name), role="operator")
        await end_grant(connection, grant_id)
    monkeypatch.setattr(app.state["runtime"][AccessTokens].revocations, "_asked_at", float("-inf"))

    assert problem_of(await operator.get(probe)) == (401, "token-invalid")


async def test_others_keep_their_tokens(callers: Callers, app: Litestar, probe: str, monkeypatch: Any) -> None:
    """Revoking one client of a person leaves the person's other client alone."""
    tokens = app.state["runtime"][AccessTokens]
    lost, kept = await callers.operator(), await callers.operator()
    async with transaction() as connection:
        await revoke_client(connection, client_of(lost))
    monkeypatch.setattr(tokens.revocations, "_asked_at", float("-inf"))

    assert problem_of(await lost.get(probe)) == (401, "token-invalid")
    assert (await kept.get(probe)).status_code == 200


async def test_a_client_is_revoked_once(operator: Api) -> None:
    """A second revocation, and one of nobody, says that there is none."""
    async with transaction() as connection:
        await revoke_client(connection, client_of(operator))
    for client_id in (client_of(operator), 7):
        with pytest.raises(UnknownClient):
            async with transaction() as connection:
                await revoke_client(connection, client_id)


async def test_a_known_token_costs_no_query_and_no_signature(
    operator: Api, app: Litestar, probe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred calls within a second verify one signature and ask the database once."""
    tokens = app.state["runtime"][AccessTokens]
    counts = {"asked": 0, "verified": 0}
    ask, verified = tokens.revocations._ask, tokens._verified
    monkeypatch.setattr(tokens.revocations, "_now", lambda: 1000.0)

    async def counting_ask() -> None:
        counts["asked"] += 1
        await ask()

    def counting_verified(token: str) -> Any:
        counts["verified"] += 1
        return verified(token)

    monkeypatch.setattr(tokens.revocations, "_ask", counting_ask)
    monkeypatch.setattr(tokens, "_verified", counting_verified)

    answers = await asyncio.gather(*(operator.get(probe) for _ in range(100)))

    assert {answer.status_code for answer in answers} == {200}
    assert counts == {"asked": 1, "verified": 1}


async def test_nobody_gets_in_while_revocations_cannot_be_read(
    operator: Api, app: Litestar, probe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the database does not answer, no token counts; when it does again, they do again."""
    tokens = app.state["runtime"][AccessTokens]
    ask = tokens.revocations._ask

    async def failing() -> None:
        raise asyncpg.CannotConnectNowError

    monkeypatch.setattr(tokens.revocations, "_asked_at", float("-inf"))
    monkeypatch.setattr(tokens.revocations, "_ask", failing)
    assert (await operator.get(probe)).status_code in {500, 503}

    monkeypatch.setattr(tokens.revocations, "_ask", ask)
    assert (await operator.get(probe)).status_code == 200


async def test_the_memory_of_tokens_is_bounded(
    callers: Callers, app: Litestar, probe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most so many tokens are remembered, the last used ones; a forgotten one is verified anew."""
    monkeypatch.setattr(access_tokens, "CACHE_MAXIMUM", 2)
    tokens = app.state["runtime"][AccessTokens]
    several = [await callers.operator(f"ops{number}@koinon.example") for number in range(4)]

    for api in (*several, *several):
        assert (await api.get(probe)).status_code == 200

    assert len(tokens._known) == 2
