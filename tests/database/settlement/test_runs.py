"""Runs over real PostgreSQL: from postings through the log to nets, statements and bundles that verify alone."""

import json
from pathlib import Path

import asyncpg
import msgspec
import pytest

import koinon_verify
from koinon.database import pool, transaction
from settlement.books import read_books
from settlement.operations import calculate_run
from settlement.states import RUN_TRANSITIONS
from tests.kit.settlement import Coalition, nets, statement_bytes, states
from tests.kit.terms import S1

A, B, C = "brand-a", "brand-b", "brand-c"


async def write_bundle(partner_id: int, window: int, path: Path) -> Path:
    """Write a partner's archived bundle into a file."""
    rows = await pool().fetch(
        "SELECT b.content FROM settlement.bundle_part b JOIN settlement.run r USING (run_id) "
        "WHERE b.partner_id = $1 AND r.window_no = $2 ORDER BY b.part_no",
        partner_id,
        window,
    )
    return written(path, b"".join(row["content"] for row in rows))


def written(path: Path, content: bytes) -> Path:
    """Write a file and return its path."""
    path.write_bytes(content)
    return path


async def test_a_night_of_a_coalition_settles_to_the_cent(coalition: Coalition) -> None:
    """S-1: A pays 100.00, B gets 51.00, C nets 19.50, fees are 21.00, the pool keeps 8.50, the sum is nothing."""
    await coalition.s1_day()
    await coalition.night()

    assert await nets() == {A: -10_000, B: 5_100, C: 1_950, "operator": 2_100, "pool": 850}
    run = await pool().fetchrow("SELECT * FROM settlement.run")
    assert (run["state"], run["version"], run["currency"], run["maker_staff_id"]) == ("PUBLISHED", 1, "USD", None)
    assert (run["pool_balance"], run["pool_worth"], run["pool_apart"], run["outstanding_points"]) == (
        850,
        "850",
        "0",
        1_000,
    )
    assert await states() == ["CALCULATED", "PUBLISHED"]
    statement = msgspec.json.decode((await statement_bytes())[C])
    assert (statement["pays"], statement["receives"], statement["net"]) == ("4000", "5950", "1950")
    assert statement["points"] == {"issued": "4000", "honoured": "3000", "accepted": "7000", "expired": "0"}


async def test_a_recalculation_is_the_same_bytes(coalition: Coalition) -> None:
    """The books of a window give the same statements after later days moved its lots, and after a brand joined."""
    await coalition.s1_day()
    await coalition.night()
    recorded_then = await statement_bytes()
    books_then = await read_books(coalition.programme_id, 1)
    await coalition.brand("brand-d", **S1)
    await coalition.earn("brand-d", 500)
    await coalition.burn(A, 1_200)
    await coalition.night()

    books = await read_books(coalition.programme_id, 1)
    again = books.calculate()

    assert {each.partner: each.content for each in again.statements} == recorded_then
    assert books.facts == books_then.facts
    assert again.pool.holds
    assert "brand-d" in await statement_bytes(2)


async def test_a_run_that_was_lost_comes_out_the_same(coalition: Coalition, database_url: str) -> None:
    """A run that is deleted behind the platform's back and calculated anew has the same figures and statements."""
    await coalition.s1_day()
    await coalition.close()
    await coalition.seal()
    await calculate_run(coalition.programme_id, 1)
    then = (await statement_bytes(), await nets())
    owner = await asyncpg.connect(database_url)
    for table in ("run_event", "line", "net", "statement", "run"):
        await owner.execute(f"DELETE FROM settlement.{table}")  # noqa: S608  # names of ours
    await owner.close()

    await coalition.finish()

    assert (await statement_bytes(), await nets()) == then


async def test_a_late_reversal_is_a_negative_line_of_the_next_window(coalition: Coalition) -> None:
    """Yesterday's statement stays; today's carries on from it and negates what is reversed, at the same version."""
    await coalition.s1_day()
    late = await coalition.burn(B, 200)
    await coalition.night()
    then = await statement_bytes(1)
    await coalition.reverse_burn(B, late)
    await coalition.night()

    assert await statement_bytes(1) == then
    assert await nets(2) == {B: -170, "pool": 170}
    (line,) = msgspec.json.decode((await statement_bytes(2))[B])["lines"]
    assert line == {
        "leg": "reimbursement", "debtor": "pool", "creditor": B, "version": "1", "rate": "17/20",
        "points_before": "6200", "billed_before": "5270", "points": "-200", "amount": "-170",
    }  # fmt: skip


async def test_an_earn_is_reversed_the_next_day(coalition: Coalition) -> None:
    """What an issuer paid for points it takes back the next day comes back to it, fee and all."""
    earned = await coalition.earn(A, 1_000)
    await coalition.night()
    await coalition.reverse_earn(A, earned)
    await coalition.night()

    assert await nets(1) == {A: -1_000, "operator": 150, "pool": 850}
    assert await nets(2) == {A: 1_000, "operator": -150, "pool": -850}


async def test_every_issuer_pays_its_own_price(bare: Coalition) -> None:
    """Burning 600 points of lots A (400 at 1.00 ct) and C (200 at 0.90 ct) costs A 4.00 and C 1.80."""
    await bare.brand(A, price="0.0100", fee="0", issue_share="0", honour="0")
    await bare.brand(B, price="0.0100", fee="0", issue_share="0", honour="0.0090")
    await bare.brand(C, price="0.0090", fee="0", issue_share="0", honour="0")
    await bare.earn(A, 400)
    await bare.earn(C, 1_000)
    await bare.burn(B, 600)
    await bare.night()

    assert await nets() == {A: -400, C: -180, B: 540, "margin": 40}


