"""Reading a real file of card postings as canonical card messages, by a small mapping file.

A mapping (TOML, `load_tests/mappings/`) says which columns hold what, which sign is a refund, how dates are written and
what to assume where the file is silent. Reading is lazy, one row at a time; a row that cannot be read becomes an error
that names the column and repeats nothing of it. Amounts are parsed exactly, from decimal text to minor units.
"""

import csv
import gzip
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, time
from functools import cached_property
from pathlib import Path
from typing import IO, Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct, field

from koinon.money import MoneyError, UnknownCurrencyError, parse_amount
from koinon.places.model import descriptor
from offers.feeds.reading import looks_like_card_number

MAPPINGS = Path(__file__).parent / "mappings"
GZIP_MAGIC = b"\x1f\x8b"


class Named(Struct, frozen=True, forbid_unknown_fields=True):
    """How a message id is made: a prefix and the columns that name a row."""

    prefix: str
    columns: tuple[str, ...]


class CardColumn(Struct, frozen=True, forbid_unknown_fields=True):
    """Which column tells cards apart, and the prefix that makes a token of it."""

    column: str
    token_prefix: str


class AmountColumns(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the signed amount is (the first column that is filled), and the message type of each sign."""

    columns: tuple[str, ...]
    positive: str = "clearing"
    negative: str = "refund"


class CurrencyColumns(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the currency is (the first column that is filled), and what a missing one means."""

    columns: tuple[str, ...]
    missing: str


class DateColumn(Struct, frozen=True, forbid_unknown_fields=True):
    """How the date is written, the zone it is local to, and the time of day where the format has none."""

    column: str
    format: str
    zone: str
    time_of_day: time | None = None


class MerchantColumn(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the descriptor is, its country, and the patterns to drop from it before it names a place."""

    column: str
    country: str = ""
    drop: tuple[str, ...] = ()


class Layout(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """A mapping file: how the rows of one kind of file become card messages."""

    name: str
    network: str = "other"
    encoding: str = "utf-8-sig"
    delimiter: str = ","
    message_id: Named
    card: CardColumn
    amount: AmountColumns
    currency: CurrencyColumns
    date: DateColumn
    merchant: MerchantColumn
    extra: dict[str, str] = field(default_factory=dict)

    def columns(self) -> set[str]:
        """Return the columns without which a file is not of this kind."""
        return {
            *self.message_id.columns,
            self.card.column,
            *self.amount.columns,
            *self.currency.columns,
            self.date.column,
            self.merchant.column,
            *self.extra.values(),
        }

    @cached_property
    def zone(self) -> ZoneInfo:
        """Return the zone that the file's dates are local to."""
        return ZoneInfo(self.date.zone)

    @cached_property
    def dropped(self) -> re.Pattern[str] | None:
        """Return the pattern of what does not belong to a place's name, if any."""
        patterns = "|".join(f"(?:{pattern})" for pattern in self.merchant.drop)
        return re.compile(rf"(?<!\S)(?:{patterns})(?!\S)") if patterns else None


class Row(Struct, frozen=True, kw_only=True):
    """A row of the file: its line, and either a message with its place, or why there is none.

    `error` is a stable code and `column` where it arose; what stands there is not repeated.
    """

    line: int
    body: dict[str, Any] | None = None
    place: str = ""
    error: str = ""
    column: str = ""


class SeenPlace(Struct, frozen=True, kw_only=True):
    """A place made from descriptors: its name, every descriptor that means it, and how many rows did."""

    name: str
    descriptors: tuple[str, ...]
    rows: int


class Survey(Struct, frozen=True, kw_only=True):
    """What a file holds: what has to exist before it is replayed, and how many of each kind to expect."""

    counts: dict[str, int]
    places: tuple[SeenPlace, ...]
    cards: tuple[tuple[str, str], ...]
    first_at: str
    last_at: str


class UnknownLayoutError(ValueError):
    """No mapping, or more than one, fits the file's columns."""


class UnreadableRowError(ValueError):
    """A row cannot be read: a code and a column. It stays in this module; its reader gets a `Row` that says so."""


def load_layout(path: Path) -> Layout:
    """Return the mapping of a TOML file; raise msgspec.ValidationError or re.error where it says nothing sensible."""
    layout = msgspec.toml.decode(path.read_bytes(), type=Layout)
    _ = layout.zone, layout.dropped
    return layout


def layout_for(path: Path, folder: Path = MAPPINGS) -> Layout:
    """Return the one mapping of a folder whose columns the file has; raise UnknownLayoutError."""
    layouts = [load_layout(each) for each in sorted(folder.glob("*.toml"))]
    fitting = [layout for layout in layouts if layout.columns() <= _header(path, layout)]
    if len(fitting) != 1:
        found = ", ".join(layout.name for layout in fitting) or "none"
        raise UnknownLayoutError(f"one mapping in {folder.name}/ has to fit the columns of {path.name}; found: {found}")
    return fitting[0]


def read(path: Path, layout: Layout) -> Iterator[Row]:
    """Yield every row of a CSV file, plain or gzipped, in its order, as a message or an error.

    Raises UnknownLayoutError when the file lacks a column of the mapping.
    """
    with _open(path, layout) as text:
        reader = csv.reader(text, delimiter=layout.delimiter)
        header = next(reader, [])
        if missing := layout.columns() - set(header):
            raise UnknownLayoutError(f"{path.name} lacks the columns {', '.join(sorted(missing))}")
        rows = RowReader(layout, header)
        for values in reader:
            if values:
                yield rows.row(reader.line_num, values)


def survey(rows: Iterable[Row]) -> Survey:
    """Return what the rows hold; places and cards in the order in which they are first seen."""
    counts: Counter[str] = Counter({"rows": 0, "messages": 0, "purchases": 0, "refunds": 0, "errors": 0})
    places: dict[str, Counter[str]] = {}
    cards: dict[str, str] = {}
    moments: set[str] = set()
    for row in rows:
        counts["rows"] += 1
        if row.body is None:
            counts.update(("errors", f"error-{row.error}"))
            continue
        counts["messages"] += 1
        counts["refunds" if row.body["type"] == "refund" else "purchases"] += 1
        places.setdefault(row.place, Counter())[row.body["merchant"]["descriptor"]] += 1
        cards.setdefault(row.body["card_token"], row.body.get("card_last4", ""))
        moments.add(row.body["occurred_at"])
    counts.update({"places": len(places), "cards": len(cards)})
    return Survey(
        counts=dict(counts),
        places=tuple(
            SeenPlace(name=name, descriptors=tuple(dict.fromkeys(map(descriptor, seen))), rows=seen.total())
            for name, seen in places.items()
        ),
        cards=tuple(cards.items()),
        first_at=min(moments, key=datetime.fromisoformat, default=""),
        last_at=max(moments, key=datetime.fromisoformat, default=""),
    )


def place_name(text: str, layout: Layout) -> str:
    """Return the name of the place that a descriptor means: its comparable form without what the mapping drops."""
    plain = descriptor(text)
    if layout.dropped is None:
        return plain
    return " ".join(layout.dropped.sub(" ", plain).split()) or plain


def _open(path: Path, layout: Layout) -> IO[str]:
    with path.open("rb") as raw:
        zipped = raw.read(2) == GZIP_MAGIC
    if zipped:
        return io.TextIOWrapper(gzip.open(path, "rb"), encoding=layout.encoding, newline="")
    return path.open(encoding=layout.encoding, newline="")


def _header(path: Path, layout: Layout) -> set[str]:
    with _open(path, layout) as text:
        return set(next(csv.reader(text, delimiter=layout.delimiter), []))


class RowReader:
    """Turns the rows of one file into messages, keeping what repeats: dates and names of places."""

    def __init__(self, layout: Layout, header: Sequence[str]) -> None:
        """Take the mapping and the file's first row."""
        self.layout = layout
        self.header = header
        self.moments: dict[str, str] = {}
        self.places: dict[str, str] = {}

    def row(self, line: int, values: Sequence[str]) -> Row:
        """Return what a row of the file says, or why it says nothing."""
        if len(values) != len(self.header):
            return Row(line=line, error="wrong-number-of-columns")
        cells = {name: value.strip() for name, value in zip(self.header, values, strict=True)}
        try:
            body = self._body(cells)
        except UnreadableRowError as unreadable:
            error, column = unreadable.args
            return Row(line=line, error=error, column=column)
        text = body["merchant"]["descriptor"]
        if text not in self.places:
            self.places[text] = place_name(text, self.layout)
        return Row(line=line, body=body, place=self.places[text])

    def _body(self, cells: dict[str, str]) -> dict[str, Any]:
        """Return the canonical message of a row; raise UnreadableRowError."""
        layout = self.layout
        row_id = [_filled(cells, (column,), "missing-id") for column in layout.message_id.columns]
        card = _filled(cells, (layout.card.column,), "missing-card")
        if looks_like_card_number(card):
            raise UnreadableRowError("card-number", layout.card.column)
        amount, currency = _amount(cells, layout)
        body: dict[str, Any] = {
            "message_id": "-".join([layout.message_id.prefix, *row_id]),
            "type": layout.amount.positive if amount > 0 else layout.amount.negative,
            "occurred_at": self._moment(_filled(cells, (layout.date.column,), "missing-date")),
            "network": layout.network,
            "amount_minor": abs(amount),
            "currency": currency,
            "merchant": {"descriptor": _filled(cells, (layout.merchant.column,), "missing-merchant")},
            "card_token": f"{layout.card.token_prefix}-{card}",
        }
        if layout.merchant.country:
            body["merchant"]["country"] = layout.merchant.country
        if re.fullmatch(r"[0-9]{4}", card):
            body["card_last4"] = card
        extra = {key: cells[column] for key, column in layout.extra.items() if cells[column]}
        return body | ({"extra": extra} if extra else {})

    def _moment(self, text: str) -> str:
        """Return the moment that a date means, in the file's zone."""
        if text not in self.moments:
            column = self.layout.date
            try:
                moment = datetime.strptime(text, column.format).replace(tzinfo=self.layout.zone)
            except ValueError:
                raise UnreadableRowError("bad-date", column.column) from None
            given = column.time_of_day
            if given is not None:
                moment = moment.replace(hour=given.hour, minute=given.minute, second=given.second)
            self.moments[text] = moment.isoformat()
        return self.moments[text]


def _filled(cells: dict[str, str], columns: Sequence[str], error: str) -> str:
    for column in columns:
        if cells[column]:
            return cells[column]
    raise UnreadableRowError(error, columns[0])


def _amount(cells: dict[str, str], layout: Layout) -> tuple[int, str]:
    """Return the signed amount in minor units and its currency."""
    columns = layout.currency.columns
    currency = next((cells[column] for column in columns if cells[column]), layout.currency.missing).upper()
    column = next((column for column in layout.amount.columns if cells[column]), layout.amount.columns[0])
    text = _filled(cells, (column,), "missing-amount")
    try:
        amount = parse_amount(text, currency)
    except UnknownCurrencyError:
        raise UnreadableRowError("unknown-currency", columns[0]) from None
    except MoneyError:
        raise UnreadableRowError("bad-amount", column) from None
    if not amount:
        raise UnreadableRowError("zero-amount", column)
    return amount, currency
