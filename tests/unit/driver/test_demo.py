"""The demo's small decisions: how much of the day is driven, what a second demo is called, whose page is shown."""

from itertools import islice

from load_tests.driver.demo import names, scale_of, tried
from load_tests.simulator import Scale, make_coalition
from load_tests.simulator.till import saves


def test_the_whole_day_is_the_default_scale() -> None:
    """A hundred percent are the numbers that the README names; a part has members enough to be a day."""
    assert scale_of(100) == Scale(card_messages=20_000, earnings=3_000, redemptions=1_000, members=500)
    assert scale_of(5) == Scale(card_messages=1_000, earnings=150, redemptions=50, members=40)


def test_a_second_demo_has_a_number() -> None:
    """Codes go on for ever, the first without a number."""
    assert list(islice(names(), 3)) == ["demo", "demo-2", "demo-3"]


def test_the_member_to_look_at_spends() -> None:
    """Somebody whose history holds redemptions and who switched several offers on."""
    shown = tried(make_coalition(1).members)

    assert not saves(shown)
    assert len(shown.activations) >= 5
