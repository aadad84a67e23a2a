"""The command: `python -m koinon_verify BUNDLE`, and behind `koinon verify`."""

import argparse
import sys
from collections.abc import Sequence

from koinon_verify.report import as_json, as_text, problems_text
from koinon_verify.verification import verify_bundle


def main(arguments: Sequence[str] | None = None, program: str = "koinon verify") -> int:
    """Verify what the arguments name; return 0 when everything holds, 1 when not."""
    parser = argparse.ArgumentParser(
        prog=program,
        description="Check a partner's nightly bundle: inclusion, completeness and arithmetic, to the cent, offline.",
    )
    parser.add_argument("bundle", metavar="BUNDLE", help="the file to check")
    parser.add_argument("--receipts", metavar="FILE", help="the receipts that your own calls returned, JSON lines")
    parser.add_argument("--previous", metavar="BUNDLE", help="an earlier bundle that this one must follow on from")
    parser.add_argument("--key", metavar="VKEY", help="the log's key, as the operator publishes it")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    given = parser.parse_args(arguments)
    report = verify_bundle(given.bundle, given.receipts, given.previous, given.key)
    if given.json:
        sys.stdout.write(as_json(report) + "\n")
    else:
        if not report.ok:
            sys.stderr.write(problems_text(report) + "\n")
        sys.stdout.write(as_text(report) + "\n")
    return 0 if report.ok else 1
