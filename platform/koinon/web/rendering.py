"""Makes pages: a template inside its shell's frame."""

from typing import Any

import msgspec
from litestar import Response
from litestar.enums import MediaType
from litestar.response import Redirect
from markupsafe import Markup

from koinon.callers.guards import page_token
from koinon.callers.model import Caller
from koinon.database import Connection, pool
from koinon.identity.operations import staff_name
from koinon.parties.partners import partner
from koinon.parties.programmes import Programme, programme
from koinon.runtime import runtime_of
from koinon.web.shells import PageRequest, Panel, ShellName, Shells, home_of

NOTICE = "done"
"""The query's name for what a form did, which the page after it says."""


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """Whose pages they are: the programme (the operator's staff have none), the brand, and the person of staff."""

    shell: ShellName
    home: str
    programme: Programme | None
    brand: str | None
    person: str | None


async def page(
    request: PageRequest, shell: ShellName, template: str, *, status_code: int = 200, **context: Any
) -> Response[str]:
    """Return a page: `template` extends `pages/shell.html` and gets what panels get, and `context`."""
    return await _framed(request, await frame_of(request.user, shell), template, status_code, context)


async def home(request: PageRequest, shell: ShellName) -> Response[str]:
    """Return a shell's first page: the panels of its slot `home`."""
    frame = await frame_of(request.user, shell)
    panels = await rendered(request, shelled(request, shell, "home"), common_of(request, frame))
    return await _framed(request, frame, "pages/home.html", 200, {"panels": panels})


async def _framed(
    request: PageRequest, frame: Frame, template: str, status_code: int, context: dict[str, Any]
) -> Response[str]:
    common = common_of(request, frame)
    navigation = await rendered(request, shelled(request, frame.shell, "navigation"), common)
    return html(template_text(request, template, **common, navigation=navigation, **context), status_code)


def common_of(request: PageRequest, frame: Frame) -> dict[str, Any]:
    """Return what every template of a page gets; `done` names what a form just did, for the page to say."""
    return {
        "frame": frame,
        "csrf": page_token(request),
        "path": request.scope["path"],
        "done": request.query_params.get(NOTICE, ""),
    }


def shelled(request: PageRequest, shell: ShellName, slot: Any) -> list[Panel]:
    """Return the panels of a shell's slot that the caller sees."""
    return shells_of(request).panels(shell, slot, request.user.scopes)


async def rendered(request: PageRequest, panels: list[Panel], common: dict[str, Any]) -> list[Markup]:
    """Return each panel's text, one after the other: they share a pool that is not theirs alone."""
    return [
        Markup(template_text(request, panel.template, **common, **await panel.load(request)))  # noqa: S704  # escaped by its template
        for panel in panels
    ]


def shells_of(request: Any) -> Shells:
    """Return the application's shells."""
    return runtime_of(request)[Shells]


def template_text(request: Any, template: str, **context: Any) -> str:
    """Return a template's text."""
    return shells_of(request).templates.get_template(template).render(context)


def html(text: str, status_code: int = 200) -> Response[str]:
    """Return a text as a page."""
    return Response(text, status_code=status_code, media_type=MediaType.HTML)


def see(path: str, done: str | None = None) -> Redirect:
    """Return the answer of a form: look there now (303); `done` names the sentence that the page says."""
    parted = "&" if "?" in path else "?"
    return Redirect(path if done is None else f"{path}{parted}{NOTICE}={done}", status_code=303)


async def frame_of(caller: Caller, shell: ShellName) -> Frame:
    """Return whose pages a caller's are."""
    async with pool().acquire() as connection:
        return Frame(
            shell=shell,
            home=home_of(caller),
            programme=None if caller.programme_id is None else await programme(connection, caller.programme_id),
            brand=None if caller.partner_id is None else (await partner(connection, caller.partner_id)).brand,
            person=await _person(connection, caller),
        )


async def _person(connection: Connection, caller: Caller) -> str | None:
    return None if caller.staff_id is None else await staff_name(connection, caller.staff_id)
