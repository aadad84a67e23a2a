"""`koinon keys`: the installation's keys, the first operator, and the end of a client."""

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import asyncpg
import click
import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from koinon import keys_commands
from koinon.audit.notes import public_key
from koinon.callers.model import OPERATOR_SCOPES
from koinon.database import connected, transaction
from koinon.identity.client_assertions import load_client
from koinon.identity.model import Client, public_jwk
from koinon.ids import new_id, private, public
from koinon.keyring import MasterKeys, load
from koinon.keys_commands import keys
from koinon.members.vault import MemberKey, Rewrapped, keep_key, key_of, rewrap_slice
from koinon_verify.notes import read_key

MEMBER = """
INSERT INTO members.member (member_id, programme_id, account_id, sealed_name, enrolled_by, enrolled_at)
VALUES ($1, 1, $1, $2, 1, clock_timestamp())
"""
NAMES = """
SELECT member_id, sealed_name, master_version FROM members.member JOIN members.member_key USING (member_id)
"""
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


Members = dict[int, tuple[bytes, int]]
"""By member: a sealed name, and the version of the master key that wraps the member's own key."""


def enrolled(url: str, folder: Path, count: int) -> Members:
    """Keep the keys of members, each with a name that their key sealed."""

    async def make() -> Members:
        masters = MasterKeys(folder)
        made: Members = {}
        async with connected(url), transaction() as connection:
            for _ in range(count):
                key = MemberKey.draw(new_id())
                sealed = key.seal("name", public("mem", key.member_id))
                await connection.execute(MEMBER, key.member_id, sealed)
                await keep_key(connection, masters, key)
                made[key.member_id] = (sealed, masters.newest()[0])
        return made

    return asyncio.run(make())


def members_in(url: str, folder: Path) -> Members:
    """Return the members of a database, after reading the name of each."""

    async def read() -> Members:
        masters = MasterKeys(folder)
        found: Members = {}
        async with connected(url), transaction() as connection:
            for row in await connection.fetch(NAMES):
                key = await key_of(connection, masters, row["member_id"])
                assert key is not None
                assert key.open("name", row["sealed_name"]) == public("mem", row["member_id"])
                found[row["member_id"]] = (row["sealed_name"], row["master_version"])
        return found

    return asyncio.run(read())


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
    assert read_key(vkey).name == "koinon.example/log"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first
    pairs = {"log.pem", "log.pub.pem", "sandbox-log.pem", "sandbox-log.pub.pem"}
    assert set(first) == pairs | {"token.pem", "secret", "master.1.key"}
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


def under(version: int, members: Members) -> Members:
    """Return the same members and names, under a master key."""
    return {member_id: (sealed, version) for member_id, (sealed, _) in members.items()}


@pytest.fixture
def folder(koinon: CliRunner, tmp_path: Path) -> Path:
    """Give the keys' folder of an installation."""
    assert run(koinon, "init").exit_code == 0
    return tmp_path / "var" / "keys"


def test_the_master_key_is_rotated(koinon: CliRunner, database_url: str, folder: Path) -> None:
    """Every member's key is under the new one, what they seal is as it was, and the older one stays for old copies."""
    before = enrolled(database_url, folder, 3)

    rotated = run(koinon, "rotate-master")

    assert rotated.exit_code == 0, rotated.output
    assert "3 members' keys were put under master key 2" in rotated.output
    assert members_in(database_url, folder) == under(2, before)
    assert {path.name for path in folder.glob("master*")} == {"master.1.key", "master.2.key"}
    assert stat.S_IMODE((folder / "master.2.key").stat().st_mode) == 0o600


def test_an_interrupted_rotation_is_finished(
    koinon: CliRunner, database_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off half-way everything is readable; the next run finishes the same version, and one after that is new."""
    before = enrolled(database_url, folder, 5)
    done = 0

    async def cut_off(*arguments: Any) -> Rewrapped | None:
        nonlocal done
        if done:
            raise ZeroDivisionError
        slice_ = await rewrap_slice(*arguments)
        done += slice_.done if slice_ else 0
        return slice_

    with monkeypatch.context() as patched:
        patched.setattr(keys_commands, "REWRAP_SLICE", 2)
        patched.setattr(keys_commands, "rewrap_slice", cut_off)
        assert isinstance(run(koinon, "rotate-master").exception, ZeroDivisionError)
    assert sorted(version for _, version in members_in(database_url, folder).values()) == [1, 1, 1, 2, 2]

    monkeypatch.setattr(keys_commands, "REWRAP_SLICE", 2)
    finished = run(koinon, "rotate-master")

    assert finished.exit_code == 0, finished.output
    assert "3 members' keys were put under master key 2" in finished.output
    assert members_in(database_url, folder) == under(2, before)
    assert run(koinon, "rotate-master").exit_code == 0
    assert members_in(database_url, folder) == under(3, before)


def test_a_key_that_does_not_open_stops_no_other(koinon: CliRunner, database_url: str, folder: Path) -> None:
    """It is named and left as it was, the others are rotated, and the command fails so that somebody looks."""
    before = enrolled(database_url, folder, 3)
    broken = min(before)
    asyncio.run(broken_key(database_url, broken))

    rotated = run(koinon, "rotate-master")

    assert rotated.exit_code == 1
    assert "2 members' keys were put under master key 2" in rotated.output
    assert f"run this again: {public('mem', broken)}" in " ".join(rotated.output.split())
    assert versions(database_url) == {member_id: 1 if member_id == broken else 2 for member_id in before}


def test_a_rotation_without_a_database_makes_no_key(
    koinon: CliRunner, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is made when there is nobody whose keys could be put under it."""
    monkeypatch.setenv("KOINON_DATABASE_URL", "postgresql://127.0.0.1:1/none")

    failed = run(koinon, "rotate-master")

    assert failed.exit_code == 1
    assert "cannot be reached" in failed.output
    assert {path.name for path in folder.glob("master*")} == {"master.1.key"}


async def broken_key(url: str, member_id: int) -> None:
    """Change a bit of a member's wrapped key."""
    async with connected(url) as pool:
        await pool.execute(
            "UPDATE members.member_key SET wrapped = set_byte(wrapped, 20, get_byte(wrapped, 20) # 1) "
            "WHERE member_id = $1",
            member_id,
        )


def versions(url: str) -> dict[int, int]:
    """Return the master key's version that wraps each member's."""

    async def read() -> dict[int, int]:
        async with connected(url) as pool:
            rows = await pool.fetch("SELECT member_id, master_version FROM members.member_key")
            return {row["member_id"]: row["master_version"] for row in rows}

    return asyncio.run(read())
