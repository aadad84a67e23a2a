"""Every route by every role: a route outside the table fails, and so does one that lets in whom it should not."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import asyncpg
import pytest
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

from koinon import ids
from koinon.app import create_app
from koinon.settings import Settings
from tests.kit.scheme import assert_refused, unchanged
from tests.kit.town import Town, found_town
from tests.web.conftest import Api, Callers
from tests.web.offers.bodies import offer_body, published

BRAND_ROLES = ("owner", "marketing", "finance", "developer", "support")
OPERATOR = frozenset({"operator", "office"})
OFFICE = frozenset({"office"})
TILL = frozenset({"partner", "owner"})
OWNER_DEVELOPER = frozenset({"owner", "developer"})
READS_OFFERS = frozenset({"partner", "owner", "marketing", "developer", "support"})
WRITES_OFFERS = frozenset({"partner", "owner", "marketing"})
READS_SETTLEMENT = frozenset({"partner", "owner", "finance"})
STAFF = frozenset(BRAND_ROLES)
MEMBER = frozenset({"member"})
ANYBODY = STAFF | OFFICE | MEMBER | {"operator", "partner"}
EVERYBODY = ANYBODY | {"nobody"}
SIGNATURE: frozenset[str] = frozenset()
"""Nobody by who they are: a source's signature over the body alone."""

