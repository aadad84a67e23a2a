"""What came over HTTP, held to the rows that it left: an answer that wrote nothing, or a row that nobody asked for."""

import asyncpg
import msgspec

from load_tests.bench.database import held

COUNTED = """
SELECT
    (SELECT count(*) FROM offers.till_sighting t JOIN offers.purchase u USING (account_id, purchase_id)
     WHERE u.programme_id = p.programme_id) AS earnings,
    (SELECT count(*) FROM offers.message m JOIN identity.source s USING (source_id)
     WHERE s.programme_id = p.programme_id) AS messages,
    (SELECT count(*) FROM offers.inbox i
     WHERE i.programme_id = p.programme_id AND i.state = 'folded') AS "messages taken in",
    (SELECT count(*) FROM offers.purchase u
     WHERE u.programme_id = p.programme_id AND u.rewarded_revision = u.revision) AS "rewarded purchases",
    (SELECT count(*) FROM offers.decision d JOIN offers.purchase u USING (account_id, purchase_id)
     WHERE u.programme_id = p.programme_id) AS decisions,
    (SELECT count(*) FROM offers.reward r JOIN parties.partner a USING (partner_id)
     WHERE a.programme_id = p.programme_id AND r.posted_points > 0) AS "posted rewards",
    (SELECT count(*) FROM ledger.journal j
     WHERE j.programme_id = p.programme_id AND j.kind = 'earn') AS "journals of earns",
    (SELECT count(*) FROM ledger.outbox o
     WHERE o.programme_id = p.programme_id AND o.leaf_index IS NOT NULL) AS "logged journals",
    (SELECT count(*) FROM ledger.lot l JOIN ledger.account a USING (account_id)
     WHERE a.programme_id = p.programme_id) AS lots,
    (SELECT coalesce(sum(l.quantity), 0)::bigint FROM ledger.lot l JOIN ledger.account a USING (account_id)
     WHERE a.programme_id = p.programme_id) AS "points in lots",
    (SELECT coalesce(sum(b.spent_points), 0)::bigint FROM offers.budget b JOIN offers.offer o USING (offer_id)
     WHERE o.programme_id = p.programme_id) AS "points spent of budgets",
    (SELECT coalesce(sum(b.reserved_points), 0)::bigint FROM offers.budget b JOIN offers.offer o USING (offer_id)
     WHERE o.programme_id = p.programme_id) AS "points reserved of budgets"
FROM parties.programme p WHERE p.code = $1
"""


class Books(msgspec.Struct, kw_only=True):
    """What a programme's callers were answered: earnings, messages accepted, and the points that both come to.

    `budgeted` says that every point is to come from an offer's budget.
    """

    budgeted: bool
    earnings: int = 0
    messages: int = 0
    points: int = 0

    def expected(self) -> dict[str, int]:
        """Return the rows that there must be once everything is worked off."""
        purchases = self.earnings + self.messages
        return {
            "earnings": self.earnings,
            "messages": self.messages,
            "messages taken in": self.messages,
            "rewarded purchases": purchases,
            # One offer concerns each purchase, whatever else is published.
            "decisions": purchases if self.budgeted else 0,
            "posted rewards": purchases,
            "journals of earns": purchases,
            "logged journals": purchases,
            "lots": purchases,
            "points in lots": self.points,
            "points spent of budgets": self.points if self.budgeted else 0,
            "points reserved of budgets": 0,
        }


async def check(url: str, code: str, books: Books) -> dict[str, int]:
    """Hold a programme's rows to what its callers were answered, and return them; raises BenchFailed."""
    connection = await asyncpg.connect(url)
    row = await connection.fetchrow(COUNTED, code)
    await connection.close()
    return held(f"the programme {code}", books.expected(), dict(row))
