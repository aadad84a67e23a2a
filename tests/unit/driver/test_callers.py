"""Callers: tokens are asked for once, bodies are signed as Standard Webhooks says, sessions carry their token."""

import asyncio
import time

import jwt
import msgspec

from koinon.identity.webhook_signatures import VerifyingKeys, decode_secret, verify
from load_tests.driver.callers import Browser, Machine, Processor, new_key
from load_tests.driver.connection import Connection
from tests.unit.driver.stub import Stub

GRANTED = {"access_token": "abc", "expires_in": 600, "scope": "", "token_type": "Bearer"}


async def test_a_machine_asks_for_one_token() -> None:
    """Calls that begin at once share one token, proven by the client's own key to this server alone."""
    private_key, jwk = new_key()
    stub = Stub([(200, GRANTED), (200, {})])
    async with stub.listening() as address, Connection(address) as connection:
        machine = Machine(connection, "cli_1", private_key, "http://audience")
        await asyncio.gather(*(machine.get("/v1/x") for _ in range(5)))

    token, *calls = stub.asked
    assert token.line == "POST /v1/oauth/token HTTP/1.1"
    assertion = token.body.decode().rpartition("client_assertion=")[2]
    claims = jwt.decode(assertion, jwt.PyJWK({**jwk, "alg": "EdDSA"}), algorithms=["EdDSA"], audience="http://audience")
    assert (claims["iss"], claims["sub"]) == ("cli_1", "cli_1")
    assert [call.headers["authorization"] for call in calls] == ["Bearer abc"] * 5


async def test_a_token_is_renewed_before_it_runs_out() -> None:
    """A token with a minute to live is not used any more."""
    private_key, _ = new_key()
    stub = Stub([(200, GRANTED | {"expires_in": 60}), (200, {}), (200, GRANTED | {"access_token": "def"}), (200, {})])
    async with stub.listening() as address, Connection(address) as connection:
        machine = Machine(connection, "cli_1", private_key, address)
        await machine.get("/v1/x")
        await machine.get("/v1/x")

    assert [asked.headers.get("authorization") for asked in stub.asked] == [None, "Bearer abc", None, "Bearer def"]


async def test_a_write_has_a_key() -> None:
    """Every write has an idempotency key: the caller's, or a new one."""
    private_key, _ = new_key()
    stub = Stub([(200, GRANTED), (201, {})])
    async with stub.listening() as address, Connection(address) as connection:
        machine = Machine(connection, "cli_1", private_key, address)
        await machine.post("/v1/x", {"a": 1}, key="mine")
        await machine.post("/v1/x", {"a": 1})
        await machine.post("/v1/x")

    keys = [asked.headers["idempotency-key"] for asked in stub.asked[1:]]
    assert keys[0] == "mine"
    assert len(set(keys)) == 3
    assert [asked.body for asked in stub.asked[1:]] == [b'{"a":1}', b'{"a":1}', b""]


async def test_a_processor_signs_the_very_bytes() -> None:
    """The platform's own verifier takes a batch's signature, and refuses another body."""
    secret = "whsec_" + "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA=="
    stub = Stub([(202, {"accepted": 1})])
    async with stub.listening() as address, Connection(address) as connection:
        processor = Processor(connection, "src_1", secret)
        assert await processor.feed([msgspec.Raw(b'{"message_id":"m"}')]) == {"accepted": 1}

    asked = stub.asked[0]
    assert asked.line == "POST /v1/feeds/src_1/transactions HTTP/1.1"
    assert asked.body == b'{"messages":[{"message_id":"m"}]}'
    keys = VerifyingKeys((decode_secret(secret),))
    assert verify(asked.headers, asked.body, keys, time.time()) == asked.headers["webhook-id"]


class Letterbox:
    """A letterbox in which every letter holds the same code."""

    async def code_for(self, address: str) -> str:
        """Return the code."""
        return "123456"


async def test_a_browser_signs_in_by_mail() -> None:
    """It asks for a code, brings the one that was mailed, and calls with the session's cookie and token."""
    stub = Stub([(202, {}), (201, {"kind": "member", "csrf": "t"}), (200, {})])
    async with stub.listening() as address, Connection(address) as connection:
        stub.cookie = "koinon_session=s; Path=/; HttpOnly"
        browser = await Browser.sign_in(connection, Letterbox(), "ada@example.org", programme="demo")
        await browser.get("/v1/me/wallet")

    asked_code, signed_in, read = stub.asked
    assert msgspec.json.decode(asked_code.body) == {"email": "ada@example.org", "programme": "demo"}
    assert msgspec.json.decode(signed_in.body) == {"email": "ada@example.org", "programme": "demo", "code": "123456"}
    assert (read.headers["cookie"], read.headers["x-csrf-token"]) == ("koinon_session=s", "t")
