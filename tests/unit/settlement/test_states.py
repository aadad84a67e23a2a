"""The states of runs: what may follow what."""

from itertools import pairwise

import pytest

from settlement.states import RUN_TRANSITIONS, RunState


def test_every_state_has_its_place() -> None:
    """Each state is in the table."""
    assert set(RUN_TRANSITIONS) == set(RunState)


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
        if following in RUN_TRANSITIONS[present]
    }

    assert all(following in RUN_TRANSITIONS[present] for present, following in pairwise(way))
    assert not any(
        following in RUN_TRANSITIONS[present] for place, present in enumerate(way) for following in way[: place + 1]
    )
    assert forward == {(RunState.PUBLISHED, RunState.APPROVED), (RunState.INSTRUCTED, RunState.SETTLED)}


@pytest.mark.parametrize("end", [RunState.ABORTED, RunState.SUPERSEDED])
def test_a_run_is_given_up_before_it_is_instructed_or_never(end: RunState) -> None:
    """Once payments are instructed nothing is unwound."""
    before = {state for state in RunState if end in RUN_TRANSITIONS[state]}

    assert before == {RunState.CALCULATED, RunState.PUBLISHED, RunState.OBJECTION, RunState.APPROVED}
    assert RUN_TRANSITIONS[end] == frozenset()
