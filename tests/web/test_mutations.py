"""Right requests with one thing wrong: each is answered, and none makes the application fail."""

import copy
import json
import uuid
from collections.abc import Iterator
from typing import Any

import asyncpg
import httpx
import pytest
from litestar import Litestar

from koinon.problems import MEDIA_TYPE
from tests.web.conftest import Callers
from tests.web.offers.bodies import offer_body, published
from tests.web.scheme import contract_body, partner_body, programme_body
from tests.web.town import PAR, Person, Town, card_message, found_town

GONE = object()
WRONG: list[Any] = [
    GONE,
    None,
    True,
    0,
    -1,
    1.5,
    1e308,
    10**30,
    "",
    "x" * 70_000,
    "a\u0000b",
    "\u202e\u0085\ud7ff",
    "💥",
    [],
    [None],
    {},
    {"a": {"b": []}},
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "2026-02-30T00:00:00Z",
]


def mutations(right: Any) -> Iterator[Any]:
    """Yield the body with each of its parts replaced by each wrong value, or left out, or with a part too many."""
    for path in paths(right):
        for wrong in WRONG:
            made = copy.deepcopy(right)
            parent = made
            for name in path[:-1]:
                parent = parent[name]
            if wrong is GONE:
                del parent[path[-1]]
            else:
                parent[path[-1]] = wrong
            yield made
    yield right | {"surplus": 1}


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where every part of a JSON value stands."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in members:
        yield (*path, name)
        yield from paths(each, (*path, name))


@pytest.fixture
async def town(callers: Callers, app: Litestar) -> Town:
    """Give a programme with a grocer, a café and a processor."""
    return await found_town(callers, app.state.runtime.keys.secret)


def wrong_with(answer: httpx.Response, sent: Any) -> str | None:
    """Return what is wrong with an answer: a failure, or a refusal that is no problem document."""
    where = f"{answer.request.url.path} {json.dumps(sent)[:400]} → {answer.status_code} {answer.text[:400]}"
    if answer.status_code < 400:
        return None
    if answer.status_code >= 500 or not answer.headers["Content-Type"].startswith(MEDIA_TYPE):
        return where
    return None if {"type", "title", "status", "code"} <= answer.json().keys() else where


async def right_requests(town: Town, ada: Person) -> list[tuple[Any, str, dict[str, Any]]]:
    """Return (caller, path, body) of right requests of every kind of write."""
    tender = {"source": town.processor.source, "token": "tok", "auth_code": "A1"}
    offer = await published(town.grocer, activation_required=True)
    full_offer = offer_body(
        places=[town.grocer.place],
        minimum_minor=5,
        cap_points_per_payment=100,
        budget_points=1000,
        weekdays=[1],
        hours=[{"since": "09:00:00", "until": "10:00:00"}],
        channels=["in_store"],
        mcc_included=["5411"],
        mcc_excluded=["5412"],
        stack_group="g",
    )
    identity = {"kind": "descriptor", "value": "SHOP", "city": "Espoo", "valid_from": "2026-01-01T00:00:00Z"}
    place = {"partner": town.grocer.partner, "name": "Two", "time_zone": "UTC", "identities": [identity]}
    consent = {"purpose": "news", "text": "Send me news.", "locale": "en", "channel": "till"}
    enrolment = {"email": "x@example.org", "phone": "+358401234567", "name": "X", "locale": "en", "consents": [consent]}
    card = {"source": town.processor.source, "token": "tok"}
    key = {"name": "till", "public_jwk": {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43}, "scopes": ["earnings:write"]}
    till, operator, nobody = town.grocer.api, town.scheme.operator, town.processor.client
    return [
        (till, "/v1/earnings", town.grocer.earning(ada, points=5, receipt="R", tender=tender)),
        (
            till,
            "/v1/redemptions",
            {"points": 1, "member": ada.member, "proof": {"card": card}, "place": town.grocer.place},
        ),
        (till, "/v1/redemptions", {"amount_minor": 1, "currency": "EUR", "proof": {"pay_code": await ada.pay_code()}}),
        (till, "/v1/redemptions", {"points": 1, "member": ada.member, "proof": {"staff": {"name": "A"}}}),
        (till, "/v1/reversals", {"earning": await town.grocer.earned(ada, 5), "reason": "mistake"}),
        (till, "/v1/reversals", {"redemption": await town.grocer.captured(ada, 1)}),
        (till, "/v1/members", enrolment),
        (till, "/v1/offers", full_offer),
        (till, f"/v1/offers/{offer}/versions", full_offer),
        (ada.browser, "/v1/me/activations", {"offer": offer}),
        (operator, "/v1/programmes", programme_body(code="other")),
        (operator, f"/v1/programmes/{town.scheme.programme}/clock", {"at": "2026-03-02T09:00:01Z"}),
        (operator, "/v1/partners", partner_body(town.scheme.programme, "other", attested_points_per_day=5)),
        (operator, f"/v1/partners/{town.cafe.partner}/contracts", contract_body(effective_from="2026-04-01T00:00:00Z")),
        (operator, f"/v1/partners/{town.cafe.partner}/keys", key),
        (
            operator,
            f"/v1/partners/{town.cafe.partner}/staff",
            {"email": "a@cafe.example", "name": "A", "role": "owner"},
        ),
        (operator, "/v1/places", place),
        (operator, f"/v1/places/{town.cafe.place}/identities", identity),
        (operator, "/v1/sources", {"programme": town.scheme.programme, "name": "two"}),
        (operator, f"/v1/sources/{(await town.source('three')).source}/secrets", {"keep_previous": True}),
        (operator, "/v1/settlement/runs", {"programme": town.scheme.programme}),
        (
            nobody,
            "/v1/sign-in/codes",
            {"email": "ada@example.org", "programme": town.scheme.programme, "role": "member"},
        ),
        (nobody, "/v1/sign-in/sessions", {"email": "ada@example.org", "programme": "league", "code": "123456"}),
        (
            town.processor,
            "/v1/cards",
            {"member": ada.member, "token": "tok", "par": PAR, "last4": "1", "network": "visa"},
        ),
    ]


