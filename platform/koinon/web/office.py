"""The office's look at programmes: which one it is looking at, by `?programme=CODE`, and how that one stands."""

from typing import Any

from koinon.database import pool
from koinon.parties.operations import UnknownProgramme
from koinon.parties.programmes import Programme, programmes
from koinon.web.shells import PageRequest, Panel

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


PANELS = (Panel("office", "home", 0, "pages/programme.html", load_programme),)
