"""Settlement by law: what holds for any contracts, any points and any nights."""

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from koinon.parties.model import Contract
from settlement.model import Calculation, Cell
from tests.kit.positions import (
    CONTRACTS,
    EVENTS,
    PARTNERS,
    TERMS,
    Event,
    contract,
    positions,
    settle,
    settle_windows,
)

NIGHTS = st.lists(EVENTS, min_size=1, max_size=4)
EXAMPLES = settings(max_examples=30)


def billed(runs: Sequence[Calculation]) -> dict[Cell, int]:
    """Return what all runs together billed, by cell, but for cells with nothing."""
    total: Counter[Cell] = Counter()
    for run in runs:
        for line in run.lines:
            total[line.cell] += line.amount
    return {cell: amount for cell, amount in total.items() if amount}


def with_another_counterparty(event: Event, partner: str) -> Event:
    """Return the same event for the partner, with another brand on the other side if another there was."""
    if not event.acceptor or partner not in {event.issuer, event.acceptor} or event.issuer == event.acceptor:
        return event
    third = next(other for other in PARTNERS if other not in {event.issuer, event.acceptor})
    if event.issuer == partner:
        return msgspec.structs.replace(event, acceptor=third)
    return msgspec.structs.replace(event, issuer=third)


@EXAMPLES
@given(CONTRACTS, NIGHTS)
def test_every_night_sums_to_zero(contracts: list[Contract], nights: list[list[Event]]) -> None:
    """What parties pay is what parties get, houses included, and statements say the same as nets."""
    for run in settle_windows(contracts, nights):
        nets = {net.party: net for net in run.nets}

        assert sum(net.net for net in run.nets) == 0
        for statement in run.statements:
            net = nets[statement.partner]
            assert (statement.pays, statement.receives, statement.net) == (net.pays, net.receives, net.net)


@EXAMPLES
@given(CONTRACTS, NIGHTS)
def test_a_cell_is_never_more_than_half_a_unit_off(contracts: list[Contract], nights: list[list[Event]]) -> None:
    """After any night, what a cell was billed since its start is its exact total, rounded."""
    for run in settle_windows(contracts, nights):
        for line in run.lines:
            assert abs(line.after.billed - line.rate * line.after.points) <= Fraction(1, 2)
            assert line.amount == line.after.billed - line.billed_before


@EXAMPLES
@given(CONTRACTS, NIGHTS)
def test_the_pool_holds_what_is_outstanding(contracts: list[Contract], nights: list[list[Event]]) -> None:
    """After any night the pool's money is the outstanding points' worth, within the rounding of its cells."""
    for run in settle_windows(contracts, nights):
        assert run.pool.holds, run.pool.explanation


@EXAMPLES
@given(CONTRACTS, EVENTS, st.data())
def test_cutting_a_day_into_windows_changes_no_total(
    contracts: list[Contract], events: list[Event], data: st.DataObject
) -> None:
    """In any order and over any windows, the same points are billed the same in the end."""
    shuffled = data.draw(st.permutations(events))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(events)), max_size=4)))
    edges = [0, *cuts, len(events)]
    windows = [shuffled[start:end] for start, end in pairwise(edges)]

    assert billed(settle_windows(contracts, windows)) == billed([settle(contracts, events)])


@EXAMPLES
@given(CONTRACTS, NIGHTS, EVENTS)
def test_what_is_reversed_is_as_if_it_never_was(
    contracts: list[Contract], nights: list[list[Event]], mistaken: list[Event]
) -> None:
    """Events that are reversed on a later night leave no cent behind."""
    reversal = [msgspec.structs.replace(event, points=-event.points) for event in mistaken]
    with_mistake = [[*nights[0], *mistaken], *nights[1:], reversal]

    assert billed(settle_windows(contracts, with_mistake)) == billed(settle_windows(contracts, nights))


@EXAMPLES
@given(CONTRACTS, NIGHTS, st.sampled_from(PARTNERS), st.data())
def test_a_statement_depends_on_its_own_contract_only(
    contracts: list[Contract], nights: list[list[Event]], partner: str, data: st.DataObject
) -> None:
    """Whatever terms the others have, a partner's statement is the same bytes."""
    others = [
        each if each.partner == partner else contract(each.partner, data.draw(TERMS), each.version)
        for each in contracts
    ]

    for run, changed in zip(settle_windows(contracts, nights), settle_windows(others, nights), strict=True):
        (own,) = [each for each in run.statements if each.partner == partner]
        (same,) = [each for each in changed.statements if each.partner == partner]
        assert same.content == own.content


@EXAMPLES
@given(CONTRACTS, EVENTS, st.sampled_from(PARTNERS))
def test_a_statement_says_nothing_of_who_stands_against_whom(
    contracts: list[Contract], events: list[Event], partner: str
) -> None:
    """When others honour a partner's points, or it honours another's, its statement is the same bytes."""
    elsewhere = [with_another_counterparty(event, partner) for event in events]
    (own,) = [each for each in settle(contracts, events).statements if each.partner == partner]
    (same,) = [each for each in settle(contracts, elsewhere).statements if each.partner == partner]

    assert same.content == own.content


@EXAMPLES
@given(CONTRACTS, EVENTS)
def test_splitting_positions_changes_nothing(contracts: list[Contract], events: list[Event]) -> None:
    """An event of n points and n events of one kind that sum to it make the same run."""
    split = [
        part
        for event in events
        for part in (
            msgspec.structs.replace(event, points=event.points - event.points // 3),
            msgspec.structs.replace(event, points=event.points // 3),
        )
    ]
    whole, parts = settle(contracts, events), settle(contracts, split)

    assert len(positions(split)) == 2 * len(positions(events))
    assert (parts.statements, parts.nets) == (whole.statements, whole.nets)