ALLOWED: dict[str, frozenset[str]] = {
    "GET /": EVERYBODY,
    "GET /.well-known/jwks.json": EVERYBODY,
    "GET /health": EVERYBODY,
    "GET /log/checkpoint": EVERYBODY,
    "GET /log/sandbox/{programme:str}/checkpoint": EVERYBODY,
    "GET /log/sandbox/{programme:str}/tile/{path:path}": EVERYBODY,
    "GET /log/sandbox/{programme:str}/vkey": EVERYBODY,
    "GET /log/tile/{path:path}": EVERYBODY,
    "GET /log/vkey": EVERYBODY,
    "GET /me": MEMBER,
    "GET /me/history": MEMBER,
    "GET /me/offers": MEMBER,
    "POST /me/offers/{offer:str}/activations": MEMBER,
    "GET /me/pay-code": MEMBER,
    "GET /me/purchases": MEMBER,
    "GET /office": OFFICE,
    "GET /office/partners": OFFICE,
    "GET /office/runs/{run_id:str}": OFFICE,
    "POST /office/runs/{run_id:str}/approvals": OFFICE,
    "GET /office/windows": OFFICE,
    "POST /office/windows/closings": OFFICE,
    "GET /portal": STAFF,
    "GET /portal/offers": READS_OFFERS - {"partner"},
    "GET /portal/statements": READS_SETTLEMENT - {"partner"},
    "GET /portal/statements/{window:int}": READS_SETTLEMENT - {"partner"},
    "GET /ready": EVERYBODY,
    "GET /schema": EVERYBODY,
    "GET /schema/openapi.json": EVERYBODY,
    "GET /sign-in": EVERYBODY,
    "POST /sign-in": EVERYBODY,
    "GET /sign-in/code": EVERYBODY,
    "POST /sign-in/code": EVERYBODY,
    "GET /sign-in/staff": EVERYBODY,
    "POST /sign-out": ANYBODY,
    "GET /static/{digest:str}/{name:str}": EVERYBODY,
    "POST /v1/cards": SIGNATURE,
    "POST /v1/cards/{card:str}/ends": SIGNATURE,
    "POST /v1/earnings": TILL,
    "POST /v1/feeds/{source:str}/transactions": SIGNATURE,
    "POST /v1/me/activations": MEMBER,
    "GET /v1/me/consents": MEMBER,
    "POST /v1/me/consents/{receipt:str}/withdrawals": MEMBER,
    "GET /v1/me/history": MEMBER,
    "GET /v1/me/offers": MEMBER,
    "POST /v1/me/pay-codes": MEMBER,
    "GET /v1/me/profile": MEMBER,
    "GET /v1/me/purchases": MEMBER,
    "GET /v1/me/wallet": MEMBER,
    "POST /v1/members": TILL,
    "GET /v1/members/{member:str}": TILL,
    "POST /v1/oauth/token": EVERYBODY,
    "GET /v1/offers": READS_OFFERS | OPERATOR,
    "POST /v1/offers": WRITES_OFFERS,
    "GET /v1/offers/{offer:str}": READS_OFFERS | OPERATOR,
    "POST /v1/offers/{offer:str}/versions": WRITES_OFFERS,
    "GET /v1/partners": OPERATOR,
    "POST /v1/partners": OPERATOR,
    "GET /v1/partners/{partner:str}": OPERATOR,
    "GET /v1/partners/{partner:str}/contracts": OPERATOR,
    "POST /v1/partners/{partner:str}/contracts": OPERATOR,
    "GET /v1/partners/{partner:str}/keys": OPERATOR | OWNER_DEVELOPER,
    "POST /v1/partners/{partner:str}/keys": OPERATOR | OWNER_DEVELOPER,
    "DELETE /v1/partners/{partner:str}/keys/{client:str}": OPERATOR | OWNER_DEVELOPER,
    "GET /v1/partners/{partner:str}/staff": OPERATOR | {"owner"},
    "POST /v1/partners/{partner:str}/staff": OPERATOR,
    "POST /v1/partners/{partner:str}/staff/{grant:str}/ends": OPERATOR,
    "GET /v1/places": OPERATOR,
    "POST /v1/places": OPERATOR,
    "GET /v1/places/{place:str}": OPERATOR,
    "POST /v1/places/{place:str}/identities": OPERATOR,
    "POST /v1/places/{place:str}/identities/{identity:str}/ends": OPERATOR,
    "GET /v1/programmes": OPERATOR,
    "POST /v1/programmes": OPERATOR,
    "GET /v1/programmes/{programme:str}": OPERATOR,
    "GET /v1/programmes/{programme:str}/backlog": OPERATOR,
    "POST /v1/programmes/{programme:str}/backlog/retries": OPERATOR,
    "POST /v1/programmes/{programme:str}/clock": OPERATOR,
    "GET /v1/programmes/{programme:str}/figures": OPERATOR,
    "POST /v1/redemptions": TILL,
    "GET /v1/redemptions/{redemption:str}": TILL,
    "POST /v1/redemptions/{redemption:str}/captures": TILL,
    "POST /v1/redemptions/{redemption:str}/releases": TILL,
    "POST /v1/reversals": TILL,
    "GET /v1/settlement/expected": READS_SETTLEMENT | OPERATOR,
    "GET /v1/settlement/runs": OPERATOR,
    "POST /v1/settlement/runs": OPERATOR,
    "GET /v1/settlement/runs/{run_id:str}": OPERATOR,
    "POST /v1/settlement/runs/{run_id:str}/approvals": OPERATOR,
    "GET /v1/settlement/statements": READS_SETTLEMENT | OPERATOR,
    "GET /v1/settlement/statements/bundle": READS_SETTLEMENT | OPERATOR,
    "GET /v1/settlement/windows": OPERATOR,
    "POST /v1/sign-in/codes": EVERYBODY,
    "POST /v1/sign-in/sessions": EVERYBODY,
    "GET /v1/sign-in/sessions/current": ANYBODY,
    "DELETE /v1/sign-in/sessions/current": ANYBODY,
    "GET /v1/sources": OPERATOR,
    "POST /v1/sources": OPERATOR,
    "POST /v1/sources/{source:str}/secrets": OPERATOR,
}

ENDS_SESSIONS = frozenset({"POST /sign-out", "DELETE /v1/sign-in/sessions/current"})

# Routes that name a thing which some who may call belong to and others do not; what a stranger to it is answered is
# tested below, or where the comment says.
OWNED = frozenset(
    {
        "POST /me/offers/{offer:str}/activations",
        "GET /portal/statements/{window:int}",  # names the caller's own statement by its window
        "POST /v1/cards/{card:str}/ends",  # feed/test_cards.py
        "POST /v1/feeds/{source:str}/transactions",  # feed/test_feeds.py
        "POST /v1/me/consents/{receipt:str}/withdrawals",
        "GET /v1/members/{member:str}",
        "GET /v1/offers/{offer:str}",
        "POST /v1/offers/{offer:str}/versions",
        "GET /v1/partners/{partner:str}/keys",
        "POST /v1/partners/{partner:str}/keys",
        "DELETE /v1/partners/{partner:str}/keys/{client:str}",
        "GET /v1/partners/{partner:str}/staff",
        "GET /v1/redemptions/{redemption:str}",
        "POST /v1/redemptions/{redemption:str}/captures",
        "POST /v1/redemptions/{redemption:str}/releases",
    }
)


