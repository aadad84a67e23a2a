"""The measured night of a large brand, in a small form."""

import json
import subprocess
import sys

import pytest

from tests.web.demo.running import ROOT

ENTRIES = 30_000
TIMEOUT_SECONDS = 540


@pytest.mark.long
def test_a_bundle_is_made_in_little_memory() -> None:
    """The large brand's bundle of some fifty megabytes verifies, and making it took less than half of it in memory."""
    done = subprocess.run(
        [sys.executable, "-m", "load_tests.bench.nights", "--entries", str(ENTRIES)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    print(told)
    assert told["entries"] == ENTRIES
    assert told["verifier"]["ok"]
    assert told["bundle_parts"] > 1
    assert told["bundles"]["peak_growth_mb"] * 1_000_000 < told["bundle_bytes"] / 2
