"""Sign-in over HTTP: codes, and the sessions that they open."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, delete, get, post
from litestar.datastructures import Cookie
from litestar.params import JSONBody

from koinon.callers.guards import CrossSite, CsrfTokenInvalid, page_token, require, require_same_origin
from koinon.callers.model import Caller
from koinon.database import pool, transaction
from koinon.http.bodies import MediaTypeUnsupported
from koinon.http.errors import BodyTooLarge
from koinon.http.openapi import reads, refusals
from koinon.identity.model import SessionKind
from koinon.identity.sessions import COOKIE, MEMBER_LIFE, STAFF_LIFE, end_session
from koinon.identity.sign_in import PROGRAMME, CodeInvalid, CodesTooMany, PartnerNeeded, address_of, ask_code, sign_in
from koinon.problems import InvalidInput, NotFound
from koinon.references import id_in_field
from koinon.runtime import runtime_of
from koinon.settings import Settings

# Anyone may call these: nobody is to make us read more than a form.
BODY_BYTES_MAXIMUM = 16 * 1024

Email = Annotated[str, msgspec.Meta(max_length=320, examples=["ada@example.org"])]
Programme = Annotated[
    str,
    msgspec.Meta(
        pattern=rf"^{PROGRAMME.pattern}$(?!\n)",
        description="A member's programme, by its id or its code.",
        examples=["agora"],
    ),
]


class CodeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who wants to sign in; without a role, a programme means a member and none means staff."""

    email: Email
    programme: Programme | None = None
    role: SessionKind | None = None


class SignIn(CodeRequest, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A code and whom it is for; staff of several brands name one of them as `partner`."""

    code: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{6}$(?!\n)", examples=["123456"])]
    partner: Annotated[str, msgspec.Meta(max_length=64)] | None = None


class CodeSent(msgspec.Struct, frozen=True):
    """What is said whether or not somebody has the address."""

    sent: Annotated[str, msgspec.Meta(examples=["If somebody is known by this address, the code is on its way."])]


class SessionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A session; every write of its pages carries `csrf` in X-CSRF-Token, or as the form's field `_csrf`."""

    kind: SessionKind
    csrf: Annotated[str, msgspec.Meta(examples=["Zm9ybXMtY2FycnktdGhpcy10b2tlbg"])]


class SessionMissing(NotFound):
    """The caller has no session: it calls with a token."""

    code = "session-missing"
    title = "Nobody is signed in with this request"


def session_cookie(settings: Settings, token: str, kind: SessionKind) -> Cookie:
    """Return the cookie of a session: no script reads it, and no other site's form sends it."""
    life = MEMBER_LIFE if kind == "member" else STAFF_LIFE
    return Cookie(
        key=COOKIE,
        value=token,
        max_age=int(life.total_seconds()),
        path="/",
        httponly=True,
        samesite="lax",
        secure=settings.secure_cookies,
    )


def ended_cookie(settings: Settings) -> Cookie:
    """Return the cookie that takes the session's away."""
    return Cookie(
        key=COOKIE, value="", max_age=0, path="/", httponly=True, samesite="lax", secure=settings.secure_cookies
    )


@post(
    "/codes",
    opt={"public": True},
    status_code=202,
    operation_id="askSignInCode",
    summary="Ask for a sign-in code by mail",
    responses=refusals(InvalidInput, CrossSite, CodesTooMany, BodyTooLarge, MediaTypeUnsupported),
)
async def ask_sign_in_code(request: Request[Any, Any, Any], data: JSONBody[CodeRequest]) -> CodeSent:
    """Mail a six-digit code, good once for ten minutes, to an address that somebody has.

    The answer is the same when nobody has it. A new code ends the one before; five may be asked for in an hour.
    """
    require_same_origin(request)
    async with pool().acquire() as connection:
        address = await address_of(connection, email=data.email, programme=data.programme, kind=data.role)
    await ask_code(runtime_of(request).keys.secret, address)
    return CodeSent("If somebody is known by this address, the code is on its way.")


@post(
    "/sessions",
    opt={"public": True},
    status_code=201,
    operation_id="signIn",
    summary="Sign in with a code",
    responses=refusals(InvalidInput, CodeInvalid, CrossSite, PartnerNeeded, BodyTooLarge, MediaTypeUnsupported),
)
async def open_signed_in_session(
    request: Request[Caller | None, Any, Any], data: JSONBody[SignIn]
) -> Response[SessionAnswer]:
    """Use a code and set the session's cookie; a code takes five tries at most."""
    require_same_origin(request)
    runtime = runtime_of(request)
    async with pool().acquire() as connection:
        address = await address_of(connection, email=data.email, programme=data.programme, kind=data.role)
    signed_in = await sign_in(runtime.keys.secret, address, data.code, partner_id=_partner(data.partner))
    if request.user is not None and request.user.session_id is not None:
        async with transaction() as connection:
            await end_session(connection, request.user.session_id)
    return Response(
        SessionAnswer(kind=signed_in.kind, csrf=signed_in.csrf),
        cookies=[session_cookie(runtime.settings, signed_in.token, signed_in.kind)],
        headers={"Cache-Control": "no-store"},
    )


@get(
    "/sessions/current",
    guards=[require()],
    operation_id="readSession",
    summary="The session that this request belongs to",
    responses=reads(SessionMissing),
)
async def read_session(request: Request[Caller, Any, Any]) -> Response[SessionAnswer]:
    """Return the kind of the current session, and the token that its writes carry."""
    if request.user.session_id is None:
        raise SessionMissing
    answer = SessionAnswer(kind="member" if request.user.kind == "member" else "staff", csrf=page_token(request))
    return Response(answer, headers={"Cache-Control": "no-store"})


@delete(
    "/sessions/current",
    guards=[require()],
    status_code=204,
    operation_id="signOut",
    summary="Sign out",
    responses=reads(SessionMissing, CsrfTokenInvalid, CrossSite),
)
async def sign_out(request: Request[Caller, Any, Any]) -> Response[None]:
    """End the current session and take its cookie away."""
    if request.user.session_id is None:
        raise SessionMissing
    async with transaction() as connection:
        await end_session(connection, request.user.session_id)
    return Response(None, cookies=[ended_cookie(runtime_of(request).settings)])


def _partner(text: str | None) -> int | None:
    return None if text is None else id_in_field("par", text, "/partner")


router = Router(
    "/v1/sign-in",
    route_handlers=[ask_sign_in_code, open_signed_in_session, read_session, sign_out],
    tags=["sign-in"],
    request_max_body_size=BODY_BYTES_MAXIMUM,
)
