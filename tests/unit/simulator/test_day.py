"""A coalition's day: exact totals, exact shares of what goes wrong, and a result that timing cannot change."""

import hashlib
import os
import subprocess
import sys
from collections import Counter
from datetime import datetime

import pytest

from load_tests.simulator import Coalition, Plan, Scale, batches, encode, lanes, make_coalition, make_day
from load_tests.simulator.faults import FAULTS
from load_tests.simulator.model import CardMessage
from load_tests.simulator.till import saves

SMALL = Scale(card_messages=1_000, earnings=150, redemptions=50, members=40)


@pytest.fixture(scope="module")
def coalition() -> Coalition:
    """Return the demo's coalition."""
    return make_coalition(1)


@pytest.fixture(scope="module")
def plan(coalition: Coalition) -> Plan:
    """Return the demo's day."""
    return make_day(coalition, 1)


@pytest.fixture(scope="module")
def messages(plan: Plan) -> list[CardMessage]:
    """Return all card messages of the demo's day."""
    return [message for phase in plan.phases for message in phase.card_messages]


def test_totals_are_the_ones_asked_for(plan: Plan, messages: list[CardMessage]) -> None:
    """The day has 20,000 card messages, 3,000 earnings and 1,000 redemptions, and counts them itself."""
    assert len(messages) == plan.counts["card-messages"] == 20_000
    assert sum(len(phase.earnings) for phase in plan.phases) == plan.counts["earnings"] == 3_000
    assert sum(len(phase.redemptions) for phase in plan.phases) == plan.counts["redemptions"] == 1_000
    assert [phase.name for phase in plan.phases] == ["purchases", "redemptions", "late"]


def test_what_goes_wrong_has_its_exact_share(plan: Plan, messages: list[CardMessage]) -> None:
    """2 % are duplicates, 1 % are bad, every kind of bad message is there, and 5 % are posted out of order."""
    verdicts = Counter(message.expected for message in messages)
    assert verdicts == {"accepted": 19_400, "duplicate": 400, "refused": 180, "conflict": 20}
    faults = Counter(message.fault for message in messages if message.fault)
    assert faults.keys() == {*FAULTS, "changed-body"}
    assert faults.total() == 200
    assert sum(message.delayed for message in messages) == plan.counts["delayed"] == 1_000
    for name, count in faults.items():
        assert plan.counts[f"fault-{name}"] == count


def test_every_kind_of_payment_is_there(plan: Plan) -> None:
    """Tips, partial and several clearings, refunds and reversals occur, refunds and reversals near 3 % and 2 %."""
    kinds = "plain single tip partial several increment reversed part-reversed clearing-reversed open declined"
    assert all(plan.counts[f"payment-{kind}"] for kind in kinds.split())
    assert 250 < plan.counts["type-refund"] < 450
    assert 150 < plan.counts["type-auth_reversal"] + plan.counts["type-clearing_reversal"] < 250
    assert plan.counts["late-clearings"] > 1_000
    assert plan.counts["payments-unlinked"] > 300
    assert plan.counts["payments-outside"] > 300


def test_duplicates_repeat_a_message_and_conflicts_change_one(messages: list[CardMessage]) -> None:
    """A duplicate comes after its original with the same body, a conflict with another; other ids are unique."""
    bodies: dict[str, object] = {}
    for message in messages:
        message_id = message.body.get("message_id", "")
        match message.expected:
            case "duplicate":
                assert bodies[message_id] == message.body
            case "conflict":
                assert bodies[message_id] != message.body
            case _ if message_id:
                assert message_id not in bodies
                bodies[message_id] = message.body
            case _:
                assert message.fault == "missing-message-id"


def test_delayed_messages_arrive_out_of_order(messages: list[CardMessage]) -> None:
    """Before every delayed message its source has posted a later one; some clearings overtake their authorisation."""
    highest: Counter[str] = Counter()
    cleared: set[str] = set()
    overtaken = 0
    for message in messages:
        if message.delayed:
            assert highest[message.source] > message.sequence
        if message.expected == "accepted":
            overtaken += message.kind == "authorisation" and message.payment in cleared
            cleared |= {message.payment} if message.kind == "clearing" else set()
        highest[message.source] = max(highest[message.source], message.sequence)
    assert overtaken > 100


def test_disorder_befalls_savers_alone(coalition: Coalition, plan: Plan, messages: list[CardMessage]) -> None:
    """Who spends points has messages in order, no purchase seen twice, and no late refund."""
    spenders = {member.key for member in coalition.members if not saves(member)}
    tokens = {card.token for member in coalition.members if member.key in spenders for card in member.cards}
    assert not [message for message in messages if message.delayed and message.body["card_token"] in tokens]
    late = [message for message in plan.phases[2].card_messages if message.expected == "accepted"]
    assert len(late) == 40
    assert not [message for message in late if message.body["card_token"] in tokens]
    assert not [earning for earning in plan.phases[0].earnings if earning.tender and earning.member in spenders]
    assert {redemption.member for redemption in plan.phases[1].redemptions} <= spenders