async def test_one_thing_wrong(town: Town, database: asyncpg.Pool) -> None:
    """In every write, every field takes every wrong value, and is refused or taken, but never breaks anything."""
    ada = await town.person()
    await town.grocer.earned(ada, 10_000)
    await town.processor.linked(ada, "tok")
    found: list[str | None] = []
    for caller, path, right in await right_requests(town, ada):
        for body in mutations(right):
            if caller is town.processor:
                answer = await town.processor.send(path, json.dumps(body).encode())
            elif caller is town.processor.client:
                answer = await caller.post(path, json=body)
            else:
                answer = await caller.post(path, body)
            found.append(wrong_with(answer, body))
    print(f"{len(found)} requests with one thing wrong")
    assert [each for each in found if each] == []
    assert len(found) > 2000


async def test_one_thing_wrong_in_a_card_message(town: Town, database: asyncpg.Pool) -> None:
    """Every field of a message takes every wrong value; the batch is answered message by message, and folds."""
    ada = await town.person()
    await published(town.grocer, activation_required=False)
    await town.processor.linked(ada, "tok")
    full = card_message(
        town.grocer,
        "tok",
        merchant_local_datetime="2026-03-02T11:01:00",
        sequence=1,
        payment_ref="p1",
        network_transaction_id="483296000000001",
        network_date="2026-03-02",
        original_network_transaction_id="483296000000002",
        original_message_id="m0",
        arn="74627361234567890123456",
        clearing_sequence=1,
        clearing_count=2,
        rrn="123456789012",
        stan="123456",
        billing_amount_minor=1000,
        billing_currency="EUR",
        components={"subtotal_minor": 900, "tip_minor": 100},
        mcc="5411",
        payment_facilitator={"id": "F1", "sub_merchant_id": "S1", "name": "Pay"},
        par=PAR,
        card_last4="1234",
        card_present=True,
        channel="in_store",
        extra={"a": [1, {"b": None}]},
    )
    messages = list(mutations(full))
    kinds = (
        "authorisation",
        "increment",
        "auth_reversal",
        "clearing_adjustment",
        "clearing_reversal",
        "refund",
        "chargeback",
    )
    messages += [each for kind in kinds for each in mutations(full | {"type": kind}) if each.get("type") == kind]
    for message in messages:
        if message.get("message_id") == full["message_id"]:
            message["message_id"] = uuid.uuid4().hex
    verdicts = 0
    for start in range(0, len(messages), 250):
        batch = messages[start : start + 250]
        answer = await town.processor.feed(batch)
        assert answer.status_code == 202, answer.text
        verdicts += len(answer.json()["verdicts"])
        for each in answer.json()["verdicts"]:
            if each["verdict"] == "refused":
                assert all(error["code"] and error["detail"] for error in each["errors"])
    await town.work()
    assert verdicts == len(messages)
    assert await database.fetchval("SELECT count(*) FROM offers.inbox WHERE state = 'new'") == 0
