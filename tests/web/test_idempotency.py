"""Every write once: under its key it is answered the same again, another content is refused, and without one it is not.

A call is right; its `other` is right too, and asks for something else under the same key.
"""

import re
import uuid
from datetime import timedelta
from typing import Any, NamedTuple

import asyncpg
import httpx
import msgspec
import pytest
from litestar import Litestar

from koinon.app import create_app
from koinon.clock import machine_now
from koinon.http.openapi import Keyed
from koinon.idempotency.retention import empty_bodies
from koinon.settings import Settings
from tests.kit.nights import work_the_night
from tests.kit.scheme import assert_refused, contract_body, partner_body, programme_body, unchanged
from tests.kit.town import Person, Town, card_message, found_town
from tests.web.conftest import Api, Callers
from tests.web.offers.bodies import offer_body, published
from tests.web.test_routes import ALLOWED, routes

SIGNED = {"POST /v1/cards", "POST /v1/cards/{card:str}/ends", "POST /v1/feeds/{source:str}/transactions"}
"""The webhook id is the key of a card link; a card message's own id is its key."""
UNKEYED = {
    "POST /v1/oauth/token",  # an assertion is good once by its `jti`
    "POST /v1/sign-in/codes",  # a new code ends the one before
    "POST /v1/sign-in/sessions",  # a code is good once
    "DELETE /v1/sign-in/sessions/current",  # a session that ended is nobody's
}
LASTING = {
    "POST /v1/earnings",
    "POST /v1/redemptions",
    "POST /v1/redemptions/{redemption:str}/captures",
    "POST /v1/redemptions/{redemption:str}/releases",
    "POST /v1/reversals",
}
"""What moves points is answered by ids and figures alone, which stay as long as the key."""
WRITES = {name for name in ALLOWED if name.split()[1].startswith("/v1/") and not name.startswith("GET ")}
KEYED = WRITES - SIGNED - UNKEYED
ID = re.compile("[a-z]{3,4}_[0-9a-hjkmnp-tv-z]{13,}")
JWK = {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43}


class Call(NamedTuple):
    """A write of a route: by whom, where, what; and something else at the same route, by path or by body."""

    route: str
    api: Api
    path: str
    body: dict[str, Any] | None
    other: dict[str, Any] | str

    @property
    def method(self) -> str:
        """The route's method."""
        return self.route.split()[0]

    async def send(self, **headers: str) -> httpx.Response:
        """Make the call with these headers and no key of the test's helpers."""
        return await self.api.client.request(self.method, self.path, json=self.body, headers=self.api.headers | headers)

    async def send_other(self, key: str) -> httpx.Response:
        """Ask for the other content under a key."""
        path, body = (self.other, self.body) if isinstance(self.other, str) else (self.path, self.other)
        return await self.api.request(self.method, path, body, key=key)


@pytest.fixture
async def town(callers: Callers, app: Litestar) -> Town:
    """Give a programme with a grocer, a café and a processor."""
    return await found_town(callers, app.state.runtime.keys.secret)


def key_of(call: Call) -> str:
    """Return the key of a call: one for each route."""
    return f"key of {call.route}"


async def of_a_till(town: Town, ada: Person) -> list[Call]:
    """Return the writes of a brand's systems."""
    shop, till = town.grocer, town.grocer.api
    redemptions = [await shop.reserved(ada, points) for points in (1, 2, 3, 4)]
    codes = [{"proof": {"pay_code": await ada.pay_code()}, "points": points} for points in (5, 6)]
    earnings = [{"earning": await shop.earned(ada, 5)} for _ in range(2)]
    offers = [await published(shop) for _ in range(2)]
    red = "/v1/redemptions/{redemption:str}"
    return [
        Call("POST /v1/earnings", till, "/v1/earnings", shop.earning(ada, points=5), shop.earning(ada, points=6)),
        Call("POST /v1/redemptions", till, "/v1/redemptions", codes[0], codes[1]),
        *(
            Call(f"POST {red}/{end}", till, f"/v1/redemptions/{one}/{end}", None, f"/v1/redemptions/{two}/{end}")
            for end, one, two in (("captures", *redemptions[:2]), ("releases", *redemptions[2:]))
        ),
        Call("POST /v1/reversals", till, "/v1/reversals", earnings[0], earnings[1]),
        Call("POST /v1/members", till, "/v1/members", {"email": "x@y.example"}, {"email": "z@y.example"}),
        Call("POST /v1/offers", till, "/v1/offers", offer_body(), offer_body(name="Twelve for one")),
        Call(
            "POST /v1/offers/{offer:str}/versions", till, f"/v1/offers/{offers[0]}/versions", offer_body(),
            f"/v1/offers/{offers[1]}/versions",
        ),
    ]  # fmt: skip


