"""The interface's description: whole, readable, and true of what the application answers to whatever it allows."""

import asyncio
import json
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime
from fractions import Fraction
from hashlib import sha256
from typing import Any

import httpx
import jsonschema_rs
import msgspec
import pytest
import schemathesis
from hypothesis import Phase, given
from hypothesis import settings as exploring
from hypothesis import strategies as st
from litestar import Litestar
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schwifty import IBAN

from koinon import ids
from koinon.app import create_app
from koinon.audit.leaves import statement_bytes
from koinon.audit.model import Statement
from koinon.http.card_numbers import found_in_json, holds_card_number
from koinon.identity.webhook_signatures import sign
from koinon.settings import Settings
from koinon.web.headers import POLICY
from settlement.examples import NIGHT
from tests.conftest import look_from
from tests.kit.town import Person, Town, found_town
from tests.web.conftest import Api, Callers
from tests.web.offers.bodies import published

EXAMPLES_PER_OPERATION = 5
CODE = re.compile(r"^- `[a-z0-9-]+`: \S.*", re.MULTILINE)
PUBLIC_ID = re.compile(r"[a-z]{3}_[0-9a-z]{13}(?:[0-9a-z]{26})?")
SIGNED_HEADERS = {"webhook-id", "webhook-timestamp", "webhook-signature"}


@pytest.fixture(scope="module")
def served(built: tuple[Settings, Litestar, dict[str, Any]]) -> str:
    """Give the description of an application that no test has added to, as it is served."""
    settings, *_ = built
    return json.dumps(create_app(settings, connect=False).openapi_schema.to_schema())


@pytest.fixture
def document(served: str) -> dict[str, Any]:
    """Give the description, read."""
    read: dict[str, Any] = json.loads(served)
    return read


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield every (method, path, operation)."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


def references(value: Any) -> Iterator[str]:
    """Yield every reference in a part of the document."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    """Each has an id of its own, a summary, a description and a tag; everything that is referred to is there."""
    assert document["openapi"].startswith("3.1")
    found = list(operations(document))
    assert len(found) >= 50
    for method, path, operation in found:
        for name in ("operationId", "summary", "description", "tags"):
            assert operation.get(name), f"{method} {path} has no {name}"
        assert not operation["summary"].endswith("."), path
        assert operation["description"].rstrip().endswith("."), path
    ids = [operation["operationId"] for _, _, operation in found]
    assert len(set(ids)) == len(ids)
    for reference in references(document):
        part: Any = document
        for name in reference.removeprefix("#/").split("/"):
            part = part[name]


def test_every_refusal_is_described(document: dict[str, Any]) -> None:
    """Each status of a refusal is a problem document and lists its stable codes; nothing has the framework's shape."""
    for method, path, operation in operations(document):
        refused = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert refused, f"{method} {path} describes no refusal"
        for status, answer in refused.items():
            where = f"{method} {path} {status}"
            assert list(answer["content"]) == ["application/problem+json"], where
            assert CODE.fullmatch(answer["description"].split("\n")[0]), where
        assert "`card-number-refused`" in refused["422"]["description"], path
        if operation.get("security"):
            assert "401" in refused, path
        if operation.get("security") and method != "get" and operation["security"] != [{"signature": []}]:
            assert {"400", "401", "403"} <= set(refused), path


def test_every_write_says_how_it_is_repeated(document: dict[str, Any]) -> None:
    """An Idempotency-Key for callers, the signature's headers for sources; sign-in and tokens are no writes."""
    for method, path, operation in operations(document):
        if method == "get" or path.startswith(("/v1/sign-in", "/v1/oauth")):
            continue
        headers = {each["name"] for each in operation["parameters"] if each["in"] == "header" and each["required"]}
        if operation["security"] == [{"signature": []}]:
            assert headers >= SIGNED_HEADERS, path
        else:
            assert "Idempotency-Key" in headers, path
            assert "`idempotency-key-reused`" in operation["responses"]["409"]["description"], path


