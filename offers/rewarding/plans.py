"""Plans: what purchases are to earn, decided by their offers' rules and cut to what budgets grant."""

from collections.abc import Sequence
from datetime import date

import msgspec

from koinon.clock import add_months, business_date
from koinon.database import Connection
from koinon.ledger.model import Outcome
from offers.model import DEFAULT_STACK_GROUP, OfferVersion
from offers.rewarding.budgets import Share, grow_shares, held_shares, set_shares
from offers.rewarding.decisions import Decision, Limit, PurchaseSeen, limited
from offers.rewarding.evidence import Contracts, Evidence
from offers.rewarding.rewards import Contender, Reward, contender, reward

TILL_STATED = 0
"""The `offer_id` of what a till stated by itself."""
BUDGET_EXHAUSTED = "budget-exhausted"
CONTRACT_MISSING = "contract-missing"


class Plan(msgspec.Struct, kw_only=True):
    """A purchase on its way to being rewarded: contenders, what budgets grant them, the choice, and what was posted.

    By offer: `partners` fund, `versions` are decided, `shares` are what the purchase had of budgets when this began,
    `granted` what budgets' winners may have now, `balance` is what stands in the ledger by offer.
    """

    evidence: Evidence
    contenders: list[Contender]
    partners: dict[int, int]
    versions: dict[int, OfferVersion]
    chosen: Reward
    shares: dict[int, int] = {}
    granted: dict[int, int] = {}
    balance: dict[int, int]
    posted: dict[int, list[Outcome]] = {}

    @property
    def winners(self) -> dict[int, Contender]:
        """What the purchase earns, by offer."""
        return {each.offer_id: each for each in self.chosen.winners}

    @property
    def budgeted(self) -> set[int]:
        """The offers that pay from a budget."""
        return {offer_id for offer_id, version in self.versions.items() if version.budget_points is not None}

    def group(self, offer_id: int) -> str:
        """Return the stack group of an offer."""
        return self.versions[offer_id].stack_group if offer_id in self.versions else DEFAULT_STACK_GROUP

    def target(self, offer_id: int) -> int:
        """Return the points of an offer that should stand in the ledger."""
        return winner.confirmed_points if (winner := self.winners.get(offer_id)) else 0


def plan_for(evidence: Evidence, contracts: Contracts) -> Plan:
    """Return a purchase's contenders and what it earns while every budget grants all."""
    contenders: list[Contender] = []
    partners = {offer_id: posted.partner_id for offer_id, posted in evidence.rewards.items()}
    partners |= {version.offer_id: partner_id for version, partner_id, _ in evidence.offers}
    for decision, version, partner_id in evidence.decisions():
        if contracts.at(partner_id, evidence.occurred_at) is None:
            decision = limited(decision, Limit(0, CONTRACT_MISSING))  # noqa: PLW2901  # the decision with its limit
        contenders.append(contender(decision, version))
    row = evidence.row
    if evidence.stated_points and contracts.at(row["till_partner_id"], evidence.occurred_at) is not None:
        partners[TILL_STATED] = row["till_partner_id"]
        contenders.append(
            Contender(seen=PurchaseSeen.TILL, partner=row["till_partner"], confirmed_points=evidence.stated_points)
        )
    return Plan(
        evidence=evidence,
        contenders=contenders,
        partners=partners,
        versions={version.offer_id: version for version, _, _ in evidence.offers},
        chosen=reward(contenders),
        balance={offer_id: posted.posted_points for offer_id, posted in evidence.rewards.items()},
    )


