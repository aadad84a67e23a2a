"""Writes over HTTP: the caller, the key, the content's hash, and the answer that is given again."""

import hmac
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from litestar import Request, Response

from koinon.callers.model import Caller
from koinon.clock import machine_now
from koinon.database import Connection, raced
from koinon.http.errors import validation_problem
from koinon.idempotency import operations as requests
from koinon.idempotency.model import content_hash
from koinon.idempotency.operations import Answered
from koinon.keyring import derived
from koinon.problems import IdempotencyKeyMissing, invalid_field
from koinon.runtime import runtime_of

KEY_LENGTH_MAXIMUM = 255
REPLAYED_HEADER = "Idempotent-Replayed"

NO_BODY = frozenset({b"", b"{}", b"null"})


class Write(msgspec.Struct, frozen=True, kw_only=True):
    """One write as it was asked for: by whom, under which key, with which content."""

    caller: Caller
    key: str
    content_hash: str


async def write_of(request: Request[Caller, Any, Any], data: Any) -> Write:
    """Return the write that a request asks for; `data` is its decoded body, or None where it has none.

    The content is the method, the path and the body's meaning (not its spacing). Raises IdempotencyKeyMissing, and
    InvalidInput for a value of another JSON type than its field, or for a body where none is taken.
    """
    if isinstance(data, msgspec.Struct):
        # Litestar converts leniently ("5" for 5, 5 for an instant); money and time are taken as sent, or not at all.
        try:
            msgspec.json.decode(await request.body(), type=type(data))
        except msgspec.ValidationError as error:
            raise validation_problem(error) from None
    elif data is None and (await request.body()).strip() not in NO_BODY:
        raise invalid_field("", "this call takes no body; what it says would be ignored")
    key = request.headers.get("Idempotency-Key", "")
    if not 1 <= len(key) <= KEY_LENGTH_MAXIMUM or not key.isprintable():
        raise IdempotencyKeyMissing
    digest = request_hash(request, msgspec.json.encode(data, order="sorted"))
    return Write(caller=request.user, key=key, content_hash=digest)


def request_hash(request: Request[Any, Any, Any], content: bytes) -> str:
    """Return the hash (hex) by which the content of a request is known again: its method, its path, what it says.

    It is keyed: with a bare hash, whoever reads the database could try all telephone numbers until one fits.
    """
    digest = content_hash(request.method, request.scope["path"], content)
    key = derived(runtime_of(request).keys.secret, b"content of requests")
    return hmac.digest(key, bytes.fromhex(digest), "sha256").hex()


async def once(
    write: Write,
    status: int | Callable[[Any], int],
    operation: Callable[[Connection], Awaitable[Any]],
    *,
    lasting: bool = False,
) -> Response[bytes]:
    """Run an operation once for a caller's key, in one transaction with its request row, and answer it.

    `status` is the answer's status, or tells it from what the operation returned. A `lasting` answer is ids, figures
    and codes alone: it stays as long as its key, where the body of another one is emptied when nobody asks for it.
    The same key and content gets the same answer again with `Idempotent-Replayed: true`; another content is refused
    with IdempotencyKeyReused, and one whose answer was emptied with AnswerNoLongerKept. A Problem that the operation
    raises rolls everything back, the key too. An operation that lost a race runs again.
    """

    async def claimed(connection: Connection) -> Response[bytes]:
        name, key = write.caller.name, write.key
        today = machine_now().date()
        known = await requests.claim(connection, name, key, write.content_hash, today, lasting=lasting)
        if known is not None:
            return answer(known.body, known.status, replayed=True)
        done = await operation(connection)
        given = Answered(status if isinstance(status, int) else status(done), msgspec.json.encode(done))
        await requests.answer(connection, name, key, given)
        return answer(given.body, given.status)

    return await raced(claimed)


def answer(body: bytes, status: int, *, replayed: bool = False) -> Response[bytes]:
    """Return an encoded JSON body as the answer of a write."""
    headers = {REPLAYED_HEADER: "true"} if replayed else {}
    return Response(body, status_code=status, media_type="application/json", headers=headers)
