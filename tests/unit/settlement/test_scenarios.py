"""Settlement by example: the figures that must come out, to the cent."""

from fractions import Fraction

import msgspec
import pytest
import rfc8785

from settlement.calculation import calculate, expect
from settlement.model import Calculation, Leg, Outstanding, SettlementError
from tests.kit.positions import (
    Event,
    contract,
    expired,
    facts,
    honoured,
    issued,
    positions,
    settle,
    settle_windows,
    terms,
)

COMMON = terms("1", fee="3/20", share="1", honour="17/20")
COALITION = [contract(partner, COMMON) for partner in ("a", "b", "c")]
# Which issuer's points were spent where is up to expiry dates; any split of the day's 13,000 settles alike.
DAY = [
    issued("a", 10_000),
    issued("c", 4_000),
    honoured("a", "b", 6_000),
    honoured("a", "c", 3_500),
    honoured("c", "c", 3_500),
]
DAY_OF_TWO = [issued("a", 1_000), honoured("a", "b", 600)]


def nets(run: Calculation) -> dict[str, int]:
    """Return each party's net in minor units, but for parties with none."""
    return {net.party: net.net for net in run.nets if net.net}


def statement(run: Calculation, partner: str) -> dict[str, object]:
    """Return a partner's statement, decoded."""
    (found,) = [each for each in run.statements if each.partner == partner]
    decoded: dict[str, object] = msgspec.json.decode(found.content)
    return decoded


def amounts(run: Calculation, leg: Leg) -> list[int]:
    """Return the amounts on a leg, by cell."""
    return [line.amount for line in run.lines if line.cell.leg is leg]


def test_a_night_of_a_coalition_settles_to_the_cent() -> None:
    """A pays 100.00, B gets 51.00, C nets 19.50, the operator's fees are 21.00 and the pool keeps 8.50."""
    run = settle(COALITION, DAY)

    assert nets(run) == {"a": -10_000, "b": 5_100, "c": 1_950, "operator": 2_100, "pool": 850}
    assert sum(net.net for net in run.nets) == 0
    assert {net.party: (net.pays, net.receives) for net in run.nets if net.party in {"a", "b", "c"}} == {
        "a": (10_000, 0),
        "b": (0, 5_100),
        "c": (4_000, 5_950),
    }
    assert run.pool.holds
    assert (run.pool.balance, run.pool.worth, run.pool.outstanding) == (850, Fraction(850), 1_000)
    assert run.pool.explanation == (
        "The pool holds 8.50 USD, and 1,000 outstanding points are worth 8.5 USD: "
        "0 minor units apart, where the rounding of 4 cells allows 2."
    )


def test_whose_points_were_spent_does_not_change_the_bills() -> None:
    """With one contract for all, any split of the spent points over issuers nets the same."""
    other = [*DAY[:2], honoured("c", "b", 4_000), honoured("a", "b", 2_000), honoured("a", "c", 7_000)]

    assert nets(settle(COALITION, other)) == nets(settle(COALITION, DAY))


def test_a_run_again_is_the_same_bytes() -> None:
    """The same books in another order give the same lines, nets and statement bytes."""
    first = settle(COALITION, DAY)
    again = calculate(COALITION[::-1], {}, positions(DAY)[::-1], facts(DAY))

    assert [each.content for each in again.statements] == [each.content for each in first.statements]
    assert (again.lines, again.nets, again.carried) == (first.lines, first.nets, first.carried)
    assert again.pool == first.pool


def test_every_issuer_pays_its_own_price() -> None:
    """600 points spent from lots of A (400 at 1.00 ct) and C (200 at 0.90 ct) cost A 4.00 and C 1.80."""
    contracts = [
        contract("a", terms("1", share="0")),
        contract("b", terms("1", honour="9/10")),
        contract("c", terms("9/10", share="0")),
    ]
    run = settle(contracts, [issued("a", 1_000), issued("c", 1_000), honoured("a", "b", 400), honoured("c", "b", 200)])

    assert nets(run) == {"a": -400, "c": -180, "b": 540, "margin": 40}
    assert run.pool.holds


