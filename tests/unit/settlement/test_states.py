"""The states of windows, runs and participants: what may follow what."""

from itertools import pairwise

import pytest

from settlement.states import (
    PARTICIPANT_TRANSITIONS,
    RUN_TRANSITIONS,
    WINDOW_TRANSITIONS,
    ParticipantState,
    RunState,
    WindowState,
    initial_participant_state,
    may_follow,
)


def test_every_state_has_its_place() -> None:
    """Each state of each kind is in its table, and only known states follow."""
    assert set(RUN_TRANSITIONS) == set(RunState)
    assert set(PARTICIPANT_TRANSITIONS) == set(ParticipantState)
    assert set(WINDOW_TRANSITIONS) == set(WindowState)


def test_a_window_never_goes_back() -> None:
    """A window goes one way, a step at a time, to its seal."""
    order = list(WindowState)
    allowed = {(present, following) for present in order for following in WINDOW_TRANSITIONS[present]}

    assert allowed == set(pairwise(order))


def test_a_run_goes_from_calculated_to_settled() -> None:
    """Each step of the way is allowed, and none can be skipped but the objection and the partial settlement."""
    way = [
        RunState.CALCULATED,
        RunState.PUBLISHED,
        RunState.OBJECTION,
        RunState.APPROVED,
        RunState.INSTRUCTED,
        RunState.PARTIALLY_SETTLED,
        RunState.SETTLED,
    ]
    forward = {
        (present, following)
        for place, present in enumerate(way)
        for following in way[place + 2 :]
        if may_follow(RUN_TRANSITIONS, present, following)
    }

    assert all(may_follow(RUN_TRANSITIONS, *step) for step in pairwise(way))
    assert not any(
        may_follow(RUN_TRANSITIONS, present, following)
        for place, present in enumerate(way)
        for following in way[: place + 1]
    )
    assert forward == {(RunState.PUBLISHED, RunState.APPROVED), (RunState.INSTRUCTED, RunState.SETTLED)}


@pytest.mark.parametrize("end", [RunState.ABORTED, RunState.SUPERSEDED])
def test_a_run_is_given_up_before_it_is_instructed_or_never(end: RunState) -> None:
    """Once payments are instructed nothing is unwound."""
    before = {state for state in RunState if may_follow(RUN_TRANSITIONS, state, end)}

    assert before == {RunState.CALCULATED, RunState.PUBLISHED, RunState.OBJECTION, RunState.APPROVED}
    assert RUN_TRANSITIONS[end] == frozenset()


def test_a_net_of_nothing_is_settled_at_once() -> None:
    """A partner that owes and gets nothing is done; any other net is due."""
    assert initial_participant_state(0) is ParticipantState.NET_ZERO
    assert initial_participant_state(-1) is ParticipantState.DUE
    assert initial_participant_state(1) is ParticipantState.DUE
