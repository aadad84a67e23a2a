"""The card-number firewall over HTTP: nothing with a card number reaches a handler, the books or a log."""

import logging
from typing import Any

import asyncpg
import httpx
import pytest
from litestar import Litestar, Request, Router, post

from koinon.http.card_numbers import CHECKED_BY_HANDLER, found_in_json
from tests.web.conftest import Callers, problem_of

CARD = "4111 1111 1111 1111"
DIGITS = "4111111111111111"


def places_of(answer: httpx.Response) -> list[str]:
    """Return where a refusal says that card numbers were."""
    return [error.get("pointer", error.get("name")) for error in answer.json()["errors"]]


BODIES: tuple[tuple[dict[str, Any], list[str]], ...] = (
    ({"json": {"a": [{"b": CARD}]}}, ["/a/0/b"]),
    ({"json": {"a": int(DIGITS)}}, ["/a"]),
    ({"json": {DIGITS: 1}}, [""]),
    ({"json": CARD}, [""]),
    ({"data": {"note": CARD}}, ["/note"]),
    ({"data": {DIGITS: "x"}}, [""]),
    ({"files": {"note": (None, CARD)}}, [""]),
    ({"content": CARD.encode(), "headers": {"Content-Type": "text/plain"}}, [""]),
    ({"content": b'{"a": "' + CARD.encode(), "headers": {"Content-Type": "application/json"}}, [""]),
    ({"content": b'{"a": "' + CARD.encode() + b'"}'}, ["/a"]),
)


async def test_bodies_are_refused(client: httpx.AsyncClient, probe: str, subtests: pytest.Subtests) -> None:
    """A card number in any kind of body is refused by its place, and neither number nor body is repeated."""
    for sent, places in BODIES:
        with subtests.test(sent=sent):
            answer = await client.post(f"{probe}/echo", **sent)

            assert problem_of(answer) == (422, "card-number-refused")
            assert places_of(answer) == places
            assert "4111" not in answer.text


async def test_a_body_s_type_hides_nothing(client: httpx.AsyncClient, probe: str, subtests: pytest.Subtests) -> None:
    """Whatever the type says, a body is looked at as the JSON that it is, and a form's fields as well."""
    escaped = b'{"receipt": "4111111111\\u0031\\u0031\\u0031\\u0031\\u0031\\u0031"}'
    for media_type in (
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "application/octet-stream",
        "",
    ):
        for path in ("echo", "form-echo"):
            with subtests.test(media_type=media_type, path=path):
                headers = {"Content-Type": media_type} if media_type else {}
                answer = await client.post(f"{probe}/{path}", content=escaped, headers=headers)

                assert problem_of(answer) == (422, "card-number-refused")
                assert places_of(answer) == ["/receipt"]
    form = await client.post(f"{probe}/form-echo", data={"phone": "+378282246310005"})
    assert (problem_of(form), places_of(form)) == ((422, "card-number-refused"), ["/phone"])


async def test_a_body_of_another_type_reaches_no_handler(
    client: httpx.AsyncClient, probe: str, subtests: pytest.Subtests
) -> None:
    """A route takes JSON, or a form, and no body that says that it is something else, or nothing."""
    types = ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json", "", "application")
    for media_type in (*types, "application/json"):
        headers = {"Content-Type": media_type} if media_type else {}
        with subtests.test(media_type=media_type):
            answers = [
                await client.post(f"{probe}/{path}", content=b'{"a": 1}', headers=headers)
                for path in ("echo", "form-echo")
            ]
            wanted = ["application/json", "application/x-www-form-urlencoded"]
            for answer, taken in zip(answers, wanted, strict=True):
                if media_type == taken:
                    assert answer.json()["body"] == '{"a": 1}'
                else:
                    assert problem_of(answer) == (415, "media-type-unsupported")
                    assert answer.json()["media_type"] == taken
    assert (await client.post(f"{probe}/echo", headers={"Content-Type": "text/plain"})).status_code == 200


