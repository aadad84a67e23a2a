"""The ground of a load test: what is drawn can be asked for, and no till asks for points that nobody owns."""

from collections import Counter

import msgspec
import pytest

from load_tests.driver.standing import Brand, Processor, Session, Standing
from load_tests.ground import BATCH_SIZES, Ground, ground_of
from load_tests.simulator import make_coalition
from offers.feeds.reading import RefusedMessage, read_message

MEMBERS = 20


@pytest.fixture
def ground() -> Ground:
    """Return the ground of a coalition of twenty members, whose ids are their keys."""
    coalition = make_coalition(1, members=MEMBERS)
    places = [place for partner in coalition.partners for place in partner.places]
    standing = Standing(
        programme="pro_1",
        audience="http://localhost",
        clock_at="2026-03-02T12:00:00+02:00",
        seed=1,
        brands={each.code: Brand(partner=each.code, client="", private_key="") for each in coalition.partners},
        processors={each.code: Processor(source=each.code, secret="") for each in coalition.sources},
        places={place.key: place.key for place in places},
        members={each.key: Session(member=each.key, headers={}) for each in coalition.members},
    )
    return ground_of(standing, "run", seed=7)


def test_nobody_redeems_before_something_was_earned(ground: Ground) -> None:
    """There is nothing to draw at first."""
    assert ground.redemption() is None


def test_redemptions_stay_within_what_was_earned(ground: Ground) -> None:
    """However many tills redeem, a member's redemptions never come to more than their answered earnings."""
    earned: Counter[str] = Counter()
    redeemed: Counter[str] = Counter()
    for _ in range(300):
        _, body = ground.earning()
        ground.earned(body)
        earned[body["member"]] += body.get("points", 0)
        drawn = ground.redemption()
        if drawn is not None:
            _, asked = drawn
            redeemed[asked["member"]] += asked.get("points", 0) + asked.get("amount_minor", 0)
            assert len(asked["proof"]) == 1

    assert redeemed.total() > 0
    assert {member: points for member, points in redeemed.items() if points > earned[member]} == {}


@pytest.mark.parametrize("source", ["nordpay", "pontepay"])
def test_every_drawn_message_is_taken(ground: Ground, source: str) -> None:
    """Batches have one of the sizes, are the source's own, and hold what the feed accepts; some come twice."""
    ids: Counter[str] = Counter()
    for _ in range(40):
        batch = ground.batch(source)
        assert len(batch) in BATCH_SIZES.choices
        for message in batch:
            assert message["message_id"].startswith(f"run-{source}-")
            assert not isinstance(read_message(msgspec.json.encode(message), source), RefusedMessage)
            ids[message["message_id"]] += 1

    assert 1 < sum(count - 1 for count in ids.values()) < ids.total() // 10
