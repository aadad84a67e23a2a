"""The office's look at programmes: which one it is looking at, by `?programme=CODE`, and how that one stands."""

from pathlib import Path
from typing import Any

from litestar.config.app import AppConfig

from koinon.database import pool
from koinon.parties.operations import UnknownProgramme
from koinon.parties.programmes import Programme, programmes
from koinon.web.pages.shells import PageRequest, Panel

TEMPLATES = Path(__file__).with_name("templates")
PROGRAMMES_MAXIMUM = 200


async def programme_looked_at(request: PageRequest) -> tuple[Programme | None, list[Programme]]:
    """Return (the programme that the query names, else the first or None, all of them); raises UnknownProgramme."""
    async with pool().acquire() as connection:
        found = (await programmes(connection, None, PROGRAMMES_MAXIMUM)).items
    code = request.query_params.get("programme")
    if code is None:
        return (found[0] if found else None), found
    chosen = next((each for each in found if each.code == code), None)
    if chosen is None:
        raise UnknownProgramme
    return chosen, found


async def load_programme(request: PageRequest) -> dict[str, Any]:
    """Return the programme that is looked at, and the others to look at."""
    chosen, found = await programme_looked_at(request)
    return {"chosen": chosen, "programmes": found}


PANELS = (Panel("office", "home", 0, "parties/programme.html", load_programme),)


def add_pages(app_config: AppConfig) -> None:
    """Add the office's look at programmes to the application."""
    app_config.state["shells"].add("parties", TEMPLATES, PANELS)
