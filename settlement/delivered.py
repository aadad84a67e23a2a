"""What a partner gets of settlement: its last statement, its bundle as it was published, and tonight's expected net."""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from datetime import date
from typing import Annotated

import asyncpg
import msgspec

from koinon.audit.logs import log_path
from koinon.audit.model import Effect
from koinon.audit.operations import partner_positions
from koinon.database import Connection, pool
from koinon.fields import CurrencyText, PartnerCode, ProgrammeCode
from koinon.http.cursors import Page, page_of
from koinon.parties.operations import UnknownPartner, programme_contracts
from koinon.problems import NotFound
from settlement.books import position, read_past, statements
from settlement.calculation import carrying_cells, expect, expected_lines
from settlement.model import Carried, Cell, Position
from settlement.publishing import decode_statement


class UnknownStatement(NotFound):
    """The partner has no published statement of this window."""

    code = "unknown-statement"
    title = "There is no published statement of this partner for this window"


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """A partner's published statement: its canonical bytes, and where its bundle lies; hashes are hexadecimal."""

    run_id: int
    partner_id: int
    partner: str
    window: int
    run_state: str
    log_id: int
    content: bytes
    sha256: str
    bundle_bytes: int
    bundle_sha256: str

    @property
    def bundle_name(self) -> str:
        """Return the name of the bundle's file."""
        return f"{self.partner}-{self.window}.bundle"

    @property
    def vkey_path(self) -> str:
        """Return where the public key stands of the log that the statement is in."""
        return log_path(self.log_id) + "/vkey"


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What a partner would pay and receive if its programme's open window closed now, as far as the log has come.

    Points are the window's, net of reversals; amounts are minor units, net = receives - pays.
    """

    programme: ProgrammeCode
    partner: PartnerCode
    window: Annotated[int, msgspec.Meta(examples=[1])]
    business_date: date
    currency: CurrencyText
    issued: Annotated[int, msgspec.Meta(examples=[250000])]
    honoured: Annotated[int, msgspec.Meta(examples=[120000])]
    accepted: Annotated[int, msgspec.Meta(examples=[120000])]
    expired: Annotated[int, msgspec.Meta(examples=[0])]
    pays_minor: Annotated[int, msgspec.Meta(examples=[250000])]
    receives_minor: Annotated[int, msgspec.Meta(examples=[102000])]
    net_minor: Annotated[int, msgspec.Meta(examples=[-148000])]


class StatementSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A published statement's figures: points of the window net of reversals, amounts in minor units."""

    window: int
    business_date: date
    run_state: str
    currency: str
    issued: int
    honoured: int
    accepted: int
    expired: int
    pays_minor: int
    receives_minor: int
    net_minor: int


async def published(connection: Connection, partner_id: int, window_no: int | None) -> Published:
    """Return a partner's statement of a window, or of the last one that was published; raises UnknownStatement."""
    row = await connection.fetchrow(statements["published_statement"], partner_id, window_no)
    if row is None:
        raise UnknownStatement
    return Published(
        run_id=row["run_id"],
        partner_id=row["partner_id"],
        partner=row["partner"],
        window=row["window_no"],
        run_state=row["state"],
        log_id=row["log_id"],
        content=row["content"],
        sha256=row["sha256"].hex(),
        bundle_bytes=row["size_bytes"],
        bundle_sha256=row["bundle_sha256"].hex(),
    )


async def published_statements(
    connection: Connection, partner_id: int, before: int | None, limit: int
) -> Page[StatementSummary]:
    """Return a page of a partner's published statements, the newest first; the cursor is the last one's window."""
    rows = await connection.fetch(statements["published_statements"], partner_id, before, limit + 1)
    return page_of(rows, limit, _summary, lambda row: str(row["window_no"]))


async def bundle_parts(statement: Published) -> AsyncIterator[bytes]:
    """Yield a published bundle's bytes a megabyte at a time; no connection is held between two of them."""
    part_no = 1
    while part := await pool().fetchval(statements["bundle_part"], statement.run_id, statement.partner_id, part_no):
        yield part
        part_no += 1


async def expected(connection: Connection, partner_id: int) -> Expected:
    """Return what a partner would pay and receive tonight; raises UnknownPartner.

    Windows that are closed and not yet calculated are carried as they will be.
    """
    window = await connection.fetchrow(statements["partner_window"], partner_id)
    if window is None:
        raise UnknownPartner
    partner, open_window = window["partner"], window["window_no"]
    programme_id, calculated = window["programme_id"], window["run_window"] or 0
    contracts = [each for each in await programme_contracts(connection, programme_id) if each.partner == partner]
    past = await read_past(connection, programme_id, calculated + 1, carrying_cells(contracts, []))
    carried: dict[Cell, Carried] = past.carried
    by_window: dict[int, list[Position]] = defaultdict(list)
    for row in await partner_positions(connection, partner_id, calculated):
        by_window[row["window_no"]].append(position(row, partner))
    for earlier in sorted(number for number in by_window if number < open_window):
        lines = expected_lines(partner, contracts, carried, by_window[earlier])
        carried |= {line.cell: line.after for line in lines}
    net = expect(partner, contracts, carried, by_window[open_window])
    points: Counter[Effect] = Counter()
    for each in by_window[open_window]:
        points[each.effect] += each.points
    return Expected(
        programme=window["programme"],
        partner=partner,
        window=open_window,
        business_date=window["business_date"],
        currency=window["settlement_currency"],
        issued=points[Effect.ISSUED],
        honoured=points[Effect.HONOURED],
        accepted=points[Effect.ACCEPTED],
        expired=points[Effect.EXPIRED],
        pays_minor=net.pays,
        receives_minor=net.receives,
        net_minor=net.net,
    )


def _summary(row: asyncpg.Record) -> StatementSummary:
    statement = decode_statement(row["content"])
    return StatementSummary(
        window=row["window_no"],
        business_date=date.fromisoformat(statement.business_date),
        run_state=row["state"],
        currency=statement.currency,
        issued=int(statement.points.issued),
        honoured=int(statement.points.honoured),
        accepted=int(statement.points.accepted),
        expired=int(statement.points.expired),
        pays_minor=int(statement.pays),
        receives_minor=int(statement.receives),
        net_minor=int(statement.net),
    )
