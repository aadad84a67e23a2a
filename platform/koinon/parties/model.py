"""What a partner's contract says, and which contracts may stand beside each other.

Rates are exact ratios in minor units of the settlement currency per point: a price of 0.0100 EUR is `Fraction(1)`.
"""

from collections.abc import Iterable
from datetime import datetime
from fractions import Fraction
from itertools import chain

from msgspec import Struct

from koinon.clock import rfc3339
from koinon.money import MoneyError, exponent, parse_decimal, parse_rate, parse_ratio, ratio_text

# Every rate of a leg, s·(P - F) too, must fit two bigints: 10^6 minor units by 10^6 parts by 10^6 parts is 10^18.
MAXIMUM_RATE = 10**6
"""The highest price of a point, in minor units."""
MAXIMUM_PARTS = 10**6
"""The largest denominator of a rate in minor units per point, and of a share."""

HOUSES = ("operator", "pool", "margin", "breakage")
"""The parties of settlement that are no brands; no partner's code may be one of them but the operator's own."""


class TermsError(ValueError):
    """A contract's field is out of its range; `field` is its name in the API, the message says what would do."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


class UncoveredError(TermsError):
    """The terms are in range, but the partner's own honour rate is above its own price less fee; `terms` holds them."""

    def __init__(self, terms: "Terms") -> None:
        super().__init__("honour", "a partner's honour rate is at most its own price less fee")
        self.terms = terms


class Terms(Struct, frozen=True, kw_only=True):
    """The rates of one contract version.

    `price` P per point issued, `fee` F inside it for the operator, `issue_share` s (0 to 1) of P - F paid at issue
    and the rest when the points are honoured, `honour` H per point accepted.
    """

    price: Fraction
    fee: Fraction
    issue_share: Fraction
    honour: Fraction

    @property
    def funding(self) -> Fraction:
        """Return what a point brings into the pool over its life: P - F."""
        return self.price - self.fee

    @property
    def issue_funding(self) -> Fraction:
        """Return what a point brings into the pool when it is issued: s·(P - F)."""
        return self.issue_share * self.funding

    @property
    def honour_funding(self) -> Fraction:
        """Return what a point brings into the pool when it is honoured: (1 - s)·(P - F)."""
        return (1 - self.issue_share) * self.funding


class Contract(Struct, frozen=True, kw_only=True):
    """One version of a partner's terms; it never changes, and a lot keeps its issuer's version for life."""

    partner: str
    version: int
    currency: str
    terms: Terms
    effective_from: datetime


class ContractTerms(Struct, frozen=True, kw_only=True):
    """A contract version as a statement refers to it: prices in minor units per point, `effective_from` in UTC."""

    partner: str
    version: str
    price: str
    fee: str
    issue_share: str
    honour: str
    currency: str
    effective_from: str
    type: str = "contract"


class CoverageGap(Struct, frozen=True, kw_only=True):
    """A pair of versions in which an honoured point would cost more (`honour`) than its issuer pays in (`funding`)."""

    issuer: str
    issuer_version: int
    acceptor: str
    acceptor_version: int
    funding: Fraction
    honour: Fraction

    @property
    def shortfall(self) -> Fraction:
        """Return the minor units per point that nobody funds; above zero."""
        return self.honour - self.funding

    def facts(self) -> dict[str, str | int]:
        """Return the gap as facts of a refusal, rates as ratios in minor units per point."""
        return {
            "issuer": self.issuer,
            "issuer_version": self.issuer_version,
            "acceptor": self.acceptor,
            "acceptor_version": self.acceptor_version,
            "funding": ratio_text(self.funding),
            "honour": ratio_text(self.honour),
            "shortfall": ratio_text(self.shortfall),
        }


def parse_terms(*, price: str, fee: str, issue_share: str, honour: str, currency: str) -> Terms:
    """Return the terms that exact decimal texts say: rates in major units per point, the share from 0 to 1 or `n/d`.

    Raises TermsError naming the field, also for a currency without a minor unit.
    """
    try:
        exponent(currency)
    except MoneyError as error:
        raise TermsError("currency", str(error)) from None
    terms = Terms(
        price=_rate("price", price, currency),
        fee=_rate("fee", fee, currency),
        issue_share=_share(issue_share),
        honour=_rate("honour", honour, currency),
    )
    check_terms(terms)
    return terms


