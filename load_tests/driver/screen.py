"""What a long drive shows: bars on a terminal, a line a step elsewhere."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class Step:
    """One part of a drive, counted as it goes."""

    def __init__(self, progress: Progress | None, name: str, total: int) -> None:
        """Begin to count to `total`."""
        self.name = name
        self.done = 0
        self._progress = progress
        self._task = progress.add_task(name, total=total) if progress is not None else None

    def advance(self, count: int = 1) -> None:
        """Count what was done."""
        self.done += count
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=self.done)

    def left(self, count: int, total: int) -> None:
        """Say how many of `total` are still to be done, where somebody else does them."""
        self.done = max(0, total - count)
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=self.done, total=total)


class Screen:
    """Where a drive is shown; `quiet` shows nothing but what is said."""

    def __init__(self, console: Console | None = None, *, quiet: bool = False) -> None:
        """Show on this console."""
        self.console = console or Console()
        self.quiet = quiet
        self._progress: Progress | None = None

    @contextmanager
    def moving(self) -> Iterator[None]:
        """Let bars move as long as the block runs."""
        if self.quiet or not self.console.is_terminal:
            yield
            return
        columns = (TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.console) as progress:
            self._progress = progress
            try:
                yield
            finally:
                self._progress = None

    @asynccontextmanager
    async def step(self, name: str, total: int) -> AsyncIterator[Step]:
        """Show one part of the drive."""
        begun = time.monotonic()
        step = Step(self._progress, name, total)
        yield step
        if self._progress is None and not self.quiet:
            self.console.print(f"{name:<28} {step.done:>7,}  {time.monotonic() - begun:6.1f} s", highlight=False)

    def say(self, text: str = "") -> None:
        """Print a line, as long as it is."""
        self.console.print(text, highlight=False, soft_wrap=True)


async def together(step: Step, calls: Iterable[Awaitable[Any]]) -> list[Any]:
    """Make calls side by side, counting each, and return their results in order; the first failure ends all."""

    async def counted(call: Awaitable[Any]) -> Any:
        result = await call
        step.advance()
        return result

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(counted(call)) for call in calls]
    return [task.result() for task in tasks]
