"""Pages of offers: members switch them on and read why a purchase earned what it did; brands see their budgets."""

from pathlib import Path
from typing import Any

from litestar import Response, Router, get, post
from litestar.config.app import AppConfig
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from koinon import ids
from koinon.database import pool, transaction
from koinon.http.bodies import FORM
from koinon.http.cursors import Page, PageCursor
from koinon.members.web import of_member, record_of_cursor
from koinon.problems import invalid_field
from koinon.runtime import runtime_in
from koinon.web.rendering import page, see
from koinon.web.shells import HOMES, PageRequest, Panel, Shells, signed_in
from offers.catalogue import activations
from offers.catalogue import operations as catalogue
from offers.catalogue.activations import MemberOffer, NewActivation
from offers.purchases import history as purchases

TEMPLATES = Path(__file__).with_name("templates")
LOOKED_THROUGH_AT_HOME = 50
OFFERS_AT_HOME = 3
OFFERS = 24
PURCHASES = 20
PORTAL_AT_HOME = 4
PORTAL = 25
READ = frozenset({"offers:read"})


async def load_to_switch_on(request: PageRequest) -> dict[str, Any]:
    """Return the newest few offers that the member could switch on, and how many of the newest are on."""
    found = (await _member_offers(request, None, LOOKED_THROUGH_AT_HOME)).items
    waiting = [each for each in found if each.activation_required and each.activated_at is None]
    return {"waiting": waiting[:OFFERS_AT_HOME], "more": len(waiting) > OFFERS_AT_HOME, "known": len(found)}


async def load_own(request: PageRequest) -> dict[str, Any]:
    """Return the brand's newest offers."""
    async with pool().acquire() as connection:
        return {"offers": await catalogue.offers(connection, request.user.partner_id, None, PORTAL_AT_HOME)}


@get("/me/offers", guards=[signed_in("member", "me:read")], include_in_schema=False)
async def member_offers(request: PageRequest, cursor: FromQuery[PageCursor] = None) -> Response[str]:
    """Show a member the offers of all brands, to switch on."""
    found = await _member_offers(request, cursor, OFFERS)
    return await page(request, "member", "offers/member_offers.html", offers=found, first=cursor is None)


@post(
    "/me/offers/{offer:str}/activations",
    opt={FORM: True},
    guards=[signed_in("member", "me:write")],
    include_in_schema=False,
)
async def switch_on(request: PageRequest, offer: FromPath[str]) -> Redirect:
    """Switch an offer on, and show the page that the member came from."""
    programme_id, member_id, account_id = of_member(request.user)
    async with transaction() as connection:
        await activations.activate(
            connection,
            programme_id=programme_id,
            account_id=account_id,
            member_id=member_id,
            asked=NewActivation(offer),
        )
    home = HOMES["member"]
    return see(home if (await request.form()).get("back") == home else "/me/offers", "on")


@get("/me/purchases", guards=[signed_in("member", "me:read")], include_in_schema=False)
async def member_purchases(request: PageRequest, cursor: FromQuery[PageCursor] = None) -> Response[str]:
    """Show a member their purchases, and for every offer why each earned or did not."""
    _, _, account_id = of_member(request.user)
    after = record_of_cursor("pur", cursor, account_id)
    async with pool().acquire() as connection:
        found = await purchases.purchases(connection, account_id, after, PURCHASES)
    return await page(request, "member", "offers/purchases.html", purchases=found, first=cursor is None)


@get("/portal/offers", guards=[signed_in("portal", *READ)], include_in_schema=False)
async def portal_offers(request: PageRequest, cursor: FromQuery[PageCursor] = None) -> Response[str]:
    """Show a brand its offers and what is left of their budgets."""
    async with pool().acquire() as connection:
        found = await catalogue.offers(connection, request.user.partner_id, _after(cursor), PORTAL)
    return await page(request, "portal", "offers/portal_offers.html", offers=found, first=cursor is None)


async def _member_offers(request: PageRequest, cursor: str | None, limit: int) -> Page[MemberOffer]:
    programme_id, _, account_id = of_member(request.user)
    after = _after(cursor)
    async with pool().acquire() as connection:
        return await activations.member_offers(
            connection, programme_id=programme_id, account_id=account_id, after=after, limit=limit
        )


def _after(cursor: str | None) -> int | None:
    try:
        return None if cursor is None else ids.private("off", cursor)
    except ValueError as error:
        raise invalid_field("/cursor", str(error)) from None


PANELS = (
    Panel("member", "navigation", 20, "offers/offers_entry.html"),
    Panel("member", "navigation", 40, "offers/purchases_entry.html"),
    Panel("member", "home", 20, "offers/to_switch_on.html", load_to_switch_on),
    Panel("portal", "navigation", 30, "offers/portal_entry.html", scopes=READ),
    Panel("portal", "home", 40, "offers/own.html", load_own, READ),
)

router = Router("/", route_handlers=[member_offers, switch_on, member_purchases, portal_offers])


def add_pages(app_config: AppConfig) -> None:
    """Add the pages and panels of offers to the application."""
    runtime_in(app_config)[Shells].add("offers", TEMPLATES, PANELS)
    app_config.route_handlers.append(router)
