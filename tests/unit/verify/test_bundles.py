"""Good bundles verify, with the figures that were worked out by hand."""

import json
from pathlib import Path

import pytest

from koinon_verify import verify_bundle
from tests.kit.bundles import KEY, Coalition

Bundles = dict[tuple[int, str], bytes]


@pytest.mark.parametrize(
    ("window", "partner", "pays", "receives", "net", "entries"),
    [
        (12, "grocer", 114, 26, -88, 7),
        (12, "cafe", 74, 67, -7, 8),
        (13, "grocer", -33, 0, 33, 2),
        (13, "cafe", 0, -40, -40, 1),
        (14, "grocer", 0, 0, 0, 0),
        (14, "cafe", 0, 0, 0, 0),
    ],
)
def test_every_bundle_verifies(
    bundles: Bundles, tmp_path: Path, window: int, partner: str, *, pays: int, receives: int, net: int, entries: int
) -> None:
    """Both partners' bundles of three windows hold, the last without an entry; amounts are exact."""
    path = tmp_path / "a.bundle"
    path.write_bytes(bundles[window, partner])
    report = verify_bundle(path, key=KEY.text)

    assert report.problems == []
    assert report.ok
    assert report.pinned
    statement = report.bundle.statement
    assert statement is not None
    assert (statement.pays, statement.receives, statement.net) == (pays, receives, net)
    assert len(report.bundle.entries) == entries


def test_the_lines_are_rounded_by_their_cells(bundles: Bundles) -> None:
    """The grocer's bill of window 12, line by line: rates, points and amounts worked out by hand."""
    statement = json.loads(bundles[12, "grocer"].splitlines()[-2])["statement"]
    lines = [[line[name] for name in ("leg", "version", "rate", "points", "amount")] for line in statement["lines"]]

    assert lines == [
        ["breakage", "2", "1", "5", "5"],
        ["fee", "1", "3/20", "93", "14"],
        ["fee", "2", "1/5", "33", "7"],
        ["honour_funding", "1", "17/30", "60", "34"],
        ["issue_funding", "1", "17/60", "93", "26"],
        ["issue_funding", "2", "1", "33", "33"],
        ["reimbursement", "2", "17/20", "30", "26"],
    ]


def test_the_lines_of_a_file_stand_in_their_order(bundles: Bundles) -> None:
    """Header, checkpoint, contracts by version, entries by counter, seal, statement, end."""
    lines = [json.loads(line) for line in bundles[12, "grocer"].splitlines()]

    assert [line["type"] for line in lines] == [
        "bundle",
        "checkpoint",
        "contract",
        "contract",
        *["entry"] * 7,
        "seal",
        "statement",
        "end",
    ]
    assert [line["version"] for line in lines[2:4]] == ["1", "2"]
    assert [line["content"]["counter"] for line in lines[4:11]] == ["1", "2", "3", "4", "5", "6", "7"]
    assert lines[-1]["lines"] == "13"
    assert lines[-3]["content"]["outstanding"] == "61"


def test_a_bundle_says_nothing_of_others(bundles: Bundles) -> None:
    """The grocer's file names no other brand, though they met in two journals."""
    assert b"cafe" not in bundles[12, "grocer"]
    assert b"grocer" not in bundles[12, "cafe"]
    assert bundles[12, "grocer"].count(b'"shared":{') == 3


def test_the_same_coalition_writes_the_same_bytes(bundles: Bundles) -> None:
    """Bundles are a pure function of what they are made of."""
    assert Coalition().close(12)["grocer"] == bundles[12, "grocer"]


def test_a_bundle_without_a_pinned_key_says_so(grocer: Path) -> None:
    """Without --key the log's key is taken from the bundle, and the report says so."""
    report = verify_bundle(grocer)

    assert report.ok
    assert not report.pinned
