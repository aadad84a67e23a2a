"""The command: `python -m koinon_verify BUNDLE`, and behind `koinon verify`."""

import argparse
import os
import sys
from collections.abc import Sequence

from koinon_verify.printing import write
from koinon_verify.report import Report, as_json, as_text, problems_text
from koinon_verify.verification import verify_bundle


def main(arguments: Sequence[str] | None = None, program: str = "koinon verify") -> int:
    """Verify what the arguments name; return 0 when everything holds, 1 when not or when nobody could be told."""
    parser = argparse.ArgumentParser(
        prog=program,
        description="Check a partner's nightly bundle: inclusion, completeness and arithmetic, to the cent, offline.",
    )
    parser.add_argument("bundle", metavar="BUNDLE", help="the file to check")
    parser.add_argument(
        "--receipts",
        metavar="FILE",
        help="all receipts that your own calls of the window returned, JSON lines; others may be in it too",
    )
    parser.add_argument("--previous", metavar="BUNDLE", help="the bundle of the window before, to follow on from")
    parser.add_argument("--key", metavar="VKEY", help="the log's key, as the operator publishes it")
    parser.add_argument(
        "--contract",
        metavar="FILE",
        action="append",
        default=[],
        help="a contract version as you keep it, the JSON line of a bundle; one for each version, or one with all",
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    given = parser.parse_args(arguments)
    report = verify_bundle(given.bundle, given.receipts, given.previous, given.key, given.contract)
    try:
        _tell(report, as_line=given.json)
    except BrokenPipeError:  # whoever reads has read enough; nothing more is written at exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        write(sys.stderr, f"{program}: the report cannot be written: {error.strerror}")
        return 1
    return 0 if report.ok else 1


def _tell(report: Report, *, as_line: bool) -> None:
    if as_line:
        write(sys.stdout, as_json(report))
        return
    if not report.ok:
        write(sys.stderr, problems_text(report))
    write(sys.stdout, as_text(report))
