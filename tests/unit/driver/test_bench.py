"""The benchmark's figures: medians, intervals, ratios round by round, and a result that says what was measured."""

import msgspec
import pytest

from load_tests.bench.database import LOADS, RAW, filled
from load_tests.bench.figures import Measured, Spread, gathered, ratio, spread
from load_tests.bench.report import COMPARED, UNITS, as_json, result


def test_a_spread_is_median_least_and_most() -> None:
    """The order of the rounds does not count, and one slow round does not move the median."""
    assert spread([5.0, 1.0, 4.0, 3.0, 100.0]) == Spread(4.0, 1.0, 100.0)
    assert spread([2.0, 4.0]) == Spread(3.0, 2.0, 4.0)
    with pytest.raises(ValueError, match="nothing was measured"):
        spread([])


def test_a_ratio_is_taken_round_by_round() -> None:
    """A machine that slowed down in the second round slowed both, so the ratio is the same in both."""
    ours, raw = Measured("ours", "earns", (50.0, 5.0)), Measured("raw", "earns", (100.0, 10.0))

    assert ratio("ours by raw", ours, raw).spread == Spread(0.5, 0.5, 0.5)


def test_only_what_every_round_measured_is_gathered() -> None:
    """A load that a round lacks is left out, so that rounds stay paired; names keep their printed order."""
    rounds = [{"b": 1.0, "a": 2.0, "c": 3.0}, {"a": 4.0, "b": 5.0}]

    found = gathered(rounds, {"a": "earns", "b": "earns", "c": "earns"})

    assert [(each.name, each.rates) for each in found.values()] == [("a", (2.0, 4.0)), ("b", (1.0, 5.0))]


def test_every_load_is_printed_and_every_ratio_measured() -> None:
    """The names in scripts, units and ratios are the same names."""
    assert {load.name for load in LOADS} | {"http earning", "http earning, one brand", "feed to 202"} <= set(UNITS)
    assert {name for over, under, _ in COMPARED for name in (over, under)} <= set(UNITS)
    assert all((RAW / "scripts" / f"{load.script}.sql").is_file() for load in LOADS if load.script)


def test_a_result_is_one_line_of_json() -> None:
    """Ratios and rates with their medians and intervals, and the machine."""
    measured = {
        name: Measured(name, "earns", (rate, rate * 2))
        for name, rate in (("ours set", 80.0), ("raw set, outbox", 100.0))
    }
    line = as_json(result({"machine": "2 cores"}, 2, 1, measured))
    found = msgspec.json.decode(line)

    assert "\n" not in line
    assert found["machine"] == {"machine": "2 cores"}
    assert [(each["name"], each["spread"]["median"]) for each in found["ratios"]] == [
        ("ours ÷ raw, 100 earns a call, both with the outbox row", 0.8)
    ]
    assert found["measured"][0]["spread"] == {"median": 120.0, "least": 80.0, "most": 160.0}


def test_the_baselines_have_their_sizes() -> None:
    """Nothing of the form $NAME$ is left in what is sent to the database."""
    for path in RAW.glob("*.sql"):
        text = filled(path.read_text(encoding="utf-8"))
        assert "$ACCOUNTS$" not in text
        assert "$BATCH$" not in text
