"""Members read what the rules say, made from the rules."""

import re
from datetime import datetime, time
from pathlib import Path

from koinon.places import model as places_model
from offers.feeds.messages import Channel
from offers.model import FixedPoints, Hours
from offers.rewarding import decisions, rewards
from offers.rewarding.plans import BUDGET_EXHAUSTED, CONTRACT_MISSING
from offers.terms import REASONS, reason_text, terms, terms_hash
from tests.unit.offers.samples import version


def test_terms_of_a_plain_offer() -> None:
    """Rate, dates, activation, how points follow the payment, and what happens when several offers fit."""
    assert terms(version(), brand="Grocer") == (
        "Get 10 points for every €1.00 at Grocer, rounded down."
        " From 1 January 2026, 00:00 until 1 January 2027, 00:00, local time at the shop."
        " Switch the offer on first: earlier purchases do not count."
        " Your points are pending until the payment is settled, and follow what you finally paid."
        " A refund takes back its part."
        " If several offers fit a purchase, the one that gives you most counts."
    )


def test_terms_name_every_rule() -> None:
    """Each restriction of a version is one sentence."""
    offer = version(
        earn=FixedPoints(points=1500),
        places=(7, 8),
        minimum_minor=2000,
        cap_points_per_payment=1200,
        budget_points=1_000_000,
        weekdays=(6, 7, 1),
        hours=(Hours(since=time(9), until=time(17, 30)),),
        channels=(Channel.IN_STORE, Channel.ONLINE),
        mcc_included=("5411",),
        mcc_excluded=("5541", "5542"),
        ends_at=datetime(2026, 3, 31, 18, 0),  # noqa: DTZ001  # the place's own time
        activation_required=False,
    )

    assert terms(offer, brand="Grocer", unit="leaves", places=["Harbour", "Market"]) == (
        "Get 1,500 leaves for a purchase at Grocer (Harbour and Market) when you spend at least €20.00."
        " At most 1,200 leaves for one purchase."
        " From 1 January 2026, 00:00 until 31 March 2026, 18:00, local time at the shop."
        " Only on Mondays, Saturdays and Sundays."
        " Only from 09:00 to 17:30."
        " Only for purchases in store or online."
        " Only at shops of category 5411."
        " Not at shops of category 5541 or 5542."
        " The offer ends when 1,000,000 leaves have been given."
        " Your leaves are pending until the payment is settled, and follow what you finally paid."
        " A refund takes back its part."
        " If several offers fit a purchase, the one that gives you most counts."
    )


def test_the_hash_is_of_the_words() -> None:
    """Terms that read the same have the same hash."""
    assert terms_hash("a") == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"


def test_every_reason_that_a_rule_gives_can_be_read() -> None:
    """A code in the sources without a sentence, or a sentence without a code, fails here."""
    sources = [module.__file__ for module in (decisions, rewards, places_model)]
    written = "".join(Path(source).read_text(encoding="utf-8") for source in sources if source)
    codes = set(re.findall(r'"([a-z]+(?:-[a-z]+)+)"', written)) - {"descriptor-postcode", "descriptor-city"}
    codes |= {"declined", "reversed", "expired", "disputed", "refunded"}

    assert codes | {BUDGET_EXHAUSTED, CONTRACT_MISSING} == set(REASONS)
    assert reason_text("before-activation") == "The purchase was made before you switched this offer on."
