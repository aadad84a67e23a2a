"""What the interface's description says of every operation: its answers, its refusals, and its key."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Operation, Parameter, Schema
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


def reads(*problems: type[Problem]) -> dict[int, ResponseSpec]:
    """Return the refusals of an operation that reads."""
    return refusals(NotAuthenticated, NotAllowed, InvalidInput, *problems)


def writes(status: int, body: Any, *problems: type[Problem]) -> dict[int, ResponseSpec]:
    """Return the answer (a struct) and the refusals of an operation that writes once for a key."""
    answered = ResponseSpec(data_container=body, generate_examples=False, description="Done, once for its key.")
    refused = refusals(
        NotAuthenticated, NotAllowed, InvalidInput, IdempotencyKeyMissing, IdempotencyKeyReused, *problems
    )
    return {status: answered} | refused


def refusals(*problems: type[Problem]) -> dict[int, ResponseSpec]:
    """Return the description of exactly these refusals, for an operation that anyone may call."""
    by_status: dict[int, list[type[Problem]]] = defaultdict(list)
    for problem in dict.fromkeys(problems):
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
