"""Rewarding: what a purchase should earn by all that is known, less what was posted, goes to the ledger.

The target follows from facts alone, so it does not matter in which order they came or how often this is run. Budgets
are set first, each in a transaction of its own; no reward is posted without its share.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from koinon.clock import add_months, business_date
from koinon.database import Connection, beside, pool, transaction
from koinon.ledger.model import AnyCommand, Earn, Outcome, ReverseEarn, content_hash
from koinon.ledger.operations import post
from koinon.runtime import Runtime
from offers.decisions import Decision, Limit, Seen, limited, receipt_bytes
from offers.evidence import Contracts, Evidence, PurchaseKey, contracts_of, read_evidence
from offers.rewards import Contender, Reward, contender, reward

statements = beside(__file__)

SLICE_PURCHASES = 300
CALLER = "offers"
TILL_STATED = 0
"""The `offer_id` of what a till stated by itself."""
BUDGET_EXHAUSTED = "budget-exhausted"
CONTRACT_MISSING = "contract-missing"
BUDGET_ROUNDS = 4
"""How often winners are chosen anew when a budget grants less than was asked; the last round gives nothing back."""


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What a purchase came to: its reward by offer, and what was posted for it just now."""

    key: PurchaseKey
    reward: Reward
    decisions: tuple[Decision, ...]
    posted: dict[int, list[Outcome]]
    points: int
    pending: int


class Plan(msgspec.Struct, kw_only=True):
    """A purchase on its way to being settled: contenders, what budgets grant them, and the choice so far."""

    evidence: Evidence
    contenders: list[Contender]
    partners: dict[int, int]
    budgets: dict[int, int | None]
    granted: dict[int, int]
    chosen: Reward


async def settle_purchases(_: Runtime) -> bool:
    """Settle one slice of purchases about which more is known than was settled; tells whether there was any."""
    async with transaction() as connection:
        rows = await connection.fetch(statements["take_unsettled"], SLICE_PURCHASES)
        if not rows:
            return False
        await settle(connection, [(row["account_id"], row["purchase_id"]) for row in rows])
    return True


async def settle(connection: Connection, keys: Sequence[PurchaseKey]) -> list[Settled]:
    """Settle purchases in the caller's transaction, which holds their rows or has just made them.

    Raises asyncpg.SerializationError as `ledger.post` does: the whole transaction is to be tried again.
    """
    evidence = await read_evidence(connection, keys)
    partners = {partner for each in evidence for _, partner, _ in each.offers}
    partners |= {each.row["till_partner_id"] for each in evidence if each.row["till_partner_id"] is not None}
    partners |= {posted.partner_id for each in evidence for posted in each.rewards.values()}
    contracts = await contracts_of(connection, sorted(partners))
    plans = [_plan(each, contracts) for each in evidence]
    await _within_budgets(plans)
    outcomes = await _post(connection, plans, contracts)
    settled = [_settled(plan, posted) for plan, posted in zip(plans, outcomes, strict=True)]
    await _record(connection, plans, settled)
    return settled


def _plan(evidence: Evidence, contracts: Contracts) -> Plan:
    contenders: list[Contender] = []
    partners: dict[int, int] = {}
    budgets: dict[int, int | None] = {}
    for decision, version, partner_id in evidence.decisions():
        partners[version.offer_id] = partner_id
        budgets[version.offer_id] = version.budget_points
        if contracts.at(partner_id, evidence.occurred_at) is None:
            decision = limited(decision, Limit(0, CONTRACT_MISSING))  # noqa: PLW2901  # the decision with its limit
        contenders.append(contender(decision, version))
    row = evidence.row
    if row["stated_points"] is not None and contracts.at(row["till_partner_id"], evidence.occurred_at) is not None:
        partners[TILL_STATED] = row["till_partner_id"]
        contenders.append(Contender(seen=Seen.TILL, partner=row["till_partner"], confirmed_points=row["stated_points"]))
    return Plan(
        evidence=evidence,
        contenders=contenders,
        partners=partners,
        budgets=budgets,
        granted={},
        chosen=reward(contenders),
    )


