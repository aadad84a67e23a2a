"""Programmes: making one with its unit, its operator and its first window, and moving a sandbox's test clock."""

from datetime import datetime
from typing import Annotated

import msgspec

from koinon import ids
from koinon.audit.operations import open_log
from koinon.clock import business_date, business_now, known_zone, machine_now
from koinon.database import Connection, add, add_unless, on
from koinon.fields import (
    Code,
    CurrencyText,
    DecimalText,
    Instant,
    Line,
    PartnerId,
    ProgrammeCode,
    ProgrammeId,
    TimeZone,
    within_calendar,
)
from koinon.ledger.operations import statements as ledger_statements
from koinon.money import EXPONENTS, MoneyError, parse_rate
from koinon.parties import tables
from koinon.parties.model import MAXIMUM_PARTS, MAXIMUM_RATE
from koinon.parties.operations import Mode, programme_row, statements
from koinon.parties.rates import decimal_rate
from koinon.problems import Conflict, InvalidInput, field_error, invalid_field
from koinon.web.cursors import Page, page_of

UNIT = "points"
OPERATOR = "operator"
EXPIRY_MONTHS_MAXIMUM = 1200

# What a zone database holds beside its zones: the machine's own setting, and copies that count leap seconds.
MACHINE_ZONES = frozenset({"localtime", "posixrules", "Factory"})
MACHINE_ZONE_FOLDERS = ("posix/", "right/")


class ProgrammeCodeTaken(Conflict):
    """Another programme of this installation has the code."""

    code = "programme-code-taken"
    title = "Another programme has this code"


class ProgrammeIsLive(Conflict):
    """A live programme has the machine's clock and no other."""

    code = "programme-is-live"
    title = "A live programme's clock cannot be set; only a sandbox programme has a test clock"


class ClockMovesForward(Conflict):
    """A test clock never goes back: what was recorded would lie in the future."""

    code = "clock-moves-forward"
    title = "A test clock only moves forward"


class UnknownCurrency(InvalidInput):
    """The code is no ISO 4217 currency with a minor unit."""

    code = "unknown-currency"
    title = "The currency is not an ISO 4217 code with a minor unit"


class UnknownTimeZone(InvalidInput):
    """The name is no IANA time zone."""

    code = "unknown-time-zone"
    title = "The time zone is not an IANA name such as Europe/Helsinki"


