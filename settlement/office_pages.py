"""The operator's pages of settlement: windows, runs, and the second person's approval."""

from collections.abc import Iterable
from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from koinon import ids
from koinon.database import Connection, pool, transaction
from koinon.http.bodies import FORM
from koinon.http.cursors import Page, PageCursor
from koinon.identity.operations import staff_name
from koinon.parties.programmes import programme
from koinon.problems import NotAllowed, Problem, invalid_field
from koinon.web.office import programme_looked_at
from koinon.web.rendering import page, see
from koinon.web.shells import PageRequest, Panel, signed_in
from settlement.operations import AlreadyApproved, MakerIsChecker, RunNotPublished, approve_run, ask_for_run
from settlement.runs import MAKER_PLATFORM, Run, Window, run, runs_waiting, windows
from settlement.states import RunState
from settlement.web import run_named, window_cursor

WINDOWS_AT_HOME = 7
WINDOWS = 50
WAITING_AT_HOME = 20
OPERATE = frozenset({"settlement:operate"})
WAITING = frozenset({RunState.PUBLISHED, RunState.OBJECTION})


async def load_waiting(_: PageRequest) -> dict[str, Any]:
    """Return the runs that wait for a second person, over all programmes."""
    async with pool().acquire() as connection:
        return {"waiting": await runs_waiting(connection, WAITING_AT_HOME)}


async def load_windows(request: PageRequest) -> dict[str, Any]:
    """Return the last windows of the programme that the office looks at."""
    return await _windows(request, None, WINDOWS_AT_HOME)


@get("/office/windows", guards=[signed_in("office", *OPERATE)], include_in_schema=False)
async def list_windows(request: PageRequest, cursor: FromQuery[PageCursor] = None) -> Response[str]:
    """Show a programme's windows with their runs, the newest first."""
    found = await _windows(request, window_cursor(cursor), WINDOWS)
    return await page(request, "office", "settlement/windows_page.html", **found, first=cursor is None)


@post("/office/windows/closings", opt={FORM: True}, guards=[signed_in("office", *OPERATE)], include_in_schema=False)
async def close_window(request: PageRequest) -> Redirect:
    """Close a programme's open window before its night; whoever does is the maker of its run."""
    form = await request.form()
    try:
        programme_id = ids.private("pro", str(form.get("programme", "")))
    except ValueError as error:
        raise invalid_field("/programme", str(error)) from None
    async with transaction() as connection:
        looked_at = await programme(connection, programme_id)
        await ask_for_run(connection, programme_id, _staff(request))
    return see(f"/office?programme={looked_at.code}", "closed")


@get("/office/runs/{run_id:str}", guards=[signed_in("office", *OPERATE)], include_in_schema=False)
async def show_run(request: PageRequest, run_id: FromPath[str]) -> Response[str]:
    """Show a run: what every party nets, the pool's check, and who approved."""
    return await _run_page(request, run_named(run_id))


@post(
    "/office/runs/{run_id:str}/approvals",
    opt={FORM: True},
    guards=[signed_in("office", "settlement:approve")],
    include_in_schema=False,
)
async def approve(request: PageRequest, run_id: FromPath[str]) -> Response[Any]:
    """Approve a run as its second person, or say why not."""
    approved, path = run_named(run_id), f"/office/runs/{run_id}"
    try:
        async with transaction() as connection:
            await approve_run(connection, approved, _staff(request))
    except AlreadyApproved:
        return see(path)
    except (MakerIsChecker, RunNotPublished) as problem:
        return await _run_page(request, approved, problem)
    return see(path, "approved")


async def _windows(request: PageRequest, before: int | None, limit: int) -> dict[str, Any]:
    chosen, _ = await programme_looked_at(request)
    found = Page[Window]([], None)
    if chosen is not None:
        async with pool().acquire() as connection:
            found = await windows(connection, ids.private("pro", chosen.programme), before, limit)
    return {"chosen": chosen, "windows": found}


async def _run_page(request: PageRequest, run_id: int, problem: Problem | None = None) -> Response[str]:
    async with pool().acquire() as connection:
        shown = await run(connection, run_id)
        context = {
            "run": shown,
            "programme": await programme(connection, ids.private("pro", shown.programme)),
            "people": await _people(connection, [shown.made_by, *(each.staff for each in shown.approvals)]),
        }
    return await page(
        request,
        "office",
        "settlement/run.html",
        status_code=200 if problem is None else problem.status,
        problem=problem,
        brands=[each for each in shown.parties if each.brand is not None],
        houses=[each for each in shown.parties if each.brand is None],
        pays=sum(each.pays_minor for each in shown.parties),
        receives=sum(each.receives_minor for each in shown.parties),
        obstacle=_obstacle(request, shown),
        **context,
    )


def _obstacle(request: PageRequest, shown: Run) -> str | None:
    """Return why this person cannot approve the run, as a key that the template has words for, or None."""
    me = ids.public("stf", _staff(request))
    if shown.state not in WAITING:
        return "approved" if shown.approvals else "state"
    if "settlement:approve" not in request.user.scopes:
        return "role"
    return "maker" if shown.made_by == me else None


async def _people(connection: Connection, staff: Iterable[str]) -> dict[str, str | None]:
    """Return what members of staff are called, by their public ids."""
    return {each: await staff_name(connection, ids.private("stf", each)) for each in staff if each != MAKER_PLATFORM}


def _staff(request: PageRequest) -> int:
    if request.user.staff_id is None:
        raise NotAllowed("a person has to do this")
    return request.user.staff_id


PANELS = (
    Panel("office", "navigation", 20, "settlement/windows_entry.html", scopes=OPERATE),
    Panel("office", "home", 10, "settlement/waiting.html", load_waiting, OPERATE),
    Panel("office", "home", 20, "settlement/windows.html", load_windows, OPERATE),
)
HANDLERS = (list_windows, close_window, show_run, approve)