def test_a_late_refund_is_a_negative_line_of_the_next_day() -> None:
    """Yesterday's statement stays as it was; today's bears the refund at the same version, negated."""
    first, second = settle_windows(COALITION, [DAY, [issued("a", -500), honoured("a", "b", -200)]])

    assert first.statements == settle_windows(COALITION, [DAY])[0].statements
    assert nets(second) == {"a": 500, "b": -170, "operator": -75, "pool": -255}
    assert statement(second, "a")["lines"] == [
        {
            "leg": "fee",
            "debtor": "a",
            "creditor": "operator",
            "version": "1",
            "rate": "3/20",
            "points_before": "10000",
            "billed_before": "1500",
            "points": "-500",
            "amount": "-75",
        },
        {
            "leg": "honour_funding",
            "debtor": "a",
            "creditor": "pool",
            "version": "1",
            "rate": "0",
            "points_before": "9500",
            "billed_before": "0",
            "points": "-200",
            "amount": "0",
        },
        {
            "leg": "issue_funding",
            "debtor": "a",
            "creditor": "pool",
            "version": "1",
            "rate": "17/20",
            "points_before": "10000",
            "billed_before": "8500",
            "points": "-500",
            "amount": "-425",
        },
    ]
    assert second.pool.holds
    assert second.pool.balance == 850 - 425 + 170


def test_a_split_contract_pays_a_share_at_issue_and_the_rest_when_honoured() -> None:
    """Of P - F = 0.85 ct a fifth is due at issue, four fifths when the points are spent; the pool holds the fifth."""
    contracts = [contract("a", terms("1", fee="3/20", share="1/5")), contract("b", COMMON)]
    run = settle(contracts, [issued("a", 10_000), honoured("a", "b", 6_000)])

    assert amounts(run, Leg.ISSUE_FUNDING) == [1_700]
    assert amounts(run, Leg.HONOUR_FUNDING) == [4_080]
    assert nets(run) == {"a": -(1_500 + 1_700 + 4_080), "b": 5_100, "operator": 1_500, "pool": 680}
    assert run.pool.worth == 4_000 * Fraction(17, 100)
    assert run.pool.holds


def test_what_an_issuer_pays_beyond_the_honour_rate_is_margin() -> None:
    """With P - F = 0.90 ct and H = 0.60 ct, 0.30 ct a point goes to the margin of that pair, and is on no statement."""
    contracts = [contract("a", terms("1", fee="1/10")), contract("b", terms("1", fee="1/10", honour="3/5"))]
    run = settle(contracts, [issued("a", 1_000), honoured("a", "b", 1_000)])

    assert nets(run) == {"a": -1_000, "b": 600, "margin": 300, "operator": 100}
    (margin,) = [line for line in run.lines if line.cell.leg is Leg.MARGIN]
    assert (margin.cell.partner, margin.cell.counterparty, margin.rate) == ("a", "b", Fraction(3, 10))
    assert (margin.cell.debtor, margin.cell.creditor) == ("pool", "margin")
    assert all(b"margin" not in each.content for each in run.statements)
    assert run.pool.holds
    assert run.pool.balance == 0


def test_expired_points_become_breakage() -> None:
    """What was paid into the pool for points that expire goes to breakage; their issuer owes and gets nothing."""
    first, second = settle_windows(COALITION, [[issued("a", 1_000)], [expired("a", 400)]])

    assert nets(first) == {"a": -1_000, "operator": 150, "pool": 850}
    assert nets(second) == {"pool": -340, "breakage": 340}
    assert statement(second, "a")["points"] == {"issued": "0", "honoured": "0", "accepted": "0", "expired": "400"}
    assert (second.pool.balance, second.pool.holds) == (510, True)


def test_points_funded_when_honoured_break_for_free() -> None:
    """Under a contract that pays at redemption alone, expired points were never paid for."""
    run = settle([contract("a", terms("1", share="0"))], [issued("a", 1_000), expired("a", 1_000)])

    assert nets(run) == {}
    assert run.pool.holds


