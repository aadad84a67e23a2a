"""Drives a simulated day over the API: what processors and tills send, each answer held to what it has to be."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from load_tests.driver.backlog import Operator
from load_tests.driver.connection import DriveError
from load_tests.driver.opening import Opened
from load_tests.driver.screen import Screen, Step, together
from load_tests.simulator import batches, lanes
from load_tests.simulator.model import CardMessage, Coalition, Earning, Phase, Plan, Redemption

Receipts = dict[str, list[dict[str, str]]]
"""Per partner's code, what its own calls returned."""


class UnexpectedVerdicts(DriveError):
    """The feed took a message otherwise than it has to be taken."""


class Day:
    """Drives the phases of one day, one after another, and keeps the brands' receipts."""

    def __init__(self, operator: Operator, opened: Opened, coalition: Coalition, screen: Screen) -> None:
        """Take the coalition that stands."""
        self.operator = operator
        self.opened = opened
        self.screen = screen
        self.receipts: Receipts = {partner.code: [] for partner in coalition.partners}
        self.verdicts: Counter[str] = Counter()
        self._source_of = {card.token: card.source for member in coalition.members for card in member.cards} | {
            card.token: card.source for card in coalition.unlinked_cards
        }

    async def run(self, plan: Plan) -> None:
        """Send every phase of the day and wait until it is worked off; raises Refusal, UnexpectedVerdicts."""
        for phase in plan.phases:
            await self.operator.move_clock(self.opened.programme, phase.clock_at)
            async with asyncio.TaskGroup() as group:
                for part in (self._feed(phase), self._earnings(phase), self._redemptions(phase)):
                    group.create_task(part)
            async with self.screen.step(f"{phase.name}: rewarded, logged", 1) as step:
                await self.operator.worked_off(self.opened.programme, step)

    async def _feed(self, phase: Phase) -> None:
        if not phase.card_messages:
            return
        by_source: defaultdict[str, list[Sequence[CardMessage]]] = defaultdict(list)
        for source, batch in batches(phase.card_messages):
            by_source[source].append(batch)
        name = f"{phase.name}: card messages"
        async with self.screen.step(name, len(phase.card_messages)) as step, asyncio.TaskGroup() as group:
            for source, waiting in by_source.items():
                group.create_task(self._post_batches(source, waiting, step))

    async def _post_batches(self, source: str, waiting: Iterable[Sequence[CardMessage]], step: Step) -> None:
        """Post a source's batches one after another, as a processor does."""
        for batch in waiting:
            answer = await self.opened.processors[source].feed([message.body for message in batch])
            for message, verdict in zip(batch, answer["verdicts"], strict=True):
                if verdict["verdict"] != message.expected:
                    name = message.fault or message.kind
                    raise UnexpectedVerdicts(f"{source}: {name}: {verdict}, expected {message.expected}")
            self.verdicts.update(message.expected for message in batch)
            step.advance(len(batch))

    async def _earnings(self, phase: Phase) -> None:
        if phase.earnings:
            async with self.screen.step(f"{phase.name}: till earnings", len(phase.earnings)) as step:
                await together(step, (self._earn(earning) for earning in phase.earnings))

    async def _earn(self, earning: Earning) -> None:
        body: dict[str, Any] = {
            "member": self.opened.members[earning.member],
            "place": self.opened.places[earning.place],
            "amount_minor": earning.amount_minor,
            "currency": earning.currency,
            "occurred_at": earning.occurred_at,
            "receipt": earning.receipt,
        }
        if earning.points is not None:
            body["points"] = earning.points
        if earning.tender is not None:
            token = earning.tender.card_token
            source = self.opened.processors[self._source_of[token]].source
            body["tender"] = {"source": source, "token": token, "auth_code": earning.tender.auth_code}
        answer = await self.opened.machines[earning.partner].post("/v1/earnings", body, key=earning.key)
        self.receipts[earning.partner].extend(answer["receipts"])

    async def _redemptions(self, phase: Phase) -> None:
        if phase.redemptions:
            async with self.screen.step(f"{phase.name}", len(phase.redemptions)) as step, asyncio.TaskGroup() as group:
                for lane in lanes(phase.redemptions).values():
                    group.create_task(self._lane(lane, step))

    async def _lane(self, lane: Sequence[Redemption], step: Step) -> None:
        """Make a member's redemptions one after another."""
        for redemption in lane:
            await self._redeem(redemption)
            step.advance()

    async def _redeem(self, redemption: Redemption) -> None:
        till, keep = self.opened.machines[redemption.partner], self.receipts[redemption.partner]
        body = await self._asked(redemption)
        reserved = await till.post("/v1/redemptions", body, key=redemption.key)
        keep.append(reserved["receipt"])
        path, ending = f"/v1/redemptions/{reserved['redemption']}", redemption.outcome
        if ending == "released":
            keep.append((await till.post(f"{path}/releases", key=f"{redemption.key}:release"))["receipt"])
            return
        keep.append((await till.post(f"{path}/captures", key=f"{redemption.key}:capture"))["receipt"])
        if ending == "reversed":
            reversal = {"redemption": reserved["redemption"], "reason": "returned"}
            keep.extend((await till.post("/v1/reversals", reversal, key=f"{redemption.key}:reversal"))["receipts"])

    async def _asked(self, redemption: Redemption) -> dict[str, Any]:
        body: dict[str, Any] = {
            "place": self.opened.places[redemption.place],
            "receipt": redemption.receipt,
            "proof": await self._proof(redemption),
        }
        if redemption.proof == "staff":
            body["member"] = self.opened.members[redemption.member]
        if redemption.amount_minor is None:
            return body | {"points": redemption.points}
        return body | {"amount_minor": redemption.amount_minor, "currency": "EUR"}

    async def _proof(self, redemption: Redemption) -> dict[str, Any]:
        """Return what the till is shown: the member's pay code, the card, or the word of its staff."""
        if redemption.proof == "pay-code":
            # The code lives for a minute: it is made when the till asks for it.
            shown = await self.opened.browsers[redemption.member].post("/v1/me/pay-codes", key=redemption.key)
            return {"pay_code": shown["code"]}
        if redemption.card_token is not None:
            source = self.opened.processors[self._source_of[redemption.card_token]].source
            return {"card": {"source": source, "token": redemption.card_token}}
        return {"staff": {"name": "till supervisor"}}
