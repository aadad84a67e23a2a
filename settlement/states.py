"""The states of a run, and which may follow which, as data.

A run goes calculated → published → objection → approved → instructed → settled; until it is instructed it may be
aborted (its positions return) or superseded by a newer version of itself. What is settled is never unwound.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class RunState(StrEnum):
    """Where a run stands; maker and checker of `APPROVED` are never the same person."""

    CALCULATED = "CALCULATED"
    PUBLISHED = "PUBLISHED"
    OBJECTION = "OBJECTION"
    APPROVED = "APPROVED"
    INSTRUCTED = "INSTRUCTED"
    PARTIALLY_SETTLED = "PARTIALLY_SETTLED"
    SETTLED = "SETTLED"
    ABORTED = "ABORTED"
    SUPERSEDED = "SUPERSEDED"


_GIVEN_UP = frozenset({RunState.ABORTED, RunState.SUPERSEDED})

RUN_TRANSITIONS: Mapping[RunState, frozenset[RunState]] = MappingProxyType(
    {
        RunState.CALCULATED: frozenset({RunState.PUBLISHED}) | _GIVEN_UP,
        RunState.PUBLISHED: frozenset({RunState.OBJECTION, RunState.APPROVED}) | _GIVEN_UP,
        RunState.OBJECTION: frozenset({RunState.APPROVED}) | _GIVEN_UP,
        RunState.APPROVED: frozenset({RunState.INSTRUCTED}) | _GIVEN_UP,
        RunState.INSTRUCTED: frozenset({RunState.PARTIALLY_SETTLED, RunState.SETTLED}),
        RunState.PARTIALLY_SETTLED: frozenset({RunState.SETTLED}),
        RunState.SETTLED: frozenset(),
        RunState.ABORTED: frozenset(),
        RunState.SUPERSEDED: frozenset(),
    }
)
"""Run state → the states that may follow it."""
