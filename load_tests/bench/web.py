"""An installation under load over HTTP: earnings at 32 connections, and a feed in batches of 500."""

import itertools
import math
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from koinon.identity.webhook_signatures import decode_secret, sign
from load_tests.bench.books import Books, check
from load_tests.bench.coalition import (
    BRANDS,
    CLOCK,
    MEMBERS,
    MINOR_PER_POINT,
    Coalition,
    card,
    descriptor,
    open_coalition,
)
from load_tests.bench.database import FEED_BATCH, SET_CLIENTS, BenchFailed
from load_tests.bench.loader import Requests, request, send
from load_tests.bench.sizes import Growth, sizes
from load_tests.driver.backlog import Operator
from load_tests.driver.connection import Connection
from load_tests.driver.installation import new_operator

CONNECTIONS = 32
FEED_CONNECTIONS = SET_CLIENTS
"""As many as the raw feed has clients, so that both write as many batches side by side."""
DUPLICATES = FEED_BATCH * 2 // 100
FEWEST_EARNINGS = 320
FEWEST_BATCHES = 10
"""Fewer would be over before their time says anything; many more would take minutes to be rewarded."""
WARMING_BATCHES = 2
POINTS = 10
VERDICTS = ("accepted", "duplicate", "conflict", "refused")


class EarningLoad(msgspec.Struct, frozen=True, kw_only=True):
    """Tills at so many brands; points are stated by the till, or come of one offer a brand with a budget.

    `crowded`: that one stands among 1,000.
    """

    name: str
    brands: int
    offers: bool
    crowded: bool = False


class FeedLoad(msgspec.Struct, frozen=True, kw_only=True):
    """Card messages of purchases at so many brands, each with one offer with a budget; named as it is measured.

    `crowded`: that one stands among 1,000.
    """

    to_202: str
    rewarded: str
    brands: int
    crowded: bool = False


EARNINGS = (
    EarningLoad(name="http earning", brands=BRANDS, offers=False),
    EarningLoad(name="http earning, one brand", brands=1, offers=False),
    EarningLoad(name="http earning, 100 offers", brands=BRANDS, offers=True),
    EarningLoad(name="http earning, one offer", brands=1, offers=True),
    EarningLoad(name="http earning, 1,000 offers", brands=BRANDS, offers=True, crowded=True),
)
FEEDS = (
    FeedLoad(to_202="feed to 202", rewarded="feed to rewarded", brands=BRANDS),
    FeedLoad(to_202="feed to 202, one brand", rewarded="feed to rewarded, one brand", brands=1),
    FeedLoad(
        to_202="feed to 202, 1,000 offers", rewarded="feed to rewarded, 1,000 offers", brands=BRANDS, crowded=True
    ),
)


