"""What every page tells the browser it may do: its own styles, its own images, its own forms, and nothing else."""

from collections.abc import Awaitable, Callable

from litestar.datastructures import MutableScopeHeaders
from litestar.types import Message, Scope

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
"""The Content-Security-Policy of every page: no script at all, no style but our own file."""

# `same-origin`, not `no-referrer`: under the latter browsers send `Origin: null` with a form, which older ones are
# told apart from another site by.
PAGE_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Cache-Control": "no-store",
}
TRANSPORT = "max-age=31536000"


def page_headers(*, secure: bool) -> Callable[[Message, Scope], Awaitable[None]]:
    """Return the hook that adds the headers to whatever is sent; `secure`: people reach the pages by HTTPS alone.

    A hook and not a middleware: the page that says that there is no such page passes no middleware.
    """

    async def add(message: Message, _: Scope) -> None:
        if message["type"] != "http.response.start":
            return
        headers = MutableScopeHeaders.from_message(message)
        headers.setdefault("X-Content-Type-Options", "nosniff")
        if secure:
            headers.setdefault("Strict-Transport-Security", TRANSPORT)
        if headers.get("Content-Type", "").startswith("text/html"):
            for name, value in PAGE_HEADERS.items():
                headers[name] = value

    return add
