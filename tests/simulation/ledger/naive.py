"""The ledger once more, naively: lists of lots in memory, one command after another, no database, no cleverness.

It is written from the rules and not from the code, and is slow and plain on purpose: where the two differ, one errs.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from koinon.ledger import model
from koinon.ledger.model import AnyCommand, Outcome

NEVER = date.max
IDS = {"journal_id", "hold_id", "account_id"}


@dataclass
class Lot:
    """Points of one issuer under one version with one expiry."""

    account: int
    issuer: int
    version: int
    expires_on: date
    issued_at: datetime
    purchase: UUID | None
    quantity: int
    remaining: int
    held: int = 0
    taken_back: int = 0

    @property
    def points(self) -> tuple[int, int, int]:
        """Return (quantity, remaining, held)."""
        return self.quantity, self.remaining, self.held

    @property
    def free(self) -> int:
        """Return what is neither gone nor held."""
        return self.remaining - self.held


@dataclass
class Sent:
    """A command that was posted: what must come of it, what came of it, and what it moved."""

    command: AnyCommand
    status: str
    facts: dict[str, Any]
    parts: list[tuple[Lot, int]] = field(default_factory=list)
    state: str = "reserved"
    reversed: bool = False
    outcome: Outcome | None = None

    @property
    def done(self) -> bool:
        """Return whether it was posted for the first time and its ids are known."""
        return self.outcome is not None and self.outcome.status == "posted"


class NaiveLedger:
    """All accounts of one programme; `post` says what must come of a command, and does it."""

    def __init__(self, accounts: list[int]) -> None:
        self.accounts = accounts
        self.window_no = 1
        self.lots: list[Lot] = []
        self.known: dict[tuple[str, str], Sent] = {}
        self.done: list[Sent] = []

    def post(self, command: AnyCommand) -> Sent:
        """Apply a command and return what must come of it; a refusal changes nothing."""
        before = self.known.get((command.caller, command.key))
        if before is not None:
            if before.command.content_hash == command.content_hash:
                return Sent(command, "replayed", before.facts)
            return Sent(command, "conflict", {"code": "idempotency-key-reused"})
        if command.account_id not in self.accounts:
            return self._refused(command, "unknown-account")
        sent: Sent = getattr(self, f"_{type(command).__name__.lower()}")(command)
        if sent.status == "posted":
            sent.facts |= {"window_no": self.window_no, "balance": self.available(command.account_id)}
            self.known[command.caller, command.key] = sent
            self.done.append(sent)
        return sent

    def available(self, account: int) -> int:
        """Return an account's points that are not held."""
        return sum(lot.free for lot in self.lots if lot.account == account)

    def held(self, account: int) -> int:
        """Return an account's points that tills hold."""
        return sum(lot.held for lot in self.lots if lot.account == account)

    def outcome_of(self, command: AnyCommand) -> Outcome | None:
        """Return what was answered first to a command's key."""
        return self.known[command.caller, command.key].outcome

    def _refused(self, command: AnyCommand, code: str, **facts: Any) -> Sent:
        return Sent(command, "refused", {"code": code, **facts})

    def _of(self, kind: type[model.Command], account: int, name: str, wanted: UUID | None) -> Sent | None:
        for sent in self.done:
            known = sent.outcome is not None and sent.outcome.answer.get(name) == str(wanted)
            if known and isinstance(sent.command, kind) and sent.command.account_id == account:
                return sent
        return None

    def _earn(self, command: model.Earn) -> Sent:
        if command.points <= 0:
            return self._refused(command, "points-not-positive")
        lot = Lot(
            command.account_id,
            command.partner_id,
            command.version,
            command.expires_on or NEVER,
            command.occurred_at,
            command.purchase_id,
            command.points,
            command.points,
        )
        self.lots.append(lot)
        expires_on = None if command.expires_on is None else command.expires_on.isoformat()
        facts = {"points": command.points, "expires_on": expires_on, "version": command.version}
        return Sent(command, "posted", facts, [(lot, command.points)])

    def _hold(self, command: model.Hold) -> Sent:
        if command.points <= 0:
            return self._refused(command, "points-not-positive")
        if command.proof_ref is not None and any(
            isinstance(sent.command, model.Hold)
            and sent.command.account_id == command.account_id
            and sent.command.proof_ref == command.proof_ref
            for sent in self.done
        ):
            return self._refused(command, "proof-already-used")
        spendable = [lot for lot in self.lots if lot.account == command.account_id and lot.expires_on > command.today]
        spendable.sort(key=lambda lot: (lot.expires_on, lot.issued_at))  # stable: else as they came
        free = sum(lot.free for lot in spendable)
        if free < command.points:
            return self._refused(command, "insufficient-balance", available=free, points=command.points)
        parts = self._take(spendable, command.points)
        for lot, amount in parts:
            lot.held += amount
        return Sent(command, "posted", {"points": command.points, "version": command.version}, parts)

    def _take(self, lots: list[Lot], points: int) -> list[tuple[Lot, int]]:
        parts = []
        for lot in lots:
            amount = min(lot.free, points)
            if amount > 0:
                parts.append((lot, amount))
                points -= amount
        return parts

    def _capture(self, command: model.Capture) -> Sent:
        hold = self._of(model.Hold, command.account_id, "hold_id", command.hold_id)
        if hold is None or hold.command.partner_id != command.partner_id:  # type: ignore[union-attr]  # it is a Hold
            return self._refused(command, "unknown-redemption")
        if hold.state != "reserved":
            return self._refused(command, "redemption-not-open", state=hold.state)
        if hold.command.hold_expires_at <= command.occurred_at:  # type: ignore[union-attr]  # it is a Hold
            return self._refused(command, "redemption-not-open", state="expired")
        hold.state = "captured"
        for lot, amount in hold.parts:
            lot.held -= amount
            lot.remaining -= amount
        return Sent(command, "posted", {name: hold.facts[name] for name in ("points", "version")}, hold.parts)

    def _release(self, command: model.Release) -> Sent:
        hold = self._of(model.Hold, command.account_id, "hold_id", command.hold_id)
        if hold is None or command.partner_id not in {None, hold.command.partner_id}:  # type: ignore[union-attr]  # it is a Hold
            return self._refused(command, "unknown-redemption")
        if hold.state != "reserved":
            return self._refused(command, "redemption-not-open", state=hold.state)
        hold.state = "released"
        for lot, amount in hold.parts:
            lot.held -= amount
        return Sent(command, "posted", {name: hold.facts[name] for name in ("points", "version")}, hold.parts)

    def _reverseearn(self, command: model.ReverseEarn) -> Sent:
        if command.points is not None and command.points <= 0:
            return self._refused(command, "points-not-positive")
        earn = None
        if command.reverses is not None:
            earn = self._of(model.Earn, command.account_id, "journal_id", command.reverses)
        lots = self._earned(command, earn)
        if not lots:
            return self._refused(command, "unknown-earning")
        if earn is not None and earn.reversed:
            return self._refused(command, "already-reversed")
        left = sum(lot.quantity - lot.taken_back for lot in lots)
        free = sum(lot.free for lot in lots)
        wanted = left if command.points is None else command.points
        if left > 0 and free < wanted and command.shortfall == "refuse":
            return self._refused(command, "points-already-spent", points=wanted, available=free)
        wanted = min(wanted, free)
        if left == 0 or wanted == 0:
            return self._refused(command, "nothing-to-reverse")
        newest_first = sorted(enumerate(lots), key=lambda each: (each[1].issued_at, each[0]), reverse=True)
        versions = {lot.version for lot in lots if lot.free}
        parts = self._take([lot for _, lot in newest_first], wanted)
        for lot, amount in parts:
            lot.remaining -= amount
            lot.taken_back += amount
        if earn is not None:
            earn.reversed = True
        version = versions.pop() if len(versions) == 1 else None
        return Sent(command, "posted", {"points": wanted, "version": version}, parts)

    def _earned(self, command: model.ReverseEarn, earn: Sent | None) -> list[Lot]:
        if earn is not None:
            return [lot for lot, _ in earn.parts if lot.issuer == command.partner_id]
        return [
            lot
            for lot in self.lots
            if command.reverses is None
            and lot.purchase == command.purchase_id is not None
            and (lot.account, lot.issuer) == (command.account_id, command.partner_id)
        ]

    def _reverseburn(self, command: model.ReverseBurn) -> Sent:
        capture = self._of(model.Capture, command.account_id, "journal_id", command.reverses)
        if capture is None or capture.command.partner_id != command.partner_id:  # type: ignore[union-attr]  # it is a Capture
            return self._refused(command, "unknown-redemption")
        if capture.reversed:
            return self._refused(command, "already-reversed")
        capture.reversed = True
        for lot, amount in capture.parts:
            lot.remaining += amount
        return Sent(command, "posted", {name: capture.facts[name] for name in ("points", "version")}, capture.parts)

    def _expire(self, command: model.Expire) -> Sent:
        due = [lot for lot in self.lots if lot.account == command.account_id and lot.expires_on <= command.today]
        parts = [(lot, lot.free) for lot in due if lot.free > 0]
        if not parts:
            return self._refused(command, "nothing-to-expire")
        for lot, amount in parts:
            lot.remaining -= amount
        return Sent(command, "posted", {"points": sum(amount for _, amount in parts)}, parts)
