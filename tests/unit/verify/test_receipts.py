"""Completeness against what the partner's own calls returned."""

import json
from pathlib import Path

import pytest

from koinon.audit.model import Effect
from koinon_verify import Report, verify_bundle
from koinon_verify.report import as_text
from tests.kit.bundles import WINDOWS, Coalition, Mover, receipts_of

Bundles = dict[tuple[int, str], bytes]

OWN = ("issued", "accepted", "held", "released")


def checked(grocer: Path, *receipts: object) -> Report:
    """Return the report of the grocer's bundle against these lines; text is taken as it is."""
    path = grocer.with_suffix(".receipts")
    lines = [line if isinstance(line, str) else json.dumps(line) for line in receipts]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return verify_bundle(grocer, receipts=path)


def codes(report: Report) -> list[tuple[int | None, str]]:
    """Return the problems of the receipts' file as (line, code)."""
    return [(problem.line, problem.code) for problem in report.problems if problem.file.endswith(".receipts")]


def missed(report: Report) -> list[tuple[int | None, str]]:
    """Return the problems of the bundle as (line, code)."""
    return [(problem.line, problem.code) for problem in report.problems if problem.file.endswith(".bundle")]


def own_receipts(grocer: Path) -> list[dict[str, str]]:
    """Return the receipts of the grocer's own calls."""
    return receipts_of(grocer.read_bytes(), *OWN)


def test_every_receipt_is_matched_and_the_rest_is_counted(grocer: Path) -> None:
    """Four receipts, one of them over two entries, are found; what others caused is counted."""
    report = checked(grocer, *own_receipts(grocer))

    assert report.ok
    assert report.receipts is not None
    assert (report.receipts.receipts, report.receipts.matched, report.receipts.elsewhere) == (4, 4, 0)
    assert report.receipts.without == {"expired": 1, "honoured": 1}
    assert {"effect": "accepted", "journal": "red_09", "points": "30"}.items() <= own_receipts(grocer)[-1].items()


def test_what_only_the_own_calls_make_has_a_receipt(grocer: Path) -> None:
    """Points accepted at the grocer's tills, of which the grocer has no receipt, are named on each entry's line."""
    report = checked(grocer, "", "")

    assert missed(report) == [(10, "entry-without-receipt"), (11, "entry-without-receipt")]
    assert codes(report) == []
    assert report.problems[0].detail == (
        "accepted of red_09 has no receipt, and only your own calls make these; "
        "if an answer was lost, the same call under its key returns it again"
    )
    assert report.receipts is not None
    assert report.receipts.receipts == 0
    assert report.receipts.without == {"accepted": 2, "expired": 1, "honoured": 1, "issued": 3}


def test_cards_clocks_and_other_tills_give_no_receipts(grocer: Path) -> None:
    """A brand whose customers earn by card only has no receipts of that, and is told what else makes such entries."""
    report = checked(grocer, own_receipts(grocer)[-1])

    assert report.ok
    assert (
        "              entries without a receipt: expired 1 (by date), honoured 1 (at any till), "
        "issued 3 (cards and other tills issue too)\n"
    ) in as_text(report)


@pytest.mark.parametrize("effect", ["held", "accepted"])
def test_a_tills_every_call_has_a_receipt(bundles: Bundles, tmp_path: Path, effect: str) -> None:
    """A hold or a capture without its receipt is refused; a hold that ran out needs none for its release."""
    cafe = tmp_path / "cafe.bundle"
    cafe.write_bytes(bundles[12, "cafe"])
    made = receipts_of(bundles[12, "cafe"], "held", "accepted")
    report = checked(cafe, *made)

    assert report.ok
    assert report.receipts is not None
    assert report.receipts.without == {"honoured": 3, "issued": 1, "released": 1}
    lines = [json.loads(each) for each in bundles[12, "cafe"].splitlines()]
    expected = [
        (number, "entry-without-receipt")
        for number, each in enumerate(lines, 1)
        if each["type"] == "entry" and each["content"]["effect"] == effect
    ]
    assert len(expected) == (1 if effect == "held" else 2)
    assert missed(checked(cafe, *(each for each in made if each["effect"] != effect))) == expected


def test_an_invented_reversal_is_found(tmp_path: Path) -> None:
    """Accepted points that are taken back by no call of the grocer's have no receipt, whatever they sum to."""
    pieces: list[Mover] = [("cafe", Effect.HONOURED, -30, 1, 0), ("grocer", Effect.ACCEPTED, -30, 2, 0)]
    forged = Coalition(windows={12: [*WINDOWS[12], ("red_88", "reverse_burn", pieces)]}).close(12)["grocer"]
    path = tmp_path / "grocer.bundle"
    path.write_bytes(forged)
    honest = receipts_of(Coalition().close(12)["grocer"], *OWN)

    assert verify_bundle(path).ok
    assert missed(checked(path, *honest)) == [(12, "entry-without-receipt")]


