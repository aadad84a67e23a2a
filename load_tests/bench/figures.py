"""Rounds become medians, intervals and ratios: what is compared was measured in the same round."""

from collections.abc import Mapping, Sequence
from statistics import median

import msgspec


class Spread(msgspec.Struct, frozen=True):
    """A median with the smallest and the largest of its rounds.

    Of five rounds these two enclose the true median in 94 cases of 100 (1 - 2 / 2^5), whatever the distribution.
    """

    median: float
    least: float
    most: float


class Measured(msgspec.Struct, frozen=True):
    """What one kind of load reached in each round, in `unit`s a second."""

    name: str
    unit: str
    rates: tuple[float, ...]

    @property
    def spread(self) -> Spread:
        """The rates' median and interval."""
        return spread(self.rates)


class Ratio(msgspec.Struct, frozen=True):
    """How one load's rate stands to another's, round by round."""

    name: str
    spread: Spread


def spread(values: Sequence[float]) -> Spread:
    """Return the median and the interval of some rounds' values; raise ValueError for none."""
    if not values:
        raise ValueError("nothing was measured")
    return Spread(median(values), min(values), max(values))


def ratio(name: str, over: Measured, under: Measured) -> Ratio:
    """Return `over` by `under`, each round by its own: what made the machine slow then made both slow."""
    return Ratio(name, spread([a / b for a, b in zip(over.rates, under.rates, strict=True)]))


def gathered(rounds: Sequence[Mapping[str, float]], units: Mapping[str, str]) -> dict[str, Measured]:
    """Return what each load reached in all rounds, by its name; loads that some round lacks are left out."""
    names = [name for name in units if rounds and all(name in each for each in rounds)]
    return {name: Measured(name, units[name], tuple(each[name] for each in rounds)) for name in names}
