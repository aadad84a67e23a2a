"""`koinon keys`: the installation's own keys, operators' first keys, and their end."""

import json
import os
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from rich.console import Console
from rich.progress import Progress

from koinon.audit.notes import public_key
from koinon.commands import run, settings_or_exit, with_database
from koinon.contacts import ContactInvalid, email_address
from koinon.database import pool, transaction
from koinon.identity.model import Client, public_jwk
from koinon.identity.operations import UnknownClient, grant_role, make_staff, register_client, revoke_client
from koinon.identity.web import TOKEN_PATH
from koinon.ids import private, public
from koinon.keyring import KeysMissing, MasterKeys, add_master, create, load
from koinon.members.vault import rewrap_slice, under_older
from koinon.settings import Settings

REWRAP_SLICE = 500


@click.group()
def keys() -> None:
    """Make and revoke keys: of the installation, and of its operators."""


@keys.command()
def init() -> None:
    """Make the installation's keys, once for all its processes; keys that exist stay. Print the log's public key."""
    settings = settings_or_exit()
    create(settings.keys_folder)
    click.echo(f"the keys are in {settings.keys_folder}: keep a copy where nobody else can read it")
    click.echo("a sandbox programme has a log of its own, under another key: /log/sandbox/PROGRAMME/vkey")
    click.echo("the log's public key, which brands pin with `koinon verify --key` and find at /log/vkey:")
    click.echo(public_key(settings.log_origin, load(settings.keys_folder).log).text)


@keys.command()
@click.option("--email", required=True, help="The operator's address, by which they also sign in.")
@click.option("--name", required=True, help="The operator's name, as others see it.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the new key is written; by default beside the installation's keys.",
)
def operator(email: str, name: str, out: Path | None) -> None:
    """Make an operator with a client of their own, and write its private key into a file."""
    settings = settings_or_exit()
    try:
        address = email_address(email)
    except ContactInvalid as error:
        raise click.BadParameter(str(error), param_hint="--email") from None
    path = out or settings.keys_folder / f"operator-{address}.json"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        # Made before the client is: a key that cannot be written down would be of no use to anyone.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise click.ClickException(f"{path} exists: name another file with --out") from None
    made = False
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            private_key = Ed25519PrivateKey.generate()
            client = run(_make_operator(settings, address, name, private_key))
            json.dump(_credentials(settings, client, private_key), file, indent=2)
            file.write("\n")
        made = True
    finally:
        if not made:
            path.unlink()
    click.echo(f"{name} <{address}> is an operator; client {public('cli', client.client_id)}, its key is in {path}")


@keys.command()
@click.argument("client")
def revoke(client: str) -> None:
    """End a client's access (CLIENT is its id, cli_…); its tokens stop within a second."""
    settings = settings_or_exit()
    try:
        client_id = private("cli", client)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="CLIENT") from None
    try:
        run(_revoke(settings, client_id))
    except UnknownClient as error:
        raise click.ClickException(error.title) from None
    click.echo(f"{client} is revoked")


@keys.command("rotate-master")
def rotate_master() -> None:
    """Put every member's own key under a new master key; run again, it finishes what was cut off.

    What the members' keys seal stays as it is, and all processes go on meanwhile.
    """
    settings = settings_or_exit()
    try:
        masters = load(settings.keys_folder).masters
        done, unreadable = run(_rotate(settings, masters))
        version, _ = masters.newest()
    except KeysMissing as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{done} members' keys were put under master key {version}: copy it to where your copy of the keys is")
    click.echo("keep the older master keys as long as you keep a copy of the database from before")
    if unreadable:
        names = ", ".join(public("mem", member_id) for member_id in unreadable)
        raise click.ClickException(
            f"the keys of {len(unreadable)} members did not open and were left as they are: bring their master key "
            f"back from your copy of the keys, or their rows from a copy of the database, and run this again: {names}"
        )


async def _rotate(settings: Settings, masters: MasterKeys) -> tuple[int, list[int]]:
    """Return (how many keys were put under the newest master key, whose key did not open)."""
    async with with_database(settings):
        # What an earlier run left goes first; only when nothing of it is left to do is there a new version.
        done, unreadable = await _rewrap(masters)
        if not done:
            add_master(settings.keys_folder)
            done, unreadable = await _rewrap(masters)
        return done, unreadable


async def _rewrap(masters: MasterKeys) -> tuple[int, list[int]]:
    done, unreadable = 0, set[int]()
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("members' keys", total=None)
        # Again until a whole pass found nothing to do: whoever enrolled somebody meanwhile may have had the older key.
        while True:
            async with pool().acquire() as connection:
                progress.update(task, total=done + await under_older(connection, masters))
            before, last = done, 0
            while (slice_ := await rewrap_slice(masters, last, REWRAP_SLICE)) is not None:
                last, done = slice_.last, done + slice_.done
                unreadable.update(slice_.unreadable)
                progress.update(task, completed=done)
            if done == before:
                return done, sorted(unreadable)


async def _make_operator(settings: Settings, email: str, name: str, private_key: Ed25519PrivateKey) -> Client:
    async with with_database(settings), transaction() as connection:
        staff_id = await make_staff(connection, email=email, name=name)
        await grant_role(connection, staff_id=staff_id, role="operator")
        jwk = public_jwk(private_key.public_key().public_bytes_raw())
        return await register_client(connection, kind="operator", name=name, public_jwk=jwk, staff_id=staff_id)


async def _revoke(settings: Settings, client_id: int) -> None:
    async with with_database(settings), transaction() as connection:
        await revoke_client(connection, client_id)


def _credentials(settings: Settings, client: Client, private_key: Ed25519PrivateKey) -> dict[str, object]:
    """Return what a system needs to call: who it is, its private key (PEM, PKCS #8), and where tokens are."""
    pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return {
        "client_id": public("cli", client.client_id),
        "private_key": pem,
        "token_url": settings.base_url + TOKEN_PATH,
        "audience": settings.base_url,
        "scopes": sorted(client.scopes),
    }
