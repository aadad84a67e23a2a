"""The interface's description as a page: who may call what, what to send, and what is answered or refused.

It is drawn here, from the document at `/schema/openapi.json`, under the policy of every other page: no script, and
nothing from elsewhere.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Request, Router
from litestar.openapi.plugins import OpenAPIRenderPlugin

from koinon.callers.model import MEMBER_SCOPES, PARTNER_SCOPES, ROLE_SCOPES
from koinon.http.card_numbers import MESSAGE, CardNumberRefused
from koinon.http.description import refused_codes
from koinon.http.examples import Components
from koinon.identity.sessions import COOKIE
from koinon.problems import MEDIA_TYPE, field_error
from koinon.web.fields import Field, fields_of, parameters_of
from koinon.web.rendering import template_text

BASE = "/schema"
DOCUMENT = f"{BASE}/openapi.json"
UNSORTED = "operations"
"""Where an operation stands that no tag was given."""


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What a body or an answer holds: its fields, what is said of the whole, and an example as text."""

    media_type: str
    text: str
    fields: list[Field]
    example: str | None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that is no refusal."""

    status: str
    text: str
    content: Content | None


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One operation, as a reader needs it."""

    name: str
    method: str
    path: str
    summary: str
    text: str
    callers: list[str]
    scopes: list[str]
    parameters: list[Field]
    request: str
    body: Content | None
    answers: list[Answer]
    refusals: list[tuple[str, str, str]]


class Chapter(msgspec.Struct, frozen=True, kw_only=True):
    """The operations of one tag."""

    name: str
    text: str
    operations: list[Operation]


class InterfacePage(OpenAPIRenderPlugin):
    """Renders the description as a page, once in a process: it does not change while that runs."""

    def __init__(self) -> None:
        super().__init__(path="/")
        self._page: bytes | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the page."""
        if self._page is None:
            text = template_text(
                request,
                "pages/interface.html",
                info=openapi_schema["info"],
                schemes=openapi_schema["components"]["securitySchemes"],
                problem=refusal_shown(openapi_schema["components"]["schemas"]),
                chapters=list(chapters(openapi_schema)),
                document=DOCUMENT,
            )
            self._page = text.encode()
        return self._page

    def receive_router(self, router: Router) -> None:
        """Take the framework's own page for what is not there out: ours says it."""
        router.routes = [route for route in router.routes if route.path != f"{BASE}/{{path:str}}"]


def refusal_shown(components: Components) -> Content:
    """Return what a refusal holds, with one that any write may meet."""
    refused = CardNumberRefused(errors=[field_error("/receipt", MESSAGE, "card-number")])
    content = {"schema": {"$ref": "#/components/schemas/ProblemDocument"}, "example": refused.document("/v1/earnings")}
    return _content(MEDIA_TYPE, content, components)


def chapters(document: Mapping[str, Any]) -> Iterator[Chapter]:
    """Yield the operations tag by tag, in the order of the document's tags."""
    components = document["components"]["schemas"]
    found: dict[str, list[Operation]] = {tag["name"]: [] for tag in document["tags"]}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            tag = operation.get("tags", [UNSORTED])[0]
            found.setdefault(tag, []).append(_operation(method.upper(), path, operation, components))
    texts = {tag["name"]: tag["description"] for tag in document["tags"]}
    for name, operations in found.items():
        yield Chapter(name=name, text=texts.get(name, ""), operations=operations)


def callers(security: Sequence[Mapping[str, list[str]]]) -> list[str]:
    """Return who an operation lets in: kinds of callers, and roles of a brand's staff; the page words them."""
    if not security:
        return ["anybody"]
    if "signature" in security[0]:
        return ["source"]
    asked = frozenset(security[0]["token"])
    if not asked:
        return ["session"]
    kinds = (("member", MEMBER_SCOPES), ("partner", PARTNER_SCOPES), *ROLE_SCOPES.items())
    return [kind for kind, scopes in kinds if asked <= scopes]


def _operation(method: str, path: str, operation: Mapping[str, Any], components: Components) -> Operation:
    security = operation.get("security", [])
    content = _content_of(operation.get("requestBody", {}), components)
    refusals = [
        (status, code, title)
        for status, answer in sorted(operation["responses"].items())
        for code, title in refused_codes(answer["description"])
        if status >= "400"
    ]
    return Operation(
        name=operation["operationId"],
        method=method,
        path=path,
        summary=operation["summary"],
        text=operation.get("description", ""),
        callers=callers(security),
        scopes=sorted({scope for way in security for scopes in way.values() for scope in scopes}),
        parameters=parameters_of(operation.get("parameters", [])),
        request=_request(method, path, operation, content),
        body=content,
        answers=[
            _answer(status, answer, components)
            for status, answer in sorted(operation["responses"].items())
            if status < "400"
        ],
        refusals=refusals,
    )


def _answer(status: str, answer: Mapping[str, Any], components: Components) -> Answer:
    return Answer(status=status, text=answer["description"], content=_content_of(answer, components))


def _content_of(holder: Mapping[str, Any], components: Components) -> Content | None:
    """Return what a body or an answer holds; each is of one media type here."""
    for media_type, content in holder.get("content", {}).items():
        return _content(media_type, content, components)
    return None


def _content(media_type: str, content: Mapping[str, Any], components: Components) -> Content:
    schema = content.get("schema", {})
    fields = fields_of(schema, components)
    named = components.get(schema.get("$ref", "").rpartition("/")[2], schema)
    return Content(
        media_type=media_type,
        text=named.get("description", ""),
        fields=fields,
        example=_as_text(media_type, content["example"]) if "example" in content else None,
    )


def _as_text(media_type: str, example: Any) -> str:
    if media_type == "application/x-www-form-urlencoded":
        return urlencode(example).replace("&", "\n&")
    return msgspec.json.format(msgspec.json.encode(example), indent=2).decode()


def _request(method: str, path: str, operation: Mapping[str, Any], body: Content | None) -> str:
    """Return a request that a reader could send, as HTTP writes it."""
    shown = {
        place: {each["name"]: str(each["example"]) for each in group if each.get("required") and "example" in each}
        for place, group in groupby(operation.get("parameters", []), lambda each: each["in"])
    }
    for name, value in shown.get("path", {}).items():
        path = path.replace(f"{{{name}}}", value)
    query = "?" + urlencode(shown["query"]) if shown.get("query") else ""
    lines = [f"{method} {path}{query}", *_credentials(method, operation.get("security", []))]
    lines += [f"{name}: {value}" for name, value in shown.get("header", {}).items()]
    if body is not None:
        lines += [f"Content-Type: {body.media_type}", "", body.example or ""]
    return "\n".join(lines)


def _credentials(method: str, security: Sequence[Mapping[str, list[str]]]) -> list[str]:
    if not security or "signature" in security[0]:
        return []
    scopes = security[0]["token"]
    if scopes and not MEMBER_SCOPES.issuperset(scopes):
        return ["Authorization: Bearer eyJhbGciOiJFZERTQSJ9…"]
    return [f"Cookie: {COOKIE}=…", *(["X-CSRF-Token: …"] if method != "GET" else [])]
