"""One PostgreSQL: embedded or a server, its pool, its transactions, its named statements, mapping and migrations."""

from koinon.database.engine import (
    APPLICATION_ROLE,
    DB,
    Connection,
    DatabaseUrlInvalid,
    apart,
    connected,
    pool,
    transaction,
)
from koinon.database.mapped import CLOCK, RecordedAt, add, add_unless, on
from koinon.database.statements import Statements, beside

__all__ = [
    "APPLICATION_ROLE",
    "CLOCK",
    "DB",
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
    "transaction",
]
