"""Settlement's pages: what a brand is billed and how it checks that, and the windows and runs of the operator."""

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
from litestar import Response, Router, get
from litestar.config.app import AppConfig
from litestar.params import FromPath, FromQuery

from koinon.audit.logs import log_key
from koinon.audit.model import StatementLine
from koinon.database import pool
from koinon.http.cursors import PageCursor
from koinon.parties.rates import decimal_rate
from koinon.runtime import runtime_in, runtime_of
from koinon.web.charts import Column, columns
from koinon.web.rendering import page
from koinon.web.shells import PageRequest, Panel, Shells, signed_in
from settlement import office_pages
from settlement.delivered import UnknownStatement, expected, published, published_statements
from settlement.publishing import decode_statement
from settlement.web import window_cursor

TEMPLATES = Path(__file__).with_name("templates")
NIGHTS_IN_CHART = 7
STATEMENTS = 30
READ = frozenset({"settlement:read"})


class Night(msgspec.Struct, frozen=True, kw_only=True):
    """A window in a chart: the points that a brand issued, and those that it accepted."""

    window: int
    business_date: date
    issued: Column
    accepted: Column


class LineShown(msgspec.Struct, frozen=True, kw_only=True):
    """A statement's line for people: `rate` in major units per point, `amount` above zero when the brand receives."""

    leg: str
    version: str
    rate: str
    points_before: int
    billed_before: int
    points: int
    amount: int


async def load_today(request: PageRequest) -> dict[str, Any]:
    """Return what the open window comes to so far, and the chart of the nights before it."""
    partner_id = _partner(request)
    async with pool().acquire() as connection:
        tonight = await expected(connection, partner_id)
        before = (await published_statements(connection, partner_id, None, NIGHTS_IN_CHART)).items[::-1]
    return {"tonight": tonight, "nights": _nights([*before, tonight])}


async def load_last(request: PageRequest) -> dict[str, Any]:
    """Return the last published statement's figures, or None."""
    async with pool().acquire() as connection:
        found = await published_statements(connection, _partner(request), None, 1)
    return {"last": found.items[0] if found.items else None}


@get("/portal/statements", guards=[signed_in("portal", *READ)], include_in_schema=False)
async def list_statements(request: PageRequest, cursor: FromQuery[PageCursor] = None) -> Response[str]:
    """Show a brand its statements, the newest first."""
    async with pool().acquire() as connection:
        found = await published_statements(connection, _partner(request), window_cursor(cursor), STATEMENTS)
    return await page(request, "portal", "settlement/statements.html", statements=found, first=cursor is None)


@get("/portal/statements/{window:int}", guards=[signed_in("portal", *READ)], include_in_schema=False)
async def show_statement(request: PageRequest, window: FromPath[int]) -> Response[str]:
    """Show a brand one statement, and how to check it alone."""
    if not 1 <= window < 2**63:
        raise UnknownStatement
    async with pool().acquire() as connection:
        found = await published(connection, _partner(request), window)
        before = (await published_statements(connection, _partner(request), window, 1)).items
    statement = decode_statement(found.content)
    key = log_key(runtime_of(request), found.log_id)
    return await page(
        request,
        "portal",
        "settlement/statement.html",
        published=found,
        statement=statement,
        day=date.fromisoformat(statement.business_date),
        pays=int(statement.pays),
        receives=int(statement.receives),
        net=int(statement.net),
        points={name: int(getattr(statement.points, name)) for name in statement.points.__struct_fields__},
        lines=[_line(each, found.partner, statement.currency) for each in statement.lines],
        follows=bool(before) and before[0].window == window - 1,
        key=key.text,
        # As the verifier prints it.
        fingerprint="SHA256:" + b64encode(hashlib.sha256(key.public).digest()).decode().rstrip("="),
    )


def _partner(request: PageRequest) -> int:
    partner_id = request.user.partner_id
    assert partner_id is not None  # noqa: S101  # the portal is for brands
    return partner_id


def _nights(figures: Sequence[Any]) -> list[Night]:
    """Return what a chart shows of statements and of the open window, both series on one scale."""
    drawn = columns([each.issued for each in figures] + [each.accepted for each in figures])
    return [
        Night(window=each.window, business_date=each.business_date, issued=issued, accepted=accepted)
        for each, issued, accepted in zip(figures, drawn, drawn[len(figures) :], strict=False)
    ]


def _line(line: StatementLine, partner: str, currency: str) -> LineShown:
    rate = Fraction(line.rate)
    sign = 1 if line.creditor == partner else -1
    return LineShown(
        leg=line.leg,
        version=line.version,
        rate=decimal_rate(rate.numerator, rate.denominator, currency),
        points_before=int(line.points_before),
        billed_before=int(line.billed_before),
        points=int(line.points),
        amount=sign * int(line.amount),
    )


PANELS = (
    Panel("portal", "navigation", 20, "settlement/statements_entry.html", scopes=READ),
    Panel("portal", "home", 10, "settlement/today.html", load_today, READ),
    Panel("portal", "home", 20, "settlement/last.html", load_last, READ),
    *office_pages.PANELS,
)

router = Router("/", route_handlers=[list_statements, show_statement, *office_pages.HANDLERS])


def add_pages(app_config: AppConfig) -> None:
    """Add settlement's pages and panels to the application."""
    runtime_in(app_config)[Shells].add("settlement", TEMPLATES, PANELS)
    app_config.route_handlers.append(router)
