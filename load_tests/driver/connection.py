"""Keep-alive HTTP to one installation: bounded, patient, and loud about what was refused."""

import asyncio
from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Self

import httpx
import msgspec

AT_ONCE = 32
"""How many requests are under way at most: enough to keep two cores busy, few enough to keep answers prompt."""
ATTEMPTS = 5
PAUSE_SECONDS = 0.2
TIMEOUT_SECONDS = 120.0
JSON = "application/json"


class DriveError(Exception):
    """A drive cannot go on; the message says why and, where somebody can, what to do."""


class Refusal(DriveError):
    """The API answered with a problem: `status`, its stable `code`, and the whole `document`."""

    def __init__(self, method: str, path: str, status: int, document: Mapping[str, Any]) -> None:
        self.status = status
        self.code = str(document.get("code", ""))
        self.document = dict(document)
        super().__init__(f"{method} {path}: {status} {self.code or document}: {document.get('detail', '')}")


class Connection:
    """An installation as seen over HTTP; `at_once` bounds the requests that are under way.

    A request that was not answered (a lost connection, 503) is sent again as it is: every write of the API is
    idempotent by its key.
    """

    def __init__(self, address: str, *, at_once: int = AT_ONCE) -> None:
        """Take the installation's address."""
        self.address = address
        self.requests = 0
        self._gate = asyncio.Semaphore(at_once)
        # Callers carry their own cookies: one jar for all would sign every member in as the last one.
        jar = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
        self._client = httpx.AsyncClient(
            base_url=address,
            cookies=jar,
            timeout=TIMEOUT_SECONDS,
            limits=httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once),
        )

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def send(
        self,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> httpx.Response:
        """Send a request until it is answered, and return the answer; raises Refusal for a problem."""
        for attempt in range(1, ATTEMPTS + 1):
            async with self._gate:
                self.requests += 1
                try:
                    answer = await self._client.request(method, path, content=content, headers=headers, params=query)
                except httpx.TransportError:
                    if attempt == ATTEMPTS:
                        raise
                    answer = None
            if answer is not None and (answer.status_code != 503 or attempt == ATTEMPTS):
                return _checked(method, path, answer)
            await asyncio.sleep(PAUSE_SECONDS * attempt)
        raise AssertionError  # pragma: no cover  # the last attempt returns or raises


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
