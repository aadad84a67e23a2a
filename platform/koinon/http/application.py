"""The application as its servers call it."""

from typing import Any

from litestar import Litestar
from litestar.types import Message, Send


class Application(Litestar):
    """An application that answers HEAD as it would GET, without the body (RFC 9110 §9.3.2).

    Before routing, so that no route has to name the method: whoever looks after a server asks its pages and its health
    with HEAD.
    """

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request, or live as long as the server does."""
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope, send = {**scope, "method": "GET"}, _without_body(send)
        await super().__call__(scope, receive, send)


def _without_body(send: Send) -> Send:
    async def bodiless(message: Message) -> None:
        if message["type"] == "http.response.body":
            message["body"] = b""
        await send(message)

    return bodiless
