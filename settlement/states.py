"""The states of a run and of its participants, and which may follow which, as data.

A run goes calculated → published → objection → approved → instructed → settled; until it is instructed it may be
aborted (its positions return) or superseded by a newer version of itself. What is settled is never unwound.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar


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


class ParticipantState(StrEnum):
    """Where one partner's net of a run stands."""

    DUE = "DUE"
    PAID = "PAID"
    RECEIVED = "RECEIVED"
    NET_ZERO = "NET_ZERO"
    DISPUTED = "DISPUTED"
    DEFAULTED = "DEFAULTED"


class WindowState(StrEnum):
    """Where a window stands; it never goes back, and a late item goes to the window that is open."""

    OPEN = "OPEN"
    CLOSING = "CLOSING"
    CLOSED = "CLOSED"
    SEALED = "SEALED"


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

PARTICIPANT_TRANSITIONS: Mapping[ParticipantState, frozenset[ParticipantState]] = MappingProxyType(
    {
        ParticipantState.DUE: frozenset(
            {
                ParticipantState.PAID,
                ParticipantState.RECEIVED,
                ParticipantState.DISPUTED,
                ParticipantState.DEFAULTED,
            }
        ),
        ParticipantState.DISPUTED: frozenset({ParticipantState.DUE, ParticipantState.NET_ZERO}),
        ParticipantState.DEFAULTED: frozenset({ParticipantState.PAID}),
        ParticipantState.PAID: frozenset(),
        ParticipantState.RECEIVED: frozenset(),
        ParticipantState.NET_ZERO: frozenset(),
    }
)
"""Participant state → the states that may follow it."""

WINDOW_TRANSITIONS: Mapping[WindowState, frozenset[WindowState]] = MappingProxyType(
    {
        WindowState.OPEN: frozenset({WindowState.CLOSING}),
        WindowState.CLOSING: frozenset({WindowState.CLOSED}),
        WindowState.CLOSED: frozenset({WindowState.SEALED}),
        WindowState.SEALED: frozenset(),
    }
)
"""Window state → the states that may follow it."""

State = TypeVar("State", RunState, ParticipantState, WindowState)


def may_follow(transitions: Mapping[State, frozenset[State]], present: State, following: State) -> bool:
    """Tell whether a state may follow another."""
    return following in transitions[present]


def initial_participant_state(net: int) -> ParticipantState:
    """Return where a partner's net starts: one of nothing is settled at once."""
    return ParticipantState.DUE if net else ParticipantState.NET_ZERO
