"""Offers over HTTP: partners publish them, members switch them on and read why a purchase earned what it did."""

from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from koinon import ids
from koinon.callers.guards import require
from koinon.callers.model import Caller
from koinon.database import pool
from koinon.http.cursors import Page, PageCursor, PageLimit
from koinon.http.openapi import Keyed, gives, reads, writes
from koinon.http.requests import once, write_of
from koinon.members.web import of_member, record_of_cursor
from koinon.parties.operations import UnknownPartner
from koinon.places.operations import UnknownPlace
from koinon.problems import invalid_field
from offers.catalogue import activations
from offers.catalogue import operations as catalogue
from offers.catalogue.activations import Activation, ActivationNotNeeded, MemberOffer, NewActivation, OfferEnded
from offers.catalogue.operations import BudgetBelowUsed, NewOffer, Offer, OfferHistory, OfferInvalid, UnknownOffer
from offers.purchases import history as purchases
from offers.purchases.history import Purchase

PAGE = 50

Asking = Request[Caller, Any, Any]


@post(
    "/offers",
    guards=[require("offers:write")],
    operation_id="createOffer",
    summary="Publish an offer",
    operation_class=Keyed,
    responses=writes(201, Offer, OfferInvalid, UnknownPlace),
)
async def create_offer(request: Asking, data: JSONBody[NewOffer]) -> Response[bytes]:
    """Publish an offer with its first version, and its budget if it has one."""
    partner_id = _partner(request)
    return await once(
        await write_of(request, data), 201, lambda connection: catalogue.create_offer(connection, partner_id, data)
    )


@post(
    "/offers/{offer:str}/versions",
    guards=[require("offers:write")],
    operation_id="addOfferVersion",
    summary="Publish the next version of an offer",
    operation_class=Keyed,
    responses=writes(
        201, Offer, UnknownOffer, OfferInvalid, UnknownPlace, BudgetBelowUsed, example={"current": {"version": 2}}
    ),
)
async def add_version(request: Asking, offer: FromPath[str], data: JSONBody[NewOffer]) -> Response[bytes]:
    """Publish the next version: whoever switched the offer on keeps the one of that moment.

    A budget may be raised, and lowered down to what is reserved and spent of it.
    """
    partner_id, offer_id = _partner(request), _offer(offer)
    return await once(
        await write_of(request, data),
        201,
        lambda connection: catalogue.add_version(connection, partner_id, offer_id, data),
    )


@get(
    "/offers",
    guards=[require("offers:read")],
    operation_id="listOffers",
    summary="List offers",
    responses=reads(UnknownPartner),
)
async def list_offers(
    request: Asking,
    partner: FromQuery[str | None] = None,
    limit: FromQuery[PageLimit] = PAGE,
    cursor: FromQuery[PageCursor] = None,
) -> Page[Offer]:
    """List a partner's own offers with what their budgets gave, the newest first; the operator sees everybody's."""
    partner_id = _asked_partner(request, partner)
    after = _after(cursor)
    async with pool().acquire() as connection:
        return await catalogue.offers(connection, partner_id, after, limit)


@get(
    "/offers/{offer:str}",
    guards=[require("offers:read")],
    operation_id="readOffer",
    summary="Read an offer",
    responses=reads(UnknownOffer),
)
async def read_offer(request: Asking, offer: FromPath[str]) -> OfferHistory:
    """Read an offer with all of its versions."""
    offer_id = _offer(offer)
    async with pool().acquire() as connection:
        return await catalogue.offer(connection, _own_partner(request), offer_id)


@get(
    "/me/offers",
    guards=[require("me:read")],
    operation_id="listMyOffers",
    summary="List offers that are on or can be switched on",
    responses=reads(),
)
async def list_my_offers(
    request: Asking, limit: FromQuery[PageLimit] = PAGE, cursor: FromQuery[PageCursor] = None
) -> Page[MemberOffer]:
    """List the offers of the programme that have not ended, with their terms and what they earned so far."""
    programme_id, _, account_id = of_member(request.user)
    after = _after(cursor)
    async with pool().acquire() as connection:
        return await activations.member_offers(
            connection, programme_id=programme_id, account_id=account_id, after=after, limit=limit
        )


@post(
    "/me/activations",
    guards=[require("me:write")],
    operation_id="activateOffer",
    summary="Switch an offer on",
    operation_class=Keyed,
    responses=writes(201, Activation, UnknownOffer, OfferEnded, ActivationNotNeeded)
    | gives(200, Activation, "It was on already.", example={"new": False}),
)
async def activate_offer(request: Asking, data: JSONBody[NewActivation]) -> Response[bytes]:
    """Switch an offer on from now on, in the version and with the terms of this moment.

    An offer that is on already is answered with 200, as it was switched on.
    """
    programme_id, member_id, account_id = of_member(request.user)
    return await once(
        await write_of(request, data),
        lambda activation: 201 if activation.new else 200,
        lambda connection: activations.activate(
            connection, programme_id=programme_id, account_id=account_id, member_id=member_id, asked=data
        ),
    )


@get(
    "/me/purchases",
    guards=[require("me:read")],
    operation_id="listMyPurchases",
    summary="List one's purchases",
    responses=reads(),
)
async def list_my_purchases(
    request: Asking, limit: FromQuery[PageLimit] = PAGE, cursor: FromQuery[PageCursor] = None
) -> Page[Purchase]:
    """List one's purchases with what each earned and, for every offer, why or why not; the latest recorded first."""
    _, _, account_id = of_member(request.user)
    after = record_of_cursor("pur", cursor, account_id)
    async with pool().acquire() as connection:
        return await purchases.purchases(connection, account_id, after, limit)


def _partner(request: Asking) -> int:
    """Return the partner that calls."""
    partner_id = request.user.partner_id
    assert partner_id is not None, "offers are published by partners"  # noqa: S101  # the guard saw to it
    return partner_id


def _own_partner(request: Asking) -> int | None:
    """Return the partner whose offers the caller sees alone, None for the operator, who sees everybody's."""
    return None if request.user.kind == "operator" else _partner(request)


def _asked_partner(request: Asking, text: str | None) -> int | None:
    """Return the partner whose offers are asked for; to a partner there is none but itself."""
    own = _own_partner(request)
    if text is None:
        return own
    try:
        partner_id = ids.private("par", text)
    except ValueError:
        raise UnknownPartner from None
    if own not in {None, partner_id}:
        raise UnknownPartner
    return partner_id


def _offer(text: str) -> int:
    try:
        return ids.private("off", text)
    except ValueError:
        raise UnknownOffer from None


def _after(cursor: str | None) -> int | None:
    """Return the offer that a cursor names; raises InvalidInput."""
    if cursor is None:
        return None
    try:
        return ids.private("off", cursor)
    except ValueError as error:
        raise invalid_field("/cursor", str(error)) from None


router = Router(
    "/v1",
    route_handlers=[
        create_offer,
        add_version,
        list_offers,
        read_offer,
        list_my_offers,
        activate_offer,
        list_my_purchases,
    ],
    tags=["offers"],
)