class Route(NamedTuple):
    """A method of a path, and what answers it."""

    name: str
    method: str
    path: str
    handler: HTTPRouteHandler


def routes(app: Litestar) -> Iterator[Route]:
    """Yield every route but the framework's own answers to OPTIONS, which tell the methods of a path."""
    for route in app.routes:
        for handler in getattr(route, "route_handlers", [getattr(route, "route_handler", None)]):
            assert isinstance(handler, HTTPRouteHandler), route.path
            for method in sorted(handler.http_methods - {"OPTIONS"}):
                yield Route(f"{method} {route.path}", method, _example(route.path), handler)


def _example(path: str) -> str:
    path = re.sub(r"\{\w+:int\}", "1", path)
    path = re.sub(r"\{\w+:path\}", "0/000", path)
    return re.sub(r"\{\w+:str\}", "x", path)


@pytest.fixture
async def town(callers: Callers, app: Litestar) -> Town:
    """Give a programme with a grocer, a café and a processor."""
    return await found_town(callers, app.state.runtime.keys.secret)


@pytest.fixture(scope="module")
def routed(built: tuple[Settings, Litestar, dict[str, Any]]) -> list[Route]:
    """Give the routes of an application that no test has added to."""
    settings, *_ = built
    return list(routes(create_app(settings, connect=False)))


class Everyone:
    """Every kind of caller, with sessions that can be opened again."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.opened = 0

    async def call(self, kind: str) -> Api:
        """Return a new caller of a kind; who has a session has a session of its own."""
        callers = self.town.scheme.callers
        self.opened += 1
        email = f"{kind}{self.opened}@staff.example"
        if kind in BRAND_ROLES:
            return await callers.staff(
                email,
                role=kind,
                partner_id=ids.private("par", self.town.grocer.partner),
                programme_id=self.town.scheme.programme_id,
            )
        if kind == "member":
            return (await self.town.person(f"person{self.opened}")).browser
        fixed = {
            "nobody": Api(callers.client, {}),
            "operator": self.town.scheme.operator,
            "partner": self.town.grocer.api,
        }
        return fixed[kind] if kind in fixed else await callers.staff(email)


def test_every_route_is_in_the_table(routed: list[Route]) -> None:
    """A new route has to say here who may call it, and one that went leaves the table."""
    assert sorted(route.name for route in routed) == sorted(ALLOWED)


def test_every_route_asks_who_calls_or_is_public(routed: list[Route]) -> None:
    """A guard, or the word `public`; the description of the interface is the framework's own and public."""
    for route in routed:
        guarded = any(hasattr(guard, "scopes") for guard in route.handler.resolve_guards())
        public = bool(route.handler.opt.get("public")) or route.path.startswith("/schema")
        assert guarded != public, f"{route.name} has a guard: {guarded}, is public: {public}"
        assert public == (ALLOWED[route.name] in (EVERYBODY, SIGNATURE)), route.name


async def test_every_route_by_every_role(town: Town, routed: list[Route]) -> None:
    """Who is not in the table is refused with 401, or 403 when known; who is, is not refused for who they are."""
    everyone = Everyone(town)
    who = {kind: await everyone.call(kind) for kind in sorted(EVERYBODY)}
    calls = 0
    for route in routed:
        page = not route.path.startswith("/v1")
        for kind, api in who.items():
            caller = await everyone.call(kind) if route.name in ENDS_SESSIONS else api
            body: dict[str, str] | None = None if route.method == "GET" else {}
            headers = {"Accept": "text/html"} if page else {}
            answer = await caller.request(route.method, route.path, body, headers=headers)
            calls += 1
            where = f"{kind}: {route.name} → {answer.status_code} {answer.text[:200]}"
            assert answer.status_code < 500, where
            if kind in ALLOWED[route.name]:
                assert answer.status_code not in {401, 403}, where
            elif ALLOWED[route.name] is SIGNATURE:
                assert answer.status_code == 401, where
            elif kind != "nobody":
                assert answer.status_code == 403, where
            elif page and route.method == "GET":
                assert answer.status_code == 303, where
                assert answer.headers["Location"].startswith("/sign-in"), where
            else:
                assert answer.status_code == 401, where
    assert calls == len(ALLOWED) * len(EVERYBODY)


