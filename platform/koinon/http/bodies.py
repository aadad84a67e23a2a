"""Bodies: of which media type a route takes them, and that every one that cannot be read says so."""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from litestar import Request
from litestar.exceptions import SerializationException

from koinon.callers.guards import FORM_TYPE
from koinon.http.card_numbers import BODILESS
from koinon.http.errors import validation_problem
from koinon.problems import InvalidInput, Problem, field_error

Decoded = TypeVar("Decoded")

FORM = "form"
"""The `opt` key of a route whose body is a form's; every other body is JSON."""
JSON_TYPE = "application/json"
UNREADABLE = "the body is not JSON in UTF-8, or is nested too deeply"
NEEDED = "a JSON body is needed"


class MediaTypeUnsupported(Problem):
    """The body does not say that it is of the one media type that the route takes, which `media_type` names."""

    status = 415
    code = "media-type-unsupported"
    title = "The body is not of the media type that is taken here; its Content-Type must say so"


async def check_body(request: Request[Any, Any, Any]) -> None:
    """Refuse a body of another media type than its route takes, and a body that is needed and is not there.

    It runs when the caller may call, before anything reads the body. A body without a type is of no type: what it
    would be taken for were a guess. Raises MediaTypeUnsupported, InvalidInput.
    """
    if request.method in BODILESS:
        return
    handler = request.route_handler
    takes_form = handler.opt.get(FORM, False)
    if not await request.body():
        if not takes_form and "data" in handler.parsed_fn_signature.parameters:
            raise _needed()
        return
    media_type = FORM_TYPE if takes_form else JSON_TYPE
    if request.content_type[0] != media_type:
        raise MediaTypeUnsupported(f"send it as {media_type}", media_type=media_type)


def read_body(decode: Callable[[bytes], Decoded], body: bytes) -> Decoded:
    """Return a body as msgspec decodes it; raises InvalidInput."""
    if not body:
        raise _needed()
    try:
        return decode(body)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise validation_problem(error) from None
    except (UnicodeDecodeError, RecursionError):
        raise unreadable() from None


def unreadable() -> InvalidInput:
    """Return the problem of a body that is no JSON text."""
    return InvalidInput(UNREADABLE, errors=[field_error("", UNREADABLE)])


def _needed() -> InvalidInput:
    return InvalidInput(NEEDED, errors=[field_error("", NEEDED)])


class JsonRequest(Request[Any, Any, Any]):
    """A request whose JSON body is read, or refused: the framework lets two errors through, and misplaces others."""

    async def json(self) -> Any:
        """Return the decoded body; raises InvalidInput."""
        try:
            return await super().json()
        except (UnicodeDecodeError, RecursionError):
            raise unreadable() from None
        except SerializationException:
            # The framework reads without the types, and so cannot say in which member a number is beyond all bounds.
            data = self.route_handler.parsed_fn_signature.parameters.get("data")
            read_body(msgspec.json.Decoder(data.annotation if data else Any).decode, await self.body())
            raise
