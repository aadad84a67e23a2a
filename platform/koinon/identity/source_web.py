"""Sources over HTTP: the operator registers processors, lists them, and changes their signing secrets."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from koinon.callers.guards import require
from koinon.callers.model import Caller
from koinon.database import Connection, pool
from koinon.fields import Line, ProgrammeId, SourceId
from koinon.http.cursors import Page, PageCursor, PageLimit
from koinon.http.openapi import Keyed, reads, writes
from koinon.http.requests import Write, once, write_of
from koinon.identity.sources import (
    ListedSource,
    SourceKeyTaken,
    SourceNameTaken,
    Sources,
    UnknownSource,
    sources,
)
from koinon.identity.webhook_signatures import decode_public_key, decode_secret, encode_secret
from koinon.ids import public
from koinon.parties.operations import UnknownProgramme, programme_row
from koinon.problems import invalid_field
from koinon.references import id_in_field, id_in_path
from koinon.runtime import runtime_of

PAGE = 50

SecretText = Annotated[str, msgspec.Meta(max_length=128, description="`whsec_` and base64 of 24 to 64 bytes.")]
PublicKeyText = Annotated[str, msgspec.Meta(max_length=64, description="`whpk_` and base64 of an Ed25519 key.")]


class NewSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A processor of a programme; without a secret or a public key of its own, it is given a secret."""

    programme: ProgrammeId
    name: Annotated[Line, msgspec.Meta(examples=["North Acquiring"])]
    secret: SecretText | None = None
    public_key: PublicKeyText | None = None


class NewSecret(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A change of secret; `keep_previous` lets the one before count beside it, until the next change."""

    secret: SecretText | None = None
    keep_previous: Annotated[bool, msgspec.Meta(examples=[True])] = True


class SourceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A source; `secret` is what it signs with when it was given one here, and is never shown again."""

    source: SourceId
    secret: Annotated[str, msgspec.Meta(examples=["whsec_bm90LWEtc2VjcmV0LWp1c3QtYW4tZXhhbXBsZQ=="])] | None = None


@post(
    "/",
    guards=[require("sources:write")],
    operation_id="createSource",
    operation_class=Keyed,
    summary="Register a processor",
    responses=writes(201, SourceAnswer, UnknownProgramme, SourceNameTaken, SourceKeyTaken),
)
async def create_source(request: Request[Caller, Any, Any], data: JSONBody[NewSource]) -> Response[bytes]:
    """Register a processor that signs with Standard Webhooks: a secret (v1) or an Ed25519 key (v1a).

    A retry with the same key is answered with the same secret; nothing else ever shows it again.
    """
    known = runtime_of(request)[Sources]
    programme_id = id_in_field("pro", data.programme, "/programme")
    public_key = _decoded(decode_public_key, data.public_key, "/public_key")
    given = _decoded(decode_secret, data.secret, "/secret")
    write = await write_of(request, data)
    drawn = known.secret_for(_purpose(write)) if given is None and public_key is None else None

    async def operation(connection: Connection) -> SourceAnswer:
        await programme_row(connection, programme_id)
        source_id = await known.create(
            connection, programme_id=programme_id, name=data.name, secret=given or drawn, public_key=public_key
        )
        return SourceAnswer(source=public("src", source_id))

    return _with_secret(await once(write, 201, operation), drawn)


@get(
    "/",
    guards=[require("sources:write")],
    operation_id="listSources",
    summary="List processors",
    responses=reads(),
)
async def list_sources(
    programme: FromQuery[str | None] = None,
    limit: FromQuery[PageLimit] = PAGE,
    cursor: FromQuery[PageCursor] = None,
) -> Page[ListedSource]:
    """List processors, of one programme or of all: how they sign, and never with what."""
    programme_id = None if programme is None else id_in_field("pro", programme, "/programme")
    after = 0 if cursor is None else id_in_field("src", cursor, "/cursor")
    async with pool().acquire() as connection:
        return await sources(connection, programme_id, after, limit)


@post(
    "/{source:str}/secrets",
    guards=[require("sources:write")],
    operation_id="changeSourceSecret",
    operation_class=Keyed,
    summary="Change a processor's secret",
    responses=writes(201, SourceAnswer, UnknownSource, SourceKeyTaken),
)
async def change_secret(
    request: Request[Caller, Any, Any], source: FromPath[str], data: JSONBody[NewSecret]
) -> Response[bytes]:
    """Give a processor a new secret; the one before counts beside it as long as `keep_previous` says."""
    known = runtime_of(request)[Sources]
    source_id = id_in_path("src", source, UnknownSource)
    given = _decoded(decode_secret, data.secret, "/secret")
    write = await write_of(request, data)
    drawn = known.secret_for(_purpose(write)) if given is None else None
    secret = given or drawn or b""

    async def operation(connection: Connection) -> SourceAnswer:
        await known.rotate(connection, source_id, secret, keep_previous=data.keep_previous)
        return SourceAnswer(source=source)

    return _with_secret(await once(write, 201, operation), drawn)


def _purpose(write: Write) -> str:
    return f"{write.caller.name}\n{write.key}\n{write.content_hash}"


def _with_secret(answer: Response[bytes], drawn: bytes | None) -> Response[bytes]:
    # The stored answer holds no secret: it is put in on its way out, the first time and for a retry alike.
    if drawn is not None:
        stored = msgspec.json.decode(answer.content, type=SourceAnswer)
        answer.content = msgspec.json.encode(msgspec.structs.replace(stored, secret=encode_secret(drawn)))
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _decoded(decode: Any, text: str | None, pointer: str) -> bytes | None:
    try:
        return None if text is None else bytes(decode(text))
    except ValueError as error:
        raise invalid_field(pointer, str(error)) from None


router = Router("/v1/sources", route_handlers=[create_source, list_sources, change_secret], tags=["sources"])