async def of_a_member(town: Town, ada: Person) -> list[Call]:
    """Return the writes of a member's phone."""
    offers = [await published(town.cafe) for _ in range(2)]
    consents = [{"purpose": purpose, "text": "Yes.", "locale": "en"} for purpose in ("news", "more", "most")]
    enrolled = await town.grocer.api.post("/v1/members", {"email": "ada@example.org", "consents": consents})
    withdrawals = [f"/v1/me/consents/{each['receipt']}/withdrawals" for each in enrolled.json()["consents"]]
    return [
        Call(
            "POST /v1/me/activations", ada.browser, "/v1/me/activations", {"offer": offers[0]}, {"offer": offers[1]}
        ),
        Call(
            "POST /v1/me/consents/{receipt:str}/withdrawals", ada.browser, withdrawals[0], None, withdrawals[1]
        ),
        # A pay code is asked for with nothing; under its key nothing else of the member's may be.
        Call("POST /v1/me/pay-codes", ada.browser, "/v1/me/pay-codes", None, withdrawals[2]),
    ]  # fmt: skip


async def of_an_operator(town: Town) -> list[Call]:
    """Return the writes of the operator about programmes, brands, places and processors."""
    operator, programme = town.scheme.operator, town.scheme.programme
    cafe, place = f"/v1/partners/{town.cafe.partner}", f"/v1/places/{town.cafe.place}"
    two = {"partner": town.cafe.partner, "name": "Two", "time_zone": "UTC"}
    shop = {"kind": "descriptor", "value": "SHOP", "city": "Espoo", "valid_from": "2026-01-01T00:00:00Z"}
    key, owner = {"name": "till", "public_jwk": JWK}, {"email": "a@cafe.example", "name": "A", "role": "owner"}
    clients = [(await operator.post(f"{cafe}/keys", key | {"name": name})).json()["client"] for name in "ab"]
    sources = [(await town.source(name)).source for name in ("three", "four")]
    later = {m: contract_body(effective_from=f"2026-0{n}-01T00:00:00Z") for m, n in (("apr", 4), ("may", 5))}
    named, clock = "/v1/partners/{partner:str}", "/v1/programmes/{programme:str}/clock"
    return [
        Call("POST /v1/programmes", operator, "/v1/programmes", programme_body(code="aa"), programme_body(code="bb")),
        Call(
            f"POST {clock}", operator, f"/v1/programmes/{programme}/clock", {"at": "2026-03-02T09:01:00Z"},
            {"at": "2026-03-02T09:02:00Z"},
        ),
        Call(
            "POST /v1/partners", operator, "/v1/partners", partner_body(programme, "bank"),
            partner_body(programme, "baker"),
        ),
        Call(f"POST {named}/contracts", operator, f"{cafe}/contracts", later["apr"], later["may"]),
        Call(f"POST {named}/keys", operator, f"{cafe}/keys", key, key | {"name": "other"}),
        Call(
            f"DELETE {named}/keys/{{client:str}}", operator, f"{cafe}/keys/{clients[0]}", None,
            f"{cafe}/keys/{clients[1]}",
        ),
        Call(f"POST {named}/staff", operator, f"{cafe}/staff", owner, owner | {"role": "finance"}),
        Call("POST /v1/places", operator, "/v1/places", two, two | {"name": "Three"}),
        Call("POST /v1/places/{place:str}/identities", operator, f"{place}/identities", shop, shop | {"city": "Oulu"}),
        Call(
            "POST /v1/sources", operator, "/v1/sources", {"programme": programme, "name": "one"},
            {"programme": programme, "name": "two"},
        ),
        Call(
            "POST /v1/sources/{source:str}/secrets", operator, f"/v1/sources/{sources[0]}/secrets", {},
            f"/v1/sources/{sources[1]}/secrets",
        ),
    ]  # fmt: skip


async def of_ends(town: Town) -> list[Call]:
    """Return the operator's writes that end something: that a thing is set aside, a person's role, a place's name."""
    operator, staff = town.scheme.operator, f"/v1/partners/{town.cafe.partner}/staff"
    roles = []
    for role in ("marketing", "support"):
        made = await operator.post(staff, {"email": f"{role}@cafe.example", "name": "A", "role": role})
        roles.append(f"{staff}/{made.json()['grant']}/ends")
    names = []
    for shop in (town.cafe, await town.shop("kiosk")):
        place = f"/v1/places/{shop.place}"
        identity = (await operator.get(place)).json()["identities"][0]["identity"]
        names.append(f"{place}/identities/{identity}/ends")
    at = {"at": "2026-06-01T00:00:00Z"}
    backlogs = [
        f"/v1/programmes/{each}/backlog/retries"
        for each in (town.scheme.programme, (await town.another_programme(code="west")).scheme.programme)
    ]
    return [
        Call("POST /v1/programmes/{programme:str}/backlog/retries", operator, backlogs[0], None, backlogs[1]),
        Call("POST /v1/partners/{partner:str}/staff/{grant:str}/ends", operator, roles[0], None, roles[1]),
        Call("POST /v1/places/{place:str}/identities/{identity:str}/ends", operator, names[0], at, names[1]),
    ]


