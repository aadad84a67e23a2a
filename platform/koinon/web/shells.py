"""The three shells, and what contexts put into them.

A shell is the frame of one kind of caller's pages: a member's (`/me`), a brand's (`/portal`), the operator's
(`/office`). Contexts hand in their templates and panels when the application is made:

    runtime_in(app_config)[Shells].add("members", FOLDER, [Panel("member", "home", ...)])

Slot `navigation` stands on every page of a shell, slot `home` on its first page.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import msgspec
from jinja2 import Environment, FileSystemLoader, PrefixLoader, StrictUndefined
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from koinon.callers.guards import Guard, require
from koinon.callers.model import Caller, CallerKind
from koinon.problems import NotAllowed
from koinon.web.formats import FILTERS

ShellName = Literal["member", "portal", "office"]
Slot = Literal["navigation", "home"]
PageRequest = Request[Caller, Any, Any]
Load = Callable[[PageRequest], Awaitable[dict[str, Any]]]

OWN_TEMPLATES = Path(__file__).parent / "templates"

HOMES: Mapping[CallerKind, str] = MappingProxyType({"member": "/me", "partner": "/portal", "operator": "/office"})
"""Where the pages of each kind of caller begin; sources have none."""

_KINDS: Mapping[ShellName, CallerKind] = MappingProxyType(
    {"member": "member", "portal": "partner", "office": "operator"}
)


class OtherShell(NotAllowed):
    """A page of one kind of caller was asked for by another kind, or by a system with a token."""

    code = "other-shell"
    title = "This page is not for the account that you are signed in with"


async def nothing(_: PageRequest) -> dict[str, Any]:
    """Load nothing: the panel is a template alone."""
    return {}


class Panel(msgspec.Struct, frozen=True):
    """One context's part of a shell: a template, what it shows, and who sees it.

    Panels of a slot stand by `order`; one whose `scopes` the caller lacks is left out.
    """

    shell: ShellName
    slot: Slot
    order: int
    template: str
    load: Load = nothing
    scopes: frozenset[str] = frozenset()


class Shells:
    """The templates and panels of all contexts; one per application, in its runtime."""

    def __init__(self, panels: Sequence[Panel] = ()) -> None:
        self._folders: dict[str, FileSystemLoader] = {"pages": FileSystemLoader(OWN_TEMPLATES)}
        self._panels = list(panels)
        self.templates = Environment(
            loader=PrefixLoader(self._folders),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.templates.filters.update(FILTERS)

    def add(self, name: str, templates: Path, panels: Sequence[Panel] = ()) -> None:
        """Take a context's folder of templates, which others name `name/…`, and its panels."""
        self._folders[name] = FileSystemLoader(templates)
        self._panels = sorted([*self._panels, *panels], key=lambda panel: panel.order)

    def panels(self, shell: ShellName, slot: Slot, scopes: frozenset[str]) -> list[Panel]:
        """Return the panels of a slot that somebody with these scopes sees, in order."""
        return [
            panel for panel in self._panels if panel.shell == shell and panel.slot == slot and panel.scopes <= scopes
        ]


def signed_in(shell: ShellName, *scopes: str) -> Guard:
    """Return the guard of a page: a browser whose session is of the shell's kind of caller and has all these scopes.

    Raises what `require` does, and OtherShell.
    """
    permitted = require(*scopes)

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        caller: Caller | None = connection.user
        if caller is not None and (caller.kind != _KINDS[shell] or caller.session_id is None):
            raise OtherShell
        await permitted(connection, handler)

    guard.scopes = frozenset(scopes)  # type: ignore[attr-defined]  # as `require` marks its guards
    return guard


def home_of(caller: Caller | None) -> str:
    """Return the first page of whoever is calling: sign-in for nobody."""
    return "/sign-in" if caller is None else HOMES.get(caller.kind, "/sign-in")
