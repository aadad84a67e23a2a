"""Completeness against what the partner's own calls returned."""

import json
from pathlib import Path

from koinon_verify import Report, verify_bundle
from tests.unit.verify.coalition import receipts_of

OWN = ("issued", "accepted", "held", "released")


def checked(grocer: Path, *receipts: object) -> Report:
    """Return the report of the grocer's bundle against these lines; text is taken as it is."""
    path = grocer.with_suffix(".receipts")
    lines = [line if isinstance(line, str) else json.dumps(line) for line in receipts]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return verify_bundle(grocer, receipts=path)


def codes(report: Report) -> list[tuple[int | None, str]]:
    """Return the problems as (line, code); all of them must be of the receipts' file."""
    assert all(problem.file.endswith(".receipts") for problem in report.problems)
    return [(problem.line, problem.code) for problem in report.problems]


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


def test_no_receipts_at_all_are_in_order(grocer: Path) -> None:
    """A brand whose customers only pay by card has no receipts; empty lines are none."""
    report = checked(grocer, "", "")

    assert report.ok
    assert report.receipts is not None
    assert report.receipts.receipts == 0
    assert report.receipts.without == {"accepted": 2, "expired": 1, "honoured": 1, "issued": 3}


def test_a_receipt_that_the_bundle_lacks_is_named_by_its_line(grocer: Path) -> None:
    """A call that was answered and is not in the bundle: the operator left it out."""
    lost = own_receipts(grocer)[0] | {"journal": "red_99"}
    report = checked(grocer, own_receipts(grocer)[1], lost)

    assert codes(report) == [(2, "receipt-unmatched")]
    assert report.problems[0].detail == "the bundle has no entry issued of journal red_99"
    assert str(report.problems[0]).endswith("grocer.receipts:2: receipt-unmatched: " + report.problems[0].detail)


def test_a_receipt_with_other_figures_is_named(grocer: Path) -> None:
    """Points, effect, unit and window must be those that the call returned."""
    receipt = own_receipts(grocer)[0]
    changes = [{"points": "101"}, {"effect": "accepted"}, {"unit": "stamps"}, {"window": "11"}]
    report = checked(grocer, *[receipt | change for change in changes])

    assert codes(report) == [(number, "receipt-unmatched") for number in (1, 2, 3, 4)]
    assert [problem.detail for problem in report.problems] == [
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
    report = checked(grocer, own_receipts(grocer)[0] | {"journal": "red_77", "window": "11"})

    assert report.ok
    assert report.receipts is not None
    assert (report.receipts.matched, report.receipts.elsewhere) == (0, 1)


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
