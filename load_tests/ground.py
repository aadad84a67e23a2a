"""What the users of the locust file share: the coalition that they act in, and what the simulator draws for it.

Pure but for the drawing: who sends it, and how, is the locust file's. All is drawn from the named assumptions of
`load_tests.distributions`, as the simulated day is.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from load_tests.distributions import BASKETS, PAYMENT_KINDS, Weighted, permille
from load_tests.driver.standing import Standing
from load_tests.simulator import make_coalition
from load_tests.simulator.lives import live
from load_tests.simulator.messages import Clockwork, Desk
from load_tests.simulator.model import Card
from load_tests.simulator.till import BY_AMOUNT_PERMILLE, STATED_PERMILLE, Market

BATCH_SIZES: Weighted[int] = Weighted({1: 30, 10: 30, 100: 30, 500: 10})
"""Assumption: processors post singly as often as in tens and hundreds, and seldom the largest batch."""

DUPLICATE_PERMILLE = 20
"""Assumption: one message in fifty comes twice, as in the simulated day."""

THINK_SECONDS = (0.2, 1.0)
"""Assumption: how long a simulated system or person waits between two calls; real ones wait longer and are more."""

PROOFS: Weighted[str] = Weighted({"card": 90, "staff": 10})
"""Assumption: at these tills; pay codes are asked for by the members themselves."""


class Ground(msgspec.Struct, kw_only=True):
    """A coalition under load, by one process."""

    standing: Standing
    rng: Random
    market: Market
    desk: Desk
    run: str
    owned: Counter[str]
    posted: list[dict[str, Any]]

    def earning(self) -> tuple[str, dict[str, Any]]:
        """Draw a till's earning: (brand, body); stated points are counted as the member's own."""
        member, (partner, place) = self.market.member(), self.market.place()
        amount = BASKETS[place.category].draw(self.rng)
        body: dict[str, Any] = {
            "member": self.standing.members[member.key].member,
            "place": self.standing.places[place.key],
            "amount_minor": amount,
            "currency": "EUR",
            "occurred_at": self.standing.clock_at,
        }
        if permille(self.rng, STATED_PERMILLE):
            body["points"] = max(1, amount * partner.stated_points_per_unit // 100)
        return partner.code, body

    def earned(self, body: dict[str, Any]) -> None:
        """Count what an earning that was answered gave for sure."""
        self.owned[body["member"]] += body.get("points", 0)

    def redemption(self) -> tuple[str, dict[str, Any]] | None:
        """Draw a till's redemption of points that were earned here: (brand, body); None while nobody has any."""
        owners = [member for member in self.market.members.choices if self._owned(member.key) >= 2]
        if not owners:
            return None
        member, (partner, place) = self.rng.choice(owners), self.market.place()
        identity = self.standing.members[member.key].member
        points = self.rng.randint(1, self._owned(member.key) // 2)
        # Taken off before it is asked for, so that two tills never ask for the same points.
        self.owned[identity] -= points
        body: dict[str, Any] = {"place": self.standing.places[place.key], "member": identity}
        if PROOFS.pick(self.rng) == "card":
            card = self.rng.choice(member.cards)
            body["proof"] = {"card": {"source": self.standing.processors[card.source].source, "token": card.token}}
        else:
            body["proof"] = {"staff": {"name": "till supervisor"}}
        if permille(self.rng, BY_AMOUNT_PERMILLE):
            return partner.code, body | {"amount_minor": points, "currency": "EUR"}
        return partner.code, body | {"points": points}

    def batch(self, source: str) -> list[dict[str, Any]]:
        """Draw a batch of a processor's card messages, some of which were posted before."""
        wanted = BATCH_SIZES.pick(self.rng)
        cards = [card for member in self.market.members.choices for card in member.cards if card.source == source]
        messages: list[dict[str, Any]] = []
        while len(messages) < wanted:
            messages.extend(self._payment(self.rng.choice(cards)))
        del messages[wanted:]
        before = [message for message in self.posted if message["card_token"].startswith(source)]
        for place in range(len(messages)):
            if before and permille(self.rng, DUPLICATE_PERMILLE):
                messages[place] = self.rng.choice(before)
        self.posted = (self.posted + messages)[-200:]
        return messages

    def _owned(self, member: str) -> int:
        return self.owned[self.standing.members[member].member]

    def _payment(self, card: Card) -> Sequence[dict[str, Any]]:
        _, place = self.market.place()
        amount = BASKETS[place.category].draw(self.rng)
        life = live(self.rng, PAYMENT_KINDS[place.category].pick(self.rng), place.category, amount)
        noon = 43_200
        written = self.desk.write(card, place, life, noon + self.rng.randrange(3_600))
        # Ids are the processor's own for ever: those of this run say so.
        return [
            message.body | {"message_id": f"{self.run}-{message.body['message_id']}"} for message in written.messages
        ]


def ground_of(standing: Standing, run: str, seed: int) -> Ground:
    """Return the ground of one process: `run` makes its message ids its own, `seed` draws what happens."""
    coalition = make_coalition(standing.seed, members=len(standing.members))
    rng = Random(seed)
    moment = datetime.fromisoformat(standing.clock_at).astimezone(ZoneInfo(coalition.zone))
    midnight = moment - timedelta(hours=moment.hour, minutes=moment.minute)
    return Ground(
        standing=standing,
        rng=rng,
        market=Market(rng, coalition),
        desk=Desk(rng, Clockwork(midnight), coalition.sources),
        run=run,
        owned=Counter(),
        posted=[],
    )
