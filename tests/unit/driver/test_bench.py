"""The benchmark's figures and its loads: each request is sent once, and what was counted is held to what stands."""

import shutil
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import chain
from pathlib import Path

import click
import msgspec
import pytest

from koinon.identity.webhook_signatures import VerifyingKeys, decode_secret, encode_secret, verify
from load_tests.bench.__main__ import Loads, rotated
from load_tests.bench.books import Books
from load_tests.bench.coalition import Coalition
from load_tests.bench.database import LOADS, RAW, BenchFailed, filled, held
from load_tests.bench.figures import Measured, Spread, gathered, ratio, spread
from load_tests.bench.loader import Answered, Requests, by_wrk, looped, request
from load_tests.bench.report import COMPARED, UNITS, as_json, result
from load_tests.bench.sizes import Growth
from load_tests.bench.web import EARNINGS, FEEDS, Web
from load_tests.driver.callers import Processor
from load_tests.driver.connection import Connection
from tests.unit.driver.stub import Stub

Sender = Callable[[str, Requests], Awaitable[Answered]]


async def sent_by_wrk(address: str, load: Requests) -> Answered:
    """Send a load by wrk, where it is installed."""
    program = shutil.which("wrk")
    if program is None:
        pytest.skip("wrk is not installed")
    return await by_wrk(program, address, load)


SENDERS = pytest.mark.parametrize("sender", [sent_by_wrk, looped])


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
    loads = {load.name for load in LOADS} | {load.name for load in EARNINGS}
    loads |= {name for load in FEEDS for name in (load.to_202, load.rewarded)}

    assert loads == set(UNITS)
    assert {name for over, under, _ in COMPARED for name in (over, under)} <= set(UNITS)
    assert all((RAW / "scripts" / f"{load.script}.sql").is_file() for load in LOADS if load.script)


def test_a_result_is_one_line_of_json() -> None:
    """Ratios and rates with their medians and intervals, and the machine."""
    measured = {
        name: Measured(name, "earns", (rate, rate * 2))
        for name, rate in (("ours set", 80.0), ("raw set, outbox", 100.0))
    }
    rows = {"pgbench": {"ledger.lot": 9}}
    line = as_json(
        result({"machine": "2 cores"}, rounds=2, seconds=1, rows=rows, measured=measured, bytes_an_earning={"a": 7})
    )
    found = msgspec.json.decode(line)

    assert "\n" not in line
    assert (found["machine"], found["rows"]) == ({"machine": "2 cores"}, rows)
    assert [(each["name"], each["spread"]["median"]) for each in found["ratios"]] == [
        ("ours ÷ raw, 100 earns a call, both with the outbox row", 0.8)
    ]
    assert found["measured"][0]["spread"] == {"median": 120.0, "least": 80.0, "most": 160.0}
    assert found["bytes_an_earning"] == {"a": 7}


def test_the_bytes_of_an_earning() -> None:
    """What tables grew by is shared by the earnings of all rounds, the largest first; what did not grow is left out."""
    growth = Growth()
    assert growth.an_earning() == {}
    growth.add(10, {"small": 100, "same": 5}, {"small": 150, "same": 5, "new": 300})
    growth.add(30, {"small": 150, "same": 5, "new": 300}, {"small": 190, "same": 5, "new": 1200})
    assert list(growth.an_earning().items()) == [("new", 30), ("small", 2)]


def test_only_some_loads() -> None:
    """Loads are chosen by a part of their names, a feed by either of its two; what names none is refused."""
    found = Loads.named(("raw set", "one budget", "feed to 202, one"))
    assert [load.name for load in found.database] == ["raw set", "raw set, outbox"]
    assert found.earnings == ()
    assert [feed.to_202 for feed in found.feeds] == ["feed to 202, one brand"]
    assert Loads.named(()) == (LOADS, EARNINGS, FEEDS)
    with pytest.raises(click.BadParameter, match="no load is named like nothing"):
        Loads.named(("nothing",))


def test_the_baselines_have_their_sizes() -> None:
    """Nothing of the form $NAME$ is left in what is sent to the database."""
    for path in RAW.glob("*.sql"):
        text = filled(path.read_text(encoding="utf-8"))
        assert "$ACCOUNTS$" not in text
        assert "$BATCH$" not in text


def test_each_round_begins_elsewhere() -> None:
    """No load follows the same one in every round, and none is left out."""
    assert [rotated(("a", "b", "c"), by) for by in range(4)] == [
        ("a", "b", "c"),
        ("b", "c", "a"),
        ("c", "a", "b"),
        ("a", "b", "c"),
    ]


