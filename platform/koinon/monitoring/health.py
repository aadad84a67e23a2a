"""Whether the process lives, and whether it can serve."""

from typing import Literal

import asyncpg
import msgspec
from litestar import Router, get

from koinon.database import beside, pool
from koinon.http.openapi import gives, refusals
from koinon.problems import ServiceUnavailable

statements = beside(__file__)


class Health(msgspec.Struct, frozen=True):
    """How the process is."""

    status: Literal["ok", "ready"]


@get(
    "/health",
    opt={"public": True},
    operation_id="health",
    summary="Whether the process lives",
    tags=["operations"],
    responses=refusals(),
    sync_to_thread=False,
)
def health() -> Health:
    """Tell that the process lives; asks nothing of anything else."""
    return Health("ok")


@get(
    "/ready",
    opt={"public": True},
    operation_id="ready",
    summary="Whether the process can serve",
    tags=["operations"],
    responses=gives(200, Health, "It can.", example={"status": "ready"}) | refusals(ServiceUnavailable),
)
async def ready() -> Health:
    """Tell that the process reaches a migrated database."""
    try:
        await pool().fetchval(statements["open_windows"])
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise ServiceUnavailable("the database does not answer") from error
    return Health("ready")


router = Router("/", route_handlers=[health, ready])
