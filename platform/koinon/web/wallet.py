"""The member's pages: the wallet, its history, and the pay code."""

import os
from typing import Any

import segno
import structlog
from litestar import Response, Router, get
from litestar.params import FromQuery

from koinon.clock import machine_now
from koinon.database import pool
from koinon.http.cursors import PageCursor
from koinon.keyring import KeysMissing
from koinon.members import pay_codes, reading
from koinon.members.model import BrandBalance, Wallet
from koinon.members.pending import PendingSources
from koinon.members.profiles import read_profile
from koinon.members.web import of_member, record_of_cursor
from koinon.runtime import runtime_of
from koinon.sealing import Unreadable
from koinon.web.charts import ring
from koinon.web.formats import SHADES
from koinon.web.rendering import page
from koinon.web.shells import PageRequest, Panel, signed_in

EVENTS_AT_HOME = 5
EVENTS = 25
QR_BORDER_MODULES = 4
"""The light zone that ISO/IEC 18004 wants around a code."""

log = structlog.get_logger(__name__)


async def load_wallet(request: PageRequest) -> dict[str, Any]:
    """Return the wallet and its brands, the largest part first, as the ring shows them: the smallest share an arc."""
    wallet = await _wallet(request)
    brands = sorted(wallet.brands, key=_largest_first)
    free = [brand.available for brand in brands if brand.available]
    parts = free if len(free) <= SHADES else [*free[: SHADES - 1], sum(free[SHADES - 1 :])]
    return {"wallet": wallet, "brands": brands, "arcs": ring(parts)}


async def load_latest(request: PageRequest) -> dict[str, Any]:
    """Return the last few things that happened."""
    _, _, account_id = of_member(request.user)
    async with pool().acquire() as connection:
        return {"events": await reading.read_history(connection, account_id, None, EVENTS_AT_HOME)}


async def load_profile(request: PageRequest) -> dict[str, Any]:
    """Return what the member told of themselves; None when it does not open, which takes no other panel away."""
    _, member_id, _ = of_member(request.user)
    try:
        async with pool().acquire() as connection:
            return {"profile": await read_profile(connection, runtime_of(request).keys.masters, member_id)}
    except (Unreadable, KeysMissing):
        log.exception("a member's fields do not open")
        return {"profile": None}


@get("/me/history", guards=[signed_in("member", "me:read")], include_in_schema=False)
async def history(request: PageRequest, cursor: FromQuery[PageCursor] = None) -> Response[str]:
    """Show what happened to the member's points and why, the newest first."""
    _, _, account_id = of_member(request.user)
    after = record_of_cursor("jnl", cursor, account_id)
    async with pool().acquire() as connection:
        events = await reading.read_history(connection, account_id, after, EVENTS)
    return await page(request, "member", "pages/wallet/history.html", events=events, first=cursor is None)


@get("/me/pay-code", guards=[signed_in("member", "me:read", "me:write")], include_in_schema=False)
async def pay_code(request: PageRequest) -> Response[str]:
    """Show a new pay code, as a picture for the till's reader and as text; asking again shows another one."""
    _, member_id, _ = of_member(request.user)
    secret = runtime_of(request).keys.secret
    issued = pay_codes.issue(member_id, secret, machine_now(), os.urandom(pay_codes.NONCE_BYTES))
    picture = segno.make(issued.code, error="m", micro=False).svg_data_uri(
        border=QR_BORDER_MODULES, dark="#000", light="#fff", scale=8
    )
    return await page(
        request,
        "member",
        "pages/wallet/pay_code.html",
        code=issued.code,
        picture=picture,
        seconds=pay_codes.LIFETIME_SECONDS,
        wallet=await _wallet(request),
    )


async def _wallet(request: PageRequest) -> Wallet:
    programme_id, member_id, account_id = of_member(request.user)
    sources = runtime_of(request)[PendingSources]
    async with pool().acquire() as connection:
        return await reading.read_wallet(
            connection, sources, programme_id=programme_id, account_id=account_id, member_id=member_id
        )


def _largest_first(brand: BrandBalance) -> tuple[int, str]:
    return -brand.available, brand.brand


PANELS = (
    Panel("member", "navigation", 30, "pages/wallet/pay_entry.html"),
    Panel("member", "navigation", 50, "pages/wallet/history_entry.html"),
    Panel("member", "home", 10, "pages/wallet/wallet.html", load_wallet),
    Panel("member", "home", 30, "pages/wallet/latest.html", load_latest),
    Panel("member", "home", 40, "pages/wallet/profile.html", load_profile),
)

router = Router("/", route_handlers=[history, pay_code])
