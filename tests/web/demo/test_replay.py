"""`koinon replay`: a file of card postings becomes purchases and rewards, once, however often it is replayed."""

import csv
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.web.demo.running import installation, koinon

COLUMNS = (
    "row", "trans_date", "card_last4", "merchant_name", "account_desc", "original_gross_amount", "original_currency",
    "billing_gross_amount", "billing_currency",
)  # fmt: skip
SHOPS = ("tesco stores 2933", "tesco stores 1111", "amazon eu", "trainline", "premier inn 441")


def write_file(path: Path, rows: int) -> None:
    """Write a file of the shape of the city's purchase cards: one row in ten a refund, one that cannot be read."""
    with path.open("w", encoding="utf-8", newline="") as text:
        writer = csv.DictWriter(text, COLUMNS)
        writer.writeheader()
        for number in range(rows):
            amount = -5 if number % 10 == 9 else 20 + number % 50
            date = "never" if number == 7 else f"2014-0{1 + number * 6 // rows}-15"
            writer.writerow(
                {
                    "row": str(1000 + number),
                    "trans_date": date,
                    "card_last4": f"{5000 + number % 12}",
                    "merchant_name": SHOPS[number % len(SHOPS)],
                    "account_desc": "Equipment",
                    "original_gross_amount": f"{amount}.00",
                    "original_currency": "GBP",
                }
            )


def replay(environment: dict[str, str], path: Path) -> dict[str, Any]:
    """Replay a file and return the counts of its last line."""
    counts: dict[str, Any] = msgspec.json.decode(koinon(environment, "replay", str(path), "--json").splitlines()[-1])
    return counts


def test_a_file_is_replayed_once(tmp_path: Path) -> None:
    """Every readable row is accepted and its purchase rewarded; again, every one is a duplicate and nothing moves."""
    write_file(tmp_path / "cards.csv", 240)
    with installation() as environment:
        first = replay(environment, tmp_path / "cards.csv")
        again = replay(environment, tmp_path / "cards.csv")

    assert {name: first[name] for name in ("rows", "unreadable", "accepted", "duplicate", "conflict", "refused")} == {
        "rows": 240, "unreadable": 1, "accepted": 239, "duplicate": 0, "conflict": 0, "refused": 0,
    }  # fmt: skip
    assert (first["purchases"], first["refunds"], first["members"], first["places"]) == (215, 24, 12, 4)
    expected = sum(20 + number % 50 for number in range(240) if number % 10 != 9 and number != 7)
    assert (first["rewards"], first["posted_points"], first["points"]) == (215, expected, expected)
    assert (again["accepted"], again["duplicate"]) == (0, 239)
    for name in ("purchases", "refunds", "rewards", "posted_points", "pending_points", "points", "programme"):
        assert again[name] == first[name], name


@pytest.mark.long
def test_the_real_file_is_replayed_once(data_folder: Path) -> None:
    """79,205 postings are accepted and rewarded; again, 79,205 are duplicates and the balances are unchanged."""
    path = data_folder / "purchase_cards_2013_2015.csv.gz"
    with installation() as environment:
        first, again = (replay(environment, path) for _ in range(2))
    print(f"{first['rows']} rows replayed, {first['rows_per_second']} a second")

    assert (first["rows"], first["accepted"], first["duplicate"]) == (79_205, 79_205, 0)
    assert (first["purchases"], first["refunds"]) == (77_762, 1_443)
    assert first["rewards"] > 0
    assert (again["rows"], again["accepted"], again["duplicate"]) == (79_205, 0, 79_205)
    assert (again["points"], again["rewards"]) == (first["points"], first["rewards"])
