"""`koinon settle` settles what is due now; `koinon verify` checks a bundle alone."""

import asyncio
import contextlib
import sys
from collections.abc import Sequence

import asyncpg
import click
import msgspec
from rich.console import Console
from rich.table import Table

import koinon_verify
from koinon.audit.alerts import stands_against
from koinon.audit.operations import log_of
from koinon.audit.sequencer import sequence
from koinon.audit.signing import sign_checkpoint
from koinon.clock import business_date, business_now
from koinon.commands import run as run_command
from koinon.commands import settings_or_exit, with_database
from koinon.database import pool, transaction
from koinon.identity.operations import operator_by_email
from koinon.keyring import KeysMissing, load
from koinon.ledger.jobs import close_window
from koinon.ledger.operations import Ledger
from koinon.logging import configure
from koinon.money import decimal_text
from koinon.runtime import Runtime
from koinon.settings import Settings
from settlement.books import statements
from settlement.operations import RunStopped, WindowNotBegun, ask_for_run, calculate_run
from settlement.publishing import publish_part
from settlement.runs import Party, Run, run

PAUSE_SECONDS = 0.05
TIMEOUT_SECONDS = 1800


class LogStopped(Exception):
    """The programme's log does not go on; the message says why and what to do."""


class NothingSettled(click.ClickException):
    """No programme has the code that was given, or something stands against a run; the message says what."""


@click.command("settle")
@click.option("--programme", "code", metavar="CODE", help="The programme; without it, all of them.")
@click.option("--now", "early", is_flag=True, help="Close the open window now, before its night; wants --as.")
@click.option("--as", "email", metavar="EMAIL", help="With --now: the operator who asks, and cannot approve the run.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def settle_command(
    code: str | None,
    early: bool,  # noqa: FBT001  # click passes flags so
    email: str | None,
    as_json: bool,  # noqa: FBT001  # click passes flags so
) -> None:
    """Close due windows, seal and sign them, calculate and publish their runs, and print what each brand nets."""
    if early != (email is not None):
        raise click.UsageError("--now and --as go together: whoever closes a window early is the maker of its run")
    configure("critical")  # what people need to know is printed, and standard output is for the answer
    made, failures = run_command(_settle(settings_or_exit(), code, email))
    if as_json:
        click.echo(msgspec.json.encode({"runs": made}).decode())
    else:
        _print(made, nothing_due=not made and not failures)
    if failures:
        raise NothingSettled("\n".join(failures))


@click.command(
    "verify",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def verify_command(arguments: Sequence[str]) -> None:
    """Verify a bundle: BUNDLE [--receipts FILE] [--previous BUNDLE] [--contract FILE] [--key VKEY] [--json]."""
    sys.exit(koinon_verify.main(list(arguments)))


async def settle_due(runtime: Runtime, programme: asyncpg.Record, maker_staff_id: int | None = None) -> list[int]:
    """Settle everything of a programme that is due, to its published runs, and return their ids.

    With a maker the open window is closed before its night, unless today's was closed before. Other workers may do the
    same at once. Raises RunStopped and LogStopped.
    """
    programme_id, now = programme["programme_id"], business_now(programme["clock_at"])
    if maker_staff_id is not None:
        with contextlib.suppress(WindowNotBegun):
            async with transaction() as connection:
                await ask_for_run(connection, programme_id, maker_staff_id)
    await close_window(programme_id, business_date(now, programme["time_zone"]), now)
    async with pool().acquire() as connection:
        log_id = await log_of(connection, programme_id)
    settled: set[int] = set()
    while waiting := await pool().fetch(statements["unsettled_windows"], programme_id):
        worked = await sequence(runtime, programme_id)
        worked = await sign_checkpoint(runtime, log_id) or worked
        unpublished = [window["run_id"] for window in waiting if window["run_id"] is not None]
        if unpublished:
            worked = await publish_part(runtime, unpublished[0]) or worked
        for window in waiting:
            settled.add(window["window_no"])
            if window["run_id"] is None and window["state"] == "SEALED":
                await calculate_run(programme_id, window["window_no"])
                worked = True
        if not worked:  # the log stands still, another process has it, or a window's last writers are still at work
            async with pool().acquire() as connection:
                if (why := await stands_against(connection, programme_id)) is not None:
                    raise LogStopped(why)
            await asyncio.sleep(PAUSE_SECONDS)
    return [await pool().fetchval(statements["current_run"], programme_id, number) for number in sorted(settled)]


def run_table(made: Run) -> Table:
    """Return a run as a table: a brand's points issued, honoured anywhere, accepted at its tills, and its money."""
    title = f"{made.programme_code}, window {made.window}, {made.business_date}, {made.currency}"
    table = Table(title=title, show_edge=False, pad_edge=False)  # fits a terminal of 80 columns
    table.add_column("brand")
    for column in ("issued", "honoured", "accepted", "pays", "receives", "net"):
        table.add_column(column, justify="right")
    last_brand = max((place for place, party in enumerate(made.parties) if party.brand), default=None)
    for place, party in enumerate(made.parties):
        table.add_row(*_cells(party, made.currency), end_section=place == last_brand)
    return table


def _print(made: Sequence[Run], *, nothing_due: bool) -> None:
    if nothing_due:
        click.echo("no window is due; `koinon settle --now --as EMAIL` closes the open one early")
    console = Console()
    for each in made:
        console.print(run_table(each))
        console.print(f"{each.pool.explanation}\n{each.run} is {each.state}.\n", soft_wrap=True)


def _cells(party: Party, currency: str) -> list[str]:
    amounts = (party.pays_minor, party.receives_minor, party.net_minor)
    points = ["" if each is None else f"{each:,}" for each in (party.issued, party.honoured, party.accepted)]
    return [party.brand or party.party, *points, *(decimal_text(amount, currency) for amount in amounts)]


async def _operator(email: str) -> int:
    async with pool().acquire() as connection:
        staff_id = await operator_by_email(connection, email)
    if staff_id is None:
        raise NothingSettled(f"no operator has the address {email}")
    return staff_id


async def _settle(settings: Settings, code: str | None, email: str | None) -> tuple[list[Run], list[str]]:
    """Return the runs that were made, and what stopped the programmes that have none: they stop no other."""
    try:
        keys = load(settings.keys_folder)
    except KeysMissing as error:
        raise click.ClickException(str(error)) from None
    runtime = Runtime(settings, keys, [Ledger()])
    async with with_database(settings):
        programmes = await pool().fetch(statements["programmes"], code)
        if code is not None and not programmes:
            raise NothingSettled(f"no programme has the code {code}")
        maker_staff_id = None if email is None else await _operator(email)
        made: list[int] = []
        failures: list[str] = []
        with Console(stderr=True).status("settling"):
            for programme in programmes:
                try:
                    async with asyncio.timeout(TIMEOUT_SECONDS):
                        made += await settle_due(runtime, programme, maker_staff_id)
                except RunStopped as stopped:
                    failures.append(f"{programme['code']}: {stopped.title}: {stopped}")
                except LogStopped as stopped:
                    failures.append(f"{programme['code']}: its log is stopped: {stopped}")
                except TimeoutError:
                    failures.append(f"{programme['code']}: not settled within {TIMEOUT_SECONDS} seconds")
        async with pool().acquire() as connection:
            return [await run(connection, run_id) for run_id in made], failures
