"""The demo, from an empty folder to six verified bundles, as `make demo` runs it, on a part of the day."""

import re
from pathlib import Path
from typing import Any

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
    return [line for line in printed.splitlines() if line.startswith("│")]


def test_six_brands_verify_a_day() -> None:
    """An empty folder becomes an installation, a day, a settlement, and six bundles that hold with their receipts."""
    with installation() as environment:
        printed = koinon(environment, *PART)
        folder = Path(environment["KOINON_FOLDER"]) / "demo"

        assert "6 of 6 bundles verified" in printed
        assert "pool check: The pool holds " in printed
        assert [line.split()[1] for line in table_of(printed)[:6]] == [
            "Agora", "Chiton", "Hygieia", "Kafeneio", "Lampas", "Odos",
        ]  # fmt: skip
        assert sorted(path.name for path in folder.glob("*.*") if path.suffix != ".json") == sorted(
            f"{brand}.{kind}" for brand in BRANDS for kind in ("bundle", "receipts")
        )
        for brand in BRANDS:
            report = verify_bundle(folder / f"{brand}.bundle", folder / f"{brand}.receipts")
            assert report.ok, report.problems
            assert report.receipts is not None
            assert report.receipts.matched > 0
        nets = [statement_net(folder, brand) for brand in BRANDS]
        assert sum(nets) + houses(printed) == 0


def statement_net(folder: Path, brand: str) -> int:
    """Return what a brand nets by its own statement, in minor units."""
    statement: dict[str, Any] = msgspec.json.decode(statement_of(folder, brand))
    return int(statement["net"])


def houses(printed: str) -> int:
    """Return the sum of what the houses net by the printed table, in minor units."""
    nets = [re.findall(r"-?[0-9]+\.[0-9]{2}", line)[-1] for line in table_of(printed)[6:]]
    assert len(nets) == 4
    return sum(int(net.replace(".", "")) for net in nets)


@pytest.mark.long
def test_the_same_seed_settles_the_same() -> None:
    """Two empty machines and one seed: the same table and the same six statements, byte for byte; another seed not."""
    with installation() as first, installation() as second:
        tables = [table_of(koinon(environment, *PART, "--seed", "3")) for environment in (first, second)]
        folders = [Path(environment["KOINON_FOLDER"]) / "demo" for environment in (first, second)]
        statements = [[statement_of(folder, brand) for brand in BRANDS] for folder in folders]

        assert tables[0] == tables[1]
        assert len(tables[0]) == 10
        assert statements[0] == statements[1]

        printed = koinon(second, *PART, "--seed", "4")
        assert "this one is the programme demo-2" in printed
        assert "6 of 6 bundles verified" in printed
        assert table_of(printed) != tables[0]
