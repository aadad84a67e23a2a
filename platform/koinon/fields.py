"""Types of fields that several requests have, so that one name is bounded alike everywhere.

Text never holds control characters: PostgreSQL cannot store a NUL, and nobody can read the others.
"""

from datetime import datetime, time
from typing import Annotated

from msgspec import Meta

# `$` alone would let a line feed follow.
Code = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9][a-z0-9-]{1,39}$(?!\n)",
        description="A name in statements: 2 to 40 of a-z, 0-9 and hyphens, no hyphen first.",
    ),
]
Line = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f]{0,199}[^\x00-\x20\x7f]$(?!\n)", max_length=200)]
"""One line of text for people: 1 to 200 characters, no control characters, no space at the end."""
Body = Annotated[str, Meta(pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]{1,20000}$(?!\n)", max_length=20_000)]
"""Several lines of text for people: tabs and line ends are the only control characters."""
DecimalText = Annotated[
    str, Meta(max_length=64, description="An exact decimal number as text, such as 0.0085.", examples=["0.0085"])
]
Locale = Annotated[
    str, Meta(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$(?!\n)", description="A language tag (BCP 47).")
]
Label = Annotated[
    str, Meta(pattern=r"^[a-z][a-z0-9-]{0,39}$(?!\n)", description="1 to 40 of a-z, 0-9 and hyphens, a letter first.")
]
Token = Annotated[
    str,
    Meta(
        pattern=r"^[^\x00-\x1f\x7f]{1,64}$(?!\n)",
        description="What stands for a card at its source: 1 to 64 characters, never a card number.",
    ),
]
Instant = Annotated[datetime, Meta(tz=True, description="An instant with its offset (RFC 3339).")]
LocalMoment = Annotated[
    datetime,
    Meta(
        extra_json_schema={
            "description": "A moment on a place's own clock, without an offset.",
            "examples": ["2026-03-02T09:00:00"],
            "extra": {"format": "date-time-local"},
        }
    ),
]
LocalTime = Annotated[
    time,
    Meta(
        extra_json_schema={
            "description": "A time of day on a place's own clock, without an offset.",
            "examples": ["09:00:00"],
            "extra": {"format": "time-local"},
        }
    ),
]

FIRST_YEAR = 2000
LAST_YEAR = 2199


def within_calendar(instant: datetime) -> bool:
    """Tell whether an instant lies in the years that programmes live in; no zone or term then leaves the calendar."""
    return FIRST_YEAR <= instant.year <= LAST_YEAR
