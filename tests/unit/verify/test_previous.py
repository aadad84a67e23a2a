"""A bundle follows on from the one before: cumulative figures, outstanding points, the log's size."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from koinon.audit.bundles import Extended
from koinon.audit.model import Effect
from koinon_verify import Report, previous, verify_bundle
from koinon_verify.previous import NO_CONSISTENCY_PROOF
from koinon_verify.report import as_text
from tests.kit.bundles import CONTRACTS, WINDOWS, Coalition, ended, receipts_of, terms

Bundles = dict[tuple[int, str], bytes]


def followed(folder: Path, bundle: bytes, previous: bytes, receipts: Path | None = None) -> Report:
    """Return the report of a bundle that is held to the one before."""
    (folder / "this").write_bytes(bundle)
    (folder / "before").write_bytes(previous)
    return verify_bundle(folder / "this", receipts, previous=folder / "before")


def found(report: Report) -> list[tuple[str, int | None, str]]:
    """Return the problems as (file, line, code)."""
    return [(Path(problem.file).name, problem.line, problem.code) for problem in report.problems]


@pytest.mark.parametrize("partner", ["grocer", "cafe"])
def test_a_nights_bundle_follows_on(bundles: Bundles, tmp_path: Path, partner: str) -> None:
    """Window 13 starts where 12 ended, reversals, cells without new points and expired points included."""
    for window in (13, 14):
        report = followed(tmp_path, bundles[window, partner], bundles[window - 1, partner])

        assert report.problems == []
        assert report.notes == []


def test_a_window_in_between_is_missed(bundles: Bundles, tmp_path: Path) -> None:
    """Held to the bundle before last, a bundle is refused: what was billed in between is in neither."""
    report = followed(tmp_path, bundles[14, "grocer"], bundles[12, "grocer"])

    assert found(report) == [("this", 1, "previous-mismatch")]
    assert report.problems[0].detail == (
        "the bundle of window 13 is needed: what was billed since window 12 is not shown"
    )


def test_a_skipped_window_hides_nothing(tmp_path: Path) -> None:
    """Points accepted in a window that both bundles leave out are not lost unseen, though all figures agree."""
    coalition = Coalition(
        windows={
            **WINDOWS,
            13: [("red_30", "capture", [("cafe", Effect.HONOURED, 500, 1, 0), ("grocer", Effect.ACCEPTED, 500, 2, 0)])],
            14: [("red_40", "earn", [("grocer", Effect.ISSUED, 10, 2, None)])],
        }
    )
    first = coalition.close(12)["grocer"]
    billed, outstanding = dict(coalition.billed), coalition.outstanding.copy()
    skipped = coalition.close(13)["grocer"]
    coalition.billed, coalition.outstanding = billed, outstanding
    last = coalition.close(14)["grocer"]
    made = [receipt for each in (first, skipped, last) for receipt in receipts_of(each, "issued", "accepted")]
    (tmp_path / "receipts").write_text("".join(json.dumps(each) + "\n" for each in made), encoding="utf-8")
    report = followed(tmp_path, last, first, tmp_path / "receipts")

    assert found(report) == [("this", 1, "previous-mismatch")]
    assert report.receipts is not None
    assert (report.receipts.elsewhere, report.receipts.first, report.receipts.last) == (5, 12, 13)
    assert "1 of 1 matched; 5 of windows 12 to 13, which no bundle given here is of" in as_text(report)


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


def test_a_rewritten_log_is_found(bundles: Bundles, tmp_path: Path) -> None:
    """A log that was changed below the checkpoint of the night before cannot prove that it extends it."""
    coalition = Coalition()
    before = coalition.close(12)["grocer"]
    coalition.leaves[0] = b"another older leaf"
    forged = coalition.close(13)["grocer"]
    (tmp_path / "alone").write_bytes(forged)

    assert verify_bundle(tmp_path / "alone").ok
    report = followed(tmp_path, forged, before)
    assert found(report) == [("this", 3, "previous-mismatch")]
    assert report.problems[0].detail == ("the log of 18 leaves does not extend the 14 of window 12: it was rewritten")


def later(alter: Callable[[Extended], Extended | None]) -> bytes:
    """Return the grocer's bundle of window 13 with another proof that the log extends window 12's."""
    coalition = Coalition(alter_extends=alter)
    coalition.close(12)
    return coalition.close(13)["grocer"]


@pytest.mark.parametrize(
    ("alter", "line"),
    [
        (lambda _: None, 2),
        (lambda extends: replace(extends, proof=extends.proof[1:]), 3),
        (lambda extends: replace(extends, proof=[*extends.proof, bytes(32)]), 3),
        (lambda extends: replace(extends, size=extends.size - 1), 3),
        (lambda extends: replace(extends, window=11), 3),
        (lambda extends: replace(extends, window=13), 3),
    ],
)
def test_a_proof_that_proves_nothing_is_found(
    bundles: Bundles, tmp_path: Path, alter: Callable[[Extended], Extended | None], line: int
) -> None:
    """The line may not be left out, be about another checkpoint, or pass the bundle before over."""
    assert found(followed(tmp_path, later(alter), bundles[12, "grocer"])) == [("this", line, "previous-mismatch")]


def test_a_proof_of_more_than_there_is_is_malformed(tmp_path: Path) -> None:
    """A log cannot extend one that is larger; the line says so by itself."""
    (tmp_path / "this").write_bytes(later(lambda extends: replace(extends, size=19)))

    assert [(problem.line, problem.code) for problem in verify_bundle(tmp_path / "this").problems] == [
        (3, "field-wrong")
    ]


def test_bundles_of_the_first_version_have_no_proof(
    bundles: Bundles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They follow on with a note; but none may follow a bundle of the second version."""
    monkeypatch.setattr("koinon.audit.bundles.BUNDLE_VERSION", "1")
    coalition = Coalition(alter_extends=lambda _: None)
    before, this = coalition.close(12)["grocer"], coalition.close(13)["grocer"]

    report = followed(tmp_path, this, before)
    assert (report.problems, report.notes) == ([], [NO_CONSISTENCY_PROOF])
    assert found(followed(tmp_path, this, bundles[12, "grocer"])) == [("this", 2, "previous-mismatch")]
    assert found(followed(tmp_path, bundles[13, "grocer"], before)) == []


