"""Authentication: who is calling, found once per request."""

from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from koinon.callers.model import Caller
from koinon.clock import machine_now
from koinon.identity.access_tokens import AccessTokens, TokenInvalid
from koinon.identity.sessions import COOKIE, session_caller

COOKIE_MARK = COOKIE.encode() + b"="


class Authentication(ASGIMiddleware):
    """Sets `request.user` to the Caller behind a bearer token or the session's cookie, or to None.

    It refuses nobody: a public route is public with a stale token too, and everything else has a guard, which says
    why the token did not count (`request.auth`). With a bearer token the cookie is not looked at.
    """

    scopes = (ScopeType.HTTP,)

    def __init__(self, tokens: AccessTokens) -> None:
        self._tokens = tokens

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Find the caller and pass the request on."""
        scope["user"], scope["auth"] = await self._caller(scope["headers"])
        await next_app(scope, receive, send)

    async def _caller(self, headers: Iterable[tuple[bytes, bytes]]) -> tuple[Caller | None, TokenInvalid | None]:
        authorization = b""
        cookies: list[bytes] = []
        for name, value in headers:
            if name == b"authorization":
                authorization = value
            elif name == b"cookie" and COOKIE_MARK in value:
                cookies.append(value)
        if authorization:
            scheme, _, token = authorization.decode("latin-1").partition(" ")
            if scheme.lower() != "bearer":
                return None, TokenInvalid("the scheme must be Bearer")
            try:
                return await self._tokens.caller(token.strip()), None
            except TokenInvalid as problem:
                return None, problem
        session = _session_token(cookies) if cookies else None
        if session:
            return await session_caller(session, machine_now()), None
        return None, None


def _session_token(cookies: list[bytes]) -> str | None:
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load(b"; ".join(cookies).decode("latin-1"))
    except CookieError:
        return None
    morsel = jar.get(COOKIE)
    return morsel.value if morsel else None