class Web:
    """Three coalitions of 100 brands on one installation: without offers, with one a brand, and with ten a brand."""

    def __init__(self, connection: Connection, folder: Path, url: str) -> None:
        """Take an installation that runs, its folder, and its database's URL, where rows are counted."""
        self.connection = connection
        self.folder = folder
        self.url = url
        self.numbers = itertools.count()
        # Messages are sent again some batches later, when nobody waits any more for the first time's transaction.
        self.sent: dict[str, deque[list[msgspec.Raw]]] = defaultdict(lambda: deque(maxlen=FEED_CONNECTIONS + 1))
        self.rates: dict[str, float] = {}
        self.growth = Growth()

    async def prepare(self, earnings: Sequence[EarningLoad] = EARNINGS, feeds: Sequence[FeedLoad] = FEEDS) -> None:
        """Open the coalitions over the API, and run every load once, shortly, so that each has a rate to begin with."""
        path = self.folder / "operator.json"
        machine = await new_operator(self.connection, path, email="bench@koinon.example", name="Benchmark")
        self.operator = Operator(machine)
        self.stated = await open_coalition(self.connection, self.operator, "bench-stated", offers=False)
        self.offered = await open_coalition(self.connection, self.operator, "bench-offers", offers=True)
        self.crowded = await open_coalition(self.connection, self.operator, "bench-crowded", offers=True, crowded=True)
        self.books = {
            self.stated.code: Books(budgeted=False),
            self.offered.code: Books(budgeted=True),
            self.crowded.code: Books(budgeted=True),
        }
        for earning in earnings:
            await self.earnings(earning, 0)
        for feed in feeds:
            await self.feed(feed, 0)

    async def earnings(self, load: EarningLoad, seconds: int) -> float:
        """Post about as many earnings as take so many seconds; return how many a second were answered 201."""
        coalition = self._offering(load) if load.offers else self.stated
        count = max(FEWEST_EARNINGS, int(self.rates.get(load.name, 0) * seconds))
        requests = await self._earnings(coalition, load, count)
        before = await sizes(self.url)
        answered = await send(
            self.connection.address,
            Requests(requests=requests, connections=CONNECTIONS, status=201, summed=("points",)),
        )
        if answered.sums != {"points": count * POINTS}:
            raise BenchFailed(f"{count} earnings came to {answered.sums}")
        self.books[coalition.code].earnings += count
        self.books[coalition.code].points += count * POINTS
        await self.operator.worked_off(coalition.programme)
        if not load.offers:
            # With the rows of the log: who waits for it to be worked off has waited for them.
            self.growth.add(count, before, await sizes(self.url))
        self.rates[load.name] = count / answered.seconds
        return self.rates[load.name]

    async def _earnings(self, coalition: Coalition, load: EarningLoad, count: int) -> list[bytes]:
        shops = coalition.shops[: load.brands]
        headers = [await shop.machine.headers() for shop in shops]
        bodies = []
        for number, member in enumerate(coalition.members):
            earning = {
                "member": member,
                "place": shops[number % load.brands].place,
                "amount_minor": POINTS * MINOR_PER_POINT,
                "currency": "EUR",
                "occurred_at": CLOCK,
            }
            bodies.append(msgspec.json.encode(earning if load.offers else earning | {"points": POINTS}))
        run = uuid.uuid4().hex
        return [
            request(
                self.connection.address,
                "/v1/earnings",
                headers[number % MEMBERS % load.brands] | {"Idempotency-Key": f"{run}-{number}"},
                bodies[number % MEMBERS],
            )
            for number in range(count)
        ]

    async def feed(self, load: FeedLoad, seconds: int) -> tuple[float, float]:
        """Post batches until about so many seconds are over when all is rewarded and logged.

        Returns messages a second, duplicates too, up to the last 202 and up to the last journal in the log.
        """
        known = self.rates.get(load.rewarded)
        batches = max(FEWEST_BATCHES, math.ceil(known * seconds / FEED_BATCH)) if known else WARMING_BATCHES
        requests, verdicts, points = self.signed_feed(load, batches)
        answered = await send(
            self.connection.address,
            Requests(requests=requests, connections=FEED_CONNECTIONS, status=202, summed=VERDICTS),
        )
        if answered.sums != verdicts:
            raise BenchFailed(f"{batches} batches were answered with {answered.sums} instead of {verdicts}")
        coalition = self._offering(load)
        books = self.books[coalition.code]
        books.messages += verdicts["accepted"]
        books.points += points
        await self.operator.worked_off(coalition.programme)
        self.rates[load.rewarded] = batches * FEED_BATCH / (time.monotonic() - answered.begun)
        return batches * FEED_BATCH / answered.seconds, self.rates[load.rewarded]

    def signed_feed(self, load: FeedLoad, batches: int) -> tuple[list[bytes], dict[str, int], int]:
        """Return signed batches, the verdicts that they must get, and the points that they must come to.

        They are signed now, and good for five minutes.
        """
        processor, requests, duplicates, points = self._offering(load).processor, [], 0, 0
        sent = self.sent[processor.source]
        path = f"/v1/feeds/{processor.source}/transactions"
        for _ in range(batches):
            again = sent[0][:DUPLICATES] if len(sent) == sent.maxlen else []
            fresh = [_message(next(self.numbers), load.brands) for _ in range(FEED_BATCH - len(again))]
            sent.append([msgspec.Raw(msgspec.json.encode(message)) for message in fresh])
            duplicates += len(again)
            points += sum(message["amount_minor"] // MINOR_PER_POINT for message in fresh)
            body = msgspec.json.encode({"messages": again + sent[-1]})
            headers = sign(decode_secret(processor.secret), f"msg_{uuid.uuid4().hex}", int(time.time()), body)
            requests.append(request(self.connection.address, path, headers, body))
        accepted = batches * FEED_BATCH - duplicates
        return requests, {"accepted": accepted, "duplicate": duplicates, "conflict": 0, "refused": 0}, points

    def _offering(self, load: EarningLoad | FeedLoad) -> Coalition:
        return self.crowded if load.crowded else self.offered

    async def check(self) -> dict[str, dict[str, int]]:
        """Hold the rows to what was answered, and return them by programme; raises BenchFailed."""
        return {
            code: await check(self.url, code, books)
            for code, books in self.books.items()
            if any(books.expected().values())
        }


def _message(number: int, brands: int) -> dict[str, Any]:
    return {
        "message_id": f"bench-{number:09}",
        "type": "clearing",
        "occurred_at": CLOCK,
        "network": "visa",
        "payment_ref": f"bench-p{number:09}",
        "amount_minor": 1_000 + number % 5_000,
        "currency": "EUR",
        "mcc": "5411",
        "merchant": {"descriptor": descriptor(number % brands), "country": "FI"},
        "card_token": card(number % MEMBERS),
        "channel": "in_store",
        "card_present": True,
    }
