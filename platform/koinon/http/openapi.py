"""What the interface's description says of every operation: its answers, its refusals, and its key."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import msgspec
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example, OpenAPIMediaType, Operation, Parameter, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType

from koinon.http.bodies import MediaTypeUnsupported
from koinon.http.card_numbers import CardNumberRefused
from koinon.http.errors import BodyTooLarge
from koinon.problems import (
    MEDIA_TYPE,
    AnswerNoLongerKept,
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
    InvalidInput,
    NotAllowed,
    NotAuthenticated,
    Problem,
    ServiceUnavailable,
)

KEY_LENGTH_MAXIMUM = 255
JSON = "application/json"


class FieldProblem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One wrong part of a request, a stable code, and what to do.

    A field of the body is named by its JSON pointer; a part outside it by where it is and its name.
    """

    code: str
    message: str
    pointer: str | None = None
    outside: Literal["path", "query", "header"] | None = msgspec.field(name="in", default=None)
    name: str | None = None


class ProblemDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """A refusal (RFC 9457); members beyond these are the facts of the case."""

    type: str
    title: str
    status: int
    code: str
    detail: str | None = None
    instance: str | None = None
    errors: list[FieldProblem] | None = None


@dataclass
class Keyed(Operation):
    """An operation that writes: it needs an `Idempotency-Key`."""

    def __post_init__(self) -> None:
        """Add the key to the operation's parameters."""
        key = Parameter(
            name="Idempotency-Key",
            param_in="header",
            required=True,
            description="A text of the caller's choice; the same key and content are answered the same again.",
            example="5f0c7a1e-3b5d-4d0e-9c39-0a6b1c2d3e4f",
            schema=Schema(type=OpenAPIType.STRING, min_length=1, max_length=KEY_LENGTH_MAXIMUM),
        )
        self.parameters = [*(self.parameters or []), key]


SIGNED_HEADERS = (
    ("Koinon-Source", "The source that signed (`src_…`).", "src_2de18rfzfcjcq"),
    ("webhook-id", "A text of the source's choice, part of what is signed; the key of a card link.", "evt-7f3a91"),
    ("webhook-timestamp", "When it was signed, in Unix seconds.", "1772442000"),
    (
        "webhook-signature",
        "`v1,…` (HMAC-SHA256) or `v1a,…` (Ed25519) over id, timestamp and the raw body.",
        "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
    ),
)
"""(name, meaning, example) of the headers of a signed request."""


@dataclass
class Signed(Operation):
    """An operation that a processor's signature lets in; a subclass says what its body is, and `example` as in `gives`.

    The handler takes the raw bytes that were signed, so the framework cannot tell what they should hold.
    """

    body: ClassVar[Any] = None
    example: ClassVar[Any] = None
    source_in_header: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Add the signature's headers, and the body, to what the operation needs."""
        headers = SIGNED_HEADERS if self.source_in_header else SIGNED_HEADERS[1:]
        self.parameters = [
            *(self.parameters or []),
            *(
                Parameter(name=name, param_in="header", required=True, description=text, schema=_TEXT, example=example)
                for name, text, example in headers
            ),
        ]
        if self.body is not None:
            own: Any = None if self.example is None else {"own": Example(value=_as_text(self.example))}
            content = OpenAPIMediaType(
                schema=schema_of(self.body),  # type: ignore[arg-type]  # a ready JSON Schema
                examples=own,
            )
            self.request_body = RequestBody(required=True, content={JSON: content})


_TEXT = Schema(type=OpenAPIType.STRING, min_length=1, max_length=KEY_LENGTH_MAXIMUM)


def schema_of(kind: Any) -> dict[str, Any]:
    """Return the JSON Schema of a type, with everything that it refers to in its place."""
    (schema,), parts = msgspec.json.schema_components([kind], ref_template="{name}")

    def whole(value: Any) -> Any:
        if isinstance(value, dict):
            beside = {name: whole(each) for name, each in value.items() if name != "$ref"}
            return whole(parts[value["$ref"]]) | beside if "$ref" in value else beside
        return [whole(each) for each in value] if isinstance(value, list) else value

    found: dict[str, Any] = whole(schema)
    return found


def _as_text(example: Any) -> str:
    """Return an example as the description takes it up: the framework would leave every null in it out."""
    return msgspec.json.encode(example).decode()


def gives(status: int, body: Any, text: str, *, media_type: str = JSON, example: Any = None) -> dict[int, ResponseSpec]:
    """Return the answer of a handler whose own type does not say what it holds.

    The members of `example` stand in place of what the fields' own examples come to.
    """
    answered = ResponseSpec(
        data_container=body,
        generate_examples=False,
        description=text,
        media_type=media_type,
        examples=None if example is None else [Example(value=_as_text(example))],
    )
    return {status: answered}


def reads(*problems: type[Problem]) -> dict[int, ResponseSpec]:
    """Return the refusals of an operation that reads."""
    return refusals(NotAuthenticated, NotAllowed, InvalidInput, *problems)


def writes(status: int, body: Any, *problems: type[Problem], example: Any = None) -> dict[int, ResponseSpec]:
    """Return the answer (a struct) and the refusals of an operation that writes once for a key."""
    every: tuple[type[Problem], ...] = (
        NotAuthenticated,
        NotAllowed,
        InvalidInput,
        IdempotencyKeyMissing,
        IdempotencyKeyReused,
        AnswerNoLongerKept,
    )
    return answers(status, body, *every, *problems, example=example)


def answers(status: int, body: Any, *problems: type[Problem], example: Any = None) -> dict[int, ResponseSpec]:
    """Return the answer (a struct) and the refusals of an operation that looks at who calls by itself."""
    described = refusals(*problems, BodyTooLarge, MediaTypeUnsupported, ServiceUnavailable)
    return gives(status, body, "Done, once for its key.", example=example) | described


def refusals(*problems: type[Problem]) -> dict[int, ResponseSpec]:
    """Return the description of these refusals, and of the one that any request may meet: it holds a card number."""
    by_status: dict[int, list[type[Problem]]] = defaultdict(list)
    every: tuple[type[Problem], ...] = (*problems, CardNumberRefused)
    for problem in dict.fromkeys(every):
        by_status[problem.status].append(problem)
    return {
        status: ResponseSpec(
            data_container=ProblemDocument,
            generate_examples=False,
            media_type=MEDIA_TYPE,
            description="\n".join(f"- `{problem.code}`: {problem.title}" for problem in by_status[status]),
        )
        for status in sorted(by_status)
    }
