"""`python -m load_tests.bench` measures the platform beside raw PostgreSQL on this machine."""

import asyncio
import contextlib
import os
import platform
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

import asyncpg
import click
from rich.console import Console
from rich.progress import Progress

from koinon.database.embedded import embedded_server
from load_tests.bench.database import BATCH, LOADS, SET_CLIENTS, SINGLE_CLIENTS, BenchFailed, Database, Load
from load_tests.bench.figures import gathered
from load_tests.bench.loader import CONNECTIONS, loader
from load_tests.bench.report import UNITS, as_json, result, show
from load_tests.bench.web import Web
from load_tests.driver.installation import settings_with, started

WEB_LOADS = 3


@click.command()
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1, 50), help="How often each load is run.")
@click.option("--seconds", default=2, show_default=True, type=click.IntRange(1, 60), help="How long each time.")
@click.option("--json", "json_line", is_flag=True, help="Print one line of JSON.")
def bench(*, rounds: int, seconds: int, json_line: bool) -> None:
    """Measure single and set-based earns, earnings over HTTP and a feed, each beside its raw baseline."""
    console = Console(stderr=json_line)
    with tempfile.TemporaryDirectory(prefix="koinon-bench-") as folder, contextlib.ExitStack() as stack:
        # One server for the baselines and for the installation: the same machine, the same durability.
        url = stack.enter_context(embedded_server(Path(folder)))
        settings = settings_with(folder=folder, port=str(free_port()), log_level="warning", database_url=url)
        address = stack.enter_context(started(settings))
        database, web = Database(url), Web(address, Path(folder))
        with Progress(console=console, transient=True) as progress:
            steps = progress.add_task("preparing", total=2 + rounds * (len(LOADS) + WEB_LOADS))

            def advance(name: str) -> None:
                progress.update(steps, advance=1, description=name)

            try:
                measured = gathered(_rounds(database, web, rounds, seconds, advance), UNITS)
            except BenchFailed as failed:
                raise click.ClickException(str(failed)) from None
        found = result(asyncio.run(machine(url)), rounds, seconds, measured)
    if json_line:
        click.echo(as_json(found))
    else:
        show(found, console)


def _rounds(
    database: Database, web: Web, rounds: int, seconds: int, advance: Callable[[str], None]
) -> list[dict[str, float]]:
    asyncio.run(database.prepare())
    advance("preparing")
    asyncio.run(web.prepare())
    advance("warming up")
    for load in LOADS:
        database.run(load, 1)
    made = []
    for number in range(rounds):
        found = {}
        # Each round begins elsewhere, so that no load always follows the same one.
        for load in rotated(LOADS, number):
            found[load.name] = database.run(load, seconds)
            advance(load.name)
        for name, brands in (("http earning", 100), ("http earning, one brand", 1)):
            found[name] = web.earnings(brands, seconds)
            advance(name)
        found["feed to 202"], found["feed to rewarded"] = web.feed(seconds)
        advance("feed")
        made.append(found)
    asyncio.run(database.check())
    return made


def rotated(loads: tuple[Load, ...], by: int) -> tuple[Load, ...]:
    """Return the loads with another one first."""
    first = by * 3 % len(loads)
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
        "load over HTTP": f"{loader()}, {CONNECTIONS} connections; one web process, the worker running beside it",
        "feed": "one source, batches of 500, 2 % duplicates, each message a row of its own",
    }


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    bench()
