"""Replays a real file of card postings over the API, on a sandbox programme whose clock follows the file.

Everything that a replay makes is asked for under keys made of the file's hash, so that a second replay of the same file
finds the same programme, members, places and cards again, and every message is a duplicate.
"""

import asyncio
import contextlib
import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from datetime import time as clock_time
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console

from load_tests.driver.backlog import Operator
from load_tests.driver.callers import Machine, Processor
from load_tests.driver.connection import Connection, DriveError, Refusal
from load_tests.driver.installation import answers, driven, new_operator, settings_with, started
from load_tests.driver.screen import Screen, together
from load_tests.replay import (
    Layout,
    Row,
    SeenPlace,
    Survey,
    UnknownLayoutError,
    layout_for,
    load_layout,
    read,
    survey,
)

OPERATOR = ("replay.operator@koinon.example", "Replay operator")
BATCH = 500
POINTS_PER_AMOUNT = {"type": "per_amount", "points": 1, "amount_minor": 100}
PARTNER = "merchants"
IBAN = "GB33BUKB20201555555555"
"""The public example of the national format."""


class OtherOperator(DriveError):
    """The file was replayed here before by another operator: only theirs can find what was made then."""


class Posting(msgspec.Struct, frozen=True):
    """A row's card message as it is posted, and when it happened."""

    message: msgspec.Raw
    occurred_at: str


class Counts(msgspec.Struct, kw_only=True):
    """What a replay came to; the last five are the programme's as they stand after it.

    `purchases` and `refunds` are the file's rows of each kind; `points` stand in members' wallets.
    """

    rows: int
    unreadable: int
    accepted: int
    duplicate: int
    conflict: int
    refused: int
    purchases: int
    refunds: int
    members: int
    places: int
    rewards: int
    posted_points: int
    pending_points: int
    points: int
    seconds: int
    rows_per_second: int
    programme: str


class Replay:
    """Replays one file."""

    def __init__(self, connection: Connection, operator: Operator, path: Path, layout: Layout, screen: Screen) -> None:
        """Take the file and how it is read."""
        self.connection = connection
        self.operator = operator
        self.path = path
        self.layout = layout
        self.screen = screen
        self.digest = file_digest(path)
        self.code = f"replay-{self.digest[:12]}"

    async def run(self) -> Counts:
        """Replay the file, wait until it is worked off, and return what it came to; raises DriveError."""
        begun = time.monotonic()
        postings: list[Posting] = []
        async with self.screen.step("rows read", 1) as step:
            found = survey(kept(read(self.path, self.layout), postings))
            step.advance(found.counts["rows"])
        programme, processor = await self._open(found)
        verdicts: Counter[str] = Counter()
        posting_begun = time.monotonic()
        async with self.screen.step("card messages", len(postings)) as step:
            clock = ""
            for batch in batches(postings, BATCH):
                clock = await self._follow(programme, clock, batch)
                answer = await processor.feed([posting.message for posting in batch])
                verdicts.update({name: answer[name] for name in ("accepted", "duplicate", "conflict", "refused")})
                step.advance(len(batch))
        async with self.screen.step("rewarded, logged", 1) as step:
            await self.operator.worked_off(programme, step)
        posted_seconds = time.monotonic() - posting_begun
        figures = await self.operator.get(f"/v1/programmes/{programme}/figures")
        return Counts(
            rows=found.counts["rows"],
            unreadable=found.counts["errors"],
            accepted=verdicts["accepted"],
            duplicate=verdicts["duplicate"],
            conflict=verdicts["conflict"],
            refused=verdicts["refused"],
            purchases=found.counts["purchases"],
            refunds=found.counts["refunds"],
            members=len(found.cards),
            places=len(found.places),
            rewards=figures["rewards"],
            posted_points=figures["posted_points"],
            pending_points=figures["pending_points"],
            points=figures["available_points"] + figures["held_points"],
            seconds=round(time.monotonic() - begun),
            rows_per_second=round(len(postings) / posted_seconds),
            programme=self.code,
        )

    async def _open(self, found: Survey) -> tuple[str, Processor]:
        """Make, or find again, everything that the file's rows need; returns (programme, the file's source)."""
        if not found.first_at:
            raise DriveError(f"{self.path.name} has no row that can be read")
        begin = midnight(found.first_at, self.layout) - timedelta(days=1)
        programme = await self._programme(begin)
        partner = await self.operator.post(
            "/v1/partners",
            {
                "programme": programme,
                "code": PARTNER,
                "brand": f"Merchants of {self.layout.name}",
                "iban": IBAN,
                "contact_email": f"finance@{self.code}.example",
            },
            key=self._key("partner"),
        )
        contract = {"price": "0.01", "fee": "0.001", "issue_share": "1", "honour": "0.0085"}
        await self.operator.post(
            f"/v1/partners/{partner['partner']}/contracts",
            contract | {"currency": self.layout.currency.missing},
            key=self._key("contract"),
        )
        source = await self.operator.post(
            "/v1/sources", {"programme": programme, "name": self.layout.name}, key=self._key("source")
        )
        processor = Processor(self.connection, source["source"], source["secret"])
        machine = await self.operator.new_machine(partner["partner"])
        await machine.post("/v1/offers", self._offer(begin, found), key=self._key("offer"))
        async with self.screen.step("places", len(found.places)) as step:
            await together(step, (self._place(partner["partner"], begin, place) for place in found.places))
        async with self.screen.step("members and cards", len(found.cards)) as step:
            await together(step, (self._card(machine, processor, token, last4) for token, last4 in found.cards))
        return programme, processor

    async def _programme(self, begin: datetime) -> str:
        body = {
            "code": self.code,
            "name": f"Replay of {self.path.name}"[:200],
            "mode": "sandbox",
            "time_zone": self.layout.date.zone,
            "settlement_currency": self.layout.currency.missing,
            "face_value_per_point": "0.01",
            "clock_at": begin.isoformat(),
        }
        try:
            made = await self.operator.post("/v1/programmes", body, key=self._key("programme"))
        except Refusal as refusal:
            if refusal.code == "programme-code-taken":
                told = f"{self.code} was made by another operator: name their key with --operator"
                raise OtherOperator(told) from None
            raise
        return str(made["programme"])

    def _offer(self, begin: datetime, found: Survey) -> dict[str, Any]:
        """Return an offer that every purchase of the file falls under, switched on by nobody."""
        end = midnight(found.last_at, self.layout) + timedelta(days=1)
        return {
            "name": "A point for every unit of the currency",
            "currency": self.layout.currency.missing,
            "earn": POINTS_PER_AMOUNT,
            "starts_at": begin.replace(tzinfo=None).isoformat(),
            "ends_at": end.replace(tzinfo=None).isoformat(),
            "activation_required": False,
        }

    async def _place(self, partner: str, begin: datetime, place: SeenPlace) -> None:
        identities = [
            {"kind": "descriptor", "value": text, "valid_from": begin.isoformat()} for text in place.descriptors
        ]
        body = {
            "partner": partner,
            "name": place.name[:200].strip(),
            "time_zone": self.layout.date.zone,
            "identities": identities,
        }
        name = hashlib.sha256(place.name.encode()).hexdigest()
        await self.operator.post("/v1/places", body, key=self._key(f"place:{name}"))

    async def _card(self, machine: Machine, processor: Processor, token: str, last4: str) -> None:
        body = {"email": f"{token}@{self.code}.example", "name": f"Holder of {token}", "consents": []}
        member = await machine.post("/v1/members", body, key=self._key(f"member:{token}"))
        card = {"member": member["member"], "token": token, "network": self.layout.network}
        await processor.post("/v1/cards", card | ({"last4": last4} if last4 else {}), key=self._key(f"card:{token}"))

    async def _follow(self, programme: str, clock: str, batch: Sequence[Posting]) -> str:
        """Move the clock to the last moment of a batch when that lies ahead; return where it stands.

        Nobody waits for the worker to open the day's window: a real processor's posts do not wait for a night either.
        """
        last = max((posting.occurred_at for posting in batch), key=datetime.fromisoformat)
        if clock and datetime.fromisoformat(last) <= datetime.fromisoformat(clock):
            return clock
        await self.operator.post(f"/v1/programmes/{programme}/clock", {"at": last}, key=self._key(f"clock:{last}"))
        return last

    def _key(self, name: str) -> str:
        return f"{self.digest}:{name}"


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def kept(rows: Iterator[Row], postings: list[Posting]) -> Iterator[Row]:
    """Yield rows as they are read, and keep the messages of those that can be."""
    for row in rows:
        if row.body is not None:
            postings.append(Posting(msgspec.Raw(msgspec.json.encode(row.body)), row.body["occurred_at"]))
        yield row


