"""What a coalition's day looks like, as named assumptions drawn by seed with whole-number arithmetic only.

No figure here was measured on a real coalition: nobody publishes one. Each assumption says what it imitates, so
that whoever has figures can put them in its place. Every draw goes through `random.Random`'s integer methods and
no float is formed, so that a seed gives the same bytes in any process, on any machine.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import isqrt
from random import Random
from typing import Generic, TypeVar

from msgspec import Struct

Choice = TypeVar("Choice")

DAY_SECONDS = 86_400
HOUR_SECONDS = 3_600


def seeded(*parts: object) -> Random:
    """Return the generator of a seed: what is drawn and the number, such as `seeded("payments", 1)`."""
    return Random(" ".join(map(str, parts)))


class Weighted(Generic[Choice]):
    """Choices drawn in proportion to whole-number weights."""

    def __init__(self, weights: Mapping[Choice, int]) -> None:
        """Take the choices in the mapping's own order, which the draw depends on."""
        self.choices: tuple[Choice, ...] = tuple(weights)
        self.bounds: tuple[int, ...] = tuple(accumulate(weights.values()))
        if not self.bounds or self.bounds[-1] <= 0 or min(weights.values()) < 0:
            raise ValueError(f"weights need a positive sum and no negative part: {dict(weights)}")

    def pick(self, rng: Random) -> Choice:
        """Draw one choice."""
        return self.choices[bisect_right(self.bounds, rng.randrange(self.bounds[-1]))]


def permille(rng: Random, parts: int) -> bool:
    """Draw true in `parts` of 1000 cases."""
    return rng.randrange(1_000) < parts


