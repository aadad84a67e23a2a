"""Sending: what is not answered is sent again as it is, what is refused is raised with its code."""

import asyncio

import pytest

from load_tests.driver.connection import Connection, NotAnswered, Refusal, decoded
from tests.unit.driver.stub import Stub

BUSY = (503, {"code": "service-unavailable"})


async def test_an_answer_is_read() -> None:
    """Method, path, query, headers and body arrive as they were given; one connection carries many requests."""
    stub = Stub([(201, {"made": 1})])
    async with stub.listening() as address, Connection(address) as connection:
        for _ in range(3):
            answer = await connection.send("POST", "/v1/x", content=b"{}", headers={"X-Key": "a"}, query={"n": 2})
            assert decoded(answer) == {"made": 1}

    assert [asked.line for asked in stub.asked] == ["POST /v1/x?n=2 HTTP/1.1"] * 3
    assert {(asked.headers["x-key"], asked.body) for asked in stub.asked} == {("a", b"{}")}
    assert stub.connections == 1


async def test_what_is_not_answered_is_sent_again() -> None:
    """A lost connection and a busy server are asked again with the same bytes."""
    stub = Stub([None, BUSY, (200, {"ok": True})])
    async with stub.listening() as address, Connection(address, pause_seconds=0) as connection:
        assert decoded(await connection.send("POST", "/v1/x", content=b"1", headers={"Idempotency-Key": "k"})) == {
            "ok": True
        }

    assert [(asked.headers["idempotency-key"], asked.body) for asked in stub.asked] == [("k", b"1")] * 3


async def test_nobody_is_asked_for_ever() -> None:
    """Five attempts, then the busy server's answer counts; with no answer at all the drive ends."""
    stub = Stub([BUSY])
    async with stub.listening() as address, Connection(address, pause_seconds=0) as connection:
        with pytest.raises(Refusal, match="service-unavailable"):
            await connection.send("GET", "/v1/x")
    assert len(stub.asked) == 5

    silent = Stub([None])
    async with silent.listening() as address, Connection(address, pause_seconds=0) as connection:
        with pytest.raises(NotAnswered, match="GET /v1/x was not answered"):
            await connection.send("GET", "/v1/x")
    assert len(silent.asked) == 5


async def test_a_refusal_has_its_code_and_facts() -> None:
    """A problem document is raised with status, code and whole, and is not asked for again."""
    stub = Stub([(422, {"code": "insufficient-balance", "detail": "too much", "available": 3})])
    async with stub.listening() as address, Connection(address) as connection:
        with pytest.raises(Refusal, match="POST /v1/redemptions: 422 insufficient-balance: too much") as refused:
            await connection.send("POST", "/v1/redemptions")

    assert (refused.value.status, refused.value.document["available"]) == (422, 3)
    assert len(stub.asked) == 1


async def test_requests_under_way_are_bounded() -> None:
    """Twenty calls over three connections: no fourth is opened, and every call is answered."""
    stub = Stub([(200, {})])
    async with stub.listening() as address, Connection(address, at_once=3) as connection:
        answers = await asyncio.gather(*(connection.send("GET", f"/v1/{number}") for number in range(20)))

    assert [answer.status_code for answer in answers] == [200] * 20
    assert stub.connections <= 3
    assert connection.requests == 20
