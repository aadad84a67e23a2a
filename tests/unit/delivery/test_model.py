"""How long mail waits between attempts."""

from datetime import timedelta

from koinon.delivery.model import LONGEST_PAUSE, pause


def test_pauses_double_up_to_an_hour() -> None:
    """Attempts are 5, 10, 20 … seconds apart and at last an hour, more or less a half."""
    assert [pause(attempts, 1000).total_seconds() for attempts in (1, 2, 3, 10)] == [5, 10, 20, 2560]
    assert pause(11, 1000) == pause(10_000, 1000) == LONGEST_PAUSE
    assert pause(1, 500) == timedelta(milliseconds=2500)
    assert pause(1, 1500) == timedelta(milliseconds=7500)
