"""The coalition before its day: brands from the table, and people with cards and activations by seed."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from load_tests.distributions import BRAND_SHARE_QUARTERS, NETWORKS, Weighted, permille, ranked, seeded
from load_tests.simulator.brands import SOURCES, outside_places, partners
from load_tests.simulator.model import Card, Coalition, Member, Offer, Partner

ZONE = "Europe/Helsinki"
BUSINESS_DATE = date(2026, 3, 2)
LETTERS = "abcdefghjkmnpqrstvwxyz"
SYMBOLS = "0123456789" + LETTERS

SECOND_CARD_PERMILLE = 400
"""Assumption: two members in five link a second card."""

LINKED_PER_UNLINKED = 25
"""Assumption: a processor also sends messages of cards that nobody linked, one such card to 25 members."""

LANGUAGES: Weighted[str] = Weighted({"fi": 40, "el": 20, "lv": 15, "tr": 10, "en": 15})

NAMES = {
    "fi": ("Aino Eero Helmi Juhani Kaarina Lauri Sanna Veikko", "Aalto Heikkinen Korhonen Laine Nieminen Virtanen"),
    "el": ("Anna Dimitris Eleni Giorgos Katerina Nikos Sofia", "Economou Ioannou Kostas Nikolaou Vlachos"),
    "lv": ("Andris Anna Ilze Janis Liga Martins Zane", "Balodis Berzins Kalnina Krumina Ozols"),
    "tr": ("Ahmet Ayse Can Elif Emre Zeynep", "Aydin Demir Kaya Sahin Yilmaz"),
    "en": ("Alice Ben Chloe Daniel Emma Hugh Ruth", "Baker Clark Hill Reed Turner Wood"),
}
"""Common given and family names, joined by chance."""

PAR_PREFIXES = {"visa": "V001", "mastercard": "M001", "amex": "A001"}


def make_coalition(seed: int, *, members: int = 500, business_date: date = BUSINESS_DATE) -> Coalition:
    """Return the coalition of a seed, ready for a day on `business_date` (local to the programme's zone)."""
    zone = ZoneInfo(ZONE)
    midnight = datetime.combine(business_date, time(), zone)
    brands = partners(midnight - timedelta(days=1))
    return Coalition(
        seed=seed,
        name="Koinon of six brands",
        business_date=business_date.isoformat(),
        zone=ZONE,
        currency="EUR",
        face_value="0.01",
        expiry_months=24,
        setup_at=(midnight - timedelta(hours=36)).isoformat(),
        enrolment_at=(midnight - timedelta(hours=12)).isoformat(),
        partners=brands,
        sources=SOURCES,
        members=tuple(_members(seeded("members", seed), brands, members)),
        unlinked_cards=tuple(_unlinked(seeded("unlinked", seed), members)),
        outside_places=outside_places(),
    )


def _members(rng: Random, brands: Sequence[Partner], count: int) -> Iterator[Member]:
    share = ranked([partner.code for partner in brands], BRAND_SHARE_QUARTERS)
    offers = [offer for partner in brands for offer in partner.offers]
    for number in range(1, count + 1):
        key = f"member-{number:03}"
        language = LANGUAGES.pick(rng)
        given, family = (rng.choice(part.split()) for part in NAMES[language])
        yield Member(
            key=key,
            name=f"{given} {family}",
            email=f"{key}@example.org",
            language=language,
            enrolled_by=share.pick(rng),
            cards=tuple(_card(rng, key) for _ in range(2 if permille(rng, SECOND_CARD_PERMILLE) else 1)),
            activations=tuple(_activations(rng, offers)),
        )


def _activations(rng: Random, offers: Sequence[Offer]) -> Iterator[str]:
    return (offer.key for offer in offers if permille(rng, offer.popularity_permille))


def _unlinked(rng: Random, members: int) -> Iterator[Card]:
    return (_card(rng, "") for _ in range(max(2, members // LINKED_PER_UNLINKED)))


def _card(rng: Random, member: str) -> Card:
    network = NETWORKS.pick(rng)
    source = rng.choice(SOURCES).code
    return Card(
        token=f"{source}_{_symbols(rng, 20)}",
        par=f"{PAR_PREFIXES[network]}{_symbols(rng, 25).upper()}",
        last4=f"{rng.randrange(10_000):04}",
        network=network,
        source=source,
        member=member,
    )


def _symbols(rng: Random, count: int) -> str:
    """Draw a text in which every fourth symbol is a letter: no run of digits is as long as a card number's."""
    return "".join(rng.choice(SYMBOLS if place % 4 else LETTERS) for place in range(count))
