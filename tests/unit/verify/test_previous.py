"""A bundle follows on from the one before: cumulative figures, outstanding points, the log's size."""

import json
from pathlib import Path
from typing import Any

import pytest

from koinon_verify import Report, verify_bundle
from koinon_verify.previous import NO_CONSISTENCY_PROOF
from tests.unit.verify.coalition import Coalition, ended

Bundles = dict[tuple[int, str], bytes]


def followed(folder: Path, bundle: bytes, previous: bytes) -> Report:
    """Return the report of a bundle that is held to the one before."""
    (folder / "this").write_bytes(bundle)
    (folder / "before").write_bytes(previous)
    return verify_bundle(folder / "this", previous=folder / "before")


def found(report: Report) -> list[tuple[str, int | None, str]]:
    """Return the problems as (file, line, code)."""
    return [(Path(problem.file).name, problem.line, problem.code) for problem in report.problems]


@pytest.mark.parametrize("partner", ["grocer", "cafe"])
def test_a_nights_bundle_follows_on(bundles: Bundles, tmp_path: Path, partner: str) -> None:
    """Window 13 starts where 12 ended, reversals, cells without new points and expired points included."""
    for window in (13, 14):
        report = followed(tmp_path, bundles[window, partner], bundles[window - 1, partner])

        assert report.problems == []
        assert report.notes == [NO_CONSISTENCY_PROOF]


def test_a_window_in_between_that_billed_is_missed(bundles: Bundles, tmp_path: Path) -> None:
    """Held to the bundle before last, cumulative figures and outstanding points do not fit."""
    report = followed(tmp_path, bundles[14, "grocer"], bundles[12, "grocer"])

    assert [(problem.line, problem.code) for problem in report.problems] == [
        (5, "previous-mismatch"),
        (6, "previous-mismatch"),
    ]
    assert report.problems[0].detail == "outstanding is 122, and 61 + 0 - 0 - 0 is 61"
    assert report.problems[1].detail == (
        "fee, version 1: starts from (94, 14) points and minor units, the previous ended at (93, 14)"
    )


def test_another_partners_or_a_later_bundle_is_not_the_one_before(bundles: Bundles, tmp_path: Path) -> None:
    """The bundle before is the same partner's, of an earlier window."""
    this = bundles[13, "grocer"]

    assert found(followed(tmp_path, this, bundles[12, "cafe"])) == [("this", 1, "previous-mismatch")]
    assert found(followed(tmp_path, this, this)) == [("this", 1, "previous-mismatch")]
    assert found(followed(tmp_path, this, bundles[14, "grocer"])) == [("this", 1, "previous-mismatch")]


def test_a_bundle_before_that_does_not_hold_is_named(bundles: Bundles, tmp_path: Path) -> None:
    """The previous bundle is verified too, and its own lines are named."""
    lines = bundles[12, "grocer"].splitlines(keepends=True)
    broken = ended([*lines[:4], lines[5], lines[4], *lines[6:-1]])

    assert ("before", 5, "counter-gap") in found(followed(tmp_path, bundles[13, "grocer"], broken))
    (tmp_path / "before").unlink()
    assert found(verify_bundle(tmp_path / "this", previous=tmp_path / "before")) == [("before", None, "unreadable")]


def test_a_log_that_shrank_is_found(bundles: Bundles, tmp_path: Path) -> None:
    """A checkpoint of fewer leaves than before, or of as many with another root, is a fork."""
    fresh = Coalition(leaves=[])
    fresh.windows = {12: [], 13: fresh.windows[13]}
    forked = fresh.close(13)["grocer"]
    report = followed(tmp_path, forked, bundles[12, "grocer"])

    assert found(report)[0] == ("this", 2, "previous-mismatch")
    assert report.problems[0].detail == "the log has shrunk from 14 to 4 leaves"
    same = Coalition(leaves=[b"another older leaf"] * 10)
    report = followed(tmp_path, same.close(13)["grocer"], bundles[12, "grocer"])
    assert report.problems[0].detail == "two checkpoints of 14 leaves have different roots"


def test_a_rewritten_past_is_found(bundles: Bundles, tmp_path: Path) -> None:
    """A statement that starts from a history of its own, consistent in itself, does not follow on."""

    def alter(statement: dict[str, Any]) -> None:
        fee = statement["lines"][1]
        assert fee["leg"] == "fee"
        fee.update(points_before="1000", billed_before="150", amount="0")

    coalition = Coalition(alter_statement=None)
    coalition.close(12)
    coalition.alter_statement = alter
    forged = coalition.close(13)["grocer"]
    (tmp_path / "alone").write_bytes(forged)

    assert verify_bundle(tmp_path / "alone").ok
    assert found(followed(tmp_path, forged, bundles[12, "grocer"])) == [("this", 8, "previous-mismatch")]


def test_a_bundles_lines_are_where_the_cases_say(bundles: Bundles) -> None:
    """The line numbers above are those of the seal and the statement."""
    kinds = {
        window: [json.loads(line)["type"] for line in bundles[window, "grocer"].splitlines()] for window in (13, 14)
    }

    assert (kinds[13][7], kinds[14][4], kinds[14][5]) == ("statement", "seal", "statement")
