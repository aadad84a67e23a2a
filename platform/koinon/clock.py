"""Time is given: business time belongs to a programme, machine time to tokens and signatures.

A sandbox programme may have a test clock; a live one has the machine's. Business time is read once at the edge of a
request and passed down; no model and no database function asks for the time itself.
"""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def machine_now() -> datetime:
    """Return the machine's time, aware, in UTC: for tokens, signatures and records of what the machine did."""
    return datetime.now(UTC)


def business_now(clock_at: datetime | None) -> datetime:
    """Return a programme's time: its test clock when it has one, else the machine's."""
    return clock_at if clock_at is not None else machine_now()


def business_date(now: datetime, time_zone: str) -> date:
    """Return the calendar day of an instant in a programme's zone."""
    return now.astimezone(ZoneInfo(time_zone)).date()


def known_zone(name: str) -> bool:
    """Tell whether a name is an IANA time zone that this machine knows."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def rfc3339(instant: datetime) -> str:
    """Return an instant as RFC 3339 in UTC with whole seconds, as it stands in leaves and statements."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def add_months(day: date, months: int) -> date:
    """Return the same day `months` later, or the last day of that month when it has no such day."""
    years, month_index = divmod(day.month - 1 + months, 12)
    for last in (day.day, 30, 29, 28):
        try:
            return date(day.year + years, month_index + 1, last)
        except ValueError:
            continue
    raise AssertionError  # pragma: no cover  # every month has a 28th