async def of_settlement(town: Town, app: Litestar) -> list[Call]:
    """Return the operator's writes about the night: two programmes with a run each, and two that may be closed."""
    operator, second = town.scheme.operator, await town.scheme.callers.operator("second@koinon.example")
    programmes, runs = [], []
    for code in ("north", "south"):
        there = await town.another_programme(code=code)
        await there.grocer.earned(await there.person("eve"), 10)
        programmes.append(there.scheme.programme)
        assert (await operator.post("/v1/settlement/runs", {"programme": programmes[-1]})).status_code == 202
        await work_the_night(app.state.runtime)
        listed = await operator.get("/v1/settlement/runs", programme=programmes[-1])
        runs.append(listed.json()["items"][0]["run"])
        await there.move_clock("2026-03-03T09:00:00Z")
    return [
        Call(
            "POST /v1/settlement/runs", operator, "/v1/settlement/runs", {"programme": programmes[0]},
            {"programme": programmes[1]},
        ),
        Call(
            "POST /v1/settlement/runs/{run_id:str}/approvals", second, f"/v1/settlement/runs/{runs[0]}/approvals",
            None, f"/v1/settlement/runs/{runs[1]}/approvals",
        ),
    ]  # fmt: skip


@pytest.fixture
async def calls(town: Town, app: Litestar) -> list[Call]:
    """Give a call of every route that is written by key."""
    ada = await town.person()
    await town.grocer.earned(ada, 1000)
    return [
        *await of_a_till(town, ada),
        *await of_a_member(town, ada),
        *await of_an_operator(town),
        *await of_ends(town),
        *await of_settlement(town, app),
    ]


def test_every_write_of_the_table_is_known(settings: Settings) -> None:
    """A write is keyed, signed, or stands above with what makes it happen once; its description says so too."""
    described = {
        route.name for route in routes(create_app(settings, connect=False)) if route.handler.operation_class is Keyed
    }
    assert described == KEYED
    assert SIGNED | UNKEYED <= WRITES


async def test_every_keyed_write(calls: list[Call], database: asyncpg.Pool) -> None:
    """Without a key it is refused; with one it is done, answered the same again, and refused for another content."""
    assert sorted(call.route for call in calls) == sorted(KEYED)
    async with unchanged(database):
        for call in calls:
            for headers in ({}, {"Idempotency-Key": ""}, {"Idempotency-Key": "k" * 256}):
                assert_refused(await call.send(**headers), 400, "idempotency-key-missing")

    first = [await call.send(**{"Idempotency-Key": key_of(call)}) for call in calls]
    for call, answer in zip(calls, first, strict=True):
        assert answer.status_code in {200, 201, 202}, f"{call.route}: {answer.status_code} {answer.text}"
        assert "Idempotent-Replayed" not in answer.headers, call.route

    async with unchanged(database):
        for call, answer in zip(calls, first, strict=True):
            again = await call.send(**{"Idempotency-Key": key_of(call)})
            assert (again.status_code, again.json()) == (answer.status_code, answer.json()), call.route
            assert again.headers["Idempotent-Replayed"] == "true", call.route
        for call in calls:
            refused = await call.send_other(key_of(call))
            assert refused.status_code == 409, f"{call.route}: {refused.status_code} {refused.text}"
            assert_refused(refused, 409, "idempotency-key-reused")

    # What was refused under a used key was right: under a key of its own it is done.
    for call in calls:
        answer = await call.send_other(uuid.uuid4().hex)
        assert answer.status_code in {200, 201, 202}, f"{call.route}: {answer.status_code} {answer.text}"


async def test_every_keyed_write_a_month_later(calls: list[Call], app: Litestar, database: asyncpg.Pool) -> None:
    """What moved points is answered the same; of the rest the ids are told. Nothing is done again, whatever it was."""
    first = [await call.send(**{"Idempotency-Key": key_of(call)}) for call in calls]
    while await empty_bodies(app.state.runtime, machine_now() + timedelta(days=31)):
        pass

    async with unchanged(database):
        for call, answer in zip(calls, first, strict=True):
            again = await call.send(**{"Idempotency-Key": key_of(call)})
            if call.route in LASTING:
                assert (again.status_code, again.json()) == (answer.status_code, answer.json()), call.route
                assert again.headers["Idempotent-Replayed"] == "true", call.route
                continue
            made = {name: text for name, text in answer.json().items() if ID.fullmatch(str(text))}
            assert_refused(again, 410, "answer-no-longer-kept", answered_status=answer.status_code, ids=made)
        for call in calls:
            assert_refused(await call.send_other(key_of(call)), 409, "idempotency-key-reused")


