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
from tests.kit.town import PAR, Town, card_message, found_town
from tests.web.conftest import Callers
from tests.web.offers.bodies import published
from tests.web.writes import right_requests

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


async def test_one_thing_wrong(town: Town, database: asyncpg.Pool) -> None:
    """Every right write is taken; with every wrong value in every field it is refused or taken, but breaks nothing."""
    ada = await town.person()
    await town.grocer.earned(ada, 10_000)
    for each in await right_requests(town, ada, "1"):
        answer = await each.send(each.body)
        assert 200 <= answer.status_code < 300, f"{each.path} {each.body} → {answer.status_code} {answer.text}"

    found: list[str | None] = []
    for each in await right_requests(town, ada, "2"):
        found += [wrong_with(await each.send(body), body) for body in mutations(each.body)]
    print(f"{len(found)} requests with one thing wrong")
    assert [each for each in found if each] == []
    assert len(found) > 2000


async def test_one_thing_wrong_in_a_card_message(town: Town, database: asyncpg.Pool) -> None:
    """A full message of each kind is taken; with any wrong value in any field it has a verdict, and all of it folds."""
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
    right = [full | {"type": kind, "message_id": f"right-{kind}"} for kind in ("clearing", *kinds)]
    taken = (await town.processor.feed(right)).json()
    assert taken["accepted"] == len(right), taken
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