async def test_expired_points_leave_the_pool(bare: Coalition, database_url: str) -> None:
    """What the pool held for points that expire goes to breakage, at the issuer's version."""
    await bare.brand(A, **S1)
    await bare.earn(A, 1_000)
    await bare.night()
    owner = await asyncpg.connect(database_url)
    await owner.execute("UPDATE ledger.lot SET expires_on = $1", bare.day)
    await owner.close()
    await bare.expire(bare.day)
    await bare.night()

    assert await nets(2) == {"pool": -850, "breakage": 850}
    assert await pool().fetchval("SELECT pool_balance FROM settlement.run WHERE window_no = 2") == 0


async def test_every_bundle_verifies_with_receipts(coalition: Coalition, tmp_path: Path) -> None:
    """Each brand's bundle of each night holds by itself, with its own calls' receipts, and follows on from the last."""
    await coalition.s1_day()
    await coalition.night()
    await coalition.earn(A, 333)
    await coalition.burn(B, 1_111)
    await coalition.night()

    for partner, partner_id in coalition.partners.items():
        receipts = coalition.write_receipts(partner, tmp_path / f"{partner}.receipts")
        first = await write_bundle(partner_id, 1, tmp_path / f"{partner}-1.bundle")
        second = await write_bundle(partner_id, 2, tmp_path / f"{partner}-2.bundle")
        for report in (
            koinon_verify.verify_bundle(first, receipts),
            koinon_verify.verify_bundle(second, receipts, previous=first),
        ):
            assert report.problems == []
            assert report.receipts is not None
            assert report.receipts.receipts == len(coalition.receipts[partner])
    assert koinon_verify.main([str(first), "--receipts", str(receipts), "--json"]) == 0


async def test_a_receipt_that_is_missing_from_a_bundle_is_named(coalition: Coalition, tmp_path: Path) -> None:
    """A receipt of a posting that the bundle lacks fails the verification."""
    await coalition.s1_day()
    await coalition.night()
    forged = coalition.receipts[B][0] | {"journal": "jnl_of_another"}
    coalition.receipts[B].append(forged)
    receipts = coalition.write_receipts(B, tmp_path / "receipts")
    bundle = await write_bundle(coalition.partners[B], 1, tmp_path / "bundle")

    report = koinon_verify.verify_bundle(bundle, receipts)

    assert [(problem.line, problem.code) for problem in report.problems] == [(3, "receipt-unmatched")]


async def test_a_brand_without_business_gets_a_bundle_that_says_so(bare: Coalition, tmp_path: Path) -> None:
    """A brand with nothing to settle, even without a contract, gets an empty statement in a bundle that verifies."""
    await bare.brand(A)
    await bare.night()

    report = koinon_verify.verify_bundle(await write_bundle(bare.partners[A], 1, tmp_path / "bundle"))

    assert report.problems == []
    assert json.loads((await statement_bytes())[A])["lines"] == []


async def test_a_programme_without_brands_settles_nothing(bare: Coalition) -> None:
    """A window of the operator alone has a run without statements, and is published."""
    await bare.night()

    assert await states() == ["CALCULATED", "PUBLISHED"]
    assert await nets() == {}
    assert await statement_bytes() == {}


async def test_a_capture_after_the_close_lands_in_the_next_window(coalition: Coalition) -> None:
    """What was reserved before the close and captured after it is settled the next night, though the run came later."""
    await coalition.earn(A, 1_000)
    hold = await coalition.reserve(B, 400)
    await coalition.close()
    captured = await coalition.capture(B, hold)
    await coalition.finish()

    assert captured.answer["window_no"] == 2
    assert await nets(1) == {A: -1_000, "operator": 150, "pool": 850}
    assert await pool().fetchval("SELECT outstanding_points FROM settlement.run") == 1_000
    await coalition.night()
    assert await nets(2) == {B: 340, "pool": -340}
    assert await pool().fetchval("SELECT outstanding_points FROM settlement.run WHERE window_no = 2") == 600


async def test_a_cent_is_never_lost_over_nights(bare: Coalition) -> None:
    """Half a cent a night comes to what all nights' points cost: each starts from what was billed before."""
    await bare.brand(A, price="0.005", fee="0.005", issue_share="1", honour="0")
    for _ in range(5):
        await bare.earn(A, 1)
        await bare.night()

    fees = [(await nets(window)).get("operator", 0) for window in range(1, 6)]
    assert fees == [0, 1, 1, 0, 0]
    assert await pool().fetchval("SELECT count(*) FROM settlement.run WHERE state = 'PUBLISHED'") == 5


async def test_the_states_in_the_database_are_those_of_the_model(database: asyncpg.Pool) -> None:
    """Which state may follow which is the same table twice."""
    rows = await database.fetch("SELECT state, following FROM settlement.run_transition")

    assert {(row["state"], row["following"]) for row in rows} == {
        (state.value, following.value) for state, after in RUN_TRANSITIONS.items() for following in after
    }


async def test_what_a_run_says_cannot_be_changed(coalition: Coalition) -> None:
    """The application's role may neither change nor delete what was recorded, nor invent a state's arrow."""
    await coalition.s1_day()
    await coalition.night()
    for statement in (
        "UPDATE settlement.statement SET content = ''",
        "UPDATE settlement.line SET amount = 0",
        "UPDATE settlement.net SET pays = 0",
        "UPDATE settlement.run SET pool_balance = 0",
        "UPDATE settlement.bundle_part SET content = ''",
        "UPDATE settlement.approval SET decided_at = now()",
        "DELETE FROM settlement.run_event",
        "DELETE FROM settlement.statement",
        "INSERT INTO settlement.run_transition VALUES ('SETTLED', 'CALCULATED')",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with transaction() as connection:
                await connection.execute(statement)
