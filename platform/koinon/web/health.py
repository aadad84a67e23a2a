"""Whether the process lives, and whether it can serve."""

import asyncpg
from litestar import Response, Router, get

from koinon.database import pool
from koinon.problems import ServiceUnavailable
from koinon.web.openapi import refusals


@get(
    "/health",
    opt={"public": True},
    operation_id="health",
    summary="Whether the process lives",
    tags=["operations"],
    responses=refusals(),
    sync_to_thread=False,
)
def health() -> dict[str, str]:
    """Tell that the process lives; asks nothing of anything else."""
    return {"status": "ok"}


@get(
    "/ready",
    opt={"public": True},
    operation_id="ready",
    summary="Whether the process can serve",
    tags=["operations"],
    responses=refusals(ServiceUnavailable),
)
async def ready() -> Response[dict[str, str]]:
    """Tell that the process reaches a migrated database."""
    try:
        await pool().fetchval("SELECT count(*) FROM ledger.settlement_window WHERE state = 'OPEN'")
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise ServiceUnavailable("the database does not answer") from error
    return Response({"status": "ready"})


router = Router("/", route_handlers=[health, ready])