def power_law(count: int, quarters: int) -> tuple[int, ...]:
    """Return the weights rank^(-quarters/4) of `count` ranks, scaled to whole numbers, the first rank 10^6."""
    scale = 10**6
    return tuple(isqrt(isqrt(scale**4 // rank**quarters)) for rank in range(1, count + 1))


def ranked(choices: Sequence[Choice], quarters: int) -> Weighted[Choice]:
    """Return the choices weighted by `power_law` in the order given, the first one the heaviest."""
    return Weighted(dict(zip(choices, power_law(len(choices), quarters), strict=True)))


BRAND_SHARE_QUARTERS = 4
"""Assumption: purchases fall on the coalition's brands by Zipf's law (exponent 1), the grocer first."""

MEMBER_ACTIVITY_QUARTERS = 1
"""Assumption: members buy unequally, by a mild power law (exponent 1/4): a day of 500 people has to hold 20,000
messages, and a steeper law would have its first member at a till every few minutes."""

PLACE_SHARE_QUARTERS = 2
"""Assumption: a brand's places share its purchases by a power law of exponent 1/2, the flagship first."""


class Basket(Struct, frozen=True):
    """A distribution of amounts: its median in minor units, and the coin tosses that spread it."""

    median_minor: int
    tosses: int
    least_minor: int = 50

    def draw(self, rng: Random) -> int:
        """Draw an amount in minor units: log-normal in the limit.

        Gibrat's law read as a recipe: a product of many small independent factors is log-normal. Each toss of a
        coin multiplies or divides the median by 17/16, so sigma = ln(17/16) x sqrt(tosses), about 0.0606 x
        sqrt(tosses). A last uniform factor below (17/16)^2 fills the gaps between the steps.
        """
        steps = 2 * rng.getrandbits(self.tosses).bit_count() - self.tosses
        up, down = (17, 16) if steps >= 0 else (16, 17)
        top, bottom = pow(up, abs(steps)), pow(down, abs(steps))
        fill = 1_000 + rng.randrange(129)
        amount: int = self.median_minor * top * fill // (bottom * 1_064)
        return max(self.least_minor, amount)


BASKETS: Mapping[str, Basket] = {
    "grocer": Basket(median_minor=2_450, tosses=120),
    "fuel": Basket(median_minor=5_200, tosses=30, least_minor=500),
    "pharmacy": Basket(median_minor=1_650, tosses=100),
    "cafe": Basket(median_minor=680, tosses=50, least_minor=150),
    "fashion": Basket(median_minor=5_900, tosses=130, least_minor=300),
    "travel": Basket(median_minor=18_500, tosses=200, least_minor=400),
}
"""Assumption: baskets are log-normal per category (sigma 0.66, 0.33, 0.61, 0.43, 0.69, 0.86 in this order): narrow
where a tank sets the size, wide where a bus ticket and a fortnight's hotel come from one brand. EUR."""

_HOURS: Mapping[str, str] = {
    #           06 07 08 09 10 11 12 13 14 15 16 17 18 19
    "grocer": "  1  2  3  4  5  6  6  5  5  7 10 12 10  7",
    "fuel": "    7 12 11  6  4  4  5  4  5  8 12 12  7  3",
    "pharmacy": "0  1  4  7  9  9  7  6  7  8  9  8  5  3",
    "cafe": "    6 14 16 12  9  7 11  9  7  6  4  2  1  1",
    "fashion": " 0  0  1  3  6  8 10 10  9 10 12 13 11  7",
    "travel": "  2  3  5  7  8  8  9  8  7  7  8  9 10  9",
}
FIRST_HOUR = 6
DIURNAL: Mapping[str, Weighted[int]] = {
    category: Weighted(dict(enumerate(map(int, weights.split()), start=FIRST_HOUR)))
    for category, weights in _HOURS.items()
}
"""Assumption: purchases per local hour, 06 to 20: coffee in the morning, fuel at both ends of work, groceries after
it, shopping at noon and in the evening. Nights are left out, so that the whole day's clearing fits into the day."""


def second_of_day(rng: Random, category: str) -> int:
    """Draw the second since local midnight at which a purchase of this category begins."""
    return DIURNAL[category].pick(rng) * HOUR_SECONDS + rng.randrange(HOUR_SECONDS)


LATE_SECONDS = 2 * HOUR_SECONDS
"""A clearing is called late when it comes this long after its purchase."""

_CLEARING_LAG: Weighted[tuple[int, int]] = Weighted(
    {(20, 900): 50, (900, LATE_SECONDS): 35, (LATE_SECONDS, 21_600): 15}
)


def clearing_lag_seconds(rng: Random) -> int:
    """Draw how long after the authorisation a clearing comes.

    Assumption, and the one that departs most from life: real clearings take one to five business days. The
    simulated day is closed at its end and its settlement must not depend on what is still under way, so the same
    shape (most soon, some later, 15 % late) is pressed from days into hours.
    """
    least, most = _CLEARING_LAG.pick(rng)
    return rng.randrange(least, most)


_KINDS = "plain single tip partial several increment reversed part-reversed clearing-reversed open declined"
_KIND_PERMILLE: Mapping[str, str] = {
    "grocer": "  840  100   0       0       0         0        8             4                 8   10       30",
    "fuel": "    330   80   0     540       0         0        8             4                 8   10       20",
    "pharmacy": "830  110   0       0       0         0        8             4                 8   10       30",
    "cafe": "    620   60 270       0       0         0        8             4                 8   10       20",
    "fashion": " 700   40   0      90     110         0        8             4                 8   10       30",
    "travel": "  620   30   0      80     120        80        8             4                 8   10       40",
}
PAYMENT_KINDS: Mapping[str, Weighted[str]] = {
    category: Weighted(dict(zip(_KINDS.split(), map(int, parts.split()), strict=True)))
    for category, parts in _KIND_PERMILLE.items()
}
"""Assumption: what becomes of a card payment, in parts of 1000. Most are authorised and cleared as they stand; some
are cleared without an authorisation; a quarter of the café's carry a tip; more than half of the fuel is authorised
for a ceiling and cleared for what ran; fashion and travel clear for less when something is out of stock, in several
legs when it ships in several parcels, and hotels raise the authorisation; 2 % are reversed (before the clearing, in
part, or after it); 1 % stay open over the close; 2 to 5 % are declined."""

REFUND_PERMILLE = 30
"""Assumption: 3 % of cleared payments are refunded the same day."""

REFUND_KINDS: Weighted[str] = Weighted({"full": 55, "partial": 35, "twice": 5, "orphan": 5})
"""Assumption: how a refund comes: whole, in part, in two parts, or as an orphan that names no payment at all (11 % in
a published file of a city's purchase cards, fewer where cards are linked)."""

TIP_PERCENT: Weighted[int] = Weighted({5: 15, 10: 50, 15: 25, 20: 10})
"""Assumption: a café's tip in percent of the bill."""

FUEL_CEILINGS_MINOR: Weighted[int] = Weighted({10_000: 30, 12_000: 50, 15_000: 20})
"""Assumption: what a pump authorises before it runs."""

NETWORKS: Weighted[str] = Weighted({"visa": 52, "mastercard": 40, "amex": 8})
"""Assumption: the networks of the members' cards."""


def part_of(rng: Random, amount_minor: int, least_percent: int, most_percent: int) -> int:
    """Draw a whole part of an amount, between the two percentages of it, at least one minor unit."""
    return max(1, amount_minor * rng.randint(least_percent, most_percent) // 100)
