"""The demo, from an empty folder to six verified bundles, as `make demo` runs it, on a part of the day."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from koinon_verify import verify_bundle
from tests.web.demo.running import installation, koinon

BRANDS = ("agora", "chiton", "hygieia", "kafeneio", "lampas", "odos")
PART = ("demo", "--exit", "--scale", "5")


def statement_of(folder: Path, brand: str) -> bytes:
    """Return the canonical bytes of the statement in a brand's bundle."""
    lines = (folder / f"{brand}.bundle").read_bytes().splitlines()
    found = [line for line in map(msgspec.json.decode, lines) if line["type"] == "statement"]
    assert len(found) == 1
    return msgspec.json.encode(found[0]["statement"], order="sorted")


def table_of(printed: str) -> list[str]:
    """Return the table's lines of brands and houses."""
    return [line for line in printed.splitlines() if "│" in line]


class Run(NamedTuple):
    """A demo that ran on an installation of its own: its environment and what it printed."""

    environment: dict[str, str]
    printed: str

    @property
    def folder(self) -> Path:
        """Where it wrote its files."""
        return Path(self.environment["KOINON_FOLDER"]) / "demo"

    @property
    def statements(self) -> dict[str, bytes]:
        """The six statements."""
        return {brand: statement_of(self.folder, brand) for brand in BRANDS}


@pytest.fixture(scope="module")
def first() -> Iterator[Run]:
    """Give a demo in an empty folder."""
    with installation() as environment:
        yield Run(environment, koinon(environment, *PART))


def test_six_brands_verify_a_day(first: Run) -> None:
    """An empty folder becomes an installation, a day, a settlement, and six bundles that hold with their receipts."""
    assert "6 of 6 bundles verified" in first.printed
    assert "pool check: The pool holds " in first.printed
    assert [line.split()[0] for line in table_of(first.printed)[:6]] == [
        "Agora", "Chiton", "Hygieia", "Kafeneio", "Lampas", "Odos",
    ]  # fmt: skip
    assert sorted(path.name for path in first.folder.glob("*.*") if path.suffix != ".json") == sorted(
        f"{brand}.{kind}" for brand in BRANDS for kind in ("bundle", "receipts")
    )
    for brand in BRANDS:
        report = verify_bundle(first.folder / f"{brand}.bundle", first.folder / f"{brand}.receipts")
        assert report.ok, report.problems
        assert report.receipts is not None
        assert report.receipts.matched > 0
    nets = [statement_net(first.folder, brand) for brand in BRANDS]
    assert sum(nets) + houses(first.printed) == 0


def statement_net(folder: Path, brand: str) -> int:
    """Return what a brand nets by its own statement, in minor units."""
    statement: dict[str, Any] = msgspec.json.decode(statement_of(folder, brand))
    return int(statement["net"])


def houses(printed: str) -> int:
    """Return the sum of what the houses net by the printed table, in minor units."""
    nets = [re.findall(r"-?[0-9]+\.[0-9]{2}", line)[-1] for line in table_of(printed)[6:]]
    assert len(nets) == 4
    return sum(int(net.replace(".", "")) for net in nets)


def test_the_same_seed_settles_the_same(first: Run) -> None:
    """On another empty machine: the same table and the same six statements, byte for byte."""
    with installation() as environment:
        second = Run(environment, koinon(environment, *PART))

        assert len(table_of(first.printed)) == 10
        assert table_of(second.printed) == table_of(first.printed)
        assert second.statements == first.statements


@pytest.mark.long
def test_another_seed_settles_another_day(first: Run) -> None:
    """On the same machine a second demo has a programme of its own, and another seed another table."""
    printed = koinon(first.environment, *PART, "--seed", "4")

    assert "this one is the programme demo-2" in printed
    assert "6 of 6 bundles verified" in printed
    assert table_of(printed) != table_of(first.printed)