def test_each_version_is_its_own_cell() -> None:
    """Points of an old version spent under a new one: each side is billed at the version that its points had."""
    contracts = [
        contract("a", terms("1", share="0"), 1),
        contract("a", terms("2", share="0"), 2),
        contract("b", terms("1", honour="1/2"), 1),
        contract("b", terms("1", honour="1"), 2),
    ]
    spent = [honoured("a", "b", 100, 1, 2), honoured("a", "b", 10, 2, 1)]
    run = settle(contracts, [issued("a", 500, 1), issued("a", 500, 2), *spent])

    assert nets(run) == {"a": -120, "b": 105, "margin": 15}
    assert amounts(run, Leg.HONOUR_FUNDING) == [100, 20]
    assert amounts(run, Leg.REIMBURSEMENT) == [5, 100]
    assert run.pool.holds


def test_a_statement_is_canonical_and_names_its_contracts() -> None:
    """The bytes are RFC 8785's, values are text, and each version billed under is named by its hash."""
    run = settle(COALITION, DAY)
    content = next(each.content for each in run.statements if each.partner == "b")
    decoded = msgspec.json.decode(content)

    assert rfc8785.dumps(decoded) == content
    assert decoded == {
        "v": "1",
        "type": "statement",
        "programme": "league",
        "partner": "b",
        "window": "12",
        "business_date": "2026-03-02",
        "currency": "USD",
        "exponent": "2",
        "points": {"issued": "0", "honoured": "0", "accepted": "6000", "expired": "0"},
        "contracts": decoded["contracts"],
        "lines": [
            {
                "leg": "reimbursement",
                "debtor": "pool",
                "creditor": "b",
                "version": "1",
                "rate": "17/20",
                "points_before": "0",
                "billed_before": "0",
                "points": "6000",
                "amount": "5100",
            }
        ],
        "pays": "0",
        "receives": "5100",
        "net": "5100",
    }
    assert [(each["version"], len(each["sha256"])) for each in decoded["contracts"]] == [("1", 64)]


def test_lines_stand_by_leg_and_version_as_a_number() -> None:
    """Version 10 comes after version 9."""
    contracts = [contract("a", COMMON, version) for version in range(1, 11)]
    run = settle(contracts, [issued("a", 100, version) for version in range(1, 11)])
    lines = statement(run, "a")["lines"]

    assert isinstance(lines, list)
    assert [(line["leg"], line["version"]) for line in lines] == [
        (leg, str(version)) for leg in ("fee", "issue_funding") for version in range(1, 11)
    ]


def test_a_quiet_day_has_a_statement_too() -> None:
    """A partner without business gets a statement of nothing; one with a past gets its idle lines."""
    first, second = settle_windows(COALITION, [[issued("a", 7)], []])

    assert statement(first, "b")["lines"] == []
    assert statement(second, "a")["net"] == "0"
    assert [(line.points_before, line.points, line.amount) for line in second.lines] == [(7, 0, 0), (7, 0, 0)]


def test_a_cent_is_never_lost_over_nights() -> None:
    """A third of a cent a night for a year bills exactly what the year's points cost."""
    contracts = [contract("a", terms("1/3", share="0", fee="1/3"))]
    runs = settle_windows(contracts, [[issued("a", 1)] for _ in range(365)])
    fees = [sum(amounts(run, Leg.FEE)) for run in runs]

    assert sum(fees) == 122
    assert set(fees) == {0, 1}


def test_points_that_only_the_lots_know_stop_the_run() -> None:
    """A lot more than the lines account for fails the check, even where its money is within rounding."""
    run = calculate(COALITION, {}, positions(DAY), facts([*DAY, issued("a", 1)]))

    assert run.pool.apart <= run.pool.allowed
    assert not run.pool.holds
    assert run.pool.explanation.endswith("a version 1: 500 points are outstanding by the lines, 501 by the lots.")


def test_money_that_the_points_do_not_explain_stops_the_run() -> None:
    """A carried bill that nobody was sent, or a run that is missing: the check fails and says by how much."""
    (first,) = settle_windows(COALITION, [DAY])
    carried = dict(first.carried)
    cell = next(cell for cell in carried if cell.leg is Leg.REIMBURSEMENT and cell.partner == "b")
    carried[cell] = msgspec.structs.replace(carried[cell], billed=carried[cell].billed + 100)

    for check in (
        calculate(COALITION, carried, [], facts(DAY, pool_before=850)).pool,
        calculate(COALITION, first.carried, [], facts(DAY, pool_before=950)).pool,
    ):
        assert not check.holds
        assert check.mismatches == ()
        assert check.explanation == (
            "The pool holds 9.50 USD, and 1,000 outstanding points are worth 8.5 USD: "
            "100 minor units apart, where the rounding of 4 cells allows 2."
        )
    assert calculate(COALITION, first.carried, [], facts(DAY, pool_before=850)).pool.holds


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([issued("a", 1, 9)], "a has no contract version 9"),
        ([issued("z", 1)], "z has no contract version 1"),
        ([honoured("a", "z", 1)], "z has no contract version 1"),
    ],
)
def test_points_without_a_contract_are_not_settled(events: list[Event], reason: str) -> None:
    """A position under an unknown version stops the calculation and names it."""
    with pytest.raises(SettlementError, match=reason):
        calculate(COALITION, {}, positions(events), facts([]))


