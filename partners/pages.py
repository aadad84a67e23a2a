"""A brand's contract in its portal, and all brands with theirs in the office."""

from pathlib import Path
from typing import Any

import msgspec
from litestar import Response, Router, get
from litestar.config.app import AppConfig
from litestar.params import FromQuery

from koinon import ids
from koinon.database import pool
from koinon.http.cursors import Page, PageCursor
from koinon.parties.model import Contract, contract_at
from koinon.parties.operations import programme_contracts
from koinon.parties.partners import Partner, partners
from koinon.parties.programmes import Programme
from koinon.parties.rates import decimal_rate, exact_decimal
from koinon.references import id_in_field
from koinon.runtime import runtime_in
from koinon.web.office import programme_looked_at
from koinon.web.rendering import page
from koinon.web.shells import PageRequest, Panel, Shells, signed_in
from partners.contracts import contracts

TEMPLATES = Path(__file__).with_name("templates")
VERSIONS_MAXIMUM = 200
BRANDS_AT_HOME = 12
BRANDS = 50


class Brand(msgspec.Struct, frozen=True, kw_only=True):
    """A partner and the contract that is in force, None before its first one; rates are in major units per point."""

    partner: Partner
    version: int | None
    price: str = ""
    fee: str = ""
    issue_share: str = ""
    honour: str = ""


async def load_contract(request: PageRequest) -> dict[str, Any]:
    """Return the brand's contract versions, the newest first."""
    partner_id = request.user.partner_id
    assert partner_id is not None  # noqa: S101  # the portal is for brands
    async with pool().acquire() as connection:
        versions = (await contracts(connection, partner_id, 0, VERSIONS_MAXIMUM)).items
    return {"versions": versions[::-1]}


async def load_brands(request: PageRequest) -> dict[str, Any]:
    """Return the first brands of the programme that the office looks at."""
    chosen, _ = await programme_looked_at(request)
    brands = Page[Brand]([], None) if chosen is None else await _brands(chosen, None, BRANDS_AT_HOME)
    return {"chosen": chosen, "brands": brands}


@get("/office/partners", guards=[signed_in("office", "partners:write")], include_in_schema=False)
async def office_partners(request: PageRequest, cursor: FromQuery[PageCursor] = None) -> Response[str]:
    """Show the brands of a programme with their contracts in short."""
    chosen, _ = await programme_looked_at(request)
    brands = Page[Brand]([], None) if chosen is None else await _brands(chosen, cursor, BRANDS)
    return await page(
        request, "office", "partners/office_partners.html", chosen=chosen, brands=brands, first=cursor is None
    )


async def _brands(chosen: Programme, cursor: str | None, limit: int) -> Page[Brand]:
    programme_id = ids.private("pro", chosen.programme)
    async with pool().acquire() as connection:
        found = await partners(connection, programme_id, _after(cursor), limit)
        signed = await programme_contracts(connection, programme_id)
    brands = [
        _brand(partner, contract_at((each for each in signed if each.partner == partner.code), chosen.now))
        for partner in found.items
        if not partner.operator
    ]
    return Page(brands, found.next)


def _brand(partner: Partner, contract: Contract | None) -> Brand:
    if contract is None:
        return Brand(partner=partner, version=None)
    terms, currency = contract.terms, contract.currency
    price, fee, honour = (
        decimal_rate(rate.numerator, rate.denominator, currency) for rate in (terms.price, terms.fee, terms.honour)
    )
    return Brand(
        partner=partner,
        version=contract.version,
        price=price,
        fee=fee,
        issue_share=exact_decimal(terms.issue_share),
        honour=honour,
    )


def _after(cursor: str | None) -> int | None:
    return None if cursor is None else id_in_field("par", cursor, "/cursor")


PANELS = (
    Panel("portal", "home", 50, "partners/contract.html", load_contract, frozenset({"settlement:read"})),
    Panel("office", "navigation", 30, "partners/office_entry.html", scopes=frozenset({"partners:write"})),
    Panel("office", "home", 50, "partners/brands.html", load_brands, frozenset({"partners:write"})),
)

router = Router("/", route_handlers=[office_partners])


def add_pages(app_config: AppConfig) -> None:
    """Add the brands' panels and pages to the application."""
    runtime_in(app_config)[Shells].add("partners", TEMPLATES, PANELS)
    app_config.route_handlers.append(router)
