"""The pages of sign-in: an address, the code that it was mailed, and out again."""

import re
from typing import Any
from urllib.parse import quote

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.datastructures import Cookie
from litestar.params import FromQuery
from litestar.response import Redirect

from koinon import ids
from koinon.base64url import decode_base64url, encode_base64url
from koinon.callers.guards import require, require_same_origin
from koinon.callers.model import Caller
from koinon.database import pool, transaction
from koinon.http.bodies import FORM
from koinon.identity.model import SessionKind
from koinon.identity.sessions import end_session
from koinon.identity.sign_in import (
    ATTEMPTS_MAXIMUM,
    CODE_LIFE,
    CodeInvalid,
    CodesTooMany,
    PartnerNeeded,
    address_of,
    ask_code,
    sign_in,
)
from koinon.identity.sign_in_web import ended_cookie, session_cookie
from koinon.parties.partners import Partner, partner
from koinon.parties.programmes import Programme, programmes
from koinon.problems import InvalidInput, Problem
from koinon.runtime import runtime_of
from koinon.web.rendering import html, template_text
from koinon.web.shells import home_of

PENDING = "koinon_signing_in"
PROGRAMMES_MAXIMUM = 200
CODE_PATH = "/sign-in/code"
CODE = re.compile(r"[0-9]{6}", re.ASCII)