async def test_every_key_is_its_callers(town: Town, database: asyncpg.Pool) -> None:
    """Two callers may choose the same key, and one of them may not use it at two routes."""
    ada = await town.person()
    assert (await town.grocer.earn(ada, points=5, key="k")).status_code == 201
    assert (await town.cafe.earn(ada, points=7, key="k")).status_code == 201
    assert (await ada.browser.post("/v1/me/pay-codes", key="k")).status_code == 201
    assert await ada.balance() == (12, 0)
    async with unchanged(database):
        for path, body in (("/v1/members", {"email": "x@y.example"}), ("/v1/offers", offer_body())):
            assert_refused(await town.grocer.api.post(path, body, key="k"), 409, "idempotency-key-reused")


async def test_a_refused_write_leaves_its_key_free(town: Town) -> None:
    """A brand mends what was wrong and sends it under the same key."""
    refused = await town.grocer.api.post("/v1/offers", offer_body(ends_at="2026-02-01T00:00:00"), key="k")
    assert_refused(refused, 422, "offer-invalid")
    mended = await town.grocer.api.post("/v1/offers", offer_body(), key="k")
    assert mended.status_code == 201
    assert "Idempotent-Replayed" not in mended.headers


async def test_a_signed_write_by_its_webhook_id(town: Town, database: asyncpg.Pool) -> None:
    """A card's link and its end: without an id refused, the same again, and refused for another content."""
    ada, send = await town.person(), town.processor.send
    body, other = (msgspec.json.encode({"member": ada.member, "token": token}) for token in ("tok-1", "tok-2"))
    async with unchanged(database):
        assert_refused(await send("/v1/cards", body, headers={"webhook-id": ""}), 401, "signature-invalid")
    linked = await send("/v1/cards", body, webhook_id="w1")
    card, second = linked.json()["card"], await town.processor.linked(ada, "tok-3")
    ends, other_ends = f"/v1/cards/{card}/ends", f"/v1/cards/{second}/ends"
    end, other_end = (msgspec.json.encode({"card": each}) for each in (card, second))
    async with unchanged(database):
        assert_refused(await send(ends, end, headers={"webhook-id": ""}), 401, "signature-invalid")
    ended = await send(ends, end, webhook_id="w2")

    async with unchanged(database):
        for first, path, again, webhook_id in ((linked, "/v1/cards", body, "w1"), (ended, ends, end, "w2")):
            answer = await send(path, again, webhook_id=webhook_id)
            assert (first.status_code, answer.status_code, answer.json()) == (201, 201, first.json())
            assert "Idempotent-Replayed" not in first.headers
            assert answer.headers["Idempotent-Replayed"] == "true"
        for path, sent, webhook_id in (
            ("/v1/cards", other, "w1"), (other_ends, other_end, "w2"), (ends, end, "w1"), ("/v1/cards", body, "w2"),
        ):  # fmt: skip
            assert_refused(await send(path, sent, webhook_id=webhook_id), 409, "idempotency-key-reused")


async def test_a_signed_write_a_month_later(town: Town, app: Litestar, database: asyncpg.Pool) -> None:
    """A card's link that is sent again after its answer is gone is told as done, by the card's id."""
    ada = await town.person()
    body = msgspec.json.encode({"member": ada.member, "token": "tok-1"})
    linked = await town.processor.send("/v1/cards", body, webhook_id="w1")
    while await empty_bodies(app.state.runtime, machine_now() + timedelta(days=31)):
        pass

    async with unchanged(database):
        again = await town.processor.send("/v1/cards", body, webhook_id="w1")
    made = {name: linked.json()[name] for name in ("card", "member")}
    assert_refused(again, 410, "answer-no-longer-kept", answered_status=201, ids=made)


async def test_a_card_message_by_its_own_id(town: Town, database: asyncpg.Pool) -> None:
    """A batch may be sent again, under its webhook id or another; the same id with another content is a conflict."""
    message = card_message(town.grocer, "tok-1", message_id="m1")
    async with unchanged(database):
        refused = await town.processor.feed([message], headers={"webhook-id": ""})
        assert_refused(refused, 401, "signature-invalid")
    assert (await town.processor.feed([message], webhook_id="w1")).json()["accepted"] == 1
    async with unchanged(database):
        for webhook_id in ("w1", "w2"):
            assert (await town.processor.feed([message], webhook_id=webhook_id)).json()["duplicate"] == 1
            other = message | {"amount_minor": 1}
            assert (await town.processor.feed([other], webhook_id=webhook_id)).json()["conflict"] == 1
