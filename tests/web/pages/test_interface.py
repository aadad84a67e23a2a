"""The interface as a page: everything that the description says, for a reader without scripts."""

from typing import Any

import httpx
import pytest

from koinon.callers.model import OPERATOR_SCOPES, PARTNER_SCOPES
from koinon.web.interface import callers, chapters
from tests.web.conftest import problem_of
from tests.web.pages.conftest import Browser
from tests.web.pages.reading import Element, faults


@pytest.fixture
async def document(client: httpx.AsyncClient) -> dict[str, Any]:
    """Give the description as it is served."""
    served: dict[str, Any] = (await client.get("/schema/openapi.json")).json()
    return served


def operation(page: Element, name: str) -> Element:
    """Return the part of the page about one operation."""
    return page.named(id=name)


async def test_every_operation_stands_on_the_page(nobody: Browser, document: dict[str, Any]) -> None:
    """Under its own anchor, which the contents and its chapter lead to, with who may, and every refusal's code."""
    page = await nobody.page("/schema")
    links = [each.attributes["href"] for each in page.all("a")]
    shown = 0
    for path, item in document["paths"].items():
        for method, described in item.items():
            part = operation(page, described["operationId"])
            text = part.text
            assert part.tag == "article"
            assert links.count(f"#{described['operationId']}") == 3, path
            assert f"{method.upper()} {path}" in text
            assert described["summary"] in text
            assert "Who may:" in text
            for scope in {scope for way in described.get("security", []) for each in way.values() for scope in each}:
                assert scope in text, path
            codes = [each.text for each in part.all("code")]
            for status, answer in described["responses"].items():
                assert status in text, path
                if status >= "400":
                    assert answer["description"].split("`")[1] in codes, path
            shown += 1
    assert shown >= 50
    assert len(page.all("article")) == shown
    assert "/schema/openapi.json" in links


async def test_an_operation_says_all_that_a_caller_needs(nobody: Browser) -> None:
    """Fields with kinds and bounds, fields inside fields, a request that could be sent, and its answer."""
    page = await nobody.page("/schema")
    earning = operation(page, "recordEarning")
    text = earning.text
    request, answer = (each.text for each in earning.all("pre"))

    assert "Who may: a brand\u2019s client; a brand\u2019s staff (owner), with earnings:write." in text
    assert "amount_minor whole number 1 to 1,000,000,000,000,000." in text
    assert "tender Tender or null, may be left out" in text
    assert "3 fields of Tender" in [each.text for each in earning.all("summary")]
    assert "occurred_at instant An instant with its offset (RFC 3339)." in text
    assert request.startswith("POST /v1/earnings Authorization: Bearer ")
    assert '"member": "mem_114p7zebgk4rn"' in request
    assert '"balance": 1250' in answer
    assert "404 unknown-member There is no such member" in text
    windows = operation(page, "listWindows").text
    assert "GET /v1/settlement/windows?programme=pro_3g4y556vdg0dk" in windows
    assert "limit whole number, in the query, may be left out" in windows
    assert "1 to 200. When left out: 50." in windows
    wallet = operation(page, "readWallet")
    assert "Who may: a member, with me:read." in wallet.text
    assert "Cookie: koinon_session=…" in wallet.text
    assert "Who may: a source, by its signature." in operation(page, "postTransactions").text


async def test_the_page_is_rendered_once(nobody: Browser) -> None:
    """It is the same for everybody and does not change while a process runs."""
    first, second = await nobody.get("/schema"), await nobody.get("/schema")

    assert first.content == second.content
    assert faults(first.text) == []
    assert "//cdn" not in first.text


async def test_nothing_else_stands_beside_it(nobody: Browser) -> None:
    """A machine's path that there is none of is a problem document, as everywhere under a system's paths."""
    for path in ("/schema/scalar", "/schema/openapi.yaml", "/schema/nothing"):
        assert problem_of(await nobody.get(path)) == (404, "not-found")


def test_who_may_is_read_from_the_scopes() -> None:
    """Kinds of callers whose scopes hold what is asked, and roles of staff."""
    both = sorted(PARTNER_SCOPES & OPERATOR_SCOPES)

    assert both == ["offers:read", "settlement:read"]
    assert callers([]) == ["anybody"]
    assert callers([{"signature": []}]) == ["source"]
    assert callers([{"token": []}, {"session": []}]) == ["session"]
    assert callers([{"token": ["settlement:read"]}]) == ["partner", "operator", "owner", "finance"]
    assert callers([{"token": ["me:write"]}]) == ["member"]


def test_what_refers_to_itself_ends() -> None:
    """A struct inside itself, and an operation that says little, are shown as far as they go."""
    node = {"type": "object", "title": "Node", "properties": {"child": {"$ref": "#/components/schemas/Node"}}}
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Node"}}}
    read = {
        "operationId": "readNode",
        "summary": "Read",
        "responses": {"200": {"description": "It.", "content": content}},
    }
    (chapter,) = chapters({"tags": [], "paths": {"/node": {"get": read}}, "components": {"schemas": {"Node": node}}})
    (shown,) = chapter.operations
    content_shown = shown.answers[0].content
    assert content_shown is not None
    fields, depth = content_shown.fields, 1
    while fields[0].parts:
        ((_, _, fields),) = fields[0].parts
        depth += 1

    assert (chapter.name, shown.text, shown.callers, depth) == ("operations", "", ["anybody"], 6)
