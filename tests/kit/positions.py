"""A small set of books to settle: contracts, positions of plain events, and strategies that draw them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from fractions import Fraction

from hypothesis import strategies as st
from msgspec import Struct

from koinon.audit.model import Effect
from koinon.parties.model import Contract, Terms
from settlement.calculation import calculate
from settlement.model import POOL, Calculation, Carried, Cell, Outstanding, Position, WindowFacts

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
PARTNERS = ("a", "b", "c")
VERSIONS = (1, 2)


class Event(Struct, frozen=True):
    """Points of an issuer's version that were issued or expired, or honoured at an acceptor's version."""

    effect: Effect
    issuer: str
    version: int
    points: int
    acceptor: str = ""
    acceptor_version: int = 0


def issued(issuer: str, points: int, version: int = 1) -> Event:
    """Return points issued; negative when an earning is reversed."""
    return Event(Effect.ISSUED, issuer, version, points)


def expired(issuer: str, points: int, version: int = 1) -> Event:
    """Return points expired."""
    return Event(Effect.EXPIRED, issuer, version, points)


def honoured(issuer: str, acceptor: str, points: int, version: int = 1, acceptor_version: int = 1) -> Event:
    """Return points of an issuer honoured at an acceptor; negative when a redemption is reversed."""
    return Event(Effect.HONOURED, issuer, version, points, acceptor, acceptor_version)


def terms(price: str, fee: str = "0", share: str = "1", honour: str = "0") -> Terms:
    """Return terms in minor units per point."""
    return Terms(price=Fraction(price), fee=Fraction(fee), issue_share=Fraction(share), honour=Fraction(honour))


def contract(partner: str, rates: Terms, version: int = 1, currency: str = "USD") -> Contract:
    """Return a contract version that is in force."""
    return Contract(partner=partner, version=version, currency=currency, terms=rates, effective_from=BEGIN)


def positions(events: Iterable[Event]) -> list[Position]:
    """Return a row per event and party, unsummed, as the ledger's movements would give them."""
    rows = []
    for event in events:
        pair = event.effect is Effect.HONOURED
        rows.append(
            Position(
                partner=event.issuer,
                effect=event.effect,
                version=event.version,
                points=event.points,
                entries=1,
                counterparty=event.acceptor if pair else None,
                counterparty_version=event.acceptor_version if pair else None,
            )
        )
        if pair:
            rows.append(
                Position(
                    partner=event.acceptor,
                    effect=Effect.ACCEPTED,
                    version=event.acceptor_version,
                    points=event.points,
                    entries=1,
                    counterparty=event.issuer,
                    counterparty_version=event.version,
                )
            )
    return rows


def outstanding(events: Iterable[Event]) -> tuple[Outstanding, ...]:
    """Return what is left of every issuer's version after all events, as the lots would hold it."""
    left: Counter[tuple[str, int]] = Counter()
    for event in events:
        left[event.issuer, event.version] += event.points if event.effect is Effect.ISSUED else -event.points
    return tuple(Outstanding(partner, version, points) for (partner, version), points in left.items())


def facts(events: Iterable[Event], window: int = 12, pool_before: int = 0) -> WindowFacts:
    """Return the facts of a window at whose end all these events have happened, in US dollars."""
    return WindowFacts(
        programme="league",
        window=window,
        business_date=date(2026, 3, 2),
        currency="USD",
        pool_before=pool_before,
        outstanding=outstanding(events),
    )


def settle(
    contracts: Sequence[Contract], events: Sequence[Event], before: Mapping[Cell, Carried] | None = None
) -> Calculation:
    """Return the run of one window with these events, the first of all unless something is carried."""
    return calculate(contracts, before or {}, positions(events), facts(events))


def settle_windows(contracts: Sequence[Contract], windows: Sequence[Sequence[Event]]) -> list[Calculation]:
    """Return the runs of windows that follow each other."""
    runs: list[Calculation] = []
    so_far: list[Event] = []
    carried: Mapping[Cell, Carried] = {}
    pool = 0
    for number, events in enumerate(windows, 1):
        so_far.extend(events)
        runs.append(calculate(contracts, carried, positions(events), facts(so_far, number, pool)))
        carried = runs[-1].carried
        pool += sum(net.net for net in runs[-1].nets if net.party == POOL)
    return runs


RATES = st.fractions(min_value=0, max_value=3, max_denominator=40)
TERMS = st.builds(
    lambda fee, funding, share, honour: Terms(price=fee + funding, fee=fee, issue_share=share, honour=honour * funding),
    RATES,
    RATES,
    st.fractions(min_value=0, max_value=1, max_denominator=12),
    st.fractions(min_value=0, max_value=1, max_denominator=12),
)
CONTRACTS = st.lists(TERMS, min_size=6, max_size=6).map(
    lambda drawn: [
        contract(partner, rates, version)
        for (partner, version), rates in zip(((p, v) for p in PARTNERS for v in VERSIONS), drawn, strict=True)
    ]
)
_PARTNER = st.sampled_from(PARTNERS)
_VERSION = st.sampled_from(VERSIONS)
_POINTS = st.integers(-3_000, 3_000)
EVENTS = st.lists(
    st.one_of(
        st.builds(issued, _PARTNER, _POINTS, _VERSION),
        st.builds(expired, _PARTNER, _POINTS, _VERSION),
        st.builds(honoured, _PARTNER, _PARTNER, _POINTS, _VERSION, _VERSION),
    ),
    max_size=12,
)
