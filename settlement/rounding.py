"""Bills cells cumulatively, so that no window's rounding is ever lost or kept."""

from fractions import Fraction

from koinon.money import round_half_even
from settlement.model import Carried, Cell, Line, SettlementError

FIGURE_MAXIMUM = 2**63 - 1


def bill(cell: Cell, rate: Fraction, carried: Carried, points: int) -> Line:
    """Return the line of a cell for a window's points.

    The total since the start is rounded and what was billed before is taken off: the sum of all bills is never more
    than half a minor unit from the exact total, however the points are split over windows. Raises SettlementError for
    points or amounts that no column holds.
    """
    total = round_half_even(rate * (carried.points + points))
    for figure in (carried.points + points, total, total - carried.billed):
        if abs(figure) > FIGURE_MAXIMUM:
            raise SettlementError(f"{cell.leg} of {cell.partner}, version {cell.version}, comes to {figure}")
    return Line(
        cell=cell,
        rate=rate,
        points_before=carried.points,
        billed_before=carried.billed,
        points=points,
        amount=total - carried.billed,
    )
