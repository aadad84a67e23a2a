"""Odd requests: what no honest caller sends is refused as exactly as an honest mistake, and nothing changes."""

import asyncpg
import httpx
import msgspec
import pytest
from litestar import Litestar

from koinon.base64url import encode_base64url
from tests.kit.scheme import assert_field, assert_refused, contract_body, programme_body, unchanged
from tests.kit.town import Town, found_town
from tests.web.conftest import Api, Callers

OTHER_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", "")


@pytest.fixture
async def town(callers: Callers, app: Litestar) -> Town:
    """Give a programme with a grocer, a café and a processor."""
    return await found_town(callers, app.state.runtime.keys.secret)


async def send(api: Api, path: str, body: bytes, media_type: str = "application/json") -> httpx.Response:
    """Post raw bytes, as of a media type or of none."""
    headers = api.headers | {"Idempotency-Key": "key"} | ({"Content-Type": media_type} if media_type else {})
    return await api.client.post(path, content=body, headers=headers)


async def test_a_body_whose_type_lies(town: Town, database: asyncpg.Pool) -> None:
    """A card number in it is found, whatever the type says; without one, the type is refused."""
    ada = await town.person()
    asked = msgspec.json.encode(town.grocer.earning(ada, points=1, receipt="RECEIPT"))
    escaped = asked.replace(b"RECEIPT", b"4111111111" + rb"\u0031" * 6)
    async with unchanged(database):
        for media_type in OTHER_TYPES:
            found = await send(town.grocer.api, "/v1/earnings", escaped, media_type)
            assert_refused(found, 422, "card-number-refused")
            assert [error["pointer"] for error in found.json()["errors"]] == ["/receipt"]
            clean = await send(town.grocer.api, "/v1/earnings", asked, media_type)
            assert_refused(clean, 415, "media-type-unsupported", media_type="application/json")
    assert (await send(town.grocer.api, "/v1/earnings", asked)).status_code == 201


async def test_a_signed_body_whose_type_lies(town: Town, database: asyncpg.Pool) -> None:
    """A card link and a batch are JSON and say so."""
    ada = await town.person()
    link = msgspec.json.encode({"member": ada.member, "token": "tok-ada"})
    async with unchanged(database):
        for path in ("/v1/cards", f"/v1/feeds/{town.processor.source}/transactions"):
            for media_type in OTHER_TYPES[:3]:
                answer = await town.processor.send(path, link, headers={"Content-Type": media_type})
                assert_refused(answer, 415, "media-type-unsupported")


BEYOND = ("1e400", "-1e400", "9" * 5000, "4e99999999999999999999")


async def test_a_number_beyond_all_bounds(town: Town, database: asyncpg.Pool) -> None:
    """It is refused by its place, as a wrong number of any other size is."""
    ada = await town.person()
    earning = msgspec.json.encode(town.grocer.earning(ada, points=1, amount_minor="BEYOND")).decode()
    redemption = '{"proof": {"staff": {"name": "A"}}, "points": "BEYOND"}'
    key = '{"name": "till", "public_jwk": {"kty": "OKP", "more": {"x": ["BEYOND"]}}}'
    async with unchanged(database):
        for number in BEYOND:
            for api, path, body, pointer in (
                (town.grocer.api, "/v1/earnings", earning, "/amount_minor"),
                (town.grocer.api, "/v1/redemptions", redemption, "/points"),
                # A mapping's members have no names that anybody but the caller knows.
                (town.scheme.operator, f"/v1/partners/{town.grocer.partner}/keys", key, "/public_jwk"),
            ):
                answer = await send(api, path, body.replace('"BEYOND"', number).encode())
                assert_refused(answer, 400, "invalid-input")
                assert_field(answer, pointer)


async def test_an_empty_body(town: Town, database: asyncpg.Pool) -> None:
    """Where one is needed, that is what is said, in the words of the caller and not of the code."""
    async with unchanged(database):
        for path in ("/v1/earnings", "/v1/redemptions", "/v1/members", "/v1/offers", "/v1/sign-in/codes"):
            assert_needed(await send(town.grocer.api, path, b""))
        for path in ("/v1/cards", f"/v1/feeds/{town.processor.source}/transactions"):
            assert_needed(await town.processor.send(path, b""))


def assert_needed(answer: httpx.Response) -> None:
    """Assert that an answer asks for a body."""
    assert_refused(answer, 400, "invalid-input", detail="a JSON body is needed")
    assert_field(answer, "")


async def test_an_amount_without_its_currency(town: Town, database: asyncpg.Pool) -> None:
    """It could be of any; the field that is missing is named."""
    ada = await town.person()
    await town.grocer.earned(ada, 100)
    proof = {"pay_code": await ada.pay_code()}
    async with unchanged(database):
        answer = await town.cafe.reserve(amount_minor=5, proof=proof)
        assert_refused(answer, 400, "invalid-input")
        assert_field(answer, "/currency")


