"""What the interface's description says of every operation: its answers, its refusals, and its key."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import msgspec
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, Operation, Parameter, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType

from koinon.problems import (
    MEDIA_TYPE,
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
    InvalidInput,
    NotAllowed,
    NotAuthenticated,
    Problem,
)
from koinon.web.card_numbers import CardNumberRefused

KEY_LENGTH_MAXIMUM = 255


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
            schema=Schema(type=OpenAPIType.STRING, min_length=1, max_length=KEY_LENGTH_MAXIMUM),
        )
        self.parameters = [*(self.parameters or []), key]


@dataclass
class Signed(Operation):
    """An operation that a processor's signature lets in; a subclass says what its body is.

    The handler takes the raw bytes that were signed, so the framework cannot tell what they should hold.
    """

    body: ClassVar[Any] = None
    source_in_header: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Add the signature's headers, and the body, to what the operation needs."""
        headers = {
            "webhook-id": "A text of the source's choice, part of what is signed; the key of a card link.",
            "webhook-timestamp": "When it was signed, in Unix seconds.",
            "webhook-signature": "`v1,…` (HMAC-SHA256) or `v1a,…` (Ed25519) over id, timestamp and the raw body.",
        }
        if self.source_in_header:
            headers = {"Koinon-Source": "The source that signed (`src_…`)."} | headers
        self.parameters = [
            *(self.parameters or []),
            *(
                Parameter(name=name, param_in="header", required=True, description=text, schema=_TEXT)
                for name, text in headers.items()
            ),
        ]
        if self.body is not None:
            content = OpenAPIMediaType(schema=schema_of(self.body))  # type: ignore[arg-type]  # a ready JSON Schema
            self.request_body = RequestBody(required=True, content={"application/json": content})


_TEXT = Schema(type=OpenAPIType.STRING, min_length=1, max_length=KEY_LENGTH_MAXIMUM)


def schema_of(kind: Any) -> dict[str, Any]:
    """Return the JSON Schema of a type, with everything that it refers to in its place."""
    (schema,), parts = msgspec.json.schema_components([kind], ref_template="{name}")

    def whole(value: Any) -> Any:
        if isinstance(value, dict):
            return (
                whole(parts[value["$ref"]]) if "$ref" in value else {name: whole(each) for name, each in value.items()}
            )
        return [whole(each) for each in value] if isinstance(value, list) else value

    found: dict[str, Any] = whole(schema)
    return found


def reads(*problems: type[Problem]) -> dict[int, ResponseSpec]:
    """Return the refusals of an operation that reads."""
    return refusals(NotAuthenticated, NotAllowed, InvalidInput, *problems)


def writes(status: int, body: Any, *problems: type[Problem]) -> dict[int, ResponseSpec]:
    """Return the answer (a struct) and the refusals of an operation that writes once for a key."""
    return answers(
        status, body, NotAuthenticated, NotAllowed, InvalidInput, IdempotencyKeyMissing, IdempotencyKeyReused, *problems
    )


def answers(status: int, body: Any, *problems: type[Problem]) -> dict[int, ResponseSpec]:
    """Return the answer (a struct) and the refusals of an operation that looks at who calls by itself."""
    answered = ResponseSpec(data_container=body, generate_examples=False, description="Done, once for its key.")
    return {status: answered} | refusals(*problems)


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
