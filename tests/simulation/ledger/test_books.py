"""A state machine posts at random to the real ledger and to a naive one: answers and books must agree at every step."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from koinon.ids import new_record_id
from koinon.ledger import invariants, model
from koinon.ledger.model import AnyCommand, Outcome
from koinon.ledger.operations import post, statements
from tests.kit.ledger import Coalition, hashed
from tests.kit.terms import NOW, TODAY
from tests.simulation.ledger.naive import IDS, NEVER, NaiveLedger, Sent
from tests.simulation.ledger.world import World

LOTS = """
SELECT account_id, issuer_id, issuer_version, CASE WHEN expires_on = 'infinity' THEN $2 ELSE expires_on END, issued_at,
    purchase_id, quantity, remaining, held
FROM ledger.lot WHERE account_id = ANY ($1) ORDER BY account_id, lot_id
"""
WALLETS = "SELECT account_id, available, held FROM ledger.wallet WHERE account_id = ANY ($1)"

points = st.integers(-1, 40)
rightly = st.sampled_from([True, True, True, True, True, True, False])
sides = st.integers(0, 1)
brands = st.integers(0, 2)
shortfalls = st.sampled_from(["refuse", "clip"])


class Books(RuleBasedStateMachine):
    """Two accounts, three brands, days that pass, windows that close, and calls of one command or of several."""

    earns: Bundle[Sent] = Bundle("earns")
    holds: Bundle[Sent] = Bundle("holds")
    captures: Bundle[Sent] = Bundle("captures")
    sent: Bundle[Sent] = Bundle("sent")

    world: World

    @initialize()
    def found(self) -> None:
        """Found a coalition with two accounts."""
        self.kit = self.world.run(Coalition().found(self.world.connection))
        self.accounts = [self.world.run(self.kit.account(self.world.connection)) for _ in range(2)]
        self.brands = [self.kit.grocer, self.kit.fuel, self.kit.cafe]
        self.purchases = [new_record_id(), new_record_id()]
        self.naive = NaiveLedger(self.accounts)
        self.day = 0
        self.gathered: list[Sent] = []
        self.size = 1
        for account in self.accounts:
            self.send(self.kit.earn(account, 100))

    def send(self, command: AnyCommand) -> Sent:
        """Post a command now, or keep it for a call of several."""
        sent = Sent(command, "", {})
        self.gathered.append(sent)
        if len(self.gathered) >= self.size:
            self.flush()
        return sent

    def flush(self) -> None:
        """Post what was gathered in one call."""
        batch, self.gathered, self.size = self.gathered, [], 1
        self.call(batch)

    def teardown(self) -> None:
        """Post what is left."""
        if self.gathered:
            self.flush()
            self.books_agree()

    def call(self, batch: list[Sent]) -> None:
        """Post commands in one call, and hold every answer against the naive ledger's."""
        commands = [sent.command for sent in batch]
        outcomes: list[Outcome] = self.world.run(self._post(commands))
        for sent, outcome in zip(batch, outcomes, strict=True):
            expected = self.naive.post(sent.command)
            facts = {name: fact for name, fact in outcome.answer.items() if name not in IDS | {"expires_at"}}
            assert (outcome.status, facts) == (expected.status, expected.facts), sent.command
            expected.outcome = sent.outcome = outcome
            if outcome.status == "replayed":
                assert outcome == msgspec.structs.replace(self._first(sent.command), status="replayed")

    def _first(self, command: AnyCommand) -> Outcome:
        first = self.naive.outcome_of(command)
        assert first is not None
        return first

    async def _post(self, commands: list[AnyCommand]) -> list[Outcome]:
        async with self.world.connection.transaction():
            return await post(self.world.connection, self.kit.programme_id, commands)

    def common(self, side: int, minutes: int = 0) -> dict[str, Any]:
        """Return an account and the time, as the kit's commands take them."""
        return {"account": self.accounts[side], "occurred_at": NOW + timedelta(days=self.day, minutes=minutes)}

    @rule(target=earns, side=sides, brand=brands, points=points, life=st.none() | st.integers(0, 3), more=st.data())
    def earn(self, side: int, brand: int, points: int, life: int | None, more: st.DataObject) -> Sent:
        """Earn, for a purchase or not, in any order of time."""
        expires_on = None if life is None else TODAY + timedelta(days=self.day + life)
        extra = {
            "version": more.draw(st.integers(1, 2)),
            "purchase_id": more.draw(st.sampled_from([None, *self.purchases])),
        }
        minutes = more.draw(st.integers(0, 2))
        command = self.kit.earn(
            points=points, expires_on=expires_on, partner_id=self.brands[brand], **extra, **self.common(side, minutes)
        )
        return self.send(command)

    @rule(target=holds, side=sides, brand=brands, points=points, proof=st.sampled_from([None, "a", "b"]))
    def hold(self, side: int, brand: int, points: int, proof: str | None) -> Sent:
        """Hold, attested or with a pay code that may have been shown before."""
        proven = {"proof_kind": "pay_code", "proof_ref": proof} if proof else {}
        today = TODAY + timedelta(days=self.day)
        command = self.kit.hold(
            points=points, partner_id=self.brands[brand], today=today, **proven, **self.common(side)
        )
        return self.send(command)

    def held_by(self, hold: Sent) -> tuple[dict[str, Any], Outcome, int]:
        """Return a hold's account and time, an outcome that names it or nothing, and its brand."""
        side = self.accounts.index(hold.command.account_id)
        nothing = Outcome("posted", {"hold_id": str(new_record_id()), "journal_id": str(new_record_id())})
        assert isinstance(hold.command, model.Earn | model.Hold | model.Capture)
        brand = hold.command.partner_id
        return self.common(side), hold.outcome if hold.done and hold.outcome else nothing, brand

    @rule(target=captures, hold=holds, right=rightly)
    def capture(self, hold: Sent, *, right: bool) -> Sent:
        """Capture a hold, as the brand that holds or as the operator, whose it never is."""
        common, named, brand = self.held_by(hold)
        return self.send(self.kit.capture(hold=named, partner_id=brand if right else self.kit.operator_id, **common))

    @rule(hold=holds, by=st.sampled_from(["brand", "platform", "other"]))
    def release(self, hold: Sent, by: str) -> None:
        """Release a hold."""
        common, named, brand = self.held_by(hold)
        partner = {"brand": brand, "platform": None, "other": self.kit.operator_id}[by]
        self.send(self.kit.release(hold=named, partner_id=partner, **common))

    @rule(earn=earns, shortfall=shortfalls, right=rightly)
    def reverse_earn(self, earn: Sent, shortfall: str, *, right: bool) -> None:
        """Take back an earn."""
        common, named, brand = self.held_by(earn)
        partner = brand if right else self.kit.operator_id
        self.send(self.kit.reverse_earn(earn=named, partner_id=partner, shortfall=shortfall, **common))

    @rule(side=sides, brand=brands, which=sides, points=st.none() | points, shortfall=shortfalls)
    def reverse_purchase(self, side: int, brand: int, which: int, points: int | None, shortfall: str) -> None:
        """Take back a purchase, in part or whole."""
        asked = {"purchase_id": self.purchases[which], "points": points, "shortfall": shortfall}
        self.send(self.kit.reverse_earn(partner_id=self.brands[brand], **asked, **self.common(side)))

    @rule(capture=captures, right=rightly)
    def reverse_burn(self, capture: Sent, *, right: bool) -> None:
        """Undo a capture."""
        common, named, brand = self.held_by(capture)
        partner = brand if right else self.kit.operator_id
        self.send(self.kit.reverse_burn(capture=named, partner_id=partner, **common))

    @rule(sent=st.one_of(earns, holds, captures))
    def retry(self, sent: Sent) -> None:
        """Send again what was sent before."""
        self.send(sent.command)

    @rule(sent=st.one_of(earns, holds, captures), side=sides)
    def reuse_key(self, sent: Sent, side: int) -> None:
        """Use a key for another content, or for another member."""
        change = {"account_id": self.accounts[side], "reason": "another"}
        self.send(hashed(msgspec.structs.replace(sent.command, **change)))

    @rule(size=st.integers(2, 6))
    def gather(self, size: int) -> None:
        """Post the next commands in one call."""
        self.size = size

    @rule(days=st.integers(1, 2), close=st.booleans(), expire=st.sampled_from([(), (0,), (1,), (0, 1)]))
    def night(self, days: int, expire: tuple[int, ...], *, close: bool) -> None:
        """Let days pass, with the nightly close and expiry or without."""
        self.day += days
        if close:
            self.world.run(self._close())
            self.naive.window_no += 1
        for side in expire:
            self.send(self.kit.expire(today=TODAY + timedelta(days=self.day), **self.common(side)))

    async def _close(self) -> None:
        kit, connection, now = self.kit, self.world.connection, NOW + timedelta(days=self.day)
        await connection.execute(statements["flip_window"], kit.programme_id, now.date(), now)
        after = await connection.fetchval(statements["transaction_id"])
        barrier = await connection.fetchval(statements["set_barrier"], kit.programme_id, self.naive.window_no, after)
        while not await connection.fetchval(statements["barrier_passed"], barrier):  # noqa: ASYNC110  # no event tells
            await asyncio.sleep(0.005)
        await connection.execute(statements["close_window"], kit.programme_id, self.naive.window_no, now)

    @invariant()
    def books_agree(self) -> None:
        """Wallets and lots are those of the naive ledger, and every invariant holds."""
        connection = self.world.connection
        wallets = self.world.run(connection.fetch(WALLETS, self.accounts))
        lots = self.world.run(connection.fetch(LOTS, self.accounts, NEVER))

        assert {tuple(row) for row in wallets} == {
            (account, self.naive.available(account), self.naive.held(account)) for account in self.accounts
        }
        assert [tuple(row) for row in lots] == [
            (lot.account, lot.issuer, lot.version, lot.expires_on, lot.issued_at, lot.purchase, *lot.points)
            for lot in sorted(self.naive.lots, key=lambda lot: lot.account)
        ]
        assert self.world.run(invariants.check(connection, self.accounts)) == []


def run(world: World, examples: int, steps: int) -> None:
    """Run the machine on a world."""
    machine = type("Books", (Books,), {"world": world})
    run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=steps))


def test_the_books_agree_with_a_naive_ledger(world: World) -> None:
    """Whatever is posted, in whatever order and calls: same answers, same books, every invariant, step by step."""
    run(world, 30, 50)


@pytest.mark.long
def test_the_books_agree_for_long(world: World) -> None:
    """The same, with more and longer business."""
    run(world, 200, 80)
