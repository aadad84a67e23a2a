"""The geometry of pictures, in whole numbers; templates draw them as SVG with attributes and classes alone."""

from collections.abc import Sequence

import msgspec

from koinon.money import largest_remainder

ROUND = 1000
"""A ring's whole circumference: an SVG circle has `pathLength` of this."""
GAP = 8
SMALLEST = 14
HEIGHT = 100
"""A column's full height."""


class Arc(msgspec.Struct, frozen=True):
    """A part of a ring: where it starts, clockwise from the top, how long it is, of ROUND, and its share in percent."""

    start: int
    length: int
    percent: int


class Column(msgspec.Struct, frozen=True):
    """A column of a chart: its height of HEIGHT; a value above zero is never drawn as nothing."""

    value: int
    height: int


def ring(parts: Sequence[int]) -> list[Arc]:
    """Return the arcs of parts that none is negative of, a gap apart, the smallest still seen.

    One part alone is the whole ring; parts of nothing have arcs of nothing.
    """
    shown = [part for part in parts if part > 0]
    if not shown:
        return [Arc(0, 0, 0) for _ in parts]
    percents = largest_remainder(100, parts)
    gap = GAP if len(shown) > 1 else 0
    free = ROUND - len(shown) * (gap + SMALLEST)
    spread = largest_remainder(free, parts) if free > 0 else (0,) * len(parts)
    arcs, start = [], 0
    for part, percent, extra in zip(parts, percents, spread, strict=True):
        length = SMALLEST + extra if part > 0 else 0
        arcs.append(Arc(start, length, percent))
        start += length + (gap if length else 0)
    return arcs


def columns(values: Sequence[int]) -> list[Column]:
    """Return the columns of values, the tallest as high as the chart; what is below zero has no height."""
    tallest = max(values, default=0)
    return [Column(value, max(1, value * HEIGHT // tallest) if value > 0 and tallest else 0) for value in values]
