"""Bodies that cannot be read: every one of them is the caller's mistake, and says so."""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from litestar import Request

from koinon.problems import InvalidInput, field_error
from koinon.web.errors import validation_problem

Decoded = TypeVar("Decoded")

UNREADABLE = "the body is not JSON in UTF-8, or is nested too deeply"


def read_body(decode: Callable[[bytes], Decoded], body: bytes) -> Decoded:
    """Return a body as msgspec decodes it; raises InvalidInput."""
    try:
        return decode(body)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise validation_problem(error) from None
    except (UnicodeDecodeError, RecursionError):
        raise unreadable() from None


def unreadable() -> InvalidInput:
    """Return the problem of a body that is no JSON text."""
    return InvalidInput(UNREADABLE, errors=[field_error("", UNREADABLE)])


class JsonRequest(Request[Any, Any, Any]):
    """A request whose JSON body is read, or refused: the framework lets these two errors through."""

    async def json(self) -> Any:
        """Return the decoded body; raises InvalidInput."""
        try:
            return await super().json()
        except (UnicodeDecodeError, RecursionError):
            raise unreadable() from None