async def _within_budgets(plans: Sequence[Plan]) -> None:
    """Ask the budgets of the winners' offers for their shares, and choose anew where less was granted.

    A share is set for (offer, purchase, revision and round), so that a slice that is run again asks for the same.
    """
    concerned = [plan for plan in plans if any(budget is not None for budget in plan.budgets.values())]
    for step in range(BUDGET_ROUNDS):
        asked = [share for plan in concerned for share in _shares(plan, step)]
        if not asked:
            return
        rows = await pool().fetch(statements["set_budget_shares"], msgspec.json.encode(asked).decode())
        granted = {(row["purchase_id"], row["offer_id"]): row["granted_points"] for row in rows}
        for plan in concerned:
            for offer_id in plan.budgets:
                found = granted.get((plan.evidence.key[1], offer_id))
                if found is not None:
                    plan.granted[offer_id] = found
            plan.chosen = reward([_granted(each, plan.granted) for each in plan.contenders])


def _shares(plan: Plan, step: int) -> list[dict[str, int | str]]:
    """Return what to ask of budgets in a round: winners' shares not asked for yet; in the end, losers' shares back."""
    winners = {each.offer_id: each for each in plan.chosen.winners if plan.budgets.get(each.offer_id) is not None}
    if step < BUDGET_ROUNDS - 1:
        wanted = {offer: (each.confirmed_points, each.pending_points) for offer, each in winners.items()}
        wanted = {offer: points for offer, points in wanted.items() if offer not in plan.granted}
    else:
        held = {offer for offer, posted in plan.evidence.rewards.items() if plan.budgets.get(offer) is not None}
        held |= {offer for offer, points in plan.granted.items() if points}
        wanted = dict.fromkeys(held - winners.keys(), (0, 0))
    return [
        {
            "offer_id": offer_id,
            "purchase_id": str(plan.evidence.key[1]),
            "revision": plan.evidence.row["revision"] * BUDGET_ROUNDS + step,
            "confirmed": confirmed,
            "pending": pending,
        }
        for offer_id, (confirmed, pending) in wanted.items()
    ]


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


async def _post(connection: Connection, plans: Sequence[Plan], contracts: Contracts) -> list[dict[int, list[Outcome]]]:
    """Post the differences, programme by programme; returns each plan's outcomes by offer."""
    outcomes: list[dict[int, list[Outcome]]] = [{} for _ in plans]
    by_programme: dict[int, list[tuple[int, int, AnyCommand]]] = {}
    for place, plan in enumerate(plans):
        for offer_id, command in _commands(plan, contracts):
            by_programme.setdefault(plan.evidence.row["programme_id"], []).append((place, offer_id, command))
    for programme_id, entries in by_programme.items():
        # What is taken back goes first in a purchase; sorting by kind lets the earns be posted as one set.
        entries.sort(key=lambda entry: isinstance(entry[2], Earn))
        answers = await post(connection, programme_id, [command for _, _, command in entries])
        for (place, offer_id, _), outcome in zip(entries, answers, strict=True):
            outcomes[place].setdefault(offer_id, []).append(outcome)
    return outcomes


def _commands(plan: Plan, contracts: Contracts) -> list[tuple[int, AnyCommand]]:
    evidence = plan.evidence
    row = evidence.row
    winners = {each.offer_id: each for each in plan.chosen.winners}
    commands: list[tuple[int, AnyCommand]] = []
    for offer_id in sorted({*winners, *evidence.rewards}):
        before = evidence.rewards.get(offer_id)
        target = winners[offer_id].confirmed_points if offer_id in winners else 0
        delta = target - (before.posted_points if before else 0)
        if delta == 0:
            continue
        partner_id = plan.partners[offer_id] if offer_id in plan.partners else _funder(evidence, offer_id)
        key = f"{evidence.key[1]}:{offer_id}:{row['revision']}"
        common = {
            "caller": CALLER,
            "key": key,
            "content_hash": content_hash(key, str(delta)),
            "account_id": evidence.key[0],
            "unit_id": row["unit_id"],
            "occurred_at": evidence.occurred_at,
            "member_id": row["member_id"],
            "place_id": evidence.place_id,
            "partner_id": partner_id,
            "purchase_id": evidence.key[1],
        }
        if delta < 0:
            commands.append((offer_id, ReverseEarn(points=-delta, shortfall="clip", reason="purchase", **common)))
            continue
        version = contracts.at(partner_id, evidence.occurred_at)
        assert version is not None, "a contender without a contract has no points"  # noqa: S101  # _plan saw to it
        expires_on = None
        if row["expiry_months"] is not None:
            expires_on = add_months(business_date(evidence.occurred_at, row["time_zone"]), row["expiry_months"])
        commands.append(
            (offer_id, Earn(version=version, points=delta, expires_on=expires_on, reason="purchase", **common))
        )
    return commands


