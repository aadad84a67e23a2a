"""Types of fields that several requests or answers have, so that one name is bounded, described and shown alike.

The examples belong to one small world (one programme, brand, place and member), so that those of a whole request fit
together. Text never holds control characters: PostgreSQL cannot store a NUL, and nobody can read the others.
"""

from datetime import UTC, datetime, time
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
DecimalText = Annotated[str, Meta(max_length=64, description="An exact decimal number as text, such as 0.0085.")]
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
        examples=["tok_Yk8sQ2mVwZ"],
    ),
]
Instant = Annotated[datetime, Meta(tz=True, description="An instant with its offset (RFC 3339).")]
LocalMoment = Annotated[
    datetime,
    Meta(
        extra_json_schema={
            "description": "A moment on a place's own clock, without an offset.",
            "extra": {"format": "date-time-local"},
        }
    ),
]
LocalTime = Annotated[
    time,
    Meta(
        extra_json_schema={
            "description": "A time of day on a place's own clock, without an offset.",
            "extra": {"format": "time-local"},
        }
    ),
]


def named(what: str, example: str) -> Meta:
    """Return what is said of a public id: what it names, how it begins, and one that is well-formed."""
    return Meta(max_length=64, description=f"{what} (`{example[:4]}…`).", examples=[example])


ProgrammeId = Annotated[str, named("A programme", "pro_3g4y556vdg0dk")]
PartnerId = Annotated[str, named("A partner", "par_1ratb6c1vpr2v")]
PlaceId = Annotated[str, named("A place", "pla_0gtvf2c8bz8m7")]
MemberId = Annotated[str, named("A member", "mem_114p7zebgk4rn")]
SourceId = Annotated[str, named("A source", "src_2de18rfzfcjcq")]
StaffId = Annotated[str, named("A member of staff", "stf_38e856smevj2h")]
GrantId = Annotated[str, named("A member of staff's role", "grt_1yf2ntamrwyr1")]
IdentityId = Annotated[str, named("A network's name of a place", "nid_11mq0z1dykx55")]
JournalId = Annotated[str, named("A journal", "jnl_00qcnjn0p5me581kjpwd72vfs596vghp0d7510n")]
JournalName = Annotated[str, named("A journal, as receipts and bundles call it", "jnl_3v7w0k9pd2m8q5x1t6r4e0b7zc")]
RedemptionId = Annotated[str, named("A redemption", "red_00qcnjn0p5me581kjpwd7j5fvmahb0en3gpkn1v")]

ProgrammeCode = Annotated[str, Meta(description="A programme's code.", examples=["agora"])]
PartnerCode = Annotated[str, Meta(description="A partner's code.", examples=["grocer"])]
BrandName = Annotated[str, Meta(description="The brand's name, for people.", examples=["Corner Grocer"])]
PlaceName = Annotated[str, Meta(description="The place's name, for people.", examples=["Corner Grocer, Market Square"])]
CurrencyText = Annotated[str, Meta(max_length=8, description="An ISO 4217 code.", examples=["EUR"])]
TimeZone = Annotated[str, Meta(max_length=64, description="An IANA time zone.", examples=["Europe/Helsinki"])]
TillReceipt = Annotated[
    str,
    Meta(
        pattern=r"^[^\x00-\x1f\x7f]{1,64}$(?!\n)",
        description="The till's own number of a purchase.",
        examples=["T4-20431"],
    ),
]
Digest = Annotated[str, Meta(description="A SHA-256 in hexadecimal.")]

FIRST_YEAR = 2000
LAST_YEAR = 2199


def within_calendar(instant: datetime, *, since: int = FIRST_YEAR) -> bool:
    """Tell whether an instant lies in the years that programmes live in; no zone or term then leaves the calendar.

    The years are UTC's: with an offset of its own, an instant can be written as of a year that it is not in.
    """
    return datetime(since, 1, 1, tzinfo=UTC) <= instant < datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC)