def test_redemptions_stay_within_what_is_surely_owned(plan: Plan) -> None:
    """No member asks for more than the points that tills stated for purchases no card message can change."""
    sure: Counter[str] = Counter()
    for earning in plan.phases[0].earnings:
        if earning.tender is None and earning.points:
            sure[earning.member] += earning.points
    asked: Counter[str] = Counter()
    for redemption in plan.phases[1].redemptions:
        assert redemption.points > 0
        asked[redemption.member] += redemption.points
    assert all(points <= sure[member] for member, points in asked.items())
    assert {redemption.outcome for redemption in plan.phases[1].redemptions} == {"captured", "released", "reversed"}


def test_tenders_name_a_payment_of_the_same_purchase(plan: Plan, messages: list[CardMessage]) -> None:
    """A tender's card token and auth code are those of one payment, about the same time."""
    authorised = {
        (message.body["card_token"], message.body["auth_code"]): message
        for message in messages
        if message.expected == "accepted" and message.kind == "authorisation"
    }
    tendered = [earning for earning in plan.phases[0].earnings if earning.tender]
    assert len(tendered) == 1_200
    for earning in tendered:
        assert earning.tender
        message = authorised.pop((earning.tender.card_token, earning.tender.auth_code))
        rung = datetime.fromisoformat(earning.occurred_at)
        assert abs((rung - datetime.fromisoformat(message.body["occurred_at"])).total_seconds()) <= 60


def test_no_two_events_of_a_member_share_a_second(coalition: Coalition, plan: Plan) -> None:
    """All accepted messages, earnings and redemptions of a member differ in their time, all on the business date."""
    owners = {card.token: member.key for member in coalition.members for card in member.cards}
    events: list[tuple[str, datetime]] = []
    for phase in plan.phases:
        for message in phase.card_messages:
            if message.expected == "accepted" and message.body["card_token"] in owners:
                moment = datetime.fromisoformat(message.body["occurred_at"])
                events.append((owners[message.body["card_token"]], moment))
                assert moment <= datetime.fromisoformat(phase.clock_at)
        events += [(each.member, datetime.fromisoformat(each.occurred_at)) for each in phase.earnings]
        events += [(each.member, datetime.fromisoformat(each.occurred_at)) for each in phase.redemptions]
    assert len(events) == len(set(events)) > 20_000
    local = {moment.astimezone(datetime.fromisoformat(plan.close_at).tzinfo).date() for _, moment in events}
    assert {day.isoformat() for day in local} == {"2026-03-02"}
    assert plan.close_at == "2026-03-03T00:30:00+02:00"


def test_the_same_seed_gives_the_same_bytes_in_another_process() -> None:
    """No hash order and no clock reaches the plan: two processes with other hash seeds agree with this one."""
    program = f"""
import hashlib
from load_tests.simulator import Scale, encode, make_coalition, make_day
coalition = make_coalition(5, members=40)
print(hashlib.sha256(encode(coalition) + encode(make_day(coalition, 5, {SMALL!r}))).hexdigest())
"""
    here = make_coalition(5, members=40)
    expected = hashlib.sha256(encode(here) + encode(make_day(here, 5, SMALL))).hexdigest()
    for hash_seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, check=True, text=True
        )
        assert done.stdout.strip() == expected


@pytest.mark.parametrize("seed", range(8))
def test_small_days_are_as_exact(seed: int) -> None:
    """Any seed and a small scale give exactly what was asked for."""
    coalition = make_coalition(seed, members=40)
    plan = make_day(coalition, seed, SMALL)
    assert plan.counts["card-messages"] == 1_000
    assert plan.counts["verdict-duplicate"] == 20
    assert plan.counts["verdict-refused"] + plan.counts["verdict-conflict"] == 10
    assert plan.counts["delayed"] == 50
    assert plan.counts["earnings"] == 150
    assert plan.counts["redemptions"] == 50
    assert make_day(coalition, seed + 1, SMALL) != plan


def test_a_scale_that_cannot_be_is_refused() -> None:
    """More redemptions than points is an error that says what is missing."""
    with pytest.raises(ValueError, match="too few points"):
        make_day(make_coalition(1, members=4), 1, Scale(card_messages=500, earnings=2, redemptions=1_000, members=4))


def test_batches_keep_each_source_in_order(plan: Plan) -> None:
    """A batch is of one source and at most 500 messages, and nothing is lost or reordered within a source."""
    phase = plan.phases[0]
    posts = batches(phase.card_messages)
    assert max(len(post) for _, post in posts) == 500
    for source in ("nordpay", "pontepay"):
        sent = [message for code, post in posts if code == source for message in post]
        assert sent == [message for message in phase.card_messages if message.source == source]


def test_lanes_keep_each_member_in_order(plan: Plan) -> None:
    """A lane holds one member's redemptions by time."""
    found = lanes(plan.phases[1].redemptions)
    assert sum(len(lane) for lane in found.values()) == 1_000
    for member, lane in found.items():
        assert {redemption.member for redemption in lane} == {member}
        moments = [datetime.fromisoformat(redemption.occurred_at) for redemption in lane]
        assert moments == sorted(moments)
