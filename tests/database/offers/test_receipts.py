"""Receipts give again what they say, after any business, and one that does not is a finding of the auditor."""

import asyncpg
import pytest

from koinon.clock import machine_now
from koinon.database import connected, pool
from koinon.ledger.auditor import Auditor
from offers.plugin import Offers
from offers.rewarding.receipts import broken_receipts
from tests.kit.league import Holder, League


async def business(league: League) -> Holder:
    """Let a member buy twice at the grocer's, part of one coming back, with an offer whose budget runs out."""
    ada = await league.holder()
    await league.activate(ada, await league.offer(cap_points_per_payment=300, budget_points=500))
    await league.tell(league.message("clearing", 4800))
    await league.tell(league.message("refund", 1200))
    await league.till(ada, amount_minor=4800)
    await league.work()
    return ada


async def test_what_was_decided_is_decided_again(database: asyncpg.Pool) -> None:
    """Each receipt, of a whole reward and of one that the budget cut, gives the same bytes from its own inputs."""
    ada = await business(await League().found())

    async with database.acquire() as connection:
        assert await broken_receipts(connection, [ada.account_id]) == []
    rows = await database.fetch("SELECT points, reason FROM offers.decision ORDER BY purchase_id")
    assert [tuple(row) for row in rows] == [(300, None), (200, "budget-exhausted")]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE offers.decision SET points = points + 1", "its receipt says 301 points (None), and its inputs 300"),
        ("UPDATE offers.decision SET reason = 'weekday'", "its receipt says 300 points (weekday), and its inputs 300"),
        (
            "UPDATE offers.decision SET receipt = replace(receipt, ':3600', ':100')",
            "its receipt says 300 points (None), and its inputs 10 (None)",
        ),
        ("UPDATE offers.decision SET receipt = replace(receipt, '{', '{ ')", "its receipt says 300 points"),
        ("UPDATE offers.decision SET receipt = '{}'", "its receipt cannot be run again: "),
        (
            "UPDATE offers.offer_version SET body = replace(body, '300', '299')",
            "its receipt says 300 points (None), and its inputs 299 (None)",
        ),
        ("UPDATE offers.decision SET version_id = 1", "there is no version 1"),
    ],
)
async def test_a_receipt_that_says_something_else_is_found(database_url: str, change: str, said: str) -> None:
    """A figure, a reason, an input, a byte or the version itself that was changed is named, and stands as an alert."""
    async with connected(database_url):
        league = await League().found()
        ada = await business(league)
        bob = await league.holder("tok_b")
        owner = await asyncpg.connect(database_url)
        await owner.execute(change)

        found = await broken_receipts(owner, [ada.account_id])
        assert await broken_receipts(owner, [bob.account_id]) == []
        await owner.close()
        await Auditor([], Offers().examinations()).look_at(machine_now())

        assert any(said in finding for finding in found), found
        assert all(finding.startswith("receipts: purchase ") for finding in found)
        (alert,) = await pool().fetch("SELECT programme_id, explanation FROM ledger.alert WHERE cleared_at IS NULL")
        assert alert["programme_id"] == league.programme_id
        assert alert["explanation"].startswith(found[0])
