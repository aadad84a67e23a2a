"""What rewards say is posted is what the lots hold, after any business, and each way to break it is seen."""

import asyncpg
import pytest

from koinon.database import connected, pool
from koinon.ledger import invariants
from tests.database.offers.conftest import INVARIANTS
from tests.kit.league import Holder, League, balance


async def business(league: League) -> Holder:
    """Let a member earn at tills and by card, return some, spend nearly all, and be refunded what is gone."""
    ada = await league.holder()
    await league.activate(ada, await league.offer())
    await league.activate(ada, await league.offer("fuel", stack_group="other"))
    await league.till(ada, amount_minor=100, stated_points=300, auth_code="A1B2C3")
    await league.work()
    await league.tell(league.message("clearing", 4800, auth_code="A1B2C3"))
    await league.tell(league.message("refund", 1200))
    await league.till(ada, partner="fuel", stated_points=40)
    await league.work()
    await league.spend(ada, await balance(ada) - 10)
    await league.tell(league.message("refund", 3600))
    assert await pool().fetchval("SELECT sum(shortfall_points) FROM offers.reward") > 0
    return ada


async def test_all_hold(database: asyncpg.Pool) -> None:
    """After purchases at till and card, switches, refunds and a clipped one, rewards and lots agree."""
    league = await League().found()
    ada = await business(league)

    async with database.acquire() as connection:
        assert await invariants.check(connection, None, INVARIANTS) == []
        assert await invariants.check(connection, [ada.account_id], INVARIANTS) == []
        assert await invariants.check(connection) == []
    assert await pool().fetchval("SELECT sum(posted_points) FROM offers.reward") > 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "UPDATE offers.reward SET posted_points = posted_points - 1 WHERE posted_points > 0 AND account_id = $1",
            "its rewards say that",
        ),
        ("DELETE FROM offers.reward WHERE posted_points > 0 AND account_id = $1", "its rewards say that 0 points"),
        # What dropping SKIP LOCKED did: a purchase was posted twice, and its reward says it once.
        (
            (
                "WITH twice AS (INSERT INTO ledger.lot SELECT account_id, uuidv7(), unit_id, journal_id, issuer_id,"
                " issuer_version, contributor_id, purchase_id, issued_at, expires_on, quantity, remaining, held"
                " FROM ledger.lot WHERE account_id = $1 AND remaining = 0 LIMIT 1 RETURNING *)"
                " INSERT INTO ledger.movement (account_id, journal_id, leg, unit_id, window_no, debit_kind,"
                " credit_kind, amount, lot_id, issuer_id, issuer_version) SELECT account_id, journal_id, 99,"
                " unit_id, 1, 'issued',"
                " 'wallet', quantity, lot_id, issuer_id, issuer_version FROM twice"
            ),
            "and its lots",
        ),
        ("UPDATE ledger.lot SET purchase_id = uuidv7() WHERE account_id = $1 AND remaining = 0", "its rewards say"),
        ("UPDATE ledger.lot SET issuer_id = 1 WHERE account_id = $1 AND purchase_id IS NOT NULL", "issuer 1:"),
    ],
)
async def test_each_is_seen_to_break(database_url: str, change: str, said: str) -> None:
    """A reward that says more or less than was posted is named with its purchase; another account's look is clean."""
    async with connected(database_url):
        league = await League().found()
        ada = await business(league)
        other = await league.holder("tok_b")
    owner = await asyncpg.connect(database_url)
    await owner.execute(change, ada.account_id)

    found = await invariants.check(owner, [ada.account_id], INVARIANTS)

    assert found
    assert all(finding.startswith("i11_rewards: purchase ") for finding in found)
    assert any(said in finding for finding in found)
    assert await invariants.check(owner, [other.account_id], INVARIANTS) == []
    await owner.close()
