"""Replays: what a file is known by, how its rows become postings, when its programme begins."""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from load_tests.driver.replaying import Posting, batches, file_digest, kept, midnight
from load_tests.replay import MAPPINGS, Row, load_layout

LAYOUT = load_layout(MAPPINGS / "birmingham_purchase_cards.toml")


def test_a_file_is_known_by_its_bytes(tmp_path: Path) -> None:
    """The name does not count."""
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_bytes(b"row,amount\n")

    expected = hashlib.sha256(b"row,amount\n").hexdigest()
    assert [file_digest(tmp_path / name) for name in ("a.csv", "b.csv")] == [expected, expected]


def test_rows_that_can_be_read_are_kept() -> None:
    """Every row is passed on; the messages of the readable ones are kept as bytes, with their time."""

    def rows() -> Iterator[Row]:
        yield Row(line=2, body={"message_id": "m-1", "occurred_at": "2014-01-31T12:00:00+00:00"})
        yield Row(line=3, error="bad-date", column="trans_date")

    postings: list[Posting] = []

    assert [row.line for row in kept(rows(), postings)] == [2, 3]
    assert [(bytes(each.message), each.occurred_at) for each in postings] == [
        (b'{"message_id":"m-1","occurred_at":"2014-01-31T12:00:00+00:00"}', "2014-01-31T12:00:00+00:00")
    ]


def test_batches_keep_the_order() -> None:
    """Seven postings by three are three, three and one."""
    postings = [Posting(msgspec.Raw(str(number).encode()), "") for number in range(7)]

    assert [[bytes(each.message) for each in batch] for batch in batches(postings, 3)] == [
        [b"0", b"1", b"2"],
        [b"3", b"4", b"5"],
        [b"6"],
    ]


def test_a_programme_begins_at_a_midnight_of_the_files_zone() -> None:
    """In London's summer, noon by UTC lies after a midnight that is one hour earlier."""
    begin = midnight("2014-07-01T12:00:00+01:00", LAYOUT)

    assert begin == datetime(2014, 7, 1, tzinfo=ZoneInfo("Europe/London"))
    assert begin.isoformat() == "2014-07-01T00:00:00+01:00"
