"""The geometry of pictures, and how figures are written."""

from datetime import UTC, date, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koinon.web.charts import GAP, HEIGHT, ROUND, SMALLEST, Arc, Column, columns, ring
from koinon.web.formats import day, grouped, moment, money, points, shade, signed_points

PARTS = st.lists(st.integers(0, 10**15), max_size=12)


def test_a_ring_of_one_part_is_whole() -> None:
    """No gap, wherever nothing else is."""
    assert ring([5]) == [Arc(0, 1000, 100)]
    assert ring([0, 5]) == [Arc(0, 0, 0), Arc(0, 1000, 100)]


def test_a_ring_of_nothing_is_empty() -> None:
    """Parts of nothing have arcs of nothing."""
    assert ring([]) == []
    assert ring([0, 0]) == [Arc(0, 0, 0), Arc(0, 0, 0)]


def test_a_ring_of_halves() -> None:
    """Two equal parts, a gap after each."""
    assert ring([7, 7]) == [Arc(0, 492, 50), Arc(500, 492, 50)]


@given(PARTS)
def test_arcs_fill_the_ring_and_never_overlap(parts: list[int]) -> None:
    """Arcs and gaps go round once; shares sum to 100; what is there is seen; a larger part has no smaller arc."""
    arcs = ring(parts)
    drawn = [arc for arc in arcs if arc.length]

    assert len(arcs) == len(parts)
    assert [arc.length > 0 for arc in arcs] == [part > 0 for part in parts]
    assert all(arc.length >= SMALLEST for arc in drawn)
    if drawn:
        gap = GAP if len(drawn) > 1 else 0
        assert sum(arc.length + gap for arc in drawn) == ROUND
        assert [arc.start for arc in drawn] == [
            sum(each.length + gap for each in drawn[:at]) for at in range(len(drawn))
        ]
        assert sum(arc.percent for arc in arcs) == 100
        ordered = sorted(zip(parts, (arc.length for arc in arcs), strict=True))
        assert all(after[1] >= before[1] - 1 for before, after in pairwise(ordered))


@given(st.lists(st.integers(-(10**15), 10**15), max_size=16))
def test_columns_keep_their_order(values: list[int]) -> None:
    """The tallest fills the chart, nothing above zero vanishes, and nothing below zero is drawn."""
    drawn = columns(values)

    assert [column.value for column in drawn] == values
    assert all((column.height > 0) == (column.value > 0) for column in drawn)
    assert max((column.height for column in drawn), default=0) == (HEIGHT if max(values, default=0) > 0 else 0)


def test_columns_of_a_day() -> None:
    """Heights are in proportion, rounded down."""
    assert columns([50, 200, 1, 0]) == [Column(50, 25), Column(200, 100), Column(1, 1), Column(0, 0)]


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (points(1234567), "1,234,567"),
        (points(-12), "−12"),
        (signed_points(5000), "+5,000"),
        (signed_points(-5000), "−5,000"),
        (signed_points(0), "0"),
        (money(-26355, "EUR"), "−€263.55"),
        (money(0, "JPY"), "JP¥0"),
        (money(123456, "KWD"), "KWD123.456"),
        (day(date(2026, 3, 2)), "2 Mar 2026"),
        (moment(datetime(2026, 3, 2, 22, 30, tzinfo=UTC), "Europe/Helsinki"), "3 Mar 2026, 00:30"),
        (grouped("KPC12345X"), ["KPC1", "2345", "X"]),
        ([shade(rank) for rank in (0, 6, 7, 8, 99)], [1, 7, 8, 8, 8]),
    ],
)
def test_figures_are_written_for_people(shown: object, text: object) -> None:
    """A true minus sign, parted thousands, the currency's own decimals, the zone's own time."""
    assert shown == text
