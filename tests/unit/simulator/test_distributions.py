"""The day's assumptions, as far as a draw shows them."""

import statistics

import pytest

from load_tests.distributions import (
    BASKETS,
    DIURNAL,
    HOUR_SECONDS,
    PAYMENT_KINDS,
    Weighted,
    clearing_lag_seconds,
    part_of,
    power_law,
    ranked,
    second_of_day,
    seeded,
)


def test_power_law_is_exact() -> None:
    """Weights are rank^(-quarters/4), scaled and rounded down, by whole-number roots."""
    assert power_law(4, 4) == (1_000_000, 500_000, 333_333, 250_000)
    assert power_law(4, 2) == (1_000_000, 707_106, 577_350, 500_000)
    assert power_law(16, 1)[15] == 500_000


def test_weighted_draws_in_proportion() -> None:
    """A choice of weight three comes three times as often as one of weight one, and one of weight zero never."""
    weighted = Weighted({"three": 3, "never": 0, "one": 1})
    rng = seeded(1)
    drawn = [weighted.pick(rng) for _ in range(10_000)]
    assert drawn.count("never") == 0
    assert drawn.count("three") + drawn.count("one") == 10_000
    assert 7_300 < drawn.count("three") < 7_700


@pytest.mark.parametrize("weights", [{}, {"a": 0}, {"a": 2, "b": -1}])
def test_weighted_refuses_weights_that_mean_nothing(weights: dict[str, int]) -> None:
    """No choice, no positive weight, or a negative weight is an error."""
    with pytest.raises(ValueError, match="positive sum"):
        Weighted(weights)


def test_ranked_prefers_the_first() -> None:
    """With exponent 1 the first of two choices takes two thirds."""
    assert ranked(["a", "b"], 4).bounds == (1_000_000, 1_500_000)


@pytest.mark.parametrize("category", BASKETS)
def test_baskets_are_log_normal_around_their_median(category: str) -> None:
    """Amounts are whole, never below the least, half of them below the median, and skewed to the right."""
    basket, rng = BASKETS[category], seeded(category)
    amounts = [basket.draw(rng) for _ in range(4_000)]
    assert all(type(amount) is int and amount >= basket.least_minor for amount in amounts)
    assert statistics.median(amounts) == pytest.approx(basket.median_minor, rel=0.06)
    assert statistics.mean(amounts) > statistics.median(amounts)


def test_a_basket_is_the_same_on_every_machine() -> None:
    """A seed gives these amounts: they come of whole-number arithmetic alone."""
    rng = seeded(7)
    assert [BASKETS["grocer"].draw(rng) for _ in range(5)] == [2378, 2018, 2166, 507, 4894]


def test_purchases_fall_into_the_day() -> None:
    """Every purchase begins between six in the morning and eight in the evening; cafés are busiest before noon."""
    rng = seeded(3)
    for category in DIURNAL:
        seconds = [second_of_day(rng, category) for _ in range(1_000)]
        assert min(seconds) >= 6 * HOUR_SECONDS
        assert max(seconds) < 20 * HOUR_SECONDS
    cups = [second_of_day(rng, "cafe") for _ in range(2_000)]
    assert sum(second < 12 * HOUR_SECONDS for second in cups) > 1_000


def test_clearings_lag_up_to_six_hours() -> None:
    """About 15 % of clearings come two hours or more after their authorisation, none after six."""
    rng = seeded(4)
    lags = [clearing_lag_seconds(rng) for _ in range(4_000)]
    assert min(lags) >= 20
    assert max(lags) < 6 * HOUR_SECONDS
    assert 0.12 < sum(lag >= 2 * HOUR_SECONDS for lag in lags) / len(lags) < 0.18


def test_kinds_of_payment_add_up() -> None:
    """Each category's kinds of payment are given in parts of a thousand, and only cafés know tips."""
    assert {category: kinds.bounds[-1] for category, kinds in PAYMENT_KINDS.items()} == dict.fromkeys(BASKETS, 1_000)
    rng = seeded(5)
    assert "tip" in {PAYMENT_KINDS["cafe"].pick(rng) for _ in range(100)}
    assert "tip" not in {PAYMENT_KINDS["grocer"].pick(rng) for _ in range(1_000)}


def test_a_part_is_never_nothing() -> None:
    """A part of one minor unit is that unit."""
    assert part_of(seeded(6), 1, 10, 20) == 1
    assert 10 <= part_of(seeded(6), 100, 10, 20) <= 20
