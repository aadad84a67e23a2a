"""What is printed: never a traceback, never a line or a colour of a forger's, and never more than somebody reads."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import koinon_verify
from koinon_verify import main, verify_bundle
from koinon_verify.files import LINE_BYTES_MAX
from koinon_verify.printing import SHOWN_CHARACTERS, printable
from koinon_verify.problems import PROBLEMS_KEPT
from koinon_verify.report import as_json, as_text, problems_text
from tests.kit.bundles import KEY, Coalition, ended, receipts_of
from tests.unit.verify.test_forgeries import edited, set_field

PACKAGE = Path(koinon_verify.__file__).parent
NASTY = "night\n  net       +10.00 EUR\nverified\x1b[8m\u202e\x07\r\u2028\ud800"
ESCAPED = "night\\u000a  net       +10.00 EUR\\u000averified\\u001b[8m\\u202e\\u0007\\u000d\\u2028\\ud800"


def run(*arguments: str | bytes, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run the verifier as a program of its own."""
    return subprocess.run(
        [sys.executable, "-m", "koinon_verify", *arguments],
        cwd=PACKAGE.parent,
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
    )


def test_what_does_not_print_as_itself_is_escaped() -> None:
    """Controls, newlines, escapes, bidi overrides and lone surrogates are written by their codes; letters are not."""
    assert printable(NASTY) == ESCAPED
    assert printable("Ελλάς ärztlich 花 é \\") == "Ελλάς ärztlich 花 é \\"
    assert printable("\U000e0041\u00a0\u200b\x7f\x9b") == "\\U000e0041\\u00a0\\u200b\\u007f\\u009b"
    assert printable("a" * SHOWN_CHARACTERS) == "a" * SHOWN_CHARACTERS
    for long in ("a" * (SHOWN_CHARACTERS + 1), "\n" * 10_000_000):
        assert len(printable(long)) == SHOWN_CHARACTERS
        assert printable(long).endswith("...")


@pytest.mark.parametrize("place", [0, 2, 4, 11, 12])
def test_no_text_of_a_bundle_reaches_a_terminal_raw(tmp_path: Path, place: int) -> None:
    """Whatever names a line carries, the report has a line of its own for each thing that it says."""
    nasty = NASTY.removesuffix("\ud800")
    for name in ("partner", "programme", "origin", "leaf", "slot"):
        path = tmp_path / "forged.bundle"
        path.write_bytes(edited(place, set_field(**{name: nasty})))
        report = verify_bundle(path)

        for text in (problems_text(report), as_text(report)):
            assert all(line.isprintable() for line in text.split("\n"))
        assert as_text(report).endswith("\nNOT VERIFIED")
        assert as_text(report).count("verified") == as_text(report).count("\\u000averified")
        assert as_json(report).isascii()
        assert as_json(report).isprintable()