def test_a_receipt_names_the_contract_version(grocer: Path) -> None:
    """An entry under another version than the call was answered with is refused; older receipts name none."""
    receipt = own_receipts(grocer)[1]
    assert receipt["version"] == "2"
    old = {name: value for name, value in receipt.items() if name != "version"}

    assert codes(checked(grocer, receipt, old, {**receipt, "version": None})) == []
    report = checked(grocer, receipt | {"version": "1"}, {**receipt, "version": 2}, receipt | {"version": "0"})
    assert codes(report) == [(1, "receipt-unmatched"), (2, "field-wrong"), (3, "field-wrong")]
    assert report.problems[0].detail == "issued of red_02: the receipt says contract version 1, the bundle 2"


def test_points_under_an_older_version_are_found(tmp_path: Path) -> None:
    """An earning that is billed at the rates of a version before is refused by the receipt of the call."""
    honest = receipts_of(Coalition().close(12)["grocer"], *OWN)
    journals = list(WINDOWS[12])
    journals[1] = ("red_02", "earn", [("grocer", Effect.ISSUED, 33, 1, None)])
    journals[7] = ("red_08", "expire", [("grocer", Effect.EXPIRED, 5, 1, None)])
    path = tmp_path / "grocer.bundle"
    path.write_bytes(Coalition(windows={12: journals}).close(12)["grocer"])

    assert verify_bundle(path).ok
    assert codes(checked(path, *honest)) == [(2, "receipt-unmatched")]


def test_a_receipt_that_the_bundle_lacks_is_named_by_its_line(grocer: Path) -> None:
    """A call that was answered and is not in the bundle: the operator left it out."""
    lost = own_receipts(grocer)[0] | {"journal": "red_99"}
    report = checked(grocer, own_receipts(grocer)[1], lost)

    assert codes(report) == [(2, "receipt-unmatched")]
    assert missed(report) == [(10, "entry-without-receipt"), (11, "entry-without-receipt")]
    assert report.problems[0].detail == "the bundle has no entry issued of journal red_99"
    assert str(report.problems[0]).endswith("grocer.receipts:2: receipt-unmatched: " + report.problems[0].detail)


def test_a_receipt_with_other_figures_is_named(grocer: Path) -> None:
    """Points, effect, unit and window must be those that the call returned."""
    receipt = own_receipts(grocer)[0]
    changes = [{"points": "101"}, {"effect": "accepted"}, {"unit": "stamps"}, {"window": "11"}]
    report = checked(grocer, *[receipt | change for change in changes])

    assert codes(report) == [(number, "receipt-unmatched") for number in (1, 2, 3, 4)]
    assert [problem.detail for problem in report.problems[:4]] == [
        "issued of red_01: the receipt says 101 points, the bundle 100 points",
        "the bundle has no entry accepted of journal red_01",
        "issued of red_01: the receipt says 100 stamps, the bundle 100 points",
        "issued of red_01: the receipt says window 11",
    ]


def test_the_parts_of_a_journal_are_summed(grocer: Path) -> None:
    """A receipt over two pieces of one journal is matched by their sum, not by either of them."""
    receipt = own_receipts(grocer)[-1]

    assert codes(checked(grocer, receipt | {"points": "15"})) == [(1, "receipt-unmatched")]
    assert checked(grocer, receipt, receipt).ok  # the same call repeated returns the same receipt


def test_receipts_of_other_windows_are_left_to_their_bundles(grocer: Path) -> None:
    """A file of a whole week is fine: only this window's receipts are looked for."""
    other = own_receipts(grocer)[0] | {"journal": "red_77"}
    report = checked(grocer, *own_receipts(grocer), *(other | {"window": window} for window in ("11", "13", "9")))

    assert report.ok
    assert report.receipts is not None
    assert (report.receipts.matched, report.receipts.elsewhere) == (4, 3)
    assert "  receipts    4 of 4 matched; 3 of windows 9 to 13, which no bundle given here is of\n" in as_text(report)


def test_a_foreign_receipt_is_refused(grocer: Path) -> None:
    """A receipt of another partner or programme does not belong in the file."""
    receipt = own_receipts(grocer)[0]

    assert codes(checked(grocer, receipt | {"partner": "cafe"}, receipt | {"programme": "moon"})) == [
        (1, "receipt-foreign"),
        (2, "receipt-foreign"),
    ]


def test_a_malformed_receipt_is_refused(grocer: Path) -> None:
    """What is not JSON, lacks a field or says a number as a number is named by its line."""
    receipt = own_receipts(grocer)[0]
    numbers: dict[str, object] = {**receipt, "points": 100}
    short = {name: value for name, value in receipt.items() if name != "unit"}
    report = checked(grocer, "{", "[]", short, numbers, receipt | {"points": "1e2"}, "[" * 100_000)

    assert codes(report) == [
        (1, "receipt-malformed"),
        (2, "receipt-malformed"),
        (3, "receipt-malformed"),
        (4, "field-wrong"),
        (5, "field-wrong"),
        (6, "receipt-malformed"),
    ]


def test_a_file_that_is_not_there_is_a_problem(grocer: Path) -> None:
    """Receipts that cannot be read are never taken for none."""
    report = verify_bundle(grocer, receipts=grocer.with_suffix(".nowhere"))

    assert [(problem.line, problem.code) for problem in report.problems] == [(None, "unreadable")]
