"""No statement reads more, the more there has been: on years of history each finds its rows by an index."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from koinon.database.statements import read
from tests.conftest import Databases
from tests.database.history import fill
from tests.database.plans import planned, sizes, whole_reads
from tests.test_tidy_sql import STATEMENT_FILES

SOME_ACCOUNTS = ("ARRAY(SELECT generate_series(1, 500))", "100")
ONE_PROGRAMME = ("ARRAY[1]", "100")

# Statements that are planned with their parameters each time, as their authors mean them to be, for they do otherwise
# when one of them is NULL. Everything else is judged by the plan that it has whatever is asked for.
GIVEN = {
}

# Statements that read a table or an index whole, and why they may.
WHOLE = {
    "ledger.accounts_due": "what is unspent, not what was: the lots of a programme are asked for every half minute",
    "members.keys_under_older": "counts how many keys a master key wraps, when an operator asks for it or changes it",
    "offers.figures": "sums up all that a programme has come to, when an operator asks for it",
    "settlement.outstanding": "sums up all unspent points of a programme, once a night",
    "settlement.unsettled_windows": "looks at all windows of a programme, when an operator settles by hand",
}


def name_of(path: Path, statement: str) -> str:
    """Return what a statement is called here: its folder and its name."""
    return f"{path.parent.name}.{statement}"


@pytest.fixture
async def grown(databases: Databases) -> AsyncIterator[asyncpg.Connection]:
    """Give the owner's connection to a database with a history, which no other test gets."""
    name = await databases.take()
    connection = await asyncpg.connect(databases.url_of(name))
    await fill(connection)
    yield connection
    await connection.close()
    await databases.drop(name)


async def test_a_whole_read_is_seen(database: asyncpg.Pool) -> None:
    """A table read from end to end is found, and so is an index under no condition or one on a later column."""
