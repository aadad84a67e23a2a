"""What a run is calculated from, as the database holds it: read only, and the same whenever it is read."""

from collections.abc import Sequence
from fractions import Fraction

import asyncpg
from msgspec import Struct

from koinon.audit.model import Effect
from koinon.audit.operations import positions
from koinon.database import Connection, beside, transaction
from koinon.parties.model import Contract
from koinon.parties.operations import programme_contracts
from koinon.problems import Conflict, NotFound
from settlement.calculation import calculate, carrying_cells
from settlement.model import Calculation, Carried, Cell, Leg, Outstanding, Position, WindowFacts

READING_TIMEOUT = "10min"

statements = beside(__file__)


class UnknownWindow(NotFound):
    """The programme has no window of this number."""

    code = "unknown-window"
    title = "There is no such window"


class WindowNotSealed(Conflict):
    """A run is calculated from a sealed window alone: it never grows, and every journal of it has its leaf."""

    code = "window-not-sealed"
    title = "The window is not closed and sealed yet"


class WindowOutOfOrder(Conflict):
    """A run carries on from the run of the window before it."""

    code = "window-out-of-order"
    title = "The window before this one has no run yet"


class Books(Struct, frozen=True, kw_only=True):
    """Everything that goes into a run; `partners` maps the codes of those who get a statement to their ids."""

    programme_id: int
    partners: dict[str, int]
    contracts: list[Contract]
    carried: dict[Cell, Carried]
    positions: list[Position]
    facts: WindowFacts

    def calculate(self) -> Calculation:
        """Return what the window comes to; raises SettlementError."""
        return calculate(self.contracts, self.carried, self.positions, self.facts, self.partners)


class Past(Struct, frozen=True):
    """What cells carry into a window; of the margins among them, how many do so at a rate which is no whole number."""

    carried: dict[Cell, Carried]
    part_rate_margins: int


async def read_books(programme_id: int, window_no: int) -> Books:
    """Read a sealed window's books.

    The positions come from the log, the outstanding points from the lots; nothing that happens after the seal changes
    what is read. Raises UnknownWindow, WindowNotSealed, WindowOutOfOrder.
    """
    # Nothing is written here: the transaction takes no id, and holds up no window that is closing.
    async with transaction() as connection:
        await connection.execute(f"SET LOCAL statement_timeout = '{READING_TIMEOUT}'")
        window = await connection.fetchrow(statements["window"], programme_id, window_no)
        if window is None:
            raise UnknownWindow
        if window["state"] != "SEALED":
            raise WindowNotSealed(window=window_no, state=window["state"])
        before = await _run_before(connection, window)
        partners = await connection.fetch(statements["sealed_partners"], programme_id, window_no)
        contracts = await programme_contracts(connection, programme_id)
        moved = [position(row, row["partner"]) for row in await positions(connection, programme_id, window_no)]
        past = await read_past(connection, programme_id, window_no, carrying_cells(contracts, moved))
        return Books(
            programme_id=programme_id,
            partners={row["code"]: row["partner_id"] for row in partners},
            contracts=contracts,
            carried=past.carried,
            positions=moved,
            facts=await _facts(connection, window, before, past),
        )


def position(row: asyncpg.Record, partner: str) -> Position:
    """Return a row of the log's sums as a position of a partner."""
    return Position(
        partner=partner,
        effect=Effect(row["effect"]),
        version=row["version"],
        points=row["points"],
        entries=row["entries"],
        counterparty=row["counterparty"],
        counterparty_version=row["counterparty_version"],
    )


async def read_past(connection: Connection, programme_id: int, window_no: int, cells: Sequence[Cell]) -> Past:
    """Return what cells carry into a window, by their newest lines before it: a row a cell, whatever the nights."""
    rows = await connection.fetch(
        statements["carried"],
        programme_id,
        window_no,
        [cell.leg for cell in cells],
        [cell.partner for cell in cells],
        [cell.version for cell in cells],
        [cell.counterparty for cell in cells],
        [cell.counterparty_version for cell in cells],
    )
    return Past(
        carried={_cell(row): Carried(row["points"], row["billed"]) for row in rows},
        part_rate_margins=sum(
            1 for row in rows if row["leg"] == Leg.MARGIN and row["points"] and Fraction(row["rate"]).denominator > 1
        ),
    )


def _cell(row: asyncpg.Record) -> Cell:
    return Cell(Leg(row["leg"]), row["partner"], row["version"], row["counterparty"], row["counterparty_version"])


async def _run_before(connection: Connection, window: asyncpg.Record) -> asyncpg.Record | None:
    """Return the run that this window's carries on from; None when it is the first."""
    before = window["window_before"]
    if before is None:
        return None
    run = await connection.fetchrow(statements["current_run"], window["programme_id"], before)
    if run is None:
        raise WindowOutOfOrder(window=window["window_no"], window_before=before)
    return run


async def _facts(
    connection: Connection, window: asyncpg.Record, before: asyncpg.Record | None, past: Past
) -> WindowFacts:
    return WindowFacts(
        programme=window["programme"],
        window=window["window_no"],
        business_date=window["business_date"],
        currency=window["settlement_currency"],
        pool_before=0 if before is None else before["pool_balance"],
        outstanding=tuple(
            Outstanding(row["partner"], row["version"], row["points"])
            for row in await connection.fetch(statements["outstanding"], window["programme_id"], window["window_no"])
        ),
        part_rate_margins=0 if before is None else before["part_rate_margins"] - past.part_rate_margins,
    )
