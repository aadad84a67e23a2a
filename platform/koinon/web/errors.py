"""Problems as pages, for people: the same code and facts as the problem document, in the words of a template."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from litestar import Request, Response
from litestar.response import Redirect
from litestar.types import ExceptionHandlersMap

from koinon.web.rendering import html, template_text
from koinon.web.shells import home_of

SYSTEM_PATHS = ("/v1/", "/log/", "/schema/", "/.well-known/", "/health", "/ready", "/metrics", "/static/")
"""Where systems call; they read problem documents, also when a browser looks."""

Handler = Callable[[Request[Any, Any, Any], Any], Response[Any]]


def pages_for_people(handlers: ExceptionHandlersMap) -> ExceptionHandlersMap:
    """Return the application's exception handlers, each answering a browser with a page."""
    return {kind: _for_people(handler) for kind, handler in handlers.items()}


def reads_pages(request: Request[Any, Any, Any]) -> bool:
    """Tell whether a request is a browser's for a page."""
    asks = "text/html" in request.headers.get("Accept", "")
    return asks and not request.scope["path"].startswith(SYSTEM_PATHS)


def _for_people(handler: Any) -> Handler:
    def handle(request: Request[Any, Any, Any], error: Any) -> Response[Any]:
        answer: Response[Any] = handler(request, error)
        if not reads_pages(request):
            return answer
        if answer.status_code == 401 and request.method == "GET":
            return Redirect(f"/sign-in?next={quote(request.scope['path'])}", status_code=303)
        return problem_page(request, answer.content, answer.status_code or 500)

    return handle


def problem_page(request: Request[Any, Any, Any], document: dict[str, Any], status_code: int) -> Response[str]:
    """Return a problem document as a page that asks nothing of the database: it may be what failed."""
    text = template_text(
        request,
        "pages/problem.html",
        problem={"status": status_code, "title": "", "code": "", "detail": ""} | document,
        home=home_of(request.scope.get("user")),
    )
    return html(text, status_code)
