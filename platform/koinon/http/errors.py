"""Problems as HTTP answers, in one place (RFC 9457)."""

import re
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.types import ExceptionHandlersMap

from koinon.database import RACES
from koinon.http.card_numbers import mask
from koinon.problems import (
    MEDIA_TYPE,
    InvalidInput,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    Problem,
    ServiceUnavailable,
    field_error,
)

log = structlog.get_logger(__name__)

AT_PATH = re.compile(r"^(?P<message>.*?)(?: - at `\$?(?P<path>[^`]*)`)?$", re.DOTALL)
UNNAMED = "..."
MISSING = re.compile(r"^Missing required \w+ parameter '(?P<name>[^']+)'")
BY_STATUS: dict[int, type[Problem]] = {400: InvalidInput, 401: NotAuthenticated, 403: NotAllowed, 404: NotFound}


class BodyTooLarge(Problem):
    """The body is larger than the route takes; `bytes_maximum` says how large one may be."""

    status = 413
    code = "body-too-large"
    title = "The body is larger than is taken here"


def render(request: Request[Any, Any, Any], problem: Problem) -> Response[dict[str, Any]]:
    """Return a problem as an HTTP answer."""
    headers = {"WWW-Authenticate": 'Bearer realm="koinon"'} if problem.status == 401 else {}
    if "retry_after_seconds" in problem.facts:
        headers["Retry-After"] = str(problem.facts["retry_after_seconds"])
    return Response(
        problem.document(mask(request.scope["path"])),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers=headers,
    )


def pointer(path: str) -> str:
    """Turn msgspec's path (`.lines[0].amount`) into a JSON pointer (`/lines/0/amount`, RFC 6901)."""
    parts = re.findall(r"\.([^.\[\]]+)|\[([^\]]*)\]", path)
    names = [name or index for name, index in parts]
    # msgspec does not name the members of a mapping: the pointer ends where it is no longer known.
    known = names[: names.index(UNNAMED)] if UNNAMED in names else names
    # The framework calls a handler's body `data`; the caller's pointer starts inside it.
    return "".join("/" + name for name in known[known[:1] == ["data"] :])


def validation_problem(error: msgspec.ValidationError | msgspec.DecodeError) -> InvalidInput:
    """Return the problem of a body that msgspec refuses; the message names types and bounds, never the value."""
    found = AT_PATH.match(str(error))
    message, path = (found["message"], found["path"] or "") if found else (str(error), "")
    return InvalidInput(message, errors=[field_error(pointer(path), message)])


def _problem(request: Request[Any, Any, Any], error: Problem) -> Response[dict[str, Any]]:
    return render(request, error)


def _http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, Any]]:
    cause = error.__cause__
    while cause is not None and not isinstance(cause, (msgspec.ValidationError, msgspec.DecodeError)):
        cause = cause.__cause__
    if cause is not None:
        return render(request, validation_problem(cause))
    if isinstance(error, ValidationException):
        extra = error.extra if isinstance(error.extra, list) else []
        errors = [field_error("/" + str(item.get("key", "")), str(item.get("message", ""))) for item in extra]
        if missing := MISSING.match(error.detail):  # the framework says this one in a sentence alone
            errors = [field_error("/" + missing["name"], "it has to be given")]
        return render(request, InvalidInput("; ".join(item["message"] for item in errors) or None, errors=errors))
    if isinstance(error, RequestEntityTooLarge):
        maximum = request.route_handler.resolve_request_max_body_size()
        return render(request, BodyTooLarge(f"send at most {maximum} bytes", bytes_maximum=maximum))
    kind = BY_STATUS.get(error.status_code)
    if kind is not None:
        return render(request, kind(None if kind is NotFound else error.detail))
    return Response(
        {
            "type": "about:blank",
            "title": error.detail,
            "status": error.status_code,
            "code": f"http-{error.status_code}",
        },
        status_code=error.status_code,
        media_type=MEDIA_TYPE,
        headers=error.headers,
    )


def _raced(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    log.warning("lost every race", path=request.scope["path"], method=request.method, exc_info=error)
    problem = ServiceUnavailable(
        "others changed the same things; nothing changed, send it again", retry_after_seconds=1
    )
    return render(request, problem)


def _unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    log.error("unexpected error", path=request.scope["path"], method=request.method, exc_info=error)
    return render(request, Problem("It was logged; nothing of this request was stored unless you were answered before"))


EXCEPTION_HANDLERS: ExceptionHandlersMap = {
    Problem: _problem,
    HTTPException: _http_exception,
    **dict.fromkeys(RACES, _raced),
    Exception: _unexpected,
}