@pytest.mark.parametrize(
    ("left", "reason"),
    [
        (Outstanding("a", 9, 1), "a has no contract version 9"),
        (Outstanding("z", 1, 1), "z has no contract version 1"),
    ],
)
def test_outstanding_points_without_a_contract_are_not_settled(left: Outstanding, reason: str) -> None:
    """Lots of a version that nobody signed have no worth: also a night on which nothing happened stops, and says so."""
    first = calculate(COALITION, {}, positions([issued("a", 1_000)]), facts([issued("a", 1_000)]))
    quiet = facts([issued("a", 1_000)], 13, first.pool.balance)
    assert calculate(COALITION, first.carried, [], quiet).pool.holds

    with pytest.raises(SettlementError, match=f"^{reason}$"):
        calculate(COALITION, first.carried, [], msgspec.structs.replace(quiet, outstanding=(*quiet.outstanding, left)))


def test_both_sides_of_spent_points_must_agree() -> None:
    """Points honoured that nobody accepted stop the calculation and name the pair."""
    with pytest.raises(SettlementError, match="of a version 1 at b version 1, 6000 more points were honoured"):
        calculate(COALITION, {}, positions([honoured("a", "b", 6_000)])[:1], facts([]))


def test_spent_points_must_name_their_counterparty() -> None:
    """An honoured position without its acceptor stops the calculation."""
    (row, _) = positions([honoured("a", "b", 1)])
    nameless = msgspec.structs.replace(row, counterparty=None)

    with pytest.raises(SettlementError, match="names no counterparty"):
        calculate(COALITION, {}, [nameless], facts([]))


def test_contracts_are_in_the_settlement_currency() -> None:
    """A contract in another currency stops the calculation."""
    with pytest.raises(SettlementError, match="c version 1 is not in USD"):
        calculate([*COALITION[:2], contract("c", COMMON, currency="EUR")], {}, [], facts([]))


def test_whoever_joined_later_gets_no_statement() -> None:
    """Only the partners named get a statement; one without a contract gets an empty one, and the rest is the same."""
    first = settle(COALITION[:2], DAY_OF_TWO)
    again = calculate(COALITION, {}, positions(DAY_OF_TWO), facts(DAY_OF_TWO), ["a", "b"])
    more = calculate(COALITION[:2], {}, positions(DAY_OF_TWO), facts(DAY_OF_TWO), ["a", "b", "z"])

    assert again == first
    assert more.statements[:2] == first.statements
    assert statement(more, "z")["lines"] == []
    assert statement(more, "z")["contracts"] == []


def test_lines_without_a_statement_stop_the_calculation() -> None:
    """Nobody is charged on no statement."""
    with pytest.raises(SettlementError, match="b has lines, and is none of the partners"):
        calculate(COALITION, {}, positions(DAY_OF_TWO), facts(DAY_OF_TWO), ["a"])


def test_tonight_can_be_expected_from_ones_own_books() -> None:
    """What a partner would pay tonight needs only its own contracts, cells and positions."""
    first, second = settle_windows(COALITION, [DAY, [issued("a", 700), honoured("c", "a", 30)]])
    rows = positions([issued("a", 700), honoured("c", "a", 30)])
    own = [row for row in rows if row.partner == "a"]
    carried = {cell: state for cell, state in first.carried.items() if cell.partner == "a"}
    (net,) = [net for net in second.nets if net.party == "a"]

    assert expect("a", COALITION[:1], carried, own) == net
    assert expect("a", COALITION, first.carried, rows) == net
    assert net.net == -700 + 26
