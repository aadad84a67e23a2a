"""The verifier's own arithmetic: which legs a contract version has, at which rates, and how they are rounded."""

from dataclasses import dataclass
from fractions import Fraction

from koinon_verify.records import Contract, StatementLine


@dataclass(frozen=True, slots=True)
class Leg:
    """What one point of an effect moves: from whom, to whom, how many minor units."""

    effect: str
    debtor: str
    creditor: str
    rate: Fraction


def legs_of(contract: Contract) -> dict[str, Leg]:
    """Return the legs of a contract version by their names.

    With price P, fee F, issue share s and honour rate H: the fee and s(P - F) when points are issued, the rest
    of P - F when they are honoured elsewhere, H for each point accepted; what expires leaves the pool.
    """
    partner, pooled = contract.partner, contract.price - contract.fee
    at_issue = contract.issue_share * pooled
    return {
        "fee": Leg("issued", partner, "operator", contract.fee),
        "issue_funding": Leg("issued", partner, "pool", at_issue),
        "honour_funding": Leg("honoured", partner, "pool", pooled - at_issue),
        "reimbursement": Leg("accepted", "pool", partner, contract.honour),
        "breakage": Leg("expired", "pool", "breakage", at_issue),
    }


def round_half_even(exact: Fraction) -> int:
    """Round to the nearest whole number, a half to the even one."""
    whole, rest = divmod(exact.numerator, exact.denominator)
    twice = 2 * rest
    if twice > exact.denominator or (twice == exact.denominator and whole % 2):
        return whole + 1
    return whole


def billed(rate: Fraction, points: int) -> int:
    """Return what a cell has been billed in all once its points have come to this many."""
    return round_half_even(rate * points)


def amount_of(line: StatementLine) -> int:
    """Return what a statement's line must amount to, from its rate and figures."""
    return billed(line.rate, line.points_before + line.points) - line.billed_before


def money(minor: int, exponent: int, currency: str) -> str:
    """Write minor units for people: `money(-123450, 2, "EUR")` is `-1,234.50 EUR`."""
    whole, rest = divmod(abs(minor), 10**exponent)
    decimals = f".{rest:0{exponent}}" if exponent else ""
    return f"{'-' if minor < 0 else ''}{whole:,}{decimals} {currency}"
