"""The ledger's invariants, looked for in the books themselves: what breaks one is named, nothing is changed."""

from collections.abc import Sequence

from koinon.database import Connection, beside

statements = beside(__file__, "invariants.sql")

FINDINGS_MAXIMUM = 20


async def check(connection: Connection, accounts: Sequence[int] | None = None) -> list[str]:
    """Return what breaks an invariant, as `name: finding`, at most FINDINGS_MAXIMUM of each; none when all holds.

    `accounts` bounds the look to these accounts (for a sample); None looks at every one. Writers may go on meanwhile:
    each invariant is looked for in one snapshot.
    """
    return [
        f"{name}: {row[0]}"
        for name, sql in statements.items()
        for row in await connection.fetch(sql, accounts, FINDINGS_MAXIMUM)
    ]
