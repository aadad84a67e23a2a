"""What a run of the benchmark says: ratios first, because rates are a machine's and ratios the platform's."""

from collections.abc import Mapping
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from load_tests.bench.figures import Measured, Ratio, Spread, ratio

# (over, under, what the ratio says)
COMPARED = (
    ("ours single", "raw single, outbox", "ours ÷ raw, one earn a call, both with the outbox row"),
    ("ours set", "raw set, outbox", "ours ÷ raw, 100 earns a call, both with the outbox row"),
    ("ours single, one brand", "ours single", "all at one brand ÷ spread over 100, one earn a call"),
    ("ours set, one brand", "ours set", "all at one brand ÷ spread over 100, 100 earns a call"),
    ("http earning, one brand", "http earning", "all at one brand ÷ spread over 100, over HTTP"),
    ("http earning, one offer", "http earning, 100 offers", "all on one budget ÷ spread over 100, over HTTP"),
    ("http earning, 100 offers", "http earning", "decided by offers with budgets ÷ stated by the till, over HTTP"),
    ("feed to 202, one brand", "feed to 202", "all at one brand ÷ spread over 100, the feed to 202"),
    ("feed to rewarded, one brand", "feed to rewarded", "all on one budget ÷ spread over 100, the feed to rewarded"),
    ("http earning, 1,000 offers", "http earning, 100 offers", "1,000 offers ÷ 100, over HTTP"),
    ("feed to rewarded, 1,000 offers", "feed to rewarded", "1,000 offers ÷ 100, the feed to rewarded"),
    ("raw single, outbox", "raw single", "what the outbox row costs raw, one earn a call"),
    ("raw set, outbox", "raw set", "what the outbox row costs raw, 100 earns a call"),
    ("http earning", "raw single, outbox", "an earning over HTTP ÷ raw, one earn a call"),
    ("feed to 202", "raw feed", "the feed to 202 ÷ raw rows of the same two tables"),
    ("feed to rewarded", "raw rewards", "the feed to rewarded ÷ raw rows of the same tables, but for the log's"),
    ("raw single, outbox", "pgbench -N", "raw ÷ pgbench -N: a slow baseline would show here"),
)

UNITS = {
    "pgbench -N": "transactions",
    "raw single": "earns",
    "raw single, outbox": "earns",
    "ours single": "earns",
    "ours single, one brand": "earns",
    "raw set": "earns",
    "raw set, outbox": "earns",
    "ours set": "earns",
    "ours set, one brand": "earns",
    "http earning": "earnings",
    "http earning, one brand": "earnings",
    "http earning, 100 offers": "earnings",
    "http earning, one offer": "earnings",
    "http earning, 1,000 offers": "earnings",
    "raw feed": "messages",
    "raw rewards": "rewards",
    "feed to 202": "messages",
    "feed to 202, one brand": "messages",
    "feed to rewarded": "messages",
    "feed to rewarded, one brand": "messages",
    "feed to 202, 1,000 offers": "messages",
    "feed to rewarded, 1,000 offers": "messages",
}
"""Every load, in the order in which it is printed, and what it counts."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """All that a run found, and where; `rows` were held to what was counted.

    `bytes_an_earning`: what an earning whose points the till stated takes, by table, with indexes.
    """

    machine: dict[str, str]
    rounds: int
    seconds: int
    rows: dict[str, dict[str, int]]
    ratios: tuple[Ratio, ...]
    measured: tuple[Measured, ...]
    bytes_an_earning: dict[str, int]


def result(
    machine: dict[str, str],
    *,
    rounds: int,
    seconds: int,
    rows: dict[str, dict[str, int]],
    measured: Mapping[str, Measured],
    bytes_an_earning: dict[str, int],
) -> Result:
    """Return the result of a run, with every ratio whose two sides were measured."""
    ratios = tuple(
        ratio(says, measured[over], measured[under])
        for over, under, says in COMPARED
        if over in measured and under in measured
    )
    return Result(
        machine=machine,
        rounds=rounds,
        seconds=seconds,
        rows=rows,
        ratios=ratios,
        measured=tuple(measured.values()),
        bytes_an_earning=bytes_an_earning,
    )


def show(found: Result, console: Console) -> None:
    """Print a result: ratios, rates, and where they were measured."""
    ratios = Table(title="ratios: median of the rounds, with the smallest and the largest")
    for column in ("", "median", "from", "to"):
        ratios.add_column(column, justify="right" if column else "left")
    for each in found.ratios:
        ratios.add_row(each.name, *_cells(each.spread, "{:.2f}"))
    if found.ratios:
        console.print(ratios)
    rates = Table(title="rates a second")
    for column in ("load", "of", "median", "from", "to"):
        rates.add_column(column, justify="left" if column in {"load", "of"} else "right")
    for measured in found.measured:
        rates.add_row(measured.name, measured.unit, *_cells(measured.spread, "{:,.0f}"))
    console.print(rates)
    if found.bytes_an_earning:
        taken = Table(title="bytes an earning over HTTP, with indexes")
        taken.add_column("table")
        taken.add_column("bytes", justify="right")
        for name, size in (found.bytes_an_earning | {"all": sum(found.bytes_an_earning.values())}).items():
            taken.add_row(name, f"{size:,}")
        console.print(taken)
    held = {f"rows of {where}": _counted(counts) for where, counts in found.rows.items()}
    for name, value in (found.machine | held).items():
        console.print(f"{name:<22} {value}", highlight=False, soft_wrap=True)
    console.print(
        f"{found.rounds} rounds of {found.seconds} s a load; the two sides of a ratio are of one round. "
        "Of five rounds, the smallest and the largest enclose the true median 94 times in 100.",
        highlight=False,
        soft_wrap=True,
    )


def as_json(found: Result) -> str:
    """Return a result as one line of JSON."""
    value: dict[str, Any] = msgspec.to_builtins(found)
    for entry, each in zip(value["measured"], found.measured, strict=True):
        entry["spread"] = msgspec.to_builtins(each.spread)
    return msgspec.json.encode(value).decode()


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)


def _cells(spread: Spread, form: str) -> tuple[str, str, str]:
    return form.format(spread.median), form.format(spread.least), form.format(spread.most)