async def within_budgets(connection: Connection, plans: Sequence[Plan]) -> None:
    """Ask the budgets of the winners' offers for their shares, and choose anew where less was granted."""
    asking = {
        (offer_id, plan.evidence.key[1]): plan
        for plan in plans
        for offer_id in (plan.budgeted | plan.evidence.rewards.keys()) - {TILL_STATED}
    }
    if not asking:
        return
    for (offer_id, purchase_id), points in (await held_shares(connection, list(asking))).items():
        asking[offer_id, purchase_id].shares[offer_id] = points
    concerned = [plan for plan in plans if plan.budgeted]
    while shares := [share for plan in concerned for share in _lacking(plan)]:
        granted = await grow_shares(shares)
        for share in shares:
            plan = asking[share.offer_id, share.purchase_id]
            had = granted.get((share.offer_id, share.purchase_id), 0)
            plan.granted[share.offer_id] = min(had, share.reserved)
        for plan in concerned:
            plan.chosen = reward([_granted(each, plan.granted) for each in plan.contenders])


def _lacking(plan: Plan) -> list[Share]:
    """Return what to ask of budgets that were not asked yet; a winner that has its share already need not ask."""
    lacking = []
    for offer_id, winner in plan.winners.items():
        if offer_id not in plan.budgeted or offer_id in plan.granted:
            continue
        if winner.points <= plan.shares.get(offer_id, 0):
            plan.granted[offer_id] = winner.points
        else:
            lacking.append(_share(plan, offer_id, step=0, spent=0, reserved=winner.points))
    return lacking


def _share(plan: Plan, offer_id: int, *, step: int, spent: int, reserved: int) -> Share:
    """Return a share in one of the two steps of a revision: grown first, set afterwards."""
    return Share(
        offer_id=offer_id,
        purchase_id=plan.evidence.key[1],
        account_id=plan.evidence.key[0],
        revision=plan.evidence.row["revision"] * 2 + step,
        spent=spent,
        reserved=reserved,
    )


async def keep_shares(connection: Connection, plans: Sequence[Plan]) -> None:
    """Set every share to what stands in the ledger and what is expected on top; the rest goes back to its budget."""
    shares = [
        _share(
            plan,
            offer_id,
            step=1,
            spent=plan.balance.get(offer_id, 0),
            reserved=winner.pending_points if (winner := plan.winners.get(offer_id)) else 0,
        )
        for plan in plans
        for offer_id in plan.shares.keys() | plan.granted.keys()
    ]
    if shares:
        await set_shares(connection, shares)


def _granted(each: Contender, granted: dict[int, int]) -> Contender:
    points = granted.get(each.offer_id)
    if each.decision is None or points is None or points >= each.points:
        return each
    decision = limited(each.decision, Limit(points, BUDGET_EXHAUSTED))
    return msgspec.structs.replace(
        each,
        confirmed_points=decision.confirmed_points,
        pending_points=decision.pending_points,
        decision=decision,
    )


def terms_of(plan: Plan, offer_id: int, contracts: Contracts) -> tuple[int, date | None]:
    """Return (contract version of the funder, expiry) of points for the purchase's own time."""
    at, row = plan.evidence.occurred_at, plan.evidence.row
    version = contracts.at(plan.partners[offer_id], at)
    assert version is not None, "a contender without a contract has no points"  # noqa: S101  # plan_for saw to it
    if row["expiry_months"] is None:
        return version, None
    return version, add_months(business_date(at, row["time_zone"]), row["expiry_months"])


def decisions_of(plan: Plan) -> tuple[Decision, ...]:
    """Return one receipt an offer: the winner's, else the one that came furthest."""
    chosen = [each.decision for each in (*plan.chosen.winners, *plan.chosen.stacked_out) if each.decision]
    ranked = sorted(plan.contenders, key=lambda each: -each.points)
    rest = [_limited_again(each.decision, plan) for each in ranked if each.decision]
    best: dict[int, Decision] = {}
    for decision in (*chosen, *rest):
        best.setdefault(decision.offer_id, decision)
    return tuple(best[offer_id] for offer_id in sorted(best))


def _limited_again(decision: Decision, plan: Plan) -> Decision:
    points = plan.granted.get(decision.offer_id)
    return decision if points is None else limited(decision, Limit(points, BUDGET_EXHAUSTED))
