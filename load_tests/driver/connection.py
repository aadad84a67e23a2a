"""Keep-alive HTTP to one installation: bounded, patient, and loud about what was refused."""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any, Self

import httpx
import msgspec

AT_ONCE = 32
"""How many requests are under way at most: enough to keep two cores busy, few enough to keep answers prompt."""
ATTEMPTS = 5
PAUSE_SECONDS = 0.2
TIMEOUT_SECONDS = 120.0
TIMEOUT = {"timeout": httpx.Timeout(TIMEOUT_SECONDS).as_dict()}
JSON = "application/json"


class DriveError(Exception):
    """A drive cannot go on; the message says why and, where somebody can, what to do."""


class Refusal(DriveError):
    """The API answered with a problem: `status`, its stable `code`, and the whole `document`."""

    def __init__(self, method: str, path: str, status: int, document: Mapping[str, Any]) -> None:
        self.status = status
        self.code = str(document.get("code", ""))
        self.document = dict(document)
        told = document.get("detail") or document.get("errors") or document.get("title", "")
        super().__init__(f"{method} {path}: {status} {self.code}: {told}")


class NotAnswered(DriveError):
    """The installation did not answer, however often it was asked."""


class Connection:
    """An installation as seen over HTTP; `at_once` bounds the requests that are under way.

    A request that was not answered (a lost connection, 503) is sent again as it is: every write of the API is
    idempotent by its key.
    """

    def __init__(self, address: str, *, at_once: int = AT_ONCE, pause_seconds: float = PAUSE_SECONDS) -> None:
        """Take the installation's address; before the n-th attempt there are n - 1 pauses."""
        self.address = address
        self.pause_seconds = pause_seconds
        self.requests = 0
        # A transport each, of one connection: with all in one pool, httpx looks at every connection for every request,
        # which costs several times the request. Bare transports carry no cookies, so every caller brings its own.
        self._free: asyncio.LifoQueue[httpx.AsyncHTTPTransport] = asyncio.LifoQueue()
        trusted = ssl.create_default_context()
        for _ in range(at_once):
            self._free.put_nowait(httpx.AsyncHTTPTransport(verify=trusted, limits=httpx.Limits(max_connections=1)))

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close every connection."""
        while not self._free.empty():
            await self._free.get_nowait().aclose()

    async def send(
        self,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> httpx.Response:
        """Send a request until it is answered, and return the answer, read; raises Refusal for a problem."""
        for attempt in range(1, ATTEMPTS + 1):
            answer = await self._attempt(method, path, content, headers, query, last=attempt == ATTEMPTS)
            if answer is not None and (answer.status_code != 503 or attempt == ATTEMPTS):
                return _checked(method, path, answer)
            await asyncio.sleep(self.pause_seconds * attempt)
        raise AssertionError  # pragma: no cover  # the last attempt returns or raises

    async def _attempt(
        self,
        method: str,
        path: str,
        content: bytes | None,
        headers: Mapping[str, str] | None,
        query: Mapping[str, Any] | None,
        *,
        last: bool,
    ) -> httpx.Response | None:
        """Return the answer, or None when there was none and it is worth trying again."""
        request = httpx.Request(
            method, self.address + path, params=query, headers=headers, content=content, extensions=TIMEOUT
        )
        transport = await self._free.get()
        self.requests += 1
        try:
            answer = await transport.handle_async_request(request)
            await answer.aread()
        except httpx.TransportError as error:
            if last:
                raise NotAnswered(f"{method} {path} was not answered: {error!r}") from None
            return None
        else:
            return answer
        finally:
            self._free.put_nowait(transport)


def decoded(answer: httpx.Response) -> Any:
    """Return the JSON of an answer, or None when it has no body."""
    return msgspec.json.decode(answer.content) if answer.content else None


def _checked(method: str, path: str, answer: httpx.Response) -> httpx.Response:
    if answer.status_code < 400:
        return answer
    try:
        document = msgspec.json.decode(answer.content)
    except msgspec.DecodeError:
        document = {"detail": answer.text[:500]}
    raise Refusal(method, path, answer.status_code, document)