async def test_queries_paths_and_keys_are_refused(
    client: httpx.AsyncClient, probe: str, subtests: pytest.Subtests
) -> None:
    """So is one in the query, however it is encoded, in the path, and in the key that would be stored."""
    for query, name in (
        (f"a=1&card={DIGITS}", "card"),
        ("card=4111+1111+1111+1111", "card"),
        ("card=4111%201111%201111%201111", "card"),
        ("card=%34111-1111-1111-1111", "card"),
        (f"{DIGITS}=1", ""),
        (DIGITS, ""),
    ):
        with subtests.test(query=query):
            answer = await client.get(f"/health?{query}")

            assert problem_of(answer) == (422, "card-number-refused")
            assert places_of(answer) == [name]
            assert "4111" not in answer.text
    path = await client.get(f"/v1/programmes/{DIGITS}")
    assert problem_of(path) == (422, "card-number-refused")
    assert "4111" not in path.text
    key = await client.post(f"{probe}/echo", json={}, headers={"Idempotency-Key": CARD})
    assert problem_of(key) == (422, "card-number-refused")
    assert places_of(key) == ["Idempotency-Key"]


async def test_an_unknown_path_is_not_repeated(client: httpx.AsyncClient) -> None:
    """Where there is no route at all, the number is not echoed either."""
    answer = await client.get(f"/nothing/{DIGITS}")

    assert answer.status_code in {404, 422}
    assert "4111" not in answer.text


async def test_clean_bodies_reach_the_handler_as_they_were(client: httpx.AsyncClient, probe: str) -> None:
    """What passes is handed on byte for byte, whatever it is."""
    headers = {"Content-Type": "application/json; charset=utf-8"}
    for content in (b"", b"{}", b'{"a":  "4111"}', b"\xff\xfe", b'{"network_transaction_id": "378282246310005"}'):
        answer = await client.post(f"{probe}/echo", content=content, headers=headers)

        assert answer.json()["body"].encode("latin-1") == content


async def test_a_refused_write_leaves_no_trace(callers: Callers, database: asyncpg.Pool) -> None:
    """A right write with a card number in a free text writes nothing, not even its key."""
    operator = await callers.operator()
    before = await database.fetchval("SELECT count(*) FROM koinon.request")

    answer = await operator.post("/v1/sources", {"programme": "pro_0000000000001", "name": f"Acquirer {CARD}"})

    assert problem_of(answer) == (422, "card-number-refused")
    assert places_of(answer) == ["/name"]
    assert await database.fetchval("SELECT count(*) FROM koinon.request") == before
    assert await database.fetchval("SELECT count(*) FROM identity.source") == 0


async def test_nothing_is_logged(
    client: httpx.AsyncClient, probe: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """The refusal's number is in no log."""
    with caplog.at_level(logging.DEBUG):
        await client.post(f"{probe}/echo", json={"card": CARD})

    out = capsys.readouterr()
    assert "4111" not in out.out + out.err + caplog.text


async def test_a_handler_may_look_for_itself(client: httpx.AsyncClient, app: Litestar) -> None:
    """A route that says so gets its body, to refuse a part of it; its query is looked at all the same."""

    @post("/", opt={"public": True, CHECKED_BY_HANDLER: True}, status_code=200)
    async def look(request: Request[Any, Any, Any]) -> list[str]:
        """Return the pointers of what looks like a card number."""
        return found_in_json(await request.body())

    if not any(route.path == "/looking" for route in app.routes):
        app.register(Router("/looking", route_handlers=[look]))

    answer = await client.post("/looking", json={"messages": [{"a": 1}, {"b": CARD}]})

    assert answer.json() == ["/messages/1/b"]
    assert problem_of(await client.post(f"/looking?card={DIGITS}", json={})) == (422, "card-number-refused")


async def test_nobody_s_body_is_not_read(client: httpx.AsyncClient, callers: Callers) -> None:
    """Who is refused for want of a caller or a scope is refused as such; who may call is told of the card number."""
    body = {"programme": "pro_0000000000001", "name": CARD}
    operator = await callers.operator()

    assert problem_of(await client.post("/v1/sources", json=body)) == (401, "not-authenticated")
    assert problem_of(await operator.post("/v1/sources", body)) == (422, "card-number-refused")


async def test_open_routes_read_no_more_than_a_form(client: httpx.AsyncClient, subtests: pytest.Subtests) -> None:
    """What anyone may call takes small bodies only."""
    for path in ("/v1/oauth/token", "/v1/sign-in/codes", "/v1/sign-in/sessions"):
        with subtests.test(path):
            assert (await client.post(path, content=b"0" * 20_000)).status_code == 413


async def test_a_body_that_is_too_large_is_refused_unread(client: httpx.AsyncClient, probe: str) -> None:
    """The limit on bodies holds before the firewall reads them."""
    answer = await client.post(f"{probe}/echo", content=b"0" * (4 * 1024 * 1024 + 1))

    assert problem_of(answer) == (413, "body-too-large")
    assert answer.json()["bytes_maximum"] == 4 * 1024 * 1024
