"""Six invented brands with different contracts, their places and offers, two processors, and shops next door."""

from datetime import datetime, timedelta

from msgspec import Struct

from load_tests.simulator.model import ContractTerms, NetworkId, Offer, Partner, Place, Source

SOURCES = (
    Source(code="nordpay", name="Nordpay Acquiring", gives_payment_ref=True, local_timestamps=True),
    Source(code="pontepay", name="Pontepay Processing", gives_payment_ref=False, local_timestamps=False),
)


class Terms(Struct, frozen=True):
    """A brand's line of the coalition: who it is and what it agreed to."""

    code: str
    name: str
    category: str
    iban: str
    stated_points_per_unit: int
    price: str
    fee: str
    issue_share: str
    honour: str


BRANDS = (
    Terms("agora", "Agora Market", "grocer", "FI2112345600000785", 3, "0.01", "0.001", "1", "0.0085"),
    Terms("lampas", "Lampas Fuel", "fuel", "DE89370400440532013000", 2, "0.0095", "0.001", "0", "0.008"),
    Terms("hygieia", "Hygieia Pharmacy", "pharmacy", "LV80BANK0000435195001", 4, "0.0102", "0.0012", "0.5", "0.00825"),
    Terms("kafeneio", "Kafeneio", "cafe", "GR1601101250000000012300695", 10, "0.012", "0.0015", "0.25", "0.0084"),
    Terms("chiton", "Chiton Fashion", "fashion", "EE382200221020145685", 5, "0.011", "0.002", "0.75", "0.0075"),
    Terms("odos", "Odos Travel", "travel", "NL91ABNA0417164300", 3, "0.0105", "0.00125", "0", "0.007"),
)
"""Assumption: terms as brands of such margins might agree: all paid at issue, all at redemption, and splits. The
least P - F is 0.85 cents (fuel) and the greatest H is 0.85 cents (grocer), so every pair is covered, and one of them
exactly. The IBANs are the public examples of the national formats."""

_PLACES = """
agora    Helsinki  00100 FI Europe/Helsinki 5411 in_store  Agora Market Kamppi
agora    Espoo     02100 FI Europe/Helsinki 5411 in_store  Agora Market Tapiola
agora    Tampere   33100 FI Europe/Helsinki 5411 in_store  Agora Market Hameenkatu
agora    Turku     20100 FI Europe/Helsinki 5411 in_store  Agora Market Kauppatori
agora    Helsinki  00520 FI Europe/Helsinki 5411 online    Agora Market Online
lampas   Vantaa    01510 FI Europe/Helsinki 5542 in_store  Lampas Pump Ring III
lampas   Lahti     15100 FI Europe/Helsinki 5542 in_store  Lampas Pump Lahti
lampas   Tampere   33900 FI Europe/Helsinki 5541 in_store  Lampas Station Lakalaiva
hygieia  Riga      LV-1050 LV Europe/Riga   5912 in_store  Hygieia Brivibas
hygieia  Riga      LV-1011 LV Europe/Riga   5912 in_store  Hygieia Centrs
hygieia  Helsinki  00170 FI Europe/Helsinki 5912 in_store  Hygieia Kruununhaka
kafeneio Athens    10563 GR Europe/Athens   5814 in_store  Kafeneio Psyrri
kafeneio Helsinki  00120 FI Europe/Helsinki 5814 in_store  Kafeneio Punavuori
kafeneio Helsinki  00530 FI Europe/Helsinki 5814 in_store  Kafeneio Kallio
kafeneio Berlin    10119 DE Europe/Berlin   5814 in_store  Kafeneio Mitte
chiton   Tallinn   10111 EE Europe/Tallinn  5651 in_store  Chiton Viru
chiton   Berlin    10117 DE Europe/Berlin   5651 in_store  Chiton Friedrichstrasse
chiton   Tallinn   10145 EE Europe/Tallinn  5651 online    Chiton Online
odos     Amsterdam 1012 NL Europe/Amsterdam 4722 online    Odos Travel Online
odos     Athens    10557 GR Europe/Athens   7011 in_store  Odos Hotel Plaka
"""
"""Partner, city, postcode, country, zone, MCC, channel, name; the first of a brand is its busiest."""

_OUTSIDE = """
grocer  Helsinki 00180 FI Europe/Helsinki 5411 in_store Corner Shop Ruoholahti
cafe    Helsinki 00100 FI Europe/Helsinki 5814 in_store Station Espresso
fashion Berlin   10178 DE Europe/Berlin   5691 in_store Vintage am Alex
"""