def check_terms(terms: Terms) -> None:
    """Raise TermsError unless 0 < P, 0 ≤ F ≤ P, 0 ≤ s ≤ 1 and 0 ≤ H ≤ P - F, all in the sizes that columns hold."""
    for field in ("price", "fee", "honour"):
        rate: Fraction = getattr(terms, field)
        if rate < 0:
            raise TermsError(field, "a rate is not negative")
        if rate > MAXIMUM_RATE:
            raise TermsError(field, f"a rate is at most {MAXIMUM_RATE} minor units per point")
        if rate.denominator > MAXIMUM_PARTS:
            raise TermsError(field, "a rate has at most six decimals of a minor unit")
    if terms.price == 0:
        raise TermsError("price", "a point has a price above zero")
    if terms.fee > terms.price:
        raise TermsError("fee", "the fee lies inside the price and is not above it")
    if not 0 <= terms.issue_share <= 1:
        raise TermsError("issue_share", "the share paid at issue is from 0 to 1")
    if terms.issue_share.denominator > MAXIMUM_PARTS:
        raise TermsError("issue_share", f"the share has at most six decimals, or a denominator up to {MAXIMUM_PARTS}")
    if terms.honour > terms.funding:
        raise UncoveredError(terms)


def coverage_gap(candidate: Contract, signed: Iterable[Contract]) -> CoverageGap | None:
    """Return the widest pair that the candidate would leave uncovered (P - F < H), or None when every pair is covered.

    `signed` holds every version of every partner of the programme, older ones too: lots keep their issuer's version
    and holds their acceptor's for as long as they live. Of equally wide gaps the first by issuer and acceptor is named.
    """
    others = [contract for contract in signed if _identity(contract) != _identity(candidate)]
    for other in others:
        if other.currency != candidate.currency:
            raise TermsError("currency", "all contracts of a programme are in its settlement currency")
    pairs = chain(
        ((candidate, acceptor) for acceptor in (candidate, *others)), ((other, candidate) for other in others)
    )
    gaps = [
        CoverageGap(
            issuer=issuer.partner,
            issuer_version=issuer.version,
            acceptor=acceptor.partner,
            acceptor_version=acceptor.version,
            funding=issuer.terms.funding,
            honour=acceptor.terms.honour,
        )
        for issuer, acceptor in pairs
        if issuer.terms.funding < acceptor.terms.honour
    ]
    return min(gaps, key=_widest_first, default=None)


def contract_at(versions: Iterable[Contract], instant: datetime) -> Contract | None:
    """Return the version of one partner's contract that is in force at an instant, or None before the first."""
    begun = [contract for contract in versions if contract.effective_from <= instant]
    return max(begun, key=lambda contract: contract.effective_from, default=None)


def check_effective(candidate: Contract, versions: Iterable[Contract], now: datetime) -> None:
    """Raise TermsError unless the candidate begins now or later, and after every version that the partner has."""
    if candidate.effective_from < now:
        raise TermsError("effective_from", "a contract does not begin in the past")
    if any(contract.effective_from >= candidate.effective_from for contract in versions):
        raise TermsError("effective_from", "a version begins after the versions before it")


def contract_line(contract: Contract) -> ContractTerms:
    """Return a contract version in the form that statements and bundles refer to."""
    terms = contract.terms
    return ContractTerms(
        partner=contract.partner,
        version=str(contract.version),
        price=ratio_text(terms.price),
        fee=ratio_text(terms.fee),
        issue_share=ratio_text(terms.issue_share),
        honour=ratio_text(terms.honour),
        currency=contract.currency,
        effective_from=rfc3339(contract.effective_from),
    )


def _identity(contract: Contract) -> tuple[str, int]:
    return contract.partner, contract.version


def _widest_first(gap: CoverageGap) -> tuple[Fraction, str, int, str, int]:
    return -gap.shortfall, gap.issuer, gap.issuer_version, gap.acceptor, gap.acceptor_version


def _rate(field: str, text: str, currency: str) -> Fraction:
    try:
        return parse_rate(text, currency)
    except MoneyError as error:
        raise TermsError(field, str(error)) from None


def _share(text: str) -> Fraction:
    try:
        return parse_ratio(text) if "/" in text else parse_decimal(text)
    except MoneyError as error:
        raise TermsError("issue_share", str(error)) from None