async def test_a_link_without_its_source(town: Town, database: asyncpg.Pool) -> None:
    """The header that is missing is named."""
    async with unchanged(database):
        for path, body in (("/v1/cards", b"{}"), ("/v1/cards/crd_1/ends", b"")):
            answer = await town.processor.send(path, body, headers={"Koinon-Source": ""})
            assert_refused(answer, 401, "signature-invalid")
            assert answer.json()["detail"].startswith("Koinon-Source is missing")


HOSTS = ("x:abc", "[::1", "127.0.0.1:99999999", "\xe4")
ROADS = ("/health", "/", "/sign-in", "/nothing", "/schema", "/schema/openapi.json", "/log/checkpoint", "/me")


async def test_a_host_that_is_none(town: Town, database: asyncpg.Pool) -> None:
    """A call is served, or refused as what it is: what it calls us by is nobody's reason to fail."""
    ada = await town.person()
    client = town.scheme.operator.client
    earned = await town.grocer.api.post("/v1/earnings", town.grocer.earning(ada, points=1), headers={"Host": HOSTS[0]})
    assert earned.status_code == 201, earned.text
    async with unchanged(database):
        for host in (*HOSTS, "127.0.0.1:8911/x"):
            for path in ROADS:
                for accept in ("*/*", "text/html"):
                    headers = [(b"Host", host.encode("latin-1")), (b"Accept", accept.encode())]
                    answer = await client.get(path, headers=headers)
                    right = await client.get(path, headers=headers[1:])
                    refused = "/" in host or not host.isascii()
                    assert answer.status_code == (400 if refused else right.status_code), (host, path, answer.text)
        assert_refused(await client.get("/health", headers={"Host": "127.0.0.1:8911/x"}), 400, "invalid-input")


async def test_a_sign_in_with_a_programme_that_is_none(town: Town, database: asyncpg.Pool) -> None:
    """What the database could not even look for is an unknown programme to the form, and no cookie of ours."""
    client = town.scheme.operator.client
    pending = msgspec.json.encode({"kind": "member", "email": "ada@example.org", "programme": "a\0b", "next": "/"})
    cookie = {"Cookie": f"koinon_signing_in={encode_base64url(pending)}"}
    async with unchanged(database):
        for programme in ("a\0b", "\ud800", "x" * 70, "nobody"):
            form = {
                "kind": "member",
                "email": "ada@example.org",
                "programme": programme.encode("utf-8", "surrogatepass"),
            }
            answer = await client.post("/sign-in", data=form)
            assert (answer.status_code, answer.headers["Content-Type"]) == (400, "text/html; charset=utf-8")
        used = await client.post("/sign-in/code", data={"code": "123456"}, headers=cookie)
        assert (used.status_code, used.headers["Location"]) == (303, "/sign-in")


OUTSIDE = (
    "2199-12-31T23:59:59-23:59",
    "2199-12-31T23:59:59-00:01",
    "2200-01-01T00:00:00Z",
    "9999-12-31T23:59:59-14:00",
)
BEFORE = ("2000-01-01T00:00:00+00:01", "1999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00")


async def test_an_instant_outside_of_all_years(town: Town, database: asyncpg.Pool) -> None:
    """The years are UTC's, whatever offset an instant is written with."""
    ada = await town.person()
    operator = town.scheme.operator
    contracts = f"/v1/partners/{town.grocer.partner}/contracts"
    identity = {"kind": "descriptor", "value": "SHOP", "city": "Espoo"}
    async with unchanged(database):
        for at in (*OUTSIDE, *BEFORE):
            assert_field(await operator.post(contracts, contract_body(effective_from=at)), "/effective_from")
            made = await operator.post("/v1/programmes", programme_body(code="other", clock_at=at))
            assert_field(made, "/clock_at")
            assert_field(await town.grocer.earn(ada, points=1, occurred_at=at), "/occurred_at")
            known = {"identities": [identity | {"valid_from": at}]}
            place = {"partner": town.grocer.partner, "name": "Two", "time_zone": "UTC"} | known
            assert_field(await operator.post("/v1/places", place), "/identities/0/valid_from")
    last = await operator.post(contracts, contract_body(effective_from="2200-01-01T23:58:59+23:59"))
    assert (last.status_code, last.json()["effective_from"]) == (201, "2199-12-31T23:59:59Z"), last.text


async def test_head_is_get_without_its_body(town: Town, database: asyncpg.Pool) -> None:
    """Status and headers are the same, of pages, of what systems look at, and of what is not there."""
    client, operator = town.scheme.operator.client, town.scheme.operator
    async with unchanged(database):
        for path in ("/health", "/ready", "/log/checkpoint", "/", "/sign-in", "/me", "/nothing", "/v1/programmes"):
            for headers in ({}, {"Accept": "text/html"}, operator.headers):
                got, head = [await client.request(method, path, headers=headers) for method in ("GET", "HEAD")]
                assert (head.status_code, head.headers, head.content) == (got.status_code, got.headers, b""), path
        post_alone = await client.head("/v1/earnings")
        # The framework lists them from a set, in an order of the process's own.
        assert (post_alone.status_code, set(post_alone.headers["Allow"].split(", "))) == (405, {"POST", "OPTIONS"})
