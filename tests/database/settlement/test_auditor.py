"""The auditor finds what is broken in the books, stops the programme's run, and clears both when it is mended."""

from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from koinon.app import contexts
from koinon.clock import machine_now
from koinon.context import Invariants
from koinon.database import pool
from koinon.ledger.auditor import Auditor
from settlement.operations import InvariantBroken, calculate_run
from tests.kit.settlement import Coalition
from tests.kit.terms import S1

MINUTE = timedelta(minutes=1)


def auditor() -> Auditor:
    """Return an auditor of everything that the installation's contexts say must hold."""
    return Auditor(
        (each for context in contexts() for each in context.invariants()),
        (each for context in contexts() for each in context.examinations()),
    )


async def standing() -> list[tuple[int, str]]:
    """Return (programme, explanation) of the alerts that stand."""
    rows = await pool().fetch("SELECT programme_id, explanation FROM ledger.alert WHERE cleared_at IS NULL ORDER BY 2")
    return [tuple(row) for row in rows]


async def test_what_it_finds_stops_the_run(coalition: Coalition, database_url: str) -> None:
    """A wallet that is off stands as an alert, the programme has no run, the other has; mended, a round clears it."""
    other = await Coalition(coalition.runtime).found("other", "EUR")
    await other.brand("shop-a", **S1)
    await other.earn("shop-a", 100)
    await coalition.s1_day()
    await coalition.close()
    await other.close()
    await coalition.seal()
    owner = await asyncpg.connect(database_url)
    account = coalition.account_id
    await owner.execute("UPDATE ledger.wallet SET available = available + 1 WHERE account_id = $1", account)
    looking, now = auditor(), machine_now()

    await looking.look_at(now)

    ((programme, explanation),) = await standing()
    assert programme == coalition.programme_id
    assert explanation.startswith(f"i2_wallets: account {account} unit {coalition.unit_id}: wallet 1001 and 0 held")
    with pytest.raises(InvariantBroken, match="i2_wallets"):
        await calculate_run(coalition.programme_id, 1)
    await coalition.finish()
    runs = await pool().fetch("SELECT programme_id, state FROM settlement.run")
    assert [tuple(run) for run in runs] == [(other.programme_id, "PUBLISHED")]
    (alert,) = await pool().fetch("SELECT code, explanation FROM settlement.alert")
    assert tuple(alert) == ("invariant-broken", explanation)

    await owner.execute("UPDATE ledger.wallet SET available = available - 1 WHERE account_id = $1", account)
    await owner.close()
    await looking.look_at(now + MINUTE)
    assert await standing() == []
    assert await calculate_run(coalition.programme_id, 1)


async def test_a_round_goes_over_every_account(coalition: Coalition, database_url: str) -> None:
    """Slice by slice every account has its turn; the alert stands until a whole round that began later is clean."""
    accounts = [coalition.account_id] + [await coalition.account() for _ in range(6)]
    owner = await asyncpg.connect(database_url)
    last = max(accounts)
    await owner.execute("UPDATE ledger.wallet SET held = held + 1 WHERE account_id = $1", last)
    looking, now = auditor(), machine_now()
    found_at = []
    for slice_no in range(1, 5):
        await looking.look_at(now + slice_no * MINUTE, accounts=2)
        found_at.append(len(await standing()))
    assert found_at == [0, 0, 0, 1], "seven accounts, two at a time: the last one is in the fourth slice"

    await owner.execute("UPDATE ledger.wallet SET held = held - 1 WHERE account_id = $1", last)
    late = auditor()
    await late.look_at(now + 2 * MINUTE, accounts=100)  # this round began before the finding: it proves nothing
    assert len(await standing()) == 1
    for slice_no in range(5, 9):
        assert len(await standing()) == 1
        await looking.look_at(now + slice_no * MINUTE, accounts=2)
    assert await standing() == []
    await owner.close()


async def test_runs_are_looked_at_when_a_round_ends(coalition: Coalition, database_url: str) -> None:
    """What runs say of each other belongs to no account, and is looked at with the last slice."""
    await Coalition(coalition.runtime).found("other", "EUR")
    await coalition.s1_day()
    await coalition.night()
    owner = await asyncpg.connect(database_url)
    await owner.execute("UPDATE settlement.net SET pays = pays + 1 WHERE party = 'brand-a'")
    await owner.close()

    await auditor().look_at(machine_now())

    ((programme, explanation),) = await standing()
    assert programme == coalition.programme_id
    assert explanation.startswith("i6_zero: run ")


async def test_what_is_seen_once_is_no_finding(coalition: Coalition, monkeypatch: pytest.MonkeyPatch) -> None:
    """On several nodes a posting may be half seen; what the second look no longer finds raises no alert."""
    looks = iter([["i2_wallets: half seen"], [], [], []])

    async def check(*_: object) -> list[str]:
        return next(looks)

    monkeypatch.setattr("koinon.ledger.auditor.check", check)
    await auditor().look_at(machine_now())

    assert await standing() == []


def test_names_are_nobody_elses(tmp_path: Path) -> None:
    """Two contexts cannot call two things by one name: one would hide the other."""
    for name in ("a.sql", "b.sql"):
        (tmp_path / name).write_text("-- i1_same: what must hold\nSELECT 1;\n")

    with pytest.raises(ValueError, match=r"b\.sql: i1_same is another context's invariant"):
        Auditor([Invariants(tmp_path / "a.sql"), Invariants(tmp_path / "b.sql", by_account=False)])
    assert auditor()
