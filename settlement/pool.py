"""Checks the pool: its money, summed over all nights, must be what the outstanding points are worth by the lots.

Three accounts of the same thing that are kept apart meet here: the bills of all runs, the cells' points, and the lots.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction

from koinon.parties.model import Terms
from settlement.model import POOL, Leg, Line, PointsMismatch, PoolCheck, WindowFacts

Version = tuple[str, int]

# What each leg does to an issuer's outstanding points; the legs left out count the same points a second time.
_OUTSTANDING_SIGN = {Leg.ISSUE_FUNDING: 1, Leg.HONOUR_FUNDING: -1, Leg.BREAKAGE: -1}


def check_pool(lines: Sequence[Line], terms: Mapping[Version, Terms], facts: WindowFacts) -> PoolCheck:
    """Return whether the pool's balance after a window stands for what is outstanding, and why.

    `lines` of every cell that ever had points, but for the margins that the window left as they were. A cell of a whole
    rate cannot be off; any other is off by half a minor unit at most.
    """
    worth = (entry.points * terms[entry.partner, entry.version].issue_funding for entry in facts.outstanding)
    pool_lines = [line for line in lines if POOL in {line.cell.debtor, line.cell.creditor}]
    return PoolCheck(
        currency=facts.currency,
        balance=facts.pool_before
        + sum(line.amount if line.cell.creditor == POOL else -line.amount for line in pool_lines),
        worth=sum(worth, Fraction()),
        outstanding=sum(entry.points for entry in facts.outstanding),
        rounded_cells=facts.part_rate_margins + sum(1 for line in pool_lines if line.rate.denominator > 1),
        mismatches=_mismatches(lines, facts),
    )


def _mismatches(lines: Sequence[Line], facts: WindowFacts) -> tuple[PointsMismatch, ...]:
    by_lines: Counter[Version] = Counter()
    for line in lines:
        by_lines[line.cell.partner, line.cell.version] += _OUTSTANDING_SIGN.get(line.cell.leg, 0) * line.after.points
    by_lots: Counter[Version] = Counter()
    for entry in facts.outstanding:
        by_lots[entry.partner, entry.version] += entry.points
    return tuple(
        PointsMismatch(partner=partner, version=version, by_lines=points, by_lots=by_lots[partner, version])
        for (partner, version), points in sorted((key, by_lines[key]) for key in {*by_lines, *by_lots})
        if points != by_lots[partner, version]
    )
