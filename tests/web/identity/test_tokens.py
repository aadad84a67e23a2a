"""Access tokens: a client's signed assertion is exchanged for one, once."""

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.web.conftest import Callers, problem_of


async def test_operator_gets_a_token(callers: Callers) -> None:
    """A right assertion gives a token that counts."""
    operator = await callers.operator()
    assert operator.headers["Authorization"].startswith("Bearer ey")


async def test_unknown_client(callers: Callers) -> None:
    """An unknown client is refused as RFC 6749 says."""
    answer = await callers.token("cli_0000000000000", Ed25519PrivateKey.generate())

    assert problem_of(answer) == (401, "invalid-client")
    assert answer.json()["error"] == "invalid_client"


async def test_key_set(client: httpx.AsyncClient) -> None:
    """The key set holds one Ed25519 key."""
    answer = await client.get("/.well-known/jwks.json")

    assert answer.status_code == 200
    assert [key["crv"] for key in answer.json()["keys"]] == ["Ed25519"]