def test_rows_are_held_to_what_was_counted() -> None:
    """A row too few or too many fails and is named, and so does a load that did nothing."""
    assert held("here", {"lots": 2, "points": 0}, {"lots": 2, "points": 0}) == {"lots": 2, "points": 0}
    with pytest.raises(BenchFailed, match="here holds 1 lots instead of 2, 3 messages instead of 0"):
        held("here", {"lots": 2, "points": 5, "messages": 0}, {"lots": 1, "points": 5, "messages": 3})
    with pytest.raises(BenchFailed, match="nothing was counted in here"):
        held("here", {"lots": 0}, {"lots": 0})


def test_every_earning_and_every_message_is_a_rewarded_purchase() -> None:
    """Both leave a settled purchase, a decision, a reward, a logged journal and a lot; budgets pay where they do."""
    expected = Books(budgeted=True, earnings=3, messages=4, points=50).expected()

    assert {name for name, count in expected.items() if count == 7} == {
        *("rewarded purchases", "decisions", "posted rewards", "journals of earns", "logged journals", "lots"),
    }
    assert (expected["earnings"], expected["messages"], expected["messages taken in"]) == (3, 4, 4)
    assert (expected["points in lots"], expected["points spent of budgets"]) == (50, 50)
    assert expected["points reserved of budgets"] == 0
    assert Books(budgeted=False, earnings=3, points=50).expected()["points spent of budgets"] == 0


@SENDERS
async def test_each_request_is_sent_once_and_answered(sender: Sender) -> None:
    """Every one of a load arrives once and whole, also a large one, and the answers' numbers are summed."""
    stub = Stub([(201, {"points": 10, "more": {"points": 99}})])
    async with stub.listening() as address:
        bodies = [str(number).encode() * 50_000 for number in range(40)]
        load = Requests(
            requests=[request(address, "/v1/x", {"Key": f"k-{number}"}, body) for number, body in enumerate(bodies)],
            connections=4,
            status=201,
            summed=("points", "absent"),
        )
        answered = await sender(address, load)

    posted = [asked for asked in stub.asked if asked.line == "POST /v1/x HTTP/1.1"]
    assert answered.seconds > 0
    assert answered.sums == {"points": 400, "absent": 0}
    assert Counter(asked.headers["key"] for asked in posted) == Counter(f"k-{number}" for number in range(40))
    assert sorted(asked.body for asked in posted) == sorted(bodies)
    assert len(stub.asked) == 40


@SENDERS
async def test_a_load_that_is_refused_fails(sender: Sender) -> None:
    """One answer with another status ends the load, with the words of the refusal."""
    stub = Stub([(202, {}), (202, {}), (409, {"code": "idempotency-key-reused"}), (202, {})])
    async with stub.listening() as address:
        load = Requests(
            requests=[request(address, "/v1/x", {}, b"{}")] * 9, connections=2, status=202, summed=("accepted",)
        )
        with pytest.raises((BenchFailed, BaseExceptionGroup)) as failed:
            await sender(address, load)

    told = failed.value.exceptions[0] if isinstance(failed.value, BaseExceptionGroup) else failed.value
    assert isinstance(told, BenchFailed)
    assert "409" in str(told)
    assert "idempotency-key-reused" in str(told)


async def test_a_feed_is_signed_and_repeats_itself(tmp_path: Path) -> None:
    """Batches of 500 carry ten messages of a batch three before them, and the verdicts that they must get are known."""
    secret = encode_secret(bytes(range(24)))
    async with Connection("http://127.0.0.1:1") as connection:
        web = Web(connection, tmp_path, "")
        web.offered = Coalition(
            code="x", programme="pro_1", processor=Processor(connection, "src_1", secret), shops=[], members=[]
        )
        requests, verdicts, points = web.signed_feed(FEEDS[0], 5)

    assert verdicts == {"accepted": 2_480, "duplicate": 20, "conflict": 0, "refused": 0}
    keys = VerifyingKeys(secrets=(decode_secret(secret),))
    batches = []
    for each in requests:
        head, _, body = each.partition(b"\r\n\r\n")
        lines = (line.partition(": ") for line in head.decode().split("\r\n")[1:])
        headers = {name.lower(): value for name, _, value in lines}
        assert verify(headers, body, keys, time.time())
        batches.append(msgspec.json.decode(body, type=dict[str, list[msgspec.Raw]])["messages"])
    messages = [msgspec.json.decode(raw) for batch in batches for raw in batch]
    known = {message["message_id"]: bytes(raw) for message, raw in zip(messages, chain(*batches), strict=True)}
    assert [len(batch) for batch in batches] == [500] * 5
    assert len(known) == len(set(map(bytes, chain(*batches)))) == 2_480
    assert set(map(bytes, batches[3])) & set(map(bytes, batches[0])) == set(map(bytes, batches[0][:10]))
    assert {message["merchant"]["descriptor"] for message in messages} == {f"BRAND {n} SHOP" for n in range(100)}
    assert points == sum(msgspec.json.decode(raw)["amount_minor"] // 100 for raw in known.values())
