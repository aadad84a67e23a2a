"""Guards: what a route asks of its caller."""

import hmac
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from koinon.base64url import encode_base64url
from koinon.callers.model import Caller
from koinon.problems import NotAllowed, NotAuthenticated
from koinon.runtime import runtime_of

Guard = Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], Awaitable[None]]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "_csrf"
FORM_TYPE = "application/x-www-form-urlencoded"


class ScopeMissing(NotAllowed):
    """The caller lacks a scope; `missing_scopes` names it."""

    code = "scope-missing"
    title = "The caller's roles and grants do not allow this"


class CrossSite(NotAllowed):
    """Another site's page made a signed-in browser send this."""

    code = "cross-site"
    title = "A signed-in browser may send this from our own pages alone"


class CsrfTokenInvalid(NotAllowed):
    """A write from a browser came without its session's token."""

    code = "csrf-token-invalid"
    title = "Reload the page and try again: the form's token is missing or from another session"


def require(*scopes: str) -> Guard:
    """Return the guard of a route: somebody must be calling, and have all these scopes.

    For a browser that signed in, a write must also come from our own pages and carry its session's token, in
    X-CSRF-Token or in the form's field `_csrf`. Raises NotAuthenticated, ScopeMissing, CrossSite, CsrfTokenInvalid.
    """
    wanted = frozenset(scopes)

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        caller: Caller | None = connection.user
        if caller is None:
            raise connection.scope["auth"] or NotAuthenticated
        if not wanted <= caller.scopes:
            missing = sorted(wanted - caller.scopes)
            raise ScopeMissing(f"missing: {', '.join(missing)}", missing_scopes=missing)
        if caller.session_id is not None and isinstance(connection, Request):
            await _check_browser(connection, caller.session_id)

    # The table of every route by every role reads what a route asks for.
    guard.scopes = wanted  # type: ignore[attr-defined]  # functions carry attributes
    return guard


def page_token(request: Request[Any, Any, Any]) -> str:
    """Return the token for the forms of a page, or an empty text when nobody is signed in."""
    caller: Caller | None = request.user
    if caller is None or caller.session_id is None:
        return ""
    return csrf_token(runtime_of(request).keys.secret, caller.session_id)


def require_same_origin(request: Request[Any, Any, Any]) -> None:
    """Refuse what another site's page sent: by Sec-Fetch-Site, or by Origin from an older browser.

    A caller that is no browser sends neither. Raises CrossSite.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        if site not in {"same-origin", "none"}:
            raise CrossSite
        return
    origin = request.headers.get("Origin")
    if origin is None:
        return
    own = {request.headers.get("Host", ""), urlsplit(runtime_of(request).settings.base_url).netloc}
    try:
        site = urlsplit(origin).netloc
    except ValueError:
        raise CrossSite from None
    if site not in own - {""}:
        raise CrossSite


def csrf_token(secret: bytes, session_id: str) -> str:
    """Return the token that a page of this session sends back with every write."""
    return encode_base64url(hmac.digest(secret, b"csrf\n" + session_id.encode(), "sha256"))


async def _check_browser(request: Request[Any, Any, Any], session_id: str) -> None:
    if request.method in SAFE_METHODS:
        return
    require_same_origin(request)
    given = request.headers.get(CSRF_HEADER)
    if given is None and request.content_type[0] == FORM_TYPE:
        field = (await request.form()).get(CSRF_FIELD)
        given = field if isinstance(field, str) else None
    expected = csrf_token(runtime_of(request).keys.secret, session_id)
    if given is None or not hmac.compare_digest(given.encode(), expected.encode()):
        raise CsrfTokenInvalid
