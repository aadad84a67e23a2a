"""`python -m load_tests.bench.nights` measures the night of one large brand: its leaves, seal, run, bundle and proof.

Journals are written into the books by SQL; everything after that is the platform's own. Memory is the growth of the
process's peak over each step (Linux).
"""

import asyncio
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import click
import msgspec

from koinon import ids, keyring
from koinon.app import contexts, functions
from koinon.audit.sequencer import sequence
from koinon.audit.signing import sign_checkpoint
from koinon.database import connected, pool, transaction
from koinon.database.embedded import embedded_server
from koinon.database.migrate import migrate
from koinon.ledger.jobs import close_window
from koinon.ledger.operations import Ledger
from koinon.parties.programmes import NewProgramme, Openings, create_programme
from koinon.runtime import Runtime
from koinon.settings import Settings
from partners.contracts import NewContract, add_contract
from partners.joining import NewPartner, create_partner
from settlement.operations import calculate_run
from settlement.publishing import publish_part

OPENING = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ACCOUNTS = 1_000
EVERY = 5
"""Of so many journals one is another brand's, so that the large brand's leaves do not lie side by side."""
AT_ONCE = 50_000
POINTS = 100

FILL = """
WITH n AS (
    SELECT ('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid AS id, 1 + n % $3 AS account_id,
        CASE WHEN n % $4 = 0 THEN $6::bigint ELSE $5::bigint END AS partner_id
    FROM generate_series($1::bigint, $2::bigint) AS n
), journals AS (
    INSERT INTO ledger.journal (account_id, journal_id, programme_id, unit_id, window_no, transaction_id, kind,
        partner_id, caller, occurred_at)
    SELECT account_id, id, $7, $8, 1, '1', 'earn', partner_id, 'bench', $9 FROM n
), lots AS (
    INSERT INTO ledger.lot (account_id, lot_id, unit_id, journal_id, issuer_id, issuer_version, issued_at, expires_on,
        quantity, remaining)
    SELECT account_id, id, $8, id, partner_id, 1, $9, 'infinity', $10, $10 FROM n
), movements AS (
    INSERT INTO ledger.movement (account_id, journal_id, leg, unit_id, window_no, debit_kind, credit_kind, amount,
        lot_id, issuer_id, issuer_version)
    SELECT account_id, id, 1, $8, 1, 'issued', 'wallet', $10, id, partner_id, 1 FROM n
)
INSERT INTO ledger.outbox (account_id, journal_id, programme_id, window_no) SELECT account_id, id, $7, 1 FROM n
"""