Visit = Request[Caller | None, Any, Any]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a code was asked for, and where to go then; kept in the browser that asked, as long as the code lives.

    It holds what the person typed and nothing that anybody trusts.
    """

    kind: SessionKind
    email: str
    programme: str | None = None
    next: str = "/"


@get("/", opt={"public": True}, include_in_schema=False, sync_to_thread=False)
def front_door(request: Visit) -> Redirect:
    """Send everybody to where their pages begin."""
    return Redirect(home_of(request.user), status_code=303)


@get("/sign-in", opt={"public": True}, include_in_schema=False)
async def member_sign_in(
    request: Visit,
    programme: FromQuery[str | None] = None,
    next: FromQuery[str] = "/",  # noqa: A002  # the query's own name
) -> Response[Any]:
    """Ask a member for their address."""
    return await _address_page(request, Asked(kind="member", email="", programme=programme, next=local(next)))


@get("/sign-in/staff", opt={"public": True}, include_in_schema=False)
async def staff_sign_in(request: Visit, next: FromQuery[str] = "/") -> Response[Any]:  # noqa: A002  # the query's own name
    """Ask staff of a brand or of the operator for their address."""
    return await _address_page(request, Asked(kind="staff", email="", next=local(next)))


@post("/sign-in", opt={"public": True, FORM: True}, include_in_schema=False)
async def send_code(request: Visit) -> Response[Any]:
    """Mail a code to an address, and ask for it."""
    require_same_origin(request)
    form = await request.form()
    asked = Asked(
        kind="staff" if form.get("kind") == "staff" else "member",
        email=str(form.get("email", "")),
        programme=str(form["programme"]) if form.get("programme") else None,
        next=local(str(form.get("next", "/"))),
    )
    try:
        async with pool().acquire() as connection:
            address = await address_of(connection, email=asked.email, programme=asked.programme, kind=asked.kind)
        await ask_code(runtime_of(request).keys.secret, address)
    except (InvalidInput, CodesTooMany) as problem:
        return await _address_page(request, asked, problem)
    answer = Redirect(CODE_PATH, status_code=303)
    answer.set_cookie(_pending_cookie(request, asked))
    return answer


@get(CODE_PATH, opt={"public": True}, include_in_schema=False)
async def code_form(request: Visit) -> Response[Any]:
    """Ask for the code."""
    asked = _pending(request)
    return Redirect("/sign-in", status_code=303) if asked is None else _code_page(request, asked)


@post(CODE_PATH, opt={"public": True, FORM: True}, include_in_schema=False)
async def use_code(request: Visit) -> Response[Any]:
    """Sign in with a code, and go where the person wanted to."""
    require_same_origin(request)
    asked = _pending(request)
    if asked is None:
        return Redirect("/sign-in", status_code=303)
    form = await request.form()
    code = "".join(str(form.get("code", "")).split())
    if not CODE.fullmatch(code):
        # What cannot be a code costs none of the tries.
        return _code_page(request, asked, CodeInvalid())
    try:
        async with pool().acquire() as connection:
            address = await address_of(connection, email=asked.email, programme=asked.programme, kind=asked.kind)
        signed_in = await sign_in(
            runtime_of(request).keys.secret, address, code, partner_id=_partner(form.get("partner"))
        )
    except PartnerNeeded as problem:
        return _code_page(request, asked, code=code, brands=await _brands(problem.facts["partners"]))
    except CodeInvalid as problem:
        return _code_page(request, asked, problem)
    except InvalidInput:
        # We put no such address into the cookie: whoever did asks anew.
        return Redirect("/sign-in", status_code=303)
    if request.user is not None and request.user.session_id is not None:
        async with transaction() as connection:
            await end_session(connection, request.user.session_id)
    answer = Redirect(local(asked.next), status_code=303)
    answer.set_cookie(session_cookie(runtime_of(request).settings, signed_in.token, signed_in.kind))
    answer.set_cookie(_pending_cookie(request, None))
    return answer


@post("/sign-out", opt={FORM: True}, guards=[require()], include_in_schema=False)
async def sign_out(request: Request[Caller, Any, Any]) -> Redirect:
    """End the session, and say so."""
    if request.user.session_id is not None:
        async with transaction() as connection:
            await end_session(connection, request.user.session_id)
    answer = Redirect("/sign-in" if request.user.kind == "member" else "/sign-in/staff", status_code=303)
    answer.set_cookie(ended_cookie(runtime_of(request).settings))
    return answer


def local(path: str) -> str:
    """Return a path of ours, or the front door for anything that could lead to another site."""
    is_local = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return quote(path, safe="/?=&%") if is_local else "/"


async def _address_page(request: Visit, asked: Asked, problem: Problem | None = None) -> Response[Any]:
    found: list[Programme] = []
    if asked.kind == "member":
        async with pool().acquire() as connection:
            found = (await programmes(connection, None, PROGRAMMES_MAXIMUM)).items
    text = template_text(
        request, "pages/sign_in.html", asked=asked, programmes=found, problem=problem, errors=_errors(problem)
    )
    return html(text, 200 if problem is None else problem.status)


def _code_page(
    request: Visit,
    asked: Asked,
    problem: Problem | None = None,
    *,
    code: str = "",
    brands: list[Partner] | None = None,
) -> Response[Any]:
    text = template_text(
        request,
        "pages/code.html",
        asked=asked,
        problem=problem,
        code=code,
        brands=brands or [],
        minutes=int(CODE_LIFE.total_seconds()) // 60,
        tries=ATTEMPTS_MAXIMUM,
    )
    return html(text, 200 if problem is None else problem.status)


def _errors(problem: Problem | None) -> dict[str, str]:
    """Return each wrong field's message by its name."""
    facts = [] if problem is None else problem.facts.get("errors", [])
    return {error["pointer"].removeprefix("/"): error["message"] for error in facts}


async def _brands(partners: list[str]) -> list[Partner]:
    async with pool().acquire() as connection:
        return [await partner(connection, ids.private("par", each)) for each in partners]


def _partner(text: Any) -> int | None:
    try:
        return ids.private("par", str(text)) if text else None
    except ValueError:
        return None


def _pending(request: Visit) -> Asked | None:
    try:
        return msgspec.json.decode(decode_base64url(request.cookies.get(PENDING, "")), type=Asked)
    except (ValueError, msgspec.MsgspecError):
        return None


def _pending_cookie(request: Visit, asked: Asked | None) -> Cookie:
    return Cookie(
        key=PENDING,
        value="" if asked is None else encode_base64url(msgspec.json.encode(asked)),
        max_age=0 if asked is None else int(CODE_LIFE.total_seconds()),
        path="/sign-in",
        httponly=True,
        samesite="lax",
        secure=runtime_of(request).settings.secure_cookies,
    )


router = Router(
    "/", route_handlers=[front_door, member_sign_in, staff_sign_in, send_code, code_form, use_code, sign_out]
)
