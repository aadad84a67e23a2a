"""What one process of an installation holds, made where the process starts and passed down."""

from collections.abc import Iterable
from typing import Any, TypeVar

from litestar.config.app import AppConfig
from litestar.connection import ASGIConnection

from koinon.keyring import Keyring
from koinon.settings import Settings

Shared = TypeVar("Shared")

_STATE_KEY = "runtime"


class Runtime:
    """The settings and the keys of a process, and what its contexts share, each thing by its type.

    `runtime[Ledger]` is the process's ledger: who asks names the type that it gets, so that a type checker follows,
    and no layer has to know a higher one to pass it through.
    """

    def __init__(self, settings: Settings, keys: Keyring, shared: Iterable[object] = ()) -> None:
        self.settings = settings
        self.keys = keys
        self._shared: dict[type, object] = {}
        for thing in shared:
            self.share(thing)

    def share(self, thing: Shared) -> Shared:
        """Hold a thing under its own type and return it; raises ValueError for a second of its type."""
        if type(thing) in self._shared:
            raise ValueError(f"a {type(thing).__name__} is shared already")
        self._shared[type(thing)] = thing
        return thing

    def __getitem__(self, kind: type[Shared]) -> Shared:
        """Return the shared thing of a type; raises KeyError when no context of this process shares one."""
        thing = self._shared[kind]
        assert isinstance(thing, kind), "things stand under their own type"  # noqa: S101  # an invariant of `share`
        return thing


def runtime_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Runtime:
    """Return the runtime of the application that a request came to."""
    runtime: Runtime = connection.app.state[_STATE_KEY]
    return runtime


def runtime_in(app_config: AppConfig) -> Runtime:
    """Return the runtime that an application is being made with, for a context that plugs itself in."""
    runtime: Runtime = app_config.state[_STATE_KEY]
    return runtime


def give_runtime(app_config: AppConfig, runtime: Runtime) -> AppConfig:
    """Make an application with a runtime; the first thing that is done to it."""
    app_config.state[_STATE_KEY] = runtime
    return app_config
