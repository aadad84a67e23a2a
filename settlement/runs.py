"""Windows and runs as the operator sees them: what every party pays and receives, the pool, and who approved."""

from datetime import date, datetime
from typing import Annotated, Any

import asyncpg
import msgspec

from koinon import ids
from koinon.database import Connection, on
from koinon.fields import BrandName, CurrencyText, Digest, PartnerId, ProgrammeCode, ProgrammeId, StaffId, named
from koinon.http.cursors import Page, page_of
from settlement import tables
from settlement.books import statements
from settlement.examples import STATEMENT_SHA256
from settlement.operations import UnknownRun
from settlement.publishing import decode_statement

RunId = Annotated[str, named("A run", "run_1mhd3y3zze49x")]
Explanation = Annotated[
    str,
    msgspec.Meta(examples=["The pool holds 1105.00 EUR, and 130,000 outstanding points are worth 1105.00 EUR …"]),
]

MAKER_PLATFORM = "platform"


class Alert(msgspec.Struct, frozen=True):
    """Why a window's run could not be made: a stable code, the reason in figures, and how often it was tried.

    It is tried again at `retry_at`: after a minute at first, then after twice as long each time, at last every hour.
    """

    code: Annotated[str, msgspec.Meta(examples=["pool-does-not-hold"])]
    explanation: Explanation
    tries: Annotated[int, msgspec.Meta(examples=[3])]
    retry_at: Annotated[datetime, msgspec.Meta(examples=["2026-03-02T22:07:00Z"])]


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """A window of a programme, with its run once it is calculated, or the alert that stands against one."""

    programme: ProgrammeId
    window: Annotated[int, msgspec.Meta(examples=[1])]
    business_date: date
    state: Annotated[str, msgspec.Meta(examples=["SEALED"])]
    opened_at: datetime
    flipped_at: Annotated[datetime, msgspec.Meta(examples=["2026-03-02T22:00:00Z"])] | None
    closed_at: Annotated[datetime, msgspec.Meta(examples=["2026-03-02T22:00:02Z"])] | None
    run: RunId | None
    run_state: Annotated[str, msgspec.Meta(examples=["PUBLISHED"])] | None
    alert: Annotated[Alert | None, msgspec.Meta(examples=[None])]


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A run; `made_by` is who asked for it (`stf_…`), or `platform` when the night did."""

    run: RunId
    programme: ProgrammeId
    programme_code: ProgrammeCode
    window: Annotated[int, msgspec.Meta(examples=[1])]
    business_date: date
    version: Annotated[int, msgspec.Meta(examples=[1])]
    state: Annotated[str, msgspec.Meta(examples=["PUBLISHED"])]
    currency: CurrencyText
    made_by: Annotated[str, msgspec.Meta(examples=["platform"])]
    calculated_at: Annotated[datetime, msgspec.Meta(examples=["2026-03-02T22:00:05Z"])]


class Party(msgspec.Struct, frozen=True, kw_only=True):
    """What a party pays and receives, in minor units; net = receives - pays.

    A brand also has its points of the window, net of reversals (`honoured` are its own points wherever they were
    spent, `accepted` are anybody's points spent at its tills), and the SHA-256 of its statement; a house has none.
    """

    party: Annotated[str, msgspec.Meta(examples=["grocer"])]
    partner: PartnerId | None
    brand: BrandName | None
    issued: Annotated[int, msgspec.Meta(examples=[250000])] | None
    honoured: Annotated[int, msgspec.Meta(examples=[120000])] | None
    accepted: Annotated[int, msgspec.Meta(examples=[120000])] | None
    expired: Annotated[int, msgspec.Meta(examples=[0])] | None
    pays_minor: Annotated[int, msgspec.Meta(examples=[250000])]
    receives_minor: Annotated[int, msgspec.Meta(examples=[102000])]
    net_minor: Annotated[int, msgspec.Meta(examples=[-148000])]
    statement_sha256: Annotated[Digest, msgspec.Meta(examples=[STATEMENT_SHA256])] | None


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """The pool's check: its money since the start (minor units) beside what the lots' outstanding points are worth.

    `worth`, `apart` and `allowed` are exact ratios of minor units, such as `17/20`.
    """

    holds: bool
    balance_minor: Annotated[int, msgspec.Meta(examples=[110500])]
    worth: Annotated[str, msgspec.Meta(examples=["110500"])]
    apart: Annotated[str, msgspec.Meta(examples=["0"])]
    allowed: Annotated[str, msgspec.Meta(examples=["3/2"])]
    outstanding_points: Annotated[int, msgspec.Meta(examples=[130000])]
    explanation: Explanation


class Approval(msgspec.Struct, frozen=True):
    """A person's yes to a run."""

    staff: StaffId
    decision: str
    decided_at: datetime


class Run(RunSummary, frozen=True, kw_only=True):
    """A run with all its nets, which sum to zero, the pool's check and its approvals."""

    parties: list[Party]
    pool: Pool
    approvals: Annotated[list[Approval], msgspec.Meta(examples=[[]])]


async def windows(connection: Connection, programme_id: int, before: int | None, limit: int) -> Page[Window]:
    """Return a page of a programme's windows, the newest first; the cursor is the last one's number."""
    rows = await connection.fetch(statements["windows"], programme_id, before, limit + 1)
    return page_of(rows, limit, _window, lambda row: str(row["window_no"]))


async def window(connection: Connection, programme_id: int, window_no: int) -> Window:
    """Return one window that exists."""
    return (await windows(connection, programme_id, window_no + 1, 1)).items[0]


async def runs(connection: Connection, programme_id: int, after: int | None, limit: int) -> Page[RunSummary]:
    """Return a page of a programme's runs, the newest window first; the cursor is the last one's id."""
    rows = await connection.fetch(statements["runs"], programme_id, after, limit + 1)
    return page_of(rows, limit, lambda row: RunSummary(**_summary(row)), lambda row: ids.public("run", row["run_id"]))


async def runs_waiting(connection: Connection, limit: int) -> list[RunSummary]:
    """Return the runs of all programmes that wait for a second person's approval, the oldest first."""
    return [RunSummary(**_summary(row)) for row in await connection.fetch(statements["runs_waiting"], limit)]


async def run(connection: Connection, run_id: int) -> Run:
    """Return a run; raises UnknownRun."""
    row = await connection.fetchrow(statements["run"], run_id)
    if row is None:
        raise UnknownRun
    parties = await connection.fetch(statements["run_parties"], run_id)
    given = tables.Approval.objects().where(tables.Approval.run_id == run_id)
    approvals = await on(connection, given.order_by(tables.Approval.decided_at, tables.Approval.staff_id))
    return Run(
        **_summary(row),
        parties=[_party(each) for each in parties],
        pool=Pool(
            holds=True,  # a run whose pool does not hold is never recorded
            balance_minor=row["pool_balance"],
            worth=row["pool_worth"],
            apart=row["pool_apart"],
            allowed=row["pool_allowed"],
            outstanding_points=row["outstanding_points"],
            explanation=row["explanation"],
        ),
        approvals=[Approval(ids.public("stf", each.staff_id), each.decision, each.decided_at) for each in approvals],
    )


def _window(row: asyncpg.Record) -> Window:
    return Window(
        programme=ids.public("pro", row["programme_id"]),
        window=row["window_no"],
        business_date=row["business_date"],
        state=row["state"],
        opened_at=row["opened_at"],
        flipped_at=row["flipped_at"],
        closed_at=row["closed_at"],
        run=None if row["run_id"] is None else ids.public("run", row["run_id"]),
        run_state=row["run_state"],
        alert=None
        if row["alert"] is None
        else Alert(*(row[name] for name in ("alert", "explanation", "tries", "retry_at"))),
    )


def _summary(row: asyncpg.Record) -> dict[str, Any]:
    maker = row["maker_staff_id"]
    return {
        "run": ids.public("run", row["run_id"]),
        "programme": ids.public("pro", row["programme_id"]),
        "programme_code": row["programme"],
        "window": row["window_no"],
        "business_date": row["business_date"],
        "version": row["version"],
        "state": row["state"],
        "currency": row["currency"],
        "made_by": MAKER_PLATFORM if maker is None else ids.public("stf", maker),
        "calculated_at": row["calculated_at"],
    }


def _party(row: asyncpg.Record) -> Party:
    points = None if row["content"] is None else decode_statement(row["content"]).points
    return Party(
        party=row["party"],
        partner=None if row["partner_id"] is None else ids.public("par", row["partner_id"]),
        brand=row["brand"],
        issued=None if points is None else int(points.issued),
        honoured=None if points is None else int(points.honoured),
        accepted=None if points is None else int(points.accepted),
        expired=None if points is None else int(points.expired),
        pays_minor=row["pays"],
        receives_minor=row["receives"],
        net_minor=row["receives"] - row["pays"],
        statement_sha256=None if row["sha256"] is None else row["sha256"].hex(),
    )
