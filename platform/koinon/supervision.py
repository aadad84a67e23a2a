"""Supervision: what runs is started again when it ends, and ends with whoever started it."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable

PAUSE_SECONDS_MAXIMUM = 30.0
STEADY_SECONDS = 60.0
FAILURES_MAXIMUM = 6
LOOK_SECONDS = 0.5
LAST_WORD_SECONDS = 15.0


class CannotRun(Exception):
    """Something ended again and again; the message says what, and how it ended the last time."""


class Supervised:
    """One thing that is to run: `start` starts it, `ended` tells how it ended, or None while it runs.

    Started again after 1 second, then 2, 4 and so on up to 30; after a minute of steady running it begins at 1 again.
    """

    def __init__(self, name: str, start: Callable[[], object], ended: Callable[[], str | None]) -> None:
        self.name = name
        self.ended = ended
        self._start = start
        self._failures = 0
        self._started_at = 0.0
        self._due_at: float | None = None

    def begin(self, now: float) -> None:
        """Start it, unless it runs already; what `start` raises is raised."""
        if self.ended() is not None:
            self._start()
        self._started_at = now

    def look(self, now: float) -> str | None:
        """Do what is due, and return the line that says so; raises CannotRun after FAILURES_MAXIMUM failures in a row.

        `now` is monotonic, in seconds.
        """
        if self._due_at is not None:
            return self._again(now) if now >= self._due_at else None
        how = self.ended()
        if how is None:
            return None
        if now - self._started_at >= STEADY_SECONDS:
            self._failures = 0
        return self._failed(how, now)

    def _again(self, now: float) -> str | None:
        self._due_at = None
        try:
            self._start()
        except (OSError, subprocess.SubprocessError) as error:
            return self._failed(str(error), now)
        self._started_at = now
        return f"{self.name} was started again"

    def _failed(self, how: str, now: float) -> str:
        self._failures += 1
        if self._failures > FAILURES_MAXIMUM:
            raise CannotRun(f"{self.name} ended {self._failures} times in a row, the last time with {how}")
        pause = min(2.0 ** (self._failures - 1), PAUSE_SECONDS_MAXIMUM)
        self._due_at = now + pause
        return f"{self.name} ended with {how}: it is started again in {pause:.0f} s"


class Child(Supervised):
    """A process that is to run."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self._command = command
        self._environment = environment | {PARENT: str(os.getpid())}
        super().__init__(name, self._spawn, self._code)

    def stop(self) -> None:
        """Ask the process to end."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def wait(self, seconds: float) -> None:
        """Wait until the process has ended, and end it by force after a while."""
        if self.process is None:
            return
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _spawn(self) -> None:
        self.process = subprocess.Popen(self._command, env=self._environment)  # noqa: S603  # our own command

    def _code(self) -> str | None:
        if self.process is None:
            return "nothing begun"
        code = self.process.poll()
        if code is None:
            return None
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def watch(supervised: Iterable[Supervised], say: Callable[[str], None]) -> None:
    """Look after things one after the other, once; `say` gets a line for everything that happens.

    Raises CannotRun.
    """
    for each in supervised:
        line = each.look(time.monotonic())
        if line is not None:
            say(line)


PARENT = "SUPERVISOR_PID"
"""The process that a supervised one ends with."""


def end_with_parent(parent: int | None = None) -> None:
    """Let this process end once its parent has: it must not serve on beside the next one.

    `parent` is the parent's id, or the one that SUPERVISOR_PID names; without either nothing is watched.
    """
    named = os.environ.get(PARENT, "")
    watched = parent if parent is not None else int(named) if named.isdecimal() else None
    if watched is not None:
        threading.Thread(target=_watch_parent, args=(watched,), name="parent", daemon=True).start()


def _watch_parent(parent: int) -> None:
    # An orphan is given another parent, whatever became of its own: no race with a process id that is used again.
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(LAST_WORD_SECONDS)
    os._exit(1)
