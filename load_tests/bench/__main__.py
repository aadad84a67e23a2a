"""`python -m load_tests.bench` measures the platform beside raw PostgreSQL on this machine."""

import asyncio
import contextlib
import os
import platform
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

import asyncpg
import click
from rich.console import Console
from rich.progress import Progress

from koinon.database.embedded import embedded_server
from koinon.settings import Settings
from load_tests.bench.database import BATCH, FEED_BATCH, LOADS, SET_CLIENTS, SINGLE_CLIENTS, Database, Load
from load_tests.bench.figures import gathered
from load_tests.bench.loader import loader
from load_tests.bench.report import UNITS, as_json, result, show
from load_tests.bench.sizes import Growth
from load_tests.bench.web import CONNECTIONS, EARNINGS, FEED_CONNECTIONS, FEEDS, EarningLoad, FeedLoad, Web
from load_tests.driver.connection import Connection
from load_tests.driver.installation import driven, settings_with, started

WEB_PROCESSES = 2
"""Two, so that transactions of tills can meet at a budget: those of one process take turns."""

Each = TypeVar("Each")


class Loads(NamedTuple):
    """What a run measures: in the database alone, earnings over HTTP, and feeds."""

    database: tuple[Load, ...]
    earnings: tuple[EarningLoad, ...]
    feeds: tuple[FeedLoad, ...]

    @classmethod
    def named(cls, only: tuple[str, ...]) -> Self:
        """Return the loads whose names hold one of some texts; all of them for none. Raises click.BadParameter."""

        def wanted(*names: str) -> bool:
            return not only or any(text in name for text in only for name in names)

        found = cls(
            tuple(load for load in LOADS if wanted(load.name)),
            tuple(load for load in EARNINGS if wanted(load.name)),
            tuple(load for load in FEEDS if wanted(load.to_202, load.rewarded)),
        )
        if not any(found):
            raise click.BadParameter(f"no load is named like {', '.join(only)}", param_hint="--only")
        return found

    def rotated(self, by: int) -> Self:
        """Return the loads with others first, so that none follows the same one in every round."""
        return type(self)(rotated(self.database, by * 3), rotated(self.earnings, by), rotated(self.feeds, by))


@click.command()
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1, 50), help="How often each load is run.")
@click.option("--seconds", default=2, show_default=True, type=click.IntRange(1, 30), help="How long each time.")
@click.option("--only", multiple=True, help="Run only loads whose names hold this; may be given several times.")
@click.option("--json", "json_line", is_flag=True, help="Print one line of JSON.")
def bench(*, rounds: int, seconds: int, only: tuple[str, ...], json_line: bool) -> None:
    """Measure single and set-based earns, earnings over HTTP and a feed, each beside its raw baseline."""
    console = Console(stderr=json_line)
    loads = Loads.named(only)
    with tempfile.TemporaryDirectory(prefix="koinon-bench-") as folder, contextlib.ExitStack() as stack:
        # One server for the baselines and for the installation: the same machine, the same durability.
        url = stack.enter_context(embedded_server(Path(folder)))
        settings = settings_with(
            folder=folder, port=str(free_port()), log_level="warning", database_url=url, processes=str(WEB_PROCESSES)
        )
        stack.enter_context(started(settings))
        runner = stack.enter_context(asyncio.Runner())
        with Progress(console=console, transient=True) as progress:
            steps = progress.add_task("preparing", total=1 + rounds * sum(map(len, loads)))

            def advance(name: str) -> None:
                progress.update(steps, advance=1, description=name)

            made, rows, growth = driven(runner, _measure(settings, loads, rounds, seconds, advance))
        found = result(
            runner.run(machine(url)),
            rounds=rounds,
            seconds=seconds,
            rows=rows,
            measured=gathered(made, UNITS),
            bytes_an_earning=growth.an_earning(),
        )
    if json_line:
        click.echo(as_json(found))
    else:
        show(found, console)


async def _measure(
    settings: Settings, loads: Loads, rounds: int, seconds: int, advance: Callable[[str], None]
) -> tuple[list[dict[str, float]], dict[str, dict[str, int]], Growth]:
    """Return what each round measured, the rows that were held to it, and what they take; raises BenchFailed."""
    url = str(settings.database_url)
    database = Database(url)
    await database.prepare()
    for load in loads.database:
        database.run(load, 1)
    async with Connection(settings.base_url) as connection:
        web = Web(connection, settings.folder, url)
        await web.prepare(loads.earnings, loads.feeds)
        advance("prepared")
        made = [await _round(database, web, loads.rotated(number), seconds, advance) for number in range(rounds)]
        rows = await web.check()
        if loads.database:
            rows["pgbench"] = await database.check()
    return made, rows, web.growth


async def _round(
    database: Database, web: Web, loads: Loads, seconds: int, advance: Callable[[str], None]
) -> dict[str, float]:
    found = {}
    for load in loads.database:
        found[load.name] = database.run(load, seconds)
        advance(load.name)
    for earning in loads.earnings:
        found[earning.name] = await web.earnings(earning, seconds)
        advance(earning.name)
    for feed in loads.feeds:
        found[feed.to_202], found[feed.rewarded] = await web.feed(feed, seconds)
        advance(feed.rewarded)
    return found


def rotated(loads: tuple[Each, ...], by: int) -> tuple[Each, ...]:
    """Return the loads with another one first."""
    first = by % max(1, len(loads))
    return loads[first:] + loads[:first]


async def machine(url: str) -> dict[str, str]:
    """Return what a reader has to know to read the figures."""
    connection = await asyncpg.connect(url)
    version = await connection.fetchval("SHOW server_version")
    durable = [await connection.fetchval(f"SHOW {name}") for name in ("fsync", "synchronous_commit")]
    await connection.close()
    return {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()} {platform.release()}",
        "software": f"PostgreSQL {version} (embedded), Python {platform.python_version()}",
        "durability": f"fsync {durable[0]}, synchronous_commit {durable[1]}",
        "load on the database": f"pgbench: {SINGLE_CLIENTS} clients one a call, {SET_CLIENTS} clients {BATCH} a call",
        "load of earnings": f"{loader()}, {CONNECTIONS} connections",
        "load of the feed": f"{loader()}, {FEED_CONNECTIONS} connections; one source, batches of {FEED_BATCH} signed "
        "beforehand, 2 % duplicates, each message a row of its own",
        "installation": f"web processes: {WEB_PROCESSES}, workers: 1, beside all load",
    }


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    bench()