def test_what_belongs_to_somebody() -> None:
    """A route that names a thing, for others than the operator, says what a stranger to the thing is answered."""
    named = {name for name in ALLOWED if "{" in name and ALLOWED[name] is not EVERYBODY}
    assert {name for name in named if ALLOWED[name] is SIGNATURE or not ALLOWED[name] <= OPERATOR} == OWNED


async def test_strangers_find_nothing(town: Town, callers: Callers, database: asyncpg.Pool) -> None:
    """To another brand, another member or another programme there is no such thing, and nothing changes."""
    ada, bob = await town.person(), await town.person("bob")
    elsewhere = await town.another_programme(code="elsewhere")
    eve = await elsewhere.person("eve")
    await town.grocer.earned(ada, 100)
    redemption = await town.grocer.reserved(ada, 10)
    offer = await published(town.grocer)
    consented = await town.grocer.api.post(
        "/v1/members",
        {"email": "ada@example.org", "consents": [{"purpose": "news", "text": "Send me news.", "locale": "en"}]},
    )
    receipt = consented.json()["consents"][0]["receipt"]
    owner = await callers.staff(
        "owner@cafe.example",
        role="owner",
        partner_id=ids.private("par", town.cafe.partner),
        programme_id=town.scheme.programme_id,
    )
    keys = f"/v1/partners/{town.grocer.partner}/keys"
    client = await database.fetchval(
        "SELECT client_id FROM identity.client WHERE partner_id = $1", ids.private("par", town.grocer.partner)
    )
    strange: list[tuple[Api, str, str, Any, str]] = [
        (town.cafe.api, "GET", f"/v1/redemptions/{redemption}", None, "unknown-redemption"),
        (town.cafe.api, "POST", f"/v1/redemptions/{redemption}/captures", None, "unknown-redemption"),
        (town.cafe.api, "POST", f"/v1/redemptions/{redemption}/releases", None, "unknown-redemption"),
        (town.cafe.api, "GET", f"/v1/offers/{offer}", None, "unknown-offer"),
        (town.cafe.api, "POST", f"/v1/offers/{offer}/versions", offer_body(), "unknown-offer"),
        (elsewhere.cafe.api, "GET", f"/v1/members/{ada.member}", None, "unknown-member"),
        (elsewhere.cafe.api, "GET", f"/v1/offers/{offer}", None, "unknown-offer"),
        (eve.browser, "POST", "/v1/me/activations", {"offer": offer}, "unknown-offer"),
        (bob.browser, "POST", f"/v1/me/consents/{receipt}/withdrawals", None, "unknown-consent"),
        (owner, "GET", keys, None, "unknown-partner"),
        (owner, "GET", f"/v1/partners/{town.grocer.partner}/staff", None, "unknown-partner"),
        (
            owner,
            "POST",
            keys,
            {"name": "x", "public_jwk": {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43}},
            "unknown-partner",
        ),
        (owner, "DELETE", f"{keys}/{ids.public('cli', client)}", None, "unknown-partner"),
    ]
    async with unchanged(database):
        for api, method, path, body, code in strange:
            answer = await api.request(method, path, body)
            assert answer.status_code == 404, f"{method} {path}: {answer.status_code} {answer.text}"
            assert_refused(answer, 404, code)
        page = await eve.browser.request("POST", f"/me/offers/{offer}/activations", headers={"Accept": "text/html"})
        assert page.status_code == 404
    for path in ("expected", "statements", "statements/bundle"):
        own = await town.cafe.api.get(f"/v1/settlement/{path}", partner=town.grocer.partner)
        assert own.status_code in {400, 403, 404}, own.text
        assert "grocer" not in own.text
