"""A programme, a brand and a route to try callers on."""

from typing import Any

import asyncpg
import msgspec
import pytest
from litestar import Litestar, Request, Router, get, post

from koinon import keyring
from koinon.callers.guards import require
from koinon.callers.model import Caller
from koinon.database import transaction
from koinon.http.bodies import FORM
from koinon.ids import private
from koinon.members.operations import NewMember, enrol
from koinon.settings import Settings
from tests.kit.coalition import Built


class Brand(msgspec.Struct, frozen=True):
    """A programme and a partner of it."""

    programme_id: int
    partner_id: int


@pytest.fixture
async def brand(database: asyncpg.Pool) -> Brand:
    """Give a sandbox programme with one brand."""
    return await new_brand("demo")


async def new_brand(code: str) -> Brand:
    """Make a sandbox programme with one brand of the same code."""
    made = Built()
    async with transaction() as connection:
        await made.open_programme(connection, code=code)
        partner_id = await made.add_brand(connection, code)
    return Brand(made.programme_id, partner_id)


async def new_member(settings: Settings, brand: Brand, email: str) -> int:
    """Enrol a member at a brand and return their id."""
    async with transaction() as connection:
        made = await enrol(connection, keyring.load(settings.keys_folder), brand.partner_id, NewMember(email=email))
    return private("mem", made.member)


@pytest.fixture
def probe(app: Litestar) -> str:
    """Give the path of a route that says who calls it; its writes are guarded alike."""
    if any(route.path == "/probe" for route in app.routes):
        return "/probe"

    def described(caller: Caller) -> dict[str, Any]:
        return msgspec.to_builtins(caller)  # type: ignore[no-any-return]  # a struct's builtins are a mapping

    @get("/", guards=[require()], sync_to_thread=False)
    def who(request: Request[Caller, Any, Any]) -> dict[str, Any]:
        """Return the caller."""
        return described(request.user)

    @post("/", guards=[require()], status_code=200, sync_to_thread=False)
    def write(request: Request[Caller, Any, Any]) -> dict[str, Any]:
        """Return the caller."""
        return described(request.user)

    @get("/scoped", guards=[require("settlement:read", "offers:write")], sync_to_thread=False)
    def scoped() -> dict[str, Any]:
        """Answer who has both scopes."""
        return {}

    @post("/echo", opt={"public": True}, status_code=200)
    async def echo(request: Request[Any, Any, Any]) -> dict[str, str]:
        """Return the body as it was received."""
        return {"body": (await request.body()).decode("latin-1"), "path": request.url.path}

    @post("/form", guards=[require()], opt={FORM: True}, status_code=200)
    async def form(request: Request[Caller, Any, Any]) -> dict[str, Any]:
        """Return the caller."""
        return described(request.user)

    @post("/form-echo", opt={"public": True, FORM: True}, status_code=200)
    async def form_echo(request: Request[Any, Any, Any]) -> dict[str, str]:
        """Return the body as it was received."""
        return {"body": (await request.body()).decode("latin-1")}

    app.register(Router("/probe", route_handlers=[who, write, scoped, echo, form, form_echo]))
    return "/probe"