def bodies(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield (where, media type, content) of every body and answer; a refusal is none."""
    for method, path, operation in operations(document):
        contents = {"body": operation.get("requestBody", {})} | operation["responses"]
        for part, holder in contents.items():
            if part == "body" or part < "400":
                for media_type, content in holder.get("content", {}).items():
                    yield f"{method} {path} {part}", media_type, content


def strings(value: Any) -> Iterator[tuple[str, str]]:
    """Yield (name, text) of every text in an example, under the name of the field that holds it."""
    for name, each in value.items() if isinstance(value, dict) else ():
        for inner in each if isinstance(each, list) else [each]:
            yield from [(name, inner)] if isinstance(inner, str) else strings(inner)


def test_every_body_and_answer_has_an_example(document: dict[str, Any]) -> None:
    """Each body, and each answer in JSON, shows one, and it is what its own schema asks for."""
    shown = 0
    for where, media_type, content in bodies(document):
        if media_type not in {"application/json", "application/x-www-form-urlencoded"}:
            continue
        assert "example" in content, f"{where} shows no example"
        validator = jsonschema_rs.Draft202012Validator(content["schema"] | {"components": document["components"]})
        assert [f"{where}: {fault}" for fault in validator.iter_errors(content["example"])] == []
        shown += 1
    assert shown >= 75


def test_examples_hold_together(document: dict[str, Any]) -> None:
    """Ids are well-formed, and one id of each kind is named throughout; instants have an offset; an IBAN is one."""
    named: dict[str, set[str]] = {}
    for where, _, content in bodies(document):
        for name, text in strings(content.get("example")):
            if PUBLIC_ID.fullmatch(text):
                prefix = text.partition("_")[0]
                read = ids.private if len(text) == len("pro_0123456789abc") else ids.private_record
                read(prefix, text)
                named.setdefault(prefix, set()).add(text)
            if name.endswith("_at") and name not in {"starts_at", "ends_at"}:
                assert datetime.fromisoformat(text).tzinfo is not None, where
            if name == "iban":
                assert IBAN(text).is_valid, where
    assert {prefix: len(texts) for prefix, texts in named.items()} == dict.fromkeys(named, 1)
    assert set(named) >= {"pro", "par", "pla", "mem", "src", "off", "ern", "red", "rev", "pur", "jnl", "con", "run"}


def test_examples_are_no_card_numbers(document: dict[str, Any]) -> None:
    """The firewall lets every example in, as a body and in a path or a header."""
    for where, _, content in bodies(document):
        assert found_in_json(json.dumps(content.get("example")).encode()) == [], where
    for _, path, operation in operations(document):
        for parameter in operation.get("parameters", ()):
            assert not holds_card_number(str(parameter.get("example", ""))), path
            assert parameter["in"] != "path" or "example" in parameter or "/tile/{path}" in path, path


def test_numbers_of_a_night_agree(document: dict[str, Any]) -> None:
    """The statement that is shown adds up, its digest is the run's, and the nets of the run's parties sum to zero."""
    paths = document["paths"]
    (shown,) = paths["/v1/settlement/statements"]["get"]["responses"]["200"]["content"].values()
    (run,) = paths["/v1/settlement/runs/{run_id}"]["get"]["responses"]["200"]["content"].values()
    statement = msgspec.convert(shown["example"], Statement)
    assert statement == NIGHT
    nets = {True: 0, False: 0}
    for line in statement.lines:
        assert Fraction(line.rate) * int(line.points) == int(line.amount)
        nets[line.debtor == statement.partner] += int(line.amount)
    assert (nets[True], nets[False]) == (int(statement.pays), int(statement.receives))
    own, *houses = run["example"]["parties"]
    assert own["statement_sha256"] == sha256(statement_bytes(statement)).hexdigest()
    assert own["net_minor"] + sum(house["net_minor"] for house in houses) == 0
    assert run["example"]["pool"]["balance_minor"] == houses[-1]["net_minor"]


async def test_the_description_is_served(client: httpx.AsyncClient) -> None:
    """As JSON, and as a page to read it on."""
    served = await client.get("/schema/openapi.json")
    assert (served.status_code, served.json()["info"]["title"]) == (200, "Koinon")
    page = await client.get("/schema")
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert page.headers["Content-Security-Policy"] == POLICY


def caller_of(town: Town, member: Api, operation: dict[str, Any]) -> Api:
    """Return who may call an operation."""
    scopes = {scope for way in operation.get("security") or [] for asked in way.values() for scope in asked}
    if not scopes:
        return Api(town.processor.client, {})
    if all(scope.startswith("me:") for scope in scopes):
        return member
    partners = {"members", "earnings", "redemptions", "reversals", "offers"}
    return town.grocer.api if {scope.partition(":")[0] for scope in scopes} <= partners else town.scheme.operator


async def known_names(town: Town, ada: Person) -> dict[str, str]:
    """Return, by the names of fields and path parameters, things that there are."""
    await town.grocer.earned(ada, 10_000)
    place = (await town.scheme.operator.get(f"/v1/places/{town.grocer.place}")).json()
    listed = await town.scheme.operator.post(
        f"/v1/partners/{town.grocer.partner}/staff",
        {"email": "anna@grocer.example", "name": "Anna", "role": "finance"},
    )
    return {
        "identity": place["identities"][0]["identity"],
        "grant": listed.json()["grant"],
        "member": ada.member,
        "place": town.grocer.place,
        "programme": town.scheme.programme,
        "partner": town.grocer.partner,
        "source": town.processor.source,
        "card": await town.processor.linked(ada, "tok-ada"),
        "token": "tok-ada",
        "card_token": "tok-ada",
        "offer": await published(town.grocer),
        "earning": await town.grocer.earned(ada, 5),
        "redemption": await town.grocer.reserved(ada, 5),
        "currency": "EUR",
        "settlement_currency": "EUR",
        "time_zone": "Europe/Helsinki",
        "occurred_at": "2026-03-02T09:00:00Z",
        "at": "2026-03-02T09:00:00Z",
    }


def with_names(value: Any, known: Mapping[str, str]) -> Any:
    """Return a value with what is named in it replaced by something that there is."""
    if isinstance(value, dict):
        return {
            name: known[name] if name in known and isinstance(each, str) else with_names(each, known)
            for name, each in value.items()
        }
    return [with_names(each, known) for each in value] if isinstance(value, list) else value


async def answer_to(town: Town, caller: Api, case: Any) -> httpx.Response:
    """Send what was made up, as somebody who may, signed where a signature lets it in."""
    asked = case.as_transport_kwargs(base_url="http://127.0.0.1:8700")
    headers = [
        (name.encode(), value.encode("latin-1", "replace"))
        for name, value in (asked.pop("headers", None) or {}).items()
    ]
    asked.pop("cookies", None)
    sent = {
        name: asked[name]
        for name in ("method", "url", "params", "json", "data", "files")
        if asked.get(name) is not None
    }
    if "data" in sent and isinstance(sent["data"], bytes | str):
        sent["content"] = sent.pop("data")
    request = town.processor.client.build_request(**sent, headers=headers)
    if case.operation.definition.raw.get("security") == [{"signature": []}]:
        signed = sign(town.processor.secret, uuid.uuid4().hex, int(time.time()), await request.aread())
        request.headers.update(signed | {"Koinon-Source": town.processor.source})
    elif "Idempotency-Key" in request.headers:
        request.headers["Idempotency-Key"] = uuid.uuid4().hex
    request.headers.update(caller.headers)
    return await town.processor.client.send(request)


async def test_examples_are_taken(callers: Callers, app: Litestar, document: dict[str, Any]) -> None:
    """Every body that is shown is one to send: with the names of things that there are, all but these are done."""
    town = await found_town(callers, app.state.runtime.keys.secret)
    ada = await town.person()
    known = await known_names(town, ada)
    sent, refused = 0, {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
                caller = caller_of(town, ada.browser, operation)
                form = media_type == "application/x-www-form-urlencoded"
                body = with_names(content["example"], known)
                request = town.processor.client.build_request(
                    method,
                    path.format_map(known),
                    headers=caller.headers | {"Idempotency-Key": uuid.uuid4().hex},
                    **({"data": body} if form else {"json": body}),
                )
                if operation.get("security") == [{"signature": []}]:
                    signed = sign(town.processor.secret, uuid.uuid4().hex, int(time.time()), request.content)
                    request.headers.update(signed | {"Koinon-Source": town.processor.source})
                answer = await town.processor.client.send(request)
                sent += 1
                if answer.status_code >= 400:
                    refused[operation["operationId"]] = answer.json()["code"]
    assert sent >= 20
    assert refused == {
        "issueAccessToken": "invalid-client",  # nobody's signature
        "signIn": "sign-in-code-invalid",
        "createPartner": "partner-code-taken",  # by the town's own grocer
        "addIdentity": "identity-taken",  # by the place that another example made
        "reserveRedemption": "pay-code-invalid",
    }


async def test_what_is_made_up_is_answered_as_described(
    callers: Callers, app: Litestar, document: dict[str, Any], seed: int | None
) -> None:
    """Whatever the description allows, and some that it does not, is answered without failing, and as described."""
    town = await found_town(callers, app.state.runtime.keys.secret)
    ada = await town.person()
    known = await known_names(town, ada)
    loop = asyncio.get_running_loop()
    schema = schemathesis.openapi.from_dict(document)
    checks = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
    answered: dict[str, int] = {}
    failed: dict[str, str] = {}

    def explore(operation: Any) -> None:
        name = f"{operation.method.upper()} {operation.path}"
        caller = caller_of(town, ada.browser, operation.definition.raw)
        right = operation.as_strategy()
        wrong = operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)

        @exploring(max_examples=EXAMPLES_PER_OPERATION, phases=[Phase.generate])
        @given(case=st.one_of(right, wrong))
        def call(case: Any) -> None:
            if case.meta.generation.mode.is_positive:
                case.body, case.path_parameters = with_names(case.body, known), with_names(case.path_parameters, known)
            answer = asyncio.run_coroutine_threadsafe(answer_to(town, caller, case), loop).result()
            answered[name] = answered.get(name, 0) + 1
            case.validate_response(answer, checks=checks)

        try:
            look_from(seed)
            call()
        except (AssertionError, BaseExceptionGroup) as failure:
            failed[name] = str(failure)

    for result in schema.get_all_operations():
        assert isinstance(result, Ok), result
        await asyncio.to_thread(explore, result.ok())
    print(f"{sum(answered.values())} made-up requests to {len(answered)} operations")
    assert failed == {}
    assert len(answered) == sum(1 for _ in operations(document))