def test_a_rewritten_past_is_found(bundles: Bundles, tmp_path: Path) -> None:
    """A statement that starts from a history of its own, consistent in itself, does not follow on."""
    coalition = Coalition()
    coalition.close(12)
    for leg, billed in (("fee", 150), ("issue_funding", 283)):
        coalition.billed["grocer", leg, "issued", 1] = (1_000, billed)
    coalition.outstanding["grocer"] += 1_000 - 93
    forged = coalition.close(13)["grocer"]
    (tmp_path / "alone").write_bytes(forged)

    assert verify_bundle(tmp_path / "alone").ok
    report = followed(tmp_path, forged, bundles[12, "grocer"])
    assert found(report) == [("this", 8, "previous-mismatch"), ("this", 9, "previous-mismatch")]
    assert [problem.detail for problem in report.problems] == [
        "outstanding is 1029, and 61 + 1 - -60 - 0 is 122",
        "fee, version 1: starts from (1000, 150) points and minor units, the previous ended at (93, 14)",
    ]


def test_a_journal_of_two_windows_is_found(tmp_path: Path) -> None:
    """An earning that was billed in one window, and is again in the next, is named by its entry."""
    coalition = Coalition(windows={**WINDOWS, 13: [WINDOWS[12][0], *WINDOWS[13]]})
    before, this = coalition.close(12)["grocer"], coalition.close(13)["grocer"]
    report = followed(tmp_path, this, before)

    assert found(report) == [("this", 6, "entry-duplicated")]
    assert report.problems[0].detail == "journal red_01 stands in the previous bundle too, on line 5"


@pytest.mark.parametrize("named", [True, False])
def test_terms_that_changed_under_their_version_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, named: bool
) -> None:
    """A contract version whose terms are others than the night before is named, and so is a rate that moved."""
    coalition = Coalition()
    before = coalition.close(12)["grocer"]
    changed = terms("grocer", 2, "6/5", "1/5", "1", "1/100")
    monkeypatch.setitem(CONTRACTS, "grocer", [CONTRACTS["grocer"][0], changed])
    coalition.billed["grocer", "reimbursement", "accepted", 2] = (30, 0)
    this = coalition.close(13)["grocer"]
    (tmp_path / "alone").write_bytes(this)

    assert verify_bundle(tmp_path / "alone").ok
    if named:
        assert found(followed(tmp_path, this, before)) == [
            ("this", 5, "previous-mismatch"),
            ("this", 9, "previous-mismatch"),
        ]
        return
    monkeypatch.setattr(previous, "_check_contracts", lambda now, then: iter(()))
    report = followed(tmp_path, this, before)
    assert found(report) == [("this", 9, "previous-mismatch")]
    assert report.problems[0].detail == "reimbursement, version 2: the rate is 1/100, and was 17/20 before"


def test_receipts_of_the_window_before_are_matched_there(bundles: Bundles, tmp_path: Path) -> None:
    """With both bundles at hand, a file of both windows' receipts is matched whole; one that is in neither is named."""
    before, this = bundles[12, "grocer"], bundles[13, "grocer"]
    made = [*receipts_of(before, "issued", "accepted"), *receipts_of(this, "issued")]
    (tmp_path / "receipts").write_text("".join(json.dumps(each) + "\n" for each in made), encoding="utf-8")
    report = followed(tmp_path, this, before, tmp_path / "receipts")

    assert report.problems == []
    assert report.receipts is not None
    assert (report.receipts.matched, report.receipts.before, report.receipts.elsewhere) == (1, 4, 0)
    assert "  receipts    5 of 5 matched, 4 of them in the previous bundle\n" in as_text(report)
    lost = made[0] | {"journal": "red_99"}
    (tmp_path / "receipts").write_text(json.dumps(lost) + "\n", encoding="utf-8")
    report = followed(tmp_path, this, before, tmp_path / "receipts")
    assert found(report) == [("receipts", 1, "receipt-unmatched")]


def test_a_bundles_lines_are_where_the_cases_say(bundles: Bundles) -> None:
    """The line numbers above are those of the seal and the statement."""
    kinds = {
        window: [json.loads(line)["type"] for line in bundles[window, "grocer"].splitlines()] for window in (13, 14)
    }

    assert (kinds[13][8], kinds[14][5], kinds[14][6]) == ("statement", "seal", "statement")
    assert (kinds[13][2], kinds[14][2]) == ("consistency", "consistency")
