"""One PostgreSQL: embedded or a server, its pool, its transactions, its named statements, mapping and migrations."""

from koinon.database.engine import (
    APPLICATION_ROLE,
    ATTEMPTS,
    DB,
    RACES,
    Connection,
    DatabaseUrlInvalid,
    apart,
    connected,
    pool,
    raced,
    transaction,
)
from koinon.database.mapped import CLOCK, RecordedAt, add, add_unless, on
from koinon.database.statements import Statements, beside

__all__ = [
    "APPLICATION_ROLE",
    "ATTEMPTS",
    "CLOCK",
    "DB",
    "RACES",
    "Connection",
    "DatabaseUrlInvalid",
    "RecordedAt",
    "Statements",
    "add",
    "add_unless",
    "apart",
    "beside",
    "connected",
    "on",
    "pool",
    "raced",
    "transaction",
]