def batches(postings: Sequence[Posting], size: int) -> Iterator[Sequence[Posting]]:
    """Yield the postings in their order, `size` at a time."""
    for first in range(0, len(postings), size):
        yield postings[first : first + size]


def midnight(moment: str, layout: Layout) -> datetime:
    """Return the local midnight before a moment, in the file's zone."""
    local = datetime.fromisoformat(moment).astimezone(layout.zone)
    return datetime.combine(local.date(), clock_time(), layout.zone)


def run_replay(path: Path, *, mapping: Path | None, as_json: bool, operator_file: Path | None) -> None:
    """Replay a file on the installation of the settings, which is started for it when it does not run; print counts."""
    try:
        layout = load_layout(mapping) if mapping is not None else layout_for(path)
    except (UnknownLayoutError, msgspec.ValidationError) as error:
        raise click.ClickException(f"{error}; --mapping names the file that says what its columns are") from None
    settings = settings_with(log_level="warning")
    own = settings.folder / "replay" / "operator.json"
    own.parent.mkdir(parents=True, exist_ok=True)
    own.unlink(missing_ok=True)
    screen = Screen(Console(stderr=as_json))

    async def replayed(address: str) -> Counts:
        async with Connection(address) as connection:
            if operator_file is not None:
                machine = Machine.from_file(connection, operator_file)
            else:
                machine = await new_operator(connection, own, email=OPERATOR[0], name=OPERATOR[1])
            with screen.moving():
                return await Replay(connection, Operator(machine), path, layout, screen).run()

    with contextlib.ExitStack() as stack:
        address = settings.base_url
        if not answers(address):
            screen.say(f"Starting Koinon in {settings.folder} (database, web, worker) ...")
            address = stack.enter_context(started(settings))
        runner = stack.enter_context(asyncio.Runner())
        counts = driven(runner, replayed(address))
    if as_json:
        click.echo(msgspec.json.encode(counts).decode())
        return
    for name, value in msgspec.structs.asdict(counts).items():
        screen.say(f"{name.replace('_', ' '):<16} {value:>12,}" if isinstance(value, int) else f"{name:<16} {value}")