_OFFERS = """
agora    basics     650   3 per  100  min     0 cap  600 all-day   Three points for every euro
agora    full-cart  420 150 once   0  min  6000 cap  150 all-day   150 points from 60 euro
lampas   litres     520   2 per  100  min  2000 cap  200 all-day   Two points for every euro from 20
hygieia  care       380   4 per  100  min   500 cap  400 all-day   Four points for every euro from 5
kafeneio cup        560  40 once   0  min   300 cap   40 all-day   40 points a cup from 3 euro
kafeneio morning    450  25 per  250  min   400 cap  250 mornings  25 points for each 2.50 before eleven
chiton   wardrobe   340   5 per  100  min  3000 cap 1000 all-day   Five points for every euro from 30
odos     journey    300   3 per  100  min  5000 cap 3000 all-day   Three points for every euro from 50
odos     ticket     260 200 once   0  min  2500 cap  200 all-day   200 points from 25 euro
"""
"""Partner, key, members in 1000 who activate it, points, per minor units or once, minimum, cap, window, name."""

BUDGET_POINTS = 1_000_000
"""Large enough that no day of any scale here runs it out: purchases then compete for nothing, and the day's result
does not depend on which was recorded first."""

NETWORK_LETTERS = {"visa": "4", "mastercard": "5", "amex": "3"}


def partners(effective_at: datetime) -> tuple[Partner, ...]:
    """Return the six brands with contracts, offers and network ids that begin at `effective_at`, a local midnight.

    Most offers run for 30 days; the morning one ends at eleven of the day after it began.
    """
    begin = effective_at.isoformat()
    local = effective_at.replace(tzinfo=None)
    windows = {"all-day": local + timedelta(days=30), "mornings": local + timedelta(days=1, hours=11)}
    return tuple(
        Partner(
            code=terms.code,
            name=terms.name,
            category=terms.category,
            iban=terms.iban,
            email=f"finance@{terms.code}.example.org",
            stated_points_per_unit=terms.stated_points_per_unit,
            contract=ContractTerms(
                price=terms.price,
                fee=terms.fee,
                issue_share=terms.issue_share,
                honour=terms.honour,
                currency="EUR",
                effective_from=begin,
            ),
            places=_places(terms, begin),
            offers=_offers(terms.code, local, windows),
        )
        for terms in BRANDS
    )


def outside_places() -> tuple[Place, ...]:
    """Return shops that belong to no brand of the coalition, whose card messages arrive all the same."""
    rows = [line.split(maxsplit=7) for line in _OUTSIDE.strip().splitlines()]
    return tuple(_place("", row[0], row, number, ()) for number, row in enumerate(rows, start=1))


def _places(terms: Terms, valid_from: str) -> tuple[Place, ...]:
    rows = [line.split(maxsplit=7) for line in _PLACES.strip().splitlines()]
    brand = [row for row in rows if row[0] == terms.code]
    rank = [known.code for known in BRANDS].index(terms.code) + 1
    return tuple(
        _place(terms.code, terms.category, row, number, _network_ids(rank, number, valid_from))
        for number, row in enumerate(brand, start=1)
    )


def _place(partner: str, category: str, row: list[str], number: int, network_ids: tuple[NetworkId, ...]) -> Place:
    _, city, postcode, country, zone, mcc, channel, name = row
    return Place(
        key=f"{partner or 'outside-' + category}-{number}",
        partner=partner,
        category=category,
        name=name,
        descriptor=f"{name} {city}".upper()[:40],
        city=city,
        postcode=postcode,
        country=country,
        zone=zone,
        mcc=mcc,
        channel=channel,
        network_ids=network_ids,
    )


def _network_ids(rank: int, number: int, valid_from: str) -> tuple[NetworkId, ...]:
    """Return the ids of a brand's place: per network a merchant id, for two networks the scheme's own ids as well.

    A merchant id is unique only per acquirer: the places of neighbouring brands share theirs under different
    acquirers, so that a match by the bare id would pay the wrong brand.
    """
    shared = f"{(rank + 1) // 2:03}{number:04}"
    store = f"{rank:03}{number:04}"
    named = [
        *(
            ("acquirer", f"{shared}{letter}", network, f"{letter}{rank:05}")
            for network, letter in NETWORK_LETTERS.items()
        ),
        ("merchant", f"VM{store}", "visa", ""),
        ("store", f"VS{store}", "visa", ""),
        ("store", f"ML{store}", "mastercard", ""),
    ]
    return tuple(
        NetworkId(kind=kind, value=value, network=network, acquirer_id=acquirer, valid_from=valid_from)
        for kind, value, network, acquirer in named
    )


def _offers(partner: str, begin: datetime, windows: dict[str, datetime]) -> tuple[Offer, ...]:
    rows = [line.split(maxsplit=11) for line in _OFFERS.strip().splitlines()]
    return tuple(
        Offer(
            key=f"{partner}-{key}",
            partner=partner,
            name=name,
            points=int(points),
            per_minor=int(per_minor),
            minimum_minor=int(minimum),
            cap_points=int(cap),
            budget_points=BUDGET_POINTS,
            starts_at=begin.isoformat(),
            ends_at=windows[window].isoformat(),
            popularity_permille=int(popularity),
        )
        for owner, key, popularity, points, _, per_minor, _, minimum, _, cap, window, name in rows
        if owner == partner
    )
