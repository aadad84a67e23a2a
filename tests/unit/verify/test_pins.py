"""The contract versions that a brand keeps pin those that it is billed under."""

import json
from pathlib import Path

import pytest

from koinon.audit.leaves import canonical, contract_bytes
from koinon_verify import Report, main, verify_bundle
from koinon_verify.report import as_json
from tests.kit.bundles import CONTRACTS, Coalition, terms

OWN = [contract_bytes(each) for each in CONTRACTS["grocer"]]


def kept(folder: Path, *files: bytes) -> list[Path]:
    """Write the files that a brand keeps its contracts in."""
    paths = [folder / f"{number}.contract" for number, _ in enumerate(files, 1)]
    for path, data in zip(paths, files, strict=True):
        path.write_bytes(data)
    return paths


def found(report: Report) -> list[tuple[str, int | None, str]]:
    """Return the problems as (file, line, code)."""
    return [(Path(problem.file).name, problem.line, problem.code) for problem in report.problems]


def test_a_bill_under_the_contracts_that_were_kept_holds(grocer: Path, tmp_path: Path) -> None:
    """A file for each version or one for all, in any spelling, with a version that nothing was billed under."""
    later = contract_bytes(terms("grocer", 3, "1", "1/10", "1", "1/2"))
    pretty = json.dumps(json.loads(OWN[0]), indent=1).replace("\n", " ").encode() + b"\r\n"
    for files in ([*OWN, later], [b"\n".join([*OWN, later]) + b"\n\n"], [pretty, OWN[1]]):
        report = verify_bundle(grocer, contracts=kept(tmp_path, *files))

        assert report.problems == []
        assert report.pinned_contracts == {1, 2}
        assert [each["pinned"] for each in json.loads(as_json(report))["contracts"]] == [True, True]


def test_the_report_says_which_versions_are_pinned(
    grocer: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--contract` may be given again and again, and the terms are printed with the word that they are the brand's."""
    first, second = map(str, kept(tmp_path, *OWN))

    assert main([str(grocer), "--contract", first, "--contract", second]) == 0
    assert capsys.readouterr().out.count("(as given by --contract)") == 2


def test_other_terms_than_were_signed_are_found(grocer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bill at another price, right in itself, is refused on the line of the contract, naming what differs."""
    dearer = terms("grocer", 1, "3", "3/20", "1/3", "1/2")
    monkeypatch.setitem(CONTRACTS, "grocer", [dearer, CONTRACTS["grocer"][1]])
    grocer.write_bytes(Coalition().close(12)["grocer"])

    assert verify_bundle(grocer).ok
    report = verify_bundle(grocer, contracts=kept(tmp_path, *OWN))
    assert found(report) == [("grocer.bundle", 3, "contract-not-pinned")]
    assert report.problems[0].detail == "version 1 is not the one given by --contract: price is 3, not 1"
    assert report.pinned_contracts == {2}


def test_a_version_that_was_not_kept_is_found(grocer: Path, tmp_path: Path) -> None:
    """Once some are given, a version that is not among them is refused."""
    report = verify_bundle(grocer, contracts=kept(tmp_path, OWN[0]))

    assert found(report) == [("grocer.bundle", 4, "contract-not-pinned")]
    assert report.problems[0].detail == "version 2 is not among those given by --contract"


def test_a_file_that_is_no_contract_is_found(grocer: Path, tmp_path: Path) -> None:
    """What is no contract version of the brand's pins nothing: the file's line is named, and the bill not held."""
    plain = json.loads(OWN[0])
    wrong = {
        "receipt-like": (b'{"effect":"issued"}', "field-wrong"),
        "not JSON": (b"price 1\n", "not-canonical"),
        "a list": (b"[]", "not-canonical"),
        "twice": (OWN[0][:-1] + b',"price":"1"}', "not-canonical"),
        "numbers": (canonical({**plain, "price": 1}), "not-canonical"),
        "another type": (canonical({**plain, "type": "entry"}), "field-wrong"),
        "a negative rate": (canonical({**plain, "honour": "-1/2"}), "field-wrong"),
        "a fee above the price": (canonical({**plain, "fee": "2"}), "field-wrong"),
        "no currency": (canonical({**plain, "currency": "XXX"}), "currency-wrong"),
        "another's": (contract_bytes(CONTRACTS["cafe"][0]), "identity-mismatch"),
        "two of one": (b"\n".join([*OWN, contract_bytes(terms("grocer", 2, "9", "1", "1", "1"))]), "contract-mismatch"),
    }
    for name, (data, code) in wrong.items():
        report = verify_bundle(grocer, contracts=kept(tmp_path, data))
        assert (data.count(b"\n") if name == "two of one" else 0) + 1 in {
            problem.line
            for problem in report.problems
            if (problem.code, Path(problem.file).name) == (code, "1.contract")
        }, name
    assert ("nowhere", None, "unreadable") in found(verify_bundle(grocer, contracts=[tmp_path / "nowhere"]))
