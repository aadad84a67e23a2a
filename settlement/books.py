"""What a run is calculated from, as the database holds it: read only, and the same whenever it is read."""

from fractions import Fraction

import asyncpg
from msgspec import Struct

from koinon.audit.model import Effect
from koinon.audit.operations import positions
from koinon.database import Connection, beside, transaction
from koinon.parties.model import Contract
from koinon.parties.operations import programme_contracts
from koinon.problems import Conflict, NotFound
from settlement.calculation import calculate
from settlement.model import Calculation, Carried, Cell, Leg, Line, Outstanding, Position, WindowFacts

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
        partners = await connection.fetch(statements["sealed_partners"], programme_id, window_no)
        return Books(
            programme_id=programme_id,
            partners={row["code"]: row["partner_id"] for row in partners},
            contracts=await programme_contracts(connection, programme_id),
            carried=await _carried(connection, window),
            positions=[position(row, row["partner"]) for row in await positions(connection, programme_id, window_no)],
            facts=await _facts(connection, window),
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


async def read_lines(connection: Connection, run_id: int, partner: str | None = None) -> list[Line]:
    """Return a run's lines as they were recorded, or those of a partner's statement."""
    return [
        Line(
            cell=Cell(
                Leg(row["leg"]), row["partner"], row["version"], row["counterparty"], row["counterparty_version"]
            ),
            rate=Fraction(row["rate"]),
            points_before=row["points_before"],
            billed_before=row["billed_before"],
            points=row["points"],
            amount=row["amount"],
        )
        for row in await connection.fetch(statements["lines"], run_id, partner)
    ]


async def _carried(connection: Connection, window: asyncpg.Record) -> dict[Cell, Carried]:
    before = window["window_before"]
    if before is None:
        return {}
    run_id = await connection.fetchval(statements["standing_run"], window["programme_id"], before)
    if run_id is None:
        raise WindowOutOfOrder(window=window["window_no"], window_before=before)
    return {line.cell: line.after for line in await read_lines(connection, run_id)}


async def _facts(connection: Connection, window: asyncpg.Record) -> WindowFacts:
    place = window["programme_id"], window["window_no"]
    return WindowFacts(
        programme=window["programme"],
        window=window["window_no"],
        business_date=window["business_date"],
        currency=window["settlement_currency"],
        pool_before=await connection.fetchval(statements["pool_before"], *place),
        outstanding=tuple(
            Outstanding(row["partner"], row["version"], row["points"])
            for row in await connection.fetch(statements["outstanding"], *place)
        ),
    )
