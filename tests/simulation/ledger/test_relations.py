"""What must come out the same: a call of many and many calls; business with what was undone at once, and without it."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from koinon.ledger import invariants
from koinon.ledger.model import AnyCommand, Outcome
from tests.kit.ledger import Coalition
from tests.kit.terms import TODAY
from tests.simulation.ledger.naive import IDS
from tests.simulation.ledger.world import World

PROFILE = settings(max_examples=30)

# A plan is the same business for two coalitions: it makes a command from a coalition, its accounts and what was set up.
Plan = Callable[["Stage"], AnyCommand]

LOTS = """
SELECT array_position($2::bigint[], issuer_id) AS issuer, issuer_version, expires_on, quantity, remaining, held
FROM ledger.lot WHERE account_id = $1 ORDER BY lot_id
"""
JOURNALS = """
SELECT j.kind, j.window_no, array_position($2::bigint[], j.partner_id) AS partner, j.occurred_at, m.leg, m.debit_kind,
    m.credit_kind, m.amount, array_position($2::bigint[], m.issuer_id), m.issuer_version,
    array_position($2::bigint[], m.acceptor_id), m.acceptor_version
FROM ledger.journal j JOIN ledger.movement m USING (account_id, journal_id)
WHERE account_id = $1 ORDER BY j.journal_id, m.leg
"""
LEFT = """
SELECT array_position($2::bigint[], issuer_id) AS issuer, issuer_version, expires_on, sum(remaining), sum(held)
FROM ledger.lot WHERE account_id = $1 AND remaining > 0 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""


class Stage:
    """A coalition with two accounts and some business done: two open holds, a capture, an earn to reverse."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.kit: Coalition = world.run(Coalition().found(world.connection))
        self.accounts = [world.run(self.kit.account(world.connection)) for _ in range(2)]
        self.brands = [self.kit.grocer, self.kit.fuel, self.kit.cafe]
        first, *_ = self.call([self.kit.earn(account, 50) for account in self.accounts])
        self.earned = first
        holds = self.call([self.kit.hold(self.accounts[0], points) for points in (5, 7, 9)])
        self.holds = holds[:2]
        (self.captured,) = self.call([self.kit.capture(self.accounts[0], holds[2])])

    def call(self, commands: Sequence[AnyCommand]) -> list[Outcome]:
        """Post commands in one call."""
        outcomes: list[Outcome] = self.world.run(self.kit.post(self.world.connection, *commands))
        return outcomes

    def read(self, sql: str) -> list[list[tuple[Any, ...]]]:
        """Return rows of both accounts, brands by their place."""
        return [
            [tuple(row) for row in self.world.run(self.world.connection.fetch(sql, account, self.brands))]
            for account in self.accounts
        ]


def told(outcomes: Sequence[Outcome]) -> list[tuple[str, dict[str, Any]]]:
    """Return what was answered, up to ids."""
    return [(each.status, {name: fact for name, fact in each.answer.items() if name not in IDS}) for each in outcomes]


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Draw one piece of business, often under a key that another piece has too."""
    kind = draw(st.sampled_from(["earn", "earn", "earn", "hold", "capture", "release", "undo", "reverse", "expire"]))
    side, points = draw(st.integers(0, 2)), draw(st.integers(-1, 30))
    brand, life, which = draw(st.integers(0, 2)), draw(st.none() | st.integers(0, 2)), draw(st.integers(0, 1))
    key = draw(st.sampled_from([None, None, "a", "b"]))

    def plan(stage: Stage) -> AnyCommand:  # noqa: PLR0911  # one for each kind
        kit = stage.kit
        account = [*stage.accounts, 5][side]
        more: dict[str, Any] = {} if key is None else {"key": key}
        match kind:
            case "earn":
                expires_on = None if life is None else TODAY + timedelta(days=life)
                return kit.earn(account, points, expires_on, partner_id=stage.brands[brand], **more)
            case "hold":
                return kit.hold(account, points, **more)
            case "capture":
                return kit.capture(stage.accounts[0], stage.holds[which], **more)
            case "release":
                return kit.release(stage.accounts[0], stage.holds[which], **more)
            case "undo":
                return kit.reverse_burn(stage.accounts[0], stage.captured, **more)
            case "reverse":
                return kit.reverse_earn(stage.accounts[0], stage.earned, shortfall=["refuse", "clip"][which], **more)
            case _:
                return kit.expire(account, TODAY + timedelta(days=which), caller=kit.caller, **more)

    return plan


def test_a_call_of_many_is_many_calls(world: World) -> None:
    """The same commands in one call and one by one: the same answers up to ids, and the same books."""

    @PROFILE
    @given(st.lists(plans(), min_size=2, max_size=12))
    def holds(business: list[Plan]) -> None:
        together, apart = Stage(world), Stage(world)

        at_once = together.call([plan(together) for plan in business])
        in_turn = [outcome for plan in business for outcome in apart.call([plan(apart)])]

        assert told(at_once) == told(in_turn)
        assert together.read(LOTS) == apart.read(LOTS)
        assert together.read(JOURNALS) == apart.read(JOURNALS)
        assert world.run(invariants.check(world.connection, together.accounts)) == []

    holds()


def undone(stage: Stage, kind: str, points: int) -> None:
    """Do something with the second account and undo it at once."""
    kit, account = stage.kit, stage.accounts[1]
    (first,) = stage.call([kit.earn(account, points) if kind == "earn" else kit.hold(account, points)])
    if first.status == "refused":
        return
    if kind == "earn":
        (last,) = stage.call([kit.reverse_earn(account, first)])
    elif kind == "hold":
        (last,) = stage.call([kit.release(account, first)])
    else:
        (capture,) = stage.call([kit.capture(account, first)])
        (last,) = stage.call([kit.reverse_burn(account, capture)])
    assert last.status == "posted"


def test_reversed_is_never(world: World) -> None:
    """What is done and undone at once, anywhere in the business, leaves the points that would be there without it."""
    detour = st.tuples(st.integers(0, 6), st.sampled_from(["earn", "hold", "burn"]), st.integers(1, 60))

    @PROFILE
    @given(st.lists(plans(), max_size=6), st.lists(detour, min_size=1, max_size=4))
    def holds(business: list[Plan], detours: list[tuple[int, str, int]]) -> None:
        straight, winding = Stage(world), Stage(world)
        for place, plan in enumerate(business):
            straight.call([plan(straight)])
            for at, kind, points in detours:
                if at == place:
                    undone(winding, kind, points)
            winding.call([plan(winding)])
        for at, kind, points in detours:
            if at >= len(business):
                undone(winding, kind, points)

        assert winding.read(LEFT) == straight.read(LEFT)
        assert world.run(invariants.check(world.connection, winding.accounts)) == []

    holds()