def _funder(evidence: Evidence, offer_id: int) -> int:
    return evidence.rewards[offer_id].partner_id


def _settled(plan: Plan, posted: dict[int, list[Outcome]]) -> Settled:
    return Settled(
        key=plan.evidence.key,
        reward=plan.chosen,
        decisions=_decisions(plan),
        posted=posted,
        points=sum(each.confirmed_points for each in plan.chosen.winners),
        pending=sum(each.pending_points for each in plan.chosen.winners),
    )


def _decisions(plan: Plan) -> tuple[Decision, ...]:
    """Return one receipt an offer: the winner's, else the one that came furthest."""
    chosen = [each.decision for each in (*plan.chosen.winners, *plan.chosen.stacked_out) if each.decision]
    rest = [each.decision for each in plan.contenders if each.decision]
    best: dict[int, Decision] = {}
    for decision in (*chosen, *(_limited_again(each, plan) for each in rest)):
        best.setdefault(decision.offer_id, decision)
    return tuple(best[offer_id] for offer_id in sorted(best))


def _limited_again(decision: Decision, plan: Plan) -> Decision:
    points = plan.granted.get(decision.offer_id)
    return decision if points is None else limited(decision, Limit(points, BUDGET_EXHAUSTED))


async def _record(connection: Connection, plans: Sequence[Plan], settled: Sequence[Settled]) -> None:
    rewards: list[tuple[int, UUID, int, int, int, int, int, int]] = []
    receipts: list[tuple[int, UUID, int, int, int, str | None, int, str]] = []
    for plan, result in zip(plans, settled, strict=True):
        revision = plan.evidence.row["revision"]
        rewards.extend((*plan.evidence.key, *figures, revision) for figures in _figures(plan, result))
        receipts.extend(
            (
                *plan.evidence.key, decision.offer_id, decision.version_id, revision, decision.reason,
                decision.confirmed_points + decision.pending_points, receipt_bytes(decision).decode(),
            )
            for decision in result.decisions
        )  # fmt: skip
    if rewards:
        await connection.execute(statements["put_rewards"], *map(list, zip(*rewards, strict=True)))
    if receipts:
        await connection.execute(statements["put_decisions"], *map(list, zip(*receipts, strict=True)))
    await connection.execute(
        statements["set_settled"],
        [plan.evidence.key[0] for plan in plans],
        [plan.evidence.key[1] for plan in plans],
        [plan.evidence.row["revision"] for plan in plans],
        [plan.evidence.place_id for plan in plans],
    )


def _figures(plan: Plan, result: Settled) -> list[tuple[int, int, int, int, int]]:
    """Return (offer, partner, pending, posted, shortfall) of every reward that is or was.

    `posted` is what the ledger says it did: of points that the member has spent, less is taken back than wanted.
    """
    winners = {each.offer_id: each for each in plan.chosen.winners}
    figures = []
    for offer_id in sorted({*winners, *plan.evidence.rewards}):
        before = plan.evidence.rewards.get(offer_id)
        posted = before.posted_points if before else 0
        target = winners[offer_id].confirmed_points if offer_id in winners else 0
        for outcome in result.posted.get(offer_id, ()):
            if outcome.status in {"posted", "replayed"}:
                posted += outcome.answer["points"] if target > posted else -outcome.answer["points"]
        pending = winners[offer_id].pending_points if offer_id in winners else 0
        partner = plan.partners[offer_id] if offer_id in plan.partners else _funder(plan.evidence, offer_id)
        figures.append((offer_id, partner, pending, posted, max(0, posted - target)))
    return figures
