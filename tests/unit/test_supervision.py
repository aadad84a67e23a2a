"""Supervision: what ends is started again, later each time, and not for ever."""

import pytest

from koinon.supervision import FAILURES_MAXIMUM, STEADY_SECONDS, CannotRun, Supervised


class Thing:
    """Something that runs until it is told that it ended."""

    def __init__(self) -> None:
        self.starts = 0
        self.how: str | None = "nothing begun"
        self.broken = False

    def start(self) -> None:
        """Start, or fail as a broken machine does."""
        if self.broken:
            raise OSError("no memory")
        self.starts += 1
        self.how = None

    def supervised(self) -> Supervised:
        """Return it as something to look after, begun at 0."""
        made = Supervised("the thing", self.start, lambda: self.how)
        made.begin(0.0)
        return made


def test_what_runs_is_left_alone() -> None:
    """Nothing is said of it, and nothing is started a second time."""
    thing = Thing()
    supervised = thing.supervised()

    assert [supervised.look(now) for now in (1.0, 2.0, 100.0)] == [None, None, None]
    assert thing.starts == 1


def test_what_runs_already_is_not_begun_again() -> None:
    """A server that another process of the folder started is looked after as it is."""
    thing = Thing()
    thing.how = None
    thing.supervised()

    assert thing.starts == 0


def test_what_ends_is_started_again() -> None:
    """One line says how it ended and when it is due, another that it was started."""
    thing = Thing()
    supervised = thing.supervised()
    thing.how = "signal SIGKILL"

    assert supervised.look(10.0) == "the thing ended with signal SIGKILL: it is started again in 1 s"
    assert supervised.look(10.9) is None
    assert thing.starts == 1
    assert supervised.look(11.0) == "the thing was started again"
    assert thing.starts == 2
    assert supervised.look(12.0) is None


def test_each_time_in_a_row_it_waits_longer() -> None:
    """1, 2, 4, 8, 16 and 30 seconds; then it is given up, with how it ended the last time."""
    thing = Thing()
    supervised = thing.supervised()
    now = 0.0
    pauses = []
    for _ in range(FAILURES_MAXIMUM):
        thing.how = "exit code 1"
        line = supervised.look(now)
        assert line is not None
        pauses.append(int(line.split()[-2]))
        now += pauses[-1]
        assert supervised.look(now) == "the thing was started again"
    thing.how = "exit code 2"

    with pytest.raises(CannotRun, match="the thing ended 7 times in a row, the last time with exit code 2"):
        supervised.look(now)
    assert pauses == [1, 2, 4, 8, 16, 30]
    assert thing.starts == 1 + FAILURES_MAXIMUM


def test_a_minute_of_running_is_steady() -> None:
    """What ran for a minute begins at one second again."""
    thing = Thing()
    supervised = thing.supervised()
    for now in (0.0, 1.0):
        thing.how = "exit code 1"
        supervised.look(now)
        supervised.look(now + 2.0)
    thing.how = "exit code 1"

    assert supervised.look(3.0 + STEADY_SECONDS) == "the thing ended with exit code 1: it is started again in 1 s"


def test_what_cannot_be_started_counts_as_ended() -> None:
    """A machine that has no memory for it now may have some later."""
    thing = Thing()
    supervised = thing.supervised()
    thing.how, thing.broken = "signal SIGKILL", True
    supervised.look(0.0)

    assert supervised.look(1.0) == "the thing ended with no memory: it is started again in 2 s"
    thing.broken = False
    assert supervised.look(3.0) == "the thing was started again"
