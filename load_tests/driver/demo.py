"""A coalition's day, from an empty machine to a settlement that every brand verifies: the demo."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from koinon.settings import Settings
from load_tests.driver.backlog import Operator
from load_tests.driver.connection import Connection
from load_tests.driver.day import Day
from load_tests.driver.installation import driven, new_operator, settings_with, started
from load_tests.driver.mail import Mailroom
from load_tests.driver.night import Night
from load_tests.driver.opening import Opened, Opening
from load_tests.driver.screen import Screen
from load_tests.simulator import Plan, Scale, make_coalition, make_day
from load_tests.simulator.model import Coalition, Member, Partner
from load_tests.simulator.till import saves
from settlement.commands import run_table
from settlement.runs import Run

MEMBERS_LEAST = 40
CODE = "demo"

OPERATORS = (
    ("nora.operator@koinon.example", "Nora, operator"),
    ("otto.operator@koinon.example", "Otto, second person"),
)


class NotVerified(click.ClickException):
    """A brand's bundle does not hold."""


def scale_of(percent: int) -> Scale:
    """Return a part of the whole day; a day needs some members to be one."""
    whole = Scale()
    return Scale(
        card_messages=whole.card_messages * percent // 100,
        earnings=whole.earnings * percent // 100,
        redemptions=whole.redemptions * percent // 100,
        members=max(MEMBERS_LEAST, whole.members * percent // 100),
    )


def run_demo(*, seed: int, percent: int, folder: Path | None, leave: bool) -> None:
    """Run the demo in an installation's folder; with `leave` the installation ends with it, else it stays up."""
    begun = time.monotonic()
    screen, mailroom = Screen(), Mailroom()
    settings = settings_with(folder=None if folder is None else str(folder), smtp_url=mailroom.url, log_level="warning")
    scale = scale_of(percent)
    coalition = make_coalition(seed, members=scale.members)
    plan = make_day(coalition, seed, scale)
    prepare(settings.folder / "demo")
    screen.say(f"Starting Koinon in {settings.folder} (database, web, worker) ...")
    try:
        with started(settings) as address, asyncio.Runner() as runner:
            drive = Drive(address, settings, mailroom, screen)
            driven(runner, drive.run(coalition, plan, begun, leave=leave))
    except KeyboardInterrupt:
        screen.say("stopped")


def prepare(folder: Path) -> None:
    """Make the folder of the demo's files, without those of a demo before."""
    folder.mkdir(parents=True, exist_ok=True)
    for pattern in ("*.bundle", "*.receipts", "operator-*.json"):
        for path in folder.glob(pattern):
            path.unlink()


class Drive:
    """One demo on one installation."""

    def __init__(self, address: str, settings: Settings, mailroom: Mailroom, screen: Screen) -> None:
        """Take the installation and where its mail goes."""
        self.address = address
        self.settings = settings
        self.mailroom = mailroom
        self.screen = screen
        self.folder = settings.folder / "demo"

    async def run(self, coalition: Coalition, plan: Plan, begun: float, *, leave: bool) -> None:
        """Live the day and the night, print what came of it, and stay unless told to leave."""
        async with self.mailroom.open():
            opened = await self._whole_day(coalition, plan, begun)
            if not leave:
                await self._stay(coalition, opened)

    async def _whole_day(self, coalition: Coalition, plan: Plan, begun: float) -> Opened:
        async with Connection(self.address) as connection:
            first, second = await asyncio.gather(
                *(
                    new_operator(connection, self.folder / f"operator-{number}.json", email=email, name=name)
                    for number, (email, name) in enumerate(OPERATORS, start=1)
                )
            )
            operator, checker = Operator(first), Operator(second)
            code = await self._free_code(operator)
            with self.screen.moving():
                opened = await Opening(connection, operator, self.mailroom, coalition, self.screen).open(code)
                for partner in coalition.partners:
                    staff = {"email": owner(code, partner), "name": f"Owner of {partner.name}", "role": "owner"}
                    await operator.post(f"/v1/partners/{opened.partners[partner.code]}/staff", staff)
                day = Day(operator, opened, coalition, self.screen)
                await day.run(plan)
                night = Night(operator, checker, opened, self.screen)
                run = await night.settle(plan.close_at)
                reports = await night.verify(run.window, day.receipts, self.folder)
            self._print(run, reports, connection.requests, time.monotonic() - begun)
        return opened

    async def _stay(self, coalition: Coalition, opened: Opened) -> None:
        """Say where to look and who may sign in, and print the codes that are mailed, until Ctrl-C."""
        code = opened.code
        member, brand = tried(coalition.members), coalition.partners[0]
        where = self.address
        self.screen.say(
            "\nIt stays up until Ctrl-C. Sign in with a code, which is printed here as its mail arrives:\n"
            f"  member    {where}/sign-in?programme={code}   {member.email} ({member.name})\n"
            f"  portal    {where}/sign-in/staff   {owner(code, brand)} ({brand.name})\n"
            f"  office    {where}/sign-in/staff   {OPERATORS[0][0]}\n"
            f"  API       {where}/schema\n"
            f"  log       {where}/log/sandbox/{opened.programme}/checkpoint\n"
        )
        self.mailroom.watcher = self._show_letter
        await asyncio.Event().wait()

    def _show_letter(self, recipient: str, subject: str, body: str) -> None:
        self.screen.say(f"mail to {recipient}: {subject}\n    {body.strip().partition(chr(10))[0]}")

    async def _free_code(self, operator: Operator) -> str:
        """Return the code of this run's programme: `demo`, or `demo-2` and on where one stands already."""
        taken: set[str] = set()
        cursor: str | None = None
        while True:
            page = await operator.get("/v1/programmes", limit=200, cursor=cursor)
            taken |= {programme["code"] for programme in page["items"]}
            cursor = page["next"]
            if cursor is None:
                break
        code = next(name for name in names() if name not in taken)
        if code != CODE:
            self.screen.say(f"{self.settings.folder} holds a demo already: this one is the programme {code}.")
        return code

    def _print(self, run: Run, reports: dict[str, dict[str, Any]], requests: int, seconds: float) -> None:
        verified = [brand for brand, report in reports.items() if report["ok"]]
        self.screen.say()
        self.screen.console.print(run_table(run))
        self.screen.say(f"pool check: {run.pool.explanation}")
        self.screen.say(f"run {run.run}: made by the {run.made_by}, {run.state.lower()} by {OPERATORS[1][1]}")
        self.screen.say(
            f"{len(verified)} of {len(reports)} bundles verified with their receipts: "
            f"{self.folder}/BRAND.bundle, {self.folder}/BRAND.receipts"
        )
        self.screen.say(f"{requests:,} requests, {seconds:.0f} seconds")
        if len(verified) < len(reports):
            wrong = {brand: report["problems"][:3] for brand, report in reports.items() if not report["ok"]}
            raise NotVerified(msgspec.json.format(msgspec.json.encode(wrong)).decode())


def names() -> Iterator[str]:
    """Yield the codes that demos of one installation take, in order."""
    yield CODE
    number = 2
    while True:
        yield f"{CODE}-{number}"
        number += 1


def owner(code: str, partner: Partner) -> str:
    """Return the address of a brand's owner in one demo: who owns brands of two demos would be asked which."""
    return f"{code}@{partner.code}.example.org"


def tried(members: tuple[Member, ...]) -> Member:
    """Return a member worth looking at: one who spends points and switched most offers on."""
    return max((member for member in members if not saves(member)), key=lambda member: len(member.activations))