class Night:
    """A sandbox programme of two brands, one of them large, and what its night took."""

    def __init__(self, url: str, folder: Path) -> None:
        """Make the installation's keys in the folder."""
        settings = Settings(folder=folder)
        keyring.create(settings.keys_folder)
        self.url = url
        self.runtime = Runtime(settings, keyring.load(settings.keys_folder), [Ledger(), Openings(contexts())])
        self.told: dict[str, Any] = {}
        self.programme_id = 0
        self.partners: list[int] = []

    async def open(self) -> None:
        """Open the programme and the two brands."""
        async with transaction() as connection:
            asked = NewProgramme(
                code="night", name="Night", mode="sandbox", time_zone="UTC", settlement_currency="EUR",
                face_value_per_point="0.01", clock_at=OPENING,
            )  # fmt: skip
            made = await create_programme(connection, asked, self.runtime[Openings])
            self.programme_id = ids.private("pro", made.programme)
            for code in ("large", "small"):
                brand = NewPartner(
                    programme=made.programme, code=code, brand=code, iban="FI2112345600000785",
                    contact_email=f"{code}@brand.example",
                )  # fmt: skip
                self.partners.append(ids.private("par", (await create_partner(connection, brand)).partner))
                terms = {"price": "0.01", "fee": "0.001", "issue_share": "1", "honour": "0.009", "currency": "EUR"}
                await add_contract(connection, self.partners[-1], msgspec.convert(terms, NewContract))

    async def fill(self, entries: int) -> None:
        """Write earns into the books until the large brand has so many."""
        journals = entries * EVERY // (EVERY - 1)
        owner = await asyncpg.connect(self.url)
        unit = await owner.fetchval("SELECT unit_id FROM ledger.unit WHERE programme_id = $1", self.programme_id)
        await owner.execute(
            "INSERT INTO ledger.account SELECT n, $1, $2 FROM generate_series(1, $3::bigint) AS n",
            self.programme_id,
            OPENING,
            ACCOUNTS,
        )
        for first in range(1, journals + 1, AT_ONCE):
            last = min(first + AT_ONCE - 1, journals)
            rest = (ACCOUNTS, EVERY, *self.partners, self.programme_id, unit, OPENING, POINTS)
            await owner.execute(FILL, first, last, *rest)
        await owner.execute("ANALYZE ledger.journal, ledger.lot, ledger.movement, ledger.outbox")
        await owner.close()

    async def step(self, name: str, work: Callable[[], Awaitable[Any]]) -> Any:
        """Do a step, and note its seconds and by how much the peak of memory grew over it."""
        begun = time.monotonic()
        with peak() as grown:
            done = await work()
        self.told[name] = {"seconds": round(time.monotonic() - begun, 1), "peak_growth_mb": grown[0]}
        click.echo(f"{name}: {self.told[name]}", err=True)
        return done

    async def log(self) -> None:
        """Give every journal its leaf."""
        while await sequence(self.runtime):
            pass

    async def seal(self) -> None:
        """Close the day, seal it and sign."""
        await close_window(self.programme_id, date(2026, 3, 3), OPENING + timedelta(days=1))
        await self.log()
        await sign_checkpoint(self.runtime)

    async def calculate(self) -> int:
        """Calculate the run, and take its leaf under a signed checkpoint."""
        run_id = await calculate_run(self.programme_id, 1)
        await self.log()
        await sign_checkpoint(self.runtime)
        return run_id

    async def publish(self, run_id: int) -> None:
        """Make every brand's bundle."""
        while await publish_part(self.runtime, run_id):
            pass

    async def download(self, path: Path) -> None:
        """Write the large brand's bundle into a file."""
        with path.open("wb") as file:
            part_no = 1
            query = "SELECT content FROM settlement.bundle_part WHERE partner_id = $1 AND part_no = $2"
            while part := await pool().fetchval(query, self.partners[0], part_no):
                file.write(part)
                part_no += 1
                self.told["bundle_bytes"], self.told["bundle_parts"] = file.tell(), part_no - 1


@contextmanager
def peak() -> Iterator[list[int]]:
    """Yield a list of one number: by how many megabytes this process's peak exceeds what it held when it began."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew at what is held now
    before, grown = _status("VmRSS"), [0]
    yield grown
    grown[0] = round((_status("VmHWM") - before) / 1024)


def _status(name: str) -> int:
    found = re.search(rf"^{name}:\s+([0-9]+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None  # noqa: S101  # Linux says both of every process
    return int(found[1])


def verify(path: Path) -> dict[str, Any]:
    """Verify a bundle as its brand does, by another program; return its seconds, its peak and what it says."""
    begun = time.monotonic()
    command = (sys.executable, "-m", "koinon_verify", str(path), "--json")
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)  # noqa: S603  # our own command
    report = msgspec.json.decode(done.stdout)
    return {
        "seconds": round(time.monotonic() - begun, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024),
        "ok": report["ok"],
    }


async def night(url: str, folder: Path, entries: int) -> dict[str, Any]:
    """Return what the night of a brand with so many entries took."""
    await migrate(url, functions())
    async with connected(url):
        lived = Night(url, folder)
        await lived.open()
        await lived.step("books", lambda: lived.fill(entries))
        await lived.step("leaves", lived.log)
        await lived.step("seal", lived.seal)
        run_id = await lived.step("run", lived.calculate)
        await lived.step("bundles", lambda: lived.publish(run_id))
        await lived.download(folder / "large.bundle")
    return lived.told


@click.command()
@click.option("--entries", default=200_000, show_default=True, type=click.IntRange(1_000), help="Entries of the brand.")
@click.option("--verify/--no-verify", "verified", default=True, help="Verify the bundle afterwards.")
def nights(*, entries: int, verified: bool) -> None:
    """Measure the night of one large brand and print one line of JSON."""
    with tempfile.TemporaryDirectory(prefix="koinon-night-") as folder, embedded_server(Path(folder)) as url:
        told = {"entries": entries} | asyncio.run(night(url, Path(folder), entries))
        if verified:
            told["verifier"] = verify(Path(folder) / "large.bundle")
    click.echo(msgspec.json.encode(told).decode())


if __name__ == "__main__":
    nights()
