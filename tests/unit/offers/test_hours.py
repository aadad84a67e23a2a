"""The hours of an offer, on the place's clock, whether or not midnight lies between."""

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from offers.model import Hours
from offers.rewarding.decisions import decide, till_facts
from tests.unit.offers.samples import HELSINKI, version

HELSINKI_ZONE = ZoneInfo(HELSINKI.time_zone)


@pytest.mark.parametrize(
    ("since", "until", "inside", "outside"),
    [
        (
            time(22),
            time(6),
            ["22:00", "22:00:59", "23:59:59.999999", "00:00", "05:59:59.999999"],
            ["06:00", "06:01", "12:00", "21:59:59.999999"],
        ),
        (time(22), time(0), ["22:00", "23:59:59.999999"], ["00:00", "12:00", "21:59:59.999999"]),
        (time(0), time(6), ["00:00", "05:59:59.999999"], ["06:00", "23:59:59.999999"]),
        (time(9), time(17), ["09:00", "16:59:59.999999"], ["00:00", "08:59:59.999999", "17:00"]),
    ],
)
def test_hours_begin_with_their_first_instant(since: time, until: time, inside: list[str], outside: list[str]) -> None:
    """A start counts and an end does not; over midnight the evening and the morning both count, midnight too."""
    offer = version(hours=(Hours(since=since, until=until),), activation_required=False)

    def reason(clock: str) -> str | None:
        at = datetime.combine(date(2026, 3, 2), time.fromisoformat(clock), HELSINKI_ZONE)
        facts = till_facts(amount_minor=5000, currency="EUR", occurred_at=at, place=HELSINKI)
        return decide(facts, None, offer).reason

    assert {clock: reason(clock) for clock in inside} == dict.fromkeys(inside)
    assert {clock: reason(clock) for clock in outside} == dict.fromkeys(outside, "outside-hours")


def test_two_spans_of_hours_are_either() -> None:
    """Of several spans one is enough: breakfast and the night, with the afternoon between left out."""
    offer = version(
        hours=(Hours(since=time(7), until=time(10)), Hours(since=time(22), until=time(6))), activation_required=False
    )

    def points(hour: int) -> int:
        at = datetime(2026, 3, 2, hour, tzinfo=HELSINKI_ZONE)
        return decide(
            till_facts(amount_minor=5000, currency="EUR", occurred_at=at, place=HELSINKI), None, offer
        ).confirmed_points

    assert [hour for hour in range(24) if points(hour)] == [0, 1, 2, 3, 4, 5, 7, 8, 9, 22, 23]
