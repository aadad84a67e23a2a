"""The vault: a member's fields open for that member, that field and that key alone, and for nobody once it is gone."""

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest

from koinon import keyring
from koinon.database import transaction
from koinon.ids import new_id
from koinon.keyring import SETTLED_NS, KeysMissing, MasterKeys
from koinon.members.vault import MemberKey, Rewrapped, destroy_key, keep_key, key_of, rewrap_slice
from koinon.sealing import Unreadable

KEYS = "SELECT member_id, master_version, wrapped FROM members.member_key ORDER BY member_id"
MEMBER = """
INSERT INTO members.member (member_id, programme_id, account_id, enrolled_by, enrolled_at)
VALUES ($1, 1, $1, 1, clock_timestamp())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder of keyring."""
    keyring.create(tmp_path / "keys")
    return tmp_path / "keys"


@pytest.fixture
def masters(folder: Path) -> MasterKeys:
    """Give its master keys, as a process that runs knows them."""
    return MasterKeys(folder)


async def kept(masters: MasterKeys, member_id: int | None = None) -> MemberKey:
    """Keep a new member's key, and return it."""
    key = MemberKey.draw(member_id or new_id())
    async with transaction() as connection:
        await connection.execute(MEMBER, key.member_id)
        await keep_key(connection, masters, key)
    return key


async def read(masters: MasterKeys, member_id: int) -> MemberKey | None:
    """Return a member's key as the database has it."""
    async with transaction() as connection:
        return await key_of(connection, masters, member_id)


async def test_a_field_opens_under_its_own_key(database: asyncpg.Pool, masters: MasterKeys) -> None:
    """What was sealed is read again with the key from the database; twice the same text is sealed differently."""
    key = await kept(masters)
    first, second = key.seal("name", "Ada Löf"), key.seal("name", "Ada Löf")

    again = await read(masters, key.member_id)

    assert again is not None
    assert again.open("name", first) == again.open("name", second) == "Ada Löf"
    assert first != second
    assert b"Ada" not in first + second


def test_a_sealed_field_opens_nowhere_else() -> None:
    """Not for another member, another field, another version of the key or another key; not when a bit is changed."""
    ada = MemberKey(1, 1, bytes(32))
    sealed = ada.seal("email", "ada@example.org")
    others = [
        (MemberKey(2, 1, bytes(32)), "email", sealed),
        (ada, "phone", sealed),
        (MemberKey(1, 2, bytes(32)), "email", sealed),
        (MemberKey(1, 2, bytes(32)), "email", b"\0\0\0\2" + sealed[4:]),
        (MemberKey(1, 1, bytes(31) + b"\1"), "email", sealed),
        (ada, "email", b""),
        (ada, "email", sealed[:20]),
        *((ada, "email", sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]) for at in range(len(sealed))),
    ]
    for key, field, given in others:
        with pytest.raises(Unreadable) as refused:
            key.open(field, given)
        assert "ada" not in str(refused.value)
    assert ada.open("email", sealed) == "ada@example.org"


def test_a_wrapped_key_opens_nowhere_else(folder: Path, masters: MasterKeys) -> None:
    """Not for another member, nor as another version, nor under another master key; without its master, it is said."""
    key = MemberKey.draw(7)
    version, master = masters.newest()
    wrapped = key.wrap(version, master)
    keyring.add_master(folder)
    for member_id, key_version, master_version in ((8, 1, 1), (7, 2, 1), (7, 1, 2)):
        with pytest.raises(Unreadable):
            MemberKey.unwrap(masters, member_id, key_version, master_version, wrapped)
    assert MemberKey.unwrap(masters, 7, 1, 1, wrapped).open("name", key.seal("name", "Ada")) == "Ada"
    with pytest.raises(KeysMissing, match=r"master\.3\.key is missing"):
        MemberKey.unwrap(masters, 7, 1, 3, wrapped)


def test_a_process_meets_a_new_master_key(folder: Path, masters: MasterKeys) -> None:
    """The newest wraps from the moment that it is there, without a restart; the older one is still known."""
    first = masters.newest()
    assert keyring.add_master(folder) == 2
    second = masters.newest()

    assert (first[0], second[0]) == (1, 2)
    assert first[1] != second[1]
    assert masters.key(1) == first[1]
    (folder / "master.1.key").unlink()
    keyring.create(folder)
    assert sorted(path.name for path in folder.glob("master*")) == ["master.2.key"]


def test_a_master_key_is_found_within_a_tick_of_the_clock(folder: Path, masters: MasterKeys) -> None:
    """A folder that changed twice at one time is read again, when it is fresh and when a version is not known."""
    then = time.time_ns() - 10 * SETTLED_NS
    os.utime(folder, ns=(then, then))
    masters.newest()
    keyring.add_master(folder)
    os.utime(folder, ns=(then, then))
    assert len(masters.key(2)) == 32
    assert masters.newest()[0] == 2

    now = time.time_ns()
    os.utime(folder, ns=(now, now))
    masters.newest()
    keyring.add_master(folder)
    os.utime(folder, ns=(now, now))
    assert masters.newest()[0] == 3


def test_keys_are_made_whole_and_once(folder: Path) -> None:
    """Twenty that make the next master key at once make twenty, each whole, and leave nothing else behind."""
    with ThreadPoolExecutor(20) as threads:
        made = list(threads.map(lambda _: keyring.add_master(folder), range(20)))

    assert sorted(made) == list(range(2, 22))
    masters = MasterKeys(folder)
    assert len({masters.key(version) for version in range(1, 22)}) == 21
    pairs = {"log.pem", "log.pub.pem", "sandbox-log.pem", "sandbox-log.pub.pem"}
    others = {path.name for path in folder.iterdir() if not path.name.startswith("master")}
    assert others == pairs | {"secret", "token.pem"}


def test_a_broken_master_key_is_named(folder: Path) -> None:
    """A file of another length, or none at all, is said with its name and ends nothing later in an odd way."""
    (folder / "master.1.key").write_bytes(b"short")
    with pytest.raises(KeysMissing, match=r"master\.1\.key does not hold 32 bytes"):
        keyring.load(folder)
    (folder / "master.1.key").unlink()
    with pytest.raises(KeysMissing, match="koinon keys init"):
        keyring.load(folder)


async def test_a_destroyed_key_reads_nothing(database: asyncpg.Pool, masters: MasterKeys) -> None:
    """It is gone once and for all; another member's stays."""
    ada, bob = await kept(masters), await kept(masters)
    async with transaction() as connection:
        assert await destroy_key(connection, ada.member_id) is True
        assert await destroy_key(connection, ada.member_id) is False

    assert await read(masters, ada.member_id) is None
    assert await read(masters, bob.member_id) is not None


async def test_a_rotation_leaves_alone_what_changed_meanwhile(
    database: asyncpg.Pool, folder: Path, masters: MasterKeys
) -> None:
    """A key that is destroyed while a rotation waits for it does not come back; its slice's others are done."""
    ada, bob = await kept(masters, 1), await kept(masters, 2)
    keyring.add_master(folder)
    async with database.acquire() as other, other.transaction():
        await destroy_key(other, ada.member_id)
        rotation = asyncio.create_task(rewrap_slice(masters, 0, 10))
        while not await database.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            assert not rotation.done()
    done = await rotation

    assert done == Rewrapped(last=bob.member_id, done=1, unreadable=())
    assert [tuple(row)[:2] for row in await database.fetch(KEYS)] == [(bob.member_id, 2)]
    assert await rewrap_slice(masters, 0, 10) is None