def test_names_and_files_are_printed_safely(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The title and the name of the file go the same way."""
    named = set_field(programme="sun\x1b[2J")
    path = tmp_path / "forged\x1b[8m.bundle"
    path.write_bytes(edited(0, named, Coalition(alter_seal=named).close(12)["grocer"]))

    assert main([str(path)]) == 1
    printed = capsys.readouterr()
    assert "\x1b" not in printed.out + printed.err
    assert printed.out.startswith("grocer, sun\\u001b[2J, window 12")
    assert "forged\\u001b[8m.bundle:" in printed.err


def test_a_receipt_of_a_lone_surrogate_is_told(grocer: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON may spell half a character, which no encoding has: both reports name it by its code."""
    receipts = grocer.with_suffix(".receipts")
    receipt = receipts_of(grocer.read_bytes(), "issued")[0] | {"journal": "\ud800"}
    receipts.write_text(json.dumps(receipt) + "\n", encoding="utf-8")

    assert main([str(grocer), "--receipts", str(receipts), "--json"]) == 1
    (problem,) = [each for each in json.loads(capsys.readouterr().out)["problems"] if each["file"] == str(receipts)]
    assert problem["detail"] == "the bundle has no entry issued of journal \ud800"
    assert main([str(grocer), "--receipts", str(receipts)]) == 1
    assert "of journal \\ud800\n" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_every_terminal_can_be_told(grocer: Path, encoding: str) -> None:
    """A terminal without UTF-8 gets the whole report; a file and a key whose names are no text are named by bytes."""
    said = run(str(grocer), PYTHONIOENCODING=encoding)
    assert (said.returncode, said.stderr) == (0, b"")
    assert said.stdout.isascii()
    assert said.stdout.endswith(b"\nverified\n")

    strange = bytes(grocer.parent) + b"/\xff\xc3\xa9.bundle"
    Path(os.fsdecode(strange)).write_bytes(grocer.read_bytes())
    assert run(strange, "--json", PYTHONIOENCODING=encoding).returncode == 0
    said = run(strange + b".nowhere", PYTHONIOENCODING=encoding)
    assert said.returncode == 1
    assert said.stderr.startswith(bytes(grocer.parent) + b"/\\udcff")
    assert said.stderr.count(b"\n") == 1

    for key in (b"\xff" + KEY.text.encode(), b"\x1b[8m" + KEY.text.encode(), b""):
        for as_line in ([], ["--json"]):
            said = run(str(grocer), "--key", key, *as_line, PYTHONIOENCODING=encoding)
            assert said.returncode == 1
            assert b"key-malformed" in said.stdout + said.stderr
            assert b"Traceback" not in said.stderr


def test_a_reader_that_leaves_is_no_error(grocer: Path) -> None:
    """A pipe that is closed early ends quietly; a report that nobody can get is an error of one line."""
    with Path("/dev/full").open("wb") as full:
        said = subprocess.run(
            [sys.executable, "-m", "koinon_verify", str(grocer)],
            cwd=PACKAGE.parent, stdout=full, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
    assert said.returncode == 1
    assert said.stderr == b"python -m koinon_verify: the report cannot be written: No space left on device\n"

    reading, writing = os.pipe()
    os.close(reading)
    said = subprocess.run(
        [sys.executable, "-m", "koinon_verify", str(grocer)],
        cwd=PACKAGE.parent, stdout=writing, stderr=subprocess.PIPE, check=False,
    )  # fmt: skip
    os.close(writing)
    assert (said.returncode, said.stderr) == (0, b"")


def test_junk_is_not_read_to_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After a hundred lines that do not hold the rest is counted, in a bundle and in a file of receipts."""
    junk = tmp_path / "junk"
    junk.write_bytes(b"{}\n" * 300_000 + b"{}")
    report = verify_bundle(junk)

    assert len(report.problems) == PROBLEMS_KEPT == 100
    assert report.more == 300_001 - 100
    assert main([str(junk)]) == 1
    assert capsys.readouterr().err.splitlines()[20:] == ["and 299,981 more"]
    good = tmp_path / "good.bundle"
    good.write_bytes(Coalition().close(12)["grocer"])
    report = verify_bundle(good, receipts=junk)
    assert [problem.code for problem in report.problems] == ["receipt-malformed"] * 100
    assert json.loads(as_json(report))["more_problems"] == 300_001 - 100
    report = verify_bundle(good, previous=junk)
    assert (len(report.problems), report.more) == (100, 300_001 - 100)
    report = verify_bundle(good, contracts=[junk])
    assert [problem.line for problem in report.problems] == [1, 3, 4]


def test_a_line_without_an_end_is_not_read_to_it(tmp_path: Path) -> None:
    """A line that is longer than any of a bundle ends the reading."""
    endless = tmp_path / "endless"
    good = Coalition().close(12)["grocer"]
    for before, line in ((b"", 1), (good, good.count(b"\n") + 1)):
        endless.write_bytes(before + b"x" * (2 * LINE_BYTES_MAX) + b"\n" + good)
        report = verify_bundle(endless)
        assert [(problem.line, problem.code) for problem in report.problems] == [(line, "line-unfinished")]
    (tmp_path / "good.bundle").write_bytes(good)
    report = verify_bundle(tmp_path / "good.bundle", receipts=endless)
    assert [problem.code for problem in report.problems][-1] == "receipt-malformed"


def test_problems_beyond_those_that_are_kept_are_counted(tmp_path: Path) -> None:
    """A lie on every line of a large bundle is told by its first lines and by how many more there are."""
    lines = Coalition().close(12)["grocer"].splitlines(keepends=True)
    path = tmp_path / "large.bundle"
    path.write_bytes(ended([*lines[:4], *[lines[4]] * 500, *lines[5:-1]]))
    report = verify_bundle(path)

    # The first of them is true; the others are beside the counters, and seal and statement have other sums.
    assert len(report.problems) == PROBLEMS_KEPT
    assert report.more == 499 + 2 - PROBLEMS_KEPT
