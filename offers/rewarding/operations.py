"""Rewarding: what a purchase should earn by all that is known, less what was posted, goes to the ledger.

The target follows from facts alone, so it does not matter in which order they came or how often this is run. No reward
is posted without its share of the offer's budget (offers/rewarding/budgets.py).
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from koinon.clock import machine_now
from koinon.database import Connection, beside, pool, transaction
from koinon.idempotency.model import content_hash
from koinon.ledger.model import AnyCommand, Earn, Outcome, ReverseEarn
from koinon.ledger.operations import post
from koinon.runtime import Runtime
from offers.queues import PAUSES, Failure, each_alone, log_put_off
from offers.rewarding.considered import PurchaseKey
from offers.rewarding.decisions import Decision, receipt_bytes
from offers.rewarding.evidence import Contracts, Evidence, contracts_of, read_evidence
from offers.rewarding.plans import Plan, decisions_of, keep_shares, plan_for, terms_of, within_budgets
from offers.rewarding.rewards import Reward

statements = beside(__file__)

SLICE_PURCHASES = 300
CALLER = "offers"

Posting = tuple[int, int, AnyCommand]
"""(place of the plan, offer, command)"""


class Rewarded(msgspec.Struct, frozen=True, kw_only=True):
    """What a purchase came to: its reward by offer, and what was posted for it just now; `partners` fund the offers.

    `grew`: budgets granted more to it than it had, in a transaction of their own.
    """

    key: PurchaseKey
    reward: Reward
    decisions: tuple[Decision, ...]
    partners: dict[int, int]
    posted: dict[int, list[Outcome]]
    points: int
    pending: int
    grew: bool

    def posted_by(self, partner_id: int) -> list[dict[str, Any]]:
        """Return the ledger's answers to what was just posted in a partner's name; points taken back are negative."""
        return [
            outcome.answer if "expires_on" in outcome.answer else outcome.answer | {"points": -outcome.answer["points"]}
            for offer_id, outcomes in self.posted.items()
            if self.partners[offer_id] == partner_id
            for outcome in outcomes
            if outcome.status in {"posted", "replayed"}
        ]


async def reward_waiting(_: Runtime, now: datetime | None = None) -> bool:
    """Reward one slice of purchases about which more is known than was rewarded; tells whether there was any.

    `now`: when what failed is due again.
    """
    now = now or machine_now()
    waiting = await pool().fetch(statements["waiting_purchases"], now, 2 * SLICE_PURCHASES)
    if not waiting:
        return False

    async def put_off(key: PurchaseKey, failure: Failure) -> None:
        row = await pool().fetchrow(statements["put_off_purchase"], *key, now, PAUSES, failure.code, failure.where)
        if row is not None:
            log_put_off("purchase", row, failure)

    return await each_alone([(row["account_id"], row["purchase_id"]) for row in waiting], _reward_taken, put_off)


async def _reward_taken(keys: Sequence[PurchaseKey]) -> bool:
    """Reward purchases in one transaction, as many as a slice has; tells whether any was there to be taken."""
    async with transaction() as connection:
        columns = [list(column) for column in zip(*keys, strict=True)]
        rows = await connection.fetch(statements["take_purchases"], *columns, SLICE_PURCHASES)
        if not rows:
            return False
        await reward_purchases(connection, sorted((row["account_id"], row["purchase_id"]) for row in rows))
    return True


async def reopen_short(_: Runtime) -> bool:
    """Reopen a slice of purchases whose taken-back points were spent and came back since.

    A release, a hold that ran out or an undone redemption gives points back to their lots; what a refund could not
    take from these then is taken now. Tells whether there was any.
    """
    async with transaction() as connection:
        rows = await connection.fetch(statements["short_purchases"], SLICE_PURCHASES)
        if not rows:
            return False
        keys = [(row["account_id"], row["purchase_id"]) for row in rows]
        await reopen(connection, keys)
    return True


async def reopen(connection: Connection, keys: Sequence[PurchaseKey]) -> None:
    """Reopen purchases."""
    await connection.execute(statements["leave_purchases"], [key[0] for key in keys], [key[1] for key in keys])


async def reward_purchases(
    connection: Connection, keys: Sequence[PurchaseKey], *, taken_back_for: str | None = None
) -> list[Rewarded]:
    """Reward purchases in the caller's transaction, which holds their rows or has just made them.

    What is taken back by it is journalled with the reason `taken_back_for`.
    Once in a transaction, as nearly the last thing that it does: budgets are locked from here to its end. Raises
    asyncpg.SerializationError as `ledger.post` does: the whole transaction is to be tried again.
    """
    evidence = await read_evidence(connection, keys)
    await note_rewarded(connection, evidence)
    return await reward_known(connection, evidence, taken_back_for=taken_back_for)


async def note_rewarded(connection: Connection, evidence: Sequence[Evidence]) -> None:
    """Note that what is known of purchases is rewarded, in the transaction that rewards it."""
    await connection.execute(
        statements["set_rewarded"],
        [each.key[0] for each in evidence],
        [each.key[1] for each in evidence],
        [each.row["revision"] for each in evidence],
        [each.place_id for each in evidence],
        [each.occurred_at for each in evidence],
    )


async def reward_known(
    connection: Connection, evidence: Sequence[Evidence], *, taken_back_for: str | None = None
) -> list[Rewarded]:
    """Reward purchases by what is known of them, as `reward_purchases` does; the caller notes that they are."""
    await _touch_merged(connection, evidence)
    partners = {partner for each in evidence for _, partner, _ in each.offers}
    partners |= {each.row["till_partner_id"] for each in evidence if each.row["till_partner_id"] is not None}
    partners |= {posted.partner_id for each in evidence for posted in each.rewards.values()}
    contracts = await contracts_of(connection, sorted(partners))
    plans = [plan_for(each, contracts) for each in evidence]
    await within_budgets(connection, plans)
    await _post(connection, plans, contracts, taken_back_for)
    rewarded = [_rewarded(plan) for plan in plans]
    await _record(connection, plans, rewarded, contracts)
    await keep_shares(connection, plans)
    return rewarded


async def _touch_merged(connection: Connection, evidence: Sequence[Evidence]) -> None:
    """Reopen the purchases that others were merged into: what those give back, these may have.

    Before any wallet is locked: whoever rewards such a purchase now waits for nothing that is held here.
    """
    merged = [each for each in evidence if each.row["merged_into"] is not None and each.rewards]
    if merged:
        await reopen(connection, [(each.key[0], each.row["merged_into"]) for each in merged])


async def _post(
    connection: Connection, plans: Sequence[Plan], contracts: Contracts, taken_back_for: str | None
) -> None:
    """Post the differences: what is taken back first, then what is given, for which that must be known."""
    back = [
        posting for place, plan in enumerate(plans) for posting in _taken_back(place, plan, contracts, taken_back_for)
    ]
    if back:
        # Two calls lock wallets twice; in one order only when all are locked before.
        await connection.execute(
            statements["lock_wallets"],
            [plan.evidence.key[0] for plan in plans],
            [plan.evidence.row["unit_id"] for plan in plans],
        )
        await _post_all(connection, plans, back)
    given = [posting for place, plan in enumerate(plans) for posting in _given(place, plan, contracts)]
    await _post_all(connection, plans, given)


async def _post_all(connection: Connection, plans: Sequence[Plan], postings: Sequence[Posting]) -> None:
    by_programme: dict[int, list[Posting]] = {}
    for posting in postings:
        by_programme.setdefault(plans[posting[0]].evidence.row["programme_id"], []).append(posting)
    for programme_id, entries in sorted(by_programme.items()):
        answers = await post(connection, programme_id, [command for _, _, command in entries])
        for (place, offer_id, command), outcome in zip(entries, answers, strict=True):
            plan = plans[place]
            plan.posted.setdefault(offer_id, []).append(outcome)
            if outcome.status == "posted":
                sign = 1 if isinstance(command, Earn) else -1
                plan.balance[offer_id] = plan.balance.get(offer_id, 0) + sign * outcome.answer["points"]


def _taken_back(place: int, plan: Plan, contracts: Contracts, reason: str | None) -> list[Posting]:
    """Return what is taken back: too much, or earned under another contract version or expiry than are right."""
    postings: list[Posting] = []
    for offer_id, before in sorted(plan.evidence.rewards.items()):
        points = before.posted_points - plan.target(offer_id)
        if before.posted_points and plan.target(offer_id) and before.terms != terms_of(plan, offer_id, contracts):
            points = before.posted_points
        if points > 0:
            common = _common(plan, offer_id, "back", points) | {"reason": reason}
            postings.append((place, offer_id, ReverseEarn(points=points, shortfall="clip", **common)))
    return postings


def _given(place: int, plan: Plan, contracts: Contracts) -> list[Posting]:
    """Return what is given. What a stack group could not take back, spent as it was, counts: nobody is paid twice."""
    losers = [(offer_id, points) for offer_id, points in plan.balance.items() if offer_id not in plan.winners]
    short: dict[str, int] = {}
    for offer_id, points in [*losers, *plan.evidence.carried.items()]:
        short[plan.group(offer_id)] = short.get(plan.group(offer_id), 0) + points
    postings: list[Posting] = []
    for offer_id, winner in sorted(plan.winners.items()):
        points = winner.confirmed_points - plan.balance.get(offer_id, 0) - short.get(winner.stack_group, 0)
        if points > 0:
            version, expires_on = terms_of(plan, offer_id, contracts)
            reason = plan.versions[offer_id].name if offer_id in plan.versions else None
            common = _common(plan, offer_id, "earn", points) | {"reason": reason}
            postings.append((place, offer_id, Earn(version=version, points=points, expires_on=expires_on, **common)))
    return postings


def _common(plan: Plan, offer_id: int, kind: str, points: int) -> dict[str, Any]:
    evidence, row = plan.evidence, plan.evidence.row
    key = f"{evidence.key[1]}:{offer_id}:{row['revision']}:{kind}"
    return {
        "caller": CALLER,
        "key": key,
        "content_hash": content_hash(key, str(points)),
        "account_id": evidence.key[0],
        "unit_id": row["unit_id"],
        "occurred_at": evidence.occurred_at,
        "member_id": row["member_id"],
        "place_id": evidence.place_id,
        "partner_id": plan.partners[offer_id],
        "purchase_id": evidence.key[1],
    }


def _rewarded(plan: Plan) -> Rewarded:
    return Rewarded(
        key=plan.evidence.key,
        reward=plan.chosen,
        decisions=decisions_of(plan),
        partners=plan.partners,
        posted=plan.posted,
        points=sum(each.confirmed_points for each in plan.chosen.winners),
        pending=sum(each.pending_points for each in plan.chosen.winners),
        grew=any(points > plan.shares.get(offer_id, 0) for offer_id, points in plan.granted.items()),
    )


async def _record(
    connection: Connection, plans: Sequence[Plan], rewarded: Sequence[Rewarded], contracts: Contracts
) -> None:
    rewards = [figures for plan in plans for figures in _figures(plan, contracts)]
    receipts = [
        (
            *result.key, decision.offer_id, decision.version_id, plan.evidence.row["revision"], decision.reason,
            decision.confirmed_points + decision.pending_points, receipt_bytes(decision).decode(),
        )
        for plan, result in zip(plans, rewarded, strict=True)
        for decision in result.decisions
    ]  # fmt: skip
    if rewards:
        await connection.execute(statements["put_rewards"], *map(list, zip(*rewards, strict=True)))
    if receipts:
        await connection.execute(statements["put_decisions"], *map(list, zip(*receipts, strict=True)))


def _figures(plan: Plan, contracts: Contracts) -> list[tuple[Any, ...]]:
    """Return a row of `put_rewards` for every reward that is or was.

    What is posted is what the ledger says it did: of points that the member has spent, less is taken back than wanted.
    """
    figures: list[tuple[Any, ...]] = []
    for offer_id in sorted(plan.winners.keys() | plan.evidence.rewards.keys()):
        winner, before = plan.winners.get(offer_id), plan.evidence.rewards.get(offer_id)
        posted = plan.balance.get(offer_id, 0)
        terms: tuple[int | None, date | None] = before.terms if before else (None, None)
        if plan.target(offer_id):
            terms = terms_of(plan, offer_id, contracts)
        figures.append(
            (
                *plan.evidence.key, offer_id, plan.partners[offer_id], winner.pending_points if winner else 0, posted,
                max(0, posted - plan.target(offer_id)), *terms, plan.evidence.row["revision"],
            )
        )  # fmt: skip
    return figures
