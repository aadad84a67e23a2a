"""One PostgreSQL: embedded or a server, its pool, its transactions, its named statements and its migrations."""

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
from koinon.database.statements import Statements, beside

__all__ = [
    "APPLICATION_ROLE",
    "DB",
    "Connection",
    "DatabaseUrlInvalid",
    "Statements",
    "apart",
    "beside",
    "connected",
    "pool",
    "transaction",
]