class NewProgramme(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A programme that the operator opens; `face_value_per_point` is what a point is worth at a till, in major units.

    `expiry_months` null: points never expire. `clock_at` gives a sandbox programme a test clock from the start.
    """

    code: Annotated[Code, msgspec.Meta(examples=["agora"])]
    name: Annotated[Line, msgspec.Meta(examples=["Agora"])]
    mode: Annotated[Mode, msgspec.Meta(examples=["sandbox"])]
    time_zone: Annotated[str, msgspec.Meta(max_length=64, examples=["Europe/Helsinki"])]
    settlement_currency: Annotated[str, msgspec.Meta(max_length=3, examples=["EUR"])]
    face_value_per_point: Annotated[DecimalText, msgspec.Meta(examples=["0.005"])]
    expiry_months: Annotated[int, msgspec.Meta(ge=1, le=EXPIRY_MONTHS_MAXIMUM, examples=[24])] | None = None
    clock_at: Annotated[Instant, msgspec.Meta(examples=["2026-03-02T09:00:00Z"])] | None = None


class ClockMove(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a sandbox programme's test clock is to stand; never before where it stands now."""

    at: Annotated[Instant, msgspec.Meta(examples=["2026-03-02T22:00:00Z"])]


class Programme(msgspec.Struct, frozen=True, kw_only=True):
    """A programme: `operator` is its operator's own partner, `now` its time, `clock_at` the test clock it may have."""

    programme: ProgrammeId
    code: ProgrammeCode
    name: Annotated[str, msgspec.Meta(examples=["Agora"])]
    mode: Annotated[Mode, msgspec.Meta(examples=["sandbox"])]
    time_zone: TimeZone
    settlement_currency: CurrencyText
    face_value_per_point: Annotated[str, msgspec.Meta(examples=["0.005"])]
    expiry_months: Annotated[int, msgspec.Meta(examples=[24])] | None
    unit: Annotated[str, msgspec.Meta(examples=["points"])]
    operator: PartnerId
    clock_at: Annotated[datetime, msgspec.Meta(examples=["2026-03-02T09:00:00Z"])] | None
    now: datetime


async def create_programme(connection: Connection, asked: NewProgramme) -> Programme:
    """Make a programme with its unit, its operator's partner, first window and log, in the caller's transaction.

    Raises InvalidInput, UnknownCurrency, UnknownTimeZone, ProgrammeIsLive, ProgrammeCodeTaken.
    """
    check_currency("/settlement_currency", asked.settlement_currency)
    check_time_zone("/time_zone", asked.time_zone)
    if asked.clock_at is not None:
        if asked.mode == "live":
            raise ProgrammeIsLive
        _check_clock("/clock_at", asked.clock_at)
    try:
        face_value = parse_rate(asked.face_value_per_point, asked.settlement_currency)
    except MoneyError as error:
        raise invalid_field("/face_value_per_point", str(error)) from None
    if not 0 < face_value <= MAXIMUM_RATE or face_value.denominator > MAXIMUM_PARTS:
        raise invalid_field(
            "/face_value_per_point",
            f"above zero, at most {MAXIMUM_RATE} minor units, at most six decimals of a minor unit",
        )
    programme_id, unit_id, operator_id = ids.new_id(), ids.new_id(), ids.new_id()
    opened = tables.Programme(
        programme_id=programme_id,
        code=asked.code,
        name=asked.name,
        mode=asked.mode,
        time_zone=asked.time_zone,
        settlement_currency=asked.settlement_currency,
        expiry_months=asked.expiry_months,
        face_value_num=face_value.numerator,
        face_value_den=face_value.denominator,
        unit_id=unit_id,
        operator_id=operator_id,
        clock_at=asked.clock_at,
    )
    row = await add_unless(connection, opened, tables.Programme.code)
    if row is None:
        raise ProgrammeCodeTaken(programme_code=asked.code)
    await connection.execute(statements["add_unit"], unit_id, programme_id, UNIT)
    own = tables.Partner(
        partner_id=operator_id,
        programme_id=programme_id,
        code=OPERATOR,
        brand=asked.name,
        operator=True,
        attested_points_per_day=0,
    )
    await add(connection, own)
    now = business_now(asked.clock_at)
    today = business_date(now, asked.time_zone)
    await connection.execute(ledger_statements["first_window"], programme_id, today, now)
    await open_log(connection, programme_id=programme_id, mode=asked.mode)
    return _programme(row)


async def move_clock(connection: Connection, programme_id: int, move: ClockMove) -> Programme:
    """Set a sandbox programme's test clock, one mover at a time, in the caller's transaction.

    Raises UnknownProgramme, ProgrammeIsLive, ClockMovesForward, InvalidInput.
    """
    row = await programme_row(connection, programme_id, locked=True)
    if row.mode == "live":
        raise ProgrammeIsLive
    now = business_now(row.clock_at)
    if move.at < now:
        raise ClockMovesForward(now=now.isoformat(), at=move.at.isoformat())
    _check_clock("/at", move.at)
    moved = tables.Programme.update({tables.Programme.clock_at: move.at})
    await on(connection, moved.where(tables.Programme.programme_id == programme_id))
    return await programme(connection, programme_id)


async def programme(connection: Connection, programme_id: int) -> Programme:
    """Return a programme; raises UnknownProgramme."""
    return _programme(await programme_row(connection, programme_id))


async def programmes(connection: Connection, after: str | None, limit: int) -> Page[Programme]:
    """Return a page of programmes by code; the cursor is the last one's code."""
    query = tables.Programme.objects().order_by(tables.Programme.code).limit(limit + 1)
    rows = await on(connection, query if after is None else query.where(tables.Programme.code > after))
    return page_of(rows, limit, _programme, lambda row: row.code)


def check_currency(pointer: str, currency: str) -> None:
    """Raise UnknownCurrency, naming the field, for what is no ISO 4217 code with a minor unit."""
    if currency not in EXPONENTS:
        raise UnknownCurrency(errors=[field_error(pointer, UnknownCurrency.title, UnknownCurrency.code)])


def check_time_zone(pointer: str, name: str) -> None:
    """Raise UnknownTimeZone, naming the field, for what is no IANA name."""
    if name in MACHINE_ZONES or name.startswith(MACHINE_ZONE_FOLDERS) or not known_zone(name):
        raise UnknownTimeZone(errors=[field_error(pointer, UnknownTimeZone.title, UnknownTimeZone.code)])


def _check_clock(pointer: str, instant: datetime) -> None:
    if not within_calendar(instant):
        raise invalid_field(pointer, "a test clock stands between the years 2000 and 2199")


def _programme(row: tables.Programme) -> Programme:
    return Programme(
        programme=ids.public("pro", row.programme_id),
        code=row.code,
        name=row.name,
        mode=msgspec.convert(row.mode, Mode),
        time_zone=row.time_zone,
        settlement_currency=row.settlement_currency,
        face_value_per_point=decimal_rate(row.face_value_num, row.face_value_den, row.settlement_currency),
        expiry_months=row.expiry_months,
        unit=UNIT,
        operator=ids.public("par", row.operator_id),
        clock_at=row.clock_at,
        now=row.clock_at or machine_now(),
    )
