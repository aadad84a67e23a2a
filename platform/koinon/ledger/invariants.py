"""Invariants, looked for in the books themselves: what breaks one is named, nothing is changed.

The ledger's own stand beside this module; every context may have an `invariants.sql`, whose statements take the same
parameters (`Context.invariants`).
"""

from collections.abc import Mapping, Sequence

from koinon.database import Connection, beside

statements = beside(__file__, "invariants.sql")

FINDINGS_MAXIMUM = 20


async def check(
    connection: Connection, accounts: Sequence[int] | None = None, named: Mapping[str, str] = statements
) -> list[str]:
    """Return what breaks an invariant, as `name: finding`, at most FINDINGS_MAXIMUM of each; none when all holds.

    `accounts` bounds the look to these accounts (for a sample); None looks at every one. `named` are a context's
    invariants, the ledger's unless told; those of programmes take programmes for accounts. Writers may go on
    meanwhile: each invariant is looked for in one snapshot.
    """
    return [
        f"{name}: {row[0]}"
        for name, sql in named.items()
        for row in await connection.fetch(sql, accounts, FINDINGS_MAXIMUM)
    ]
