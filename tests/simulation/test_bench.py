"""The benchmark, whole, in its smallest form."""

import json
import subprocess
import sys
from itertools import chain

import pytest

from load_tests.bench.report import COMPARED, UNITS
from tests.web.demo.running import ROOT, installation

TIMEOUT_SECONDS = 540


@pytest.mark.long
def test_everything_is_measured_and_every_row_is_there() -> None:
    """Each load reached a rate, each ratio has both of its sides, and rows are what was answered: none did nothing."""
    with installation() as environment:
        done = subprocess.run(
            [sys.executable, "-m", "load_tests.bench", "--rounds", "1", "--seconds", "1", "--json"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )

    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    rows = found["rows"]
    print(f"{sum(chain.from_iterable(counts.values() for counts in rows.values()))} rows and points")
    assert {each["name"]: each["unit"] for each in found["measured"]} == UNITS
    assert [each["name"] for each in found["ratios"]] == [says for _, _, says in COMPARED]
    assert all(each["spread"]["least"] > 0 for each in chain(found["measured"], found["ratios"]))
    assert set(rows) == {"pgbench", "bench-stated", "bench-offers", "bench-crowded"}
    assert rows["pgbench"]["ledger.lot"] == rows["pgbench"]["ledger.journal"] > 0
    assert rows["pgbench"]["offers.inbox"] == rows["pgbench"]["offers.message"] > 0
    stated = rows["bench-stated"]
    assert stated["posted rewards"] == stated["lots"] == stated["earnings"] > 0
    for offered in (rows["bench-offers"], rows["bench-crowded"]):
        assert offered["posted rewards"] == offered["lots"] == offered["earnings"] + offered["messages"]
        assert offered["earnings"] > 0 < offered["messages"] == offered["messages taken in"]
        assert offered["points spent of budgets"] == offered["points in lots"] > 0
        assert offered["decisions"] == offered["posted rewards"]
