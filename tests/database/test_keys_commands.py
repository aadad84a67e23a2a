"""`koinon keys`: the installation's keys, the first operator, and the end of a client."""

import asyncio
import json
import stat
from pathlib import Path

import asyncpg
import click
import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from koinon.audit.notes import parse_key, public_key
from koinon.database import connected, transaction
from koinon.identity.client_assertions import load_client
from koinon.identity.commands import keys
from koinon.identity.keys import load
from koinon.identity.model import OPERATOR_SCOPES, Client, public_jwk
from koinon.ids import private

BEN = ("operator", "--email", " Ben@Koinon.Example", "--name", "Ben Ops")


@pytest.fixture
def koinon(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """Give what runs commands against the test's database and folder."""
    monkeypatch.setenv("KOINON_DATABASE_URL", database_url)
    monkeypatch.setenv("KOINON_FOLDER", str(tmp_path / "var"))
    monkeypatch.setenv("KOINON_PUBLIC_URL", "https://coalition.example")
    return CliRunner()


def run(koinon: CliRunner, *arguments: str) -> Result:
    """Run `koinon keys` and return what it printed."""
    return koinon.invoke(keys, arguments)


def client_in(url: str, client_id: str) -> Client | None:
    """Return a client as the database has it."""

    async def read() -> Client | None:
        async with connected(url), transaction() as connection:
            return await load_client(connection, private("cli", client_id))

    return asyncio.run(read())


def rows_of(url: str, table: str) -> int:
    """Return how many rows a table has."""

    async def count() -> int:
        connection = await asyncpg.connect(url)
        try:
            return int(await connection.fetchval(f"SELECT count(*) FROM {table}"))  # noqa: S608  # a table's name of ours
        finally:
            await connection.close()

    return asyncio.run(count())


def test_the_installation_s_keys_are_made_once(koinon: CliRunner, tmp_path: Path) -> None:
    """A second run leaves every key as it was; nobody else can read them; the log's public one is printed."""
    assert run(koinon, "init").exit_code == 0
    folder = tmp_path / "var" / "keys"
    first = {path.name: path.read_bytes() for path in folder.iterdir()}

    again = run(koinon, "init")

    assert again.exit_code == 0
    assert str(folder) in again.output
    vkey = public_key("koinon.example/log", load(folder).log).text
    assert again.output.splitlines()[-1] == vkey
    assert parse_key(vkey).name == "koinon.example/log"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first
    pairs = {"log.pem", "log.pub.pem", "sandbox-log.pem", "sandbox-log.pub.pem"}
    assert set(first) == pairs | {"token.pem", "secret"}
    assert load(folder).sandbox_log != load(folder).log
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_an_operator_is_made(koinon: CliRunner, database_url: str, tmp_path: Path) -> None:
    """The file holds the private key of a client that the database knows the public key of, for its owner's eyes."""
    made = run(koinon, *BEN)

    assert made.exit_code == 0, made.output
    path = tmp_path / "var" / "keys" / "operator-ben@koinon.example.json"
    assert str(path) in made.output
    assert "PRIVATE" not in made.output
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    written = json.loads(path.read_text())
    key = load_pem_private_key(written["private_key"].encode(), None)
    client = client_in(database_url, written["client_id"])
    assert isinstance(key, Ed25519PrivateKey)
    assert client is not None
    assert client.public_jwk == public_jwk(key.public_key().public_bytes_raw())
    assert client.scopes == OPERATOR_SCOPES
    assert written["token_url"] == "https://coalition.example/v1/oauth/token"
    assert written["audience"] == "https://coalition.example"


def test_another_client_of_the_same_operator(koinon: CliRunner, database_url: str, tmp_path: Path) -> None:
    """The same address is the same person, with a further client in a file that was named."""
    out = tmp_path / "elsewhere" / "ben.json"
    assert run(koinon, *BEN).exit_code == 0

    again = run(koinon, *BEN, "--out", str(out))

    assert again.exit_code == 0, again.output
    assert out.exists()
    assert rows_of(database_url, "identity.staff") == 1
    assert rows_of(database_url, "identity.staff_grant") == 1
    assert rows_of(database_url, "identity.client") == 2


def test_a_file_is_not_written_over(koinon: CliRunner, database_url: str, tmp_path: Path) -> None:
    """An existing file stays as it is, and nobody is made."""
    out = tmp_path / "ben.json"
    out.write_text("mine")

    refused = run(koinon, *BEN, "--out", str(out))

    assert refused.exit_code == 1
    assert "--out" in refused.output
    assert out.read_text() == "mine"
    assert rows_of(database_url, "identity.client") == 0


def test_a_wrong_address_is_named(koinon: CliRunner, database_url: str, tmp_path: Path) -> None:
    """What is no address makes nobody and no file."""
    refused = run(koinon, "operator", "--email", "ben", "--name", "Ben")

    assert refused.exit_code == click.UsageError.exit_code
    assert "--email" in refused.output
    assert rows_of(database_url, "identity.staff") == 0
    assert not (tmp_path / "var").exists()


def test_no_file_stays_when_the_database_is_away(
    koinon: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the client could not be made, its key is not left behind, and the reason is said."""
    monkeypatch.setenv("KOINON_DATABASE_URL", "postgresql://127.0.0.1:1/none")

    failed = run(koinon, *BEN)

    assert failed.exit_code == 1
    assert "cannot be reached" in failed.output
    assert not list((tmp_path / "var" / "keys").glob("operator*"))


def test_a_database_that_is_not_migrated(
    koinon: CliRunner, server_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On an empty database the command says what to do first, and leaves no key behind."""
    monkeypatch.setenv("KOINON_DATABASE_URL", server_url)

    failed = run(koinon, *BEN)

    assert failed.exit_code == 1
    assert "koinon migrate" in failed.output
    assert not list((tmp_path / "var" / "keys").glob("operator*"))


def test_a_client_is_revoked(koinon: CliRunner, database_url: str, tmp_path: Path) -> None:
    """A revoked client stays known as revoked; a second time, or for nobody, the command says so."""
    assert run(koinon, *BEN).exit_code == 0
    path = tmp_path / "var" / "keys" / "operator-ben@koinon.example.json"
    client_id = json.loads(path.read_text())["client_id"]

    assert run(koinon, "revoke", client_id).exit_code == 0

    client = client_in(database_url, client_id)
    assert client is not None
    assert client.revoked is True
    again = run(koinon, "revoke", client_id)
    assert (again.exit_code, "no such client" in again.output) == (1, True)
    assert run(koinon, "revoke", "cli_1").exit_code == click.UsageError.exit_code
