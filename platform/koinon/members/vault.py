"""The vault: what is personal about a member, sealed under a key of their own (envelope encryption).

Every member has a data key of 32 random bytes, which a master key of the installation wraps. A sealed field says under
which version of the key, and opens for the same member and field alone. A member whose key is destroyed is read by
nobody again.
"""

import os
from collections.abc import Mapping
from typing import Any, Self

import msgspec
import structlog

from koinon.database import Connection, beside, raced
from koinon.ids import public
from koinon.keyring import KeysMissing, MasterKeys
from koinon.sealing import Box, Unreadable

statements = beside(__file__)

KEY_BYTES = 32
VERSION_BYTES = 4
NUMBER_BYTES = 8
FIRST_VERSION = 1

log = structlog.get_logger(__name__)


class MemberKey:
    """A member's own key: it seals their fields and opens them."""

    def __init__(self, member_id: int, version: int, key: bytes) -> None:
        self.member_id = member_id
        self.version = version
        self._key = key
        self._box = Box(key)

    @classmethod
    def draw(cls, member_id: int) -> Self:
        """Return a new member's key."""
        return cls(member_id, FIRST_VERSION, os.urandom(KEY_BYTES))

    @classmethod
    def unwrap(cls, masters: MasterKeys, member_id: int, version: int, master_version: int, wrapped: bytes) -> Self:
        """Return a member's key out of its wrapping; raises Unreadable, and KeysMissing without its master key."""
        purpose = _purpose_of_key(member_id, version, master_version)
        name = f"the key of {public('mem', member_id)}"
        return cls(member_id, version, Box(masters.key(master_version)).open(wrapped, purpose, name))

    def wrap(self, master_version: int, master: bytes) -> bytes:
        """Return this key as a master key wraps it."""
        return Box(master).seal(self._key, _purpose_of_key(self.member_id, self.version, master_version))

    def seal(self, field: str, text: str) -> bytes:
        """Return a field's text as it is stored: the key's version, the nonce, and what is sealed."""
        version = self.version.to_bytes(VERSION_BYTES, "big")
        return version + self._box.seal(text.encode(), self._purpose(field))

    def open(self, field: str, sealed: bytes) -> str:
        """Return the text of a sealed field; raises Unreadable."""
        name = f"{field} of {public('mem', self.member_id)}"
        if int.from_bytes(sealed[:VERSION_BYTES], "big") != self.version:
            raise Unreadable(f"{name} was sealed under another version of the key")
        return self._box.open(sealed[VERSION_BYTES:], self._purpose(field), name).decode()

    def _purpose(self, field: str) -> bytes:
        return b"koinon member field\n" + _numbers(self.member_id, self.version) + field.encode()


class Rewrapped(msgspec.Struct, frozen=True):
    """What became of a slice of keys; `last` is its last member, and `unreadable` those whose key did not open."""

    last: int
    done: int
    unreadable: tuple[int, ...]


async def keep_key(connection: Connection, masters: MasterKeys, key: MemberKey) -> None:
    """Keep a new member's key in the caller's transaction, wrapped by the newest master key."""
    version, master = masters.newest()
    await connection.execute(statements["add_key"], key.member_id, key.version, version, key.wrap(version, master))


async def key_of(connection: Connection, masters: MasterKeys, member_id: int) -> MemberKey | None:
    """Return a member's key, or None for somebody who was erased; raises Unreadable, KeysMissing."""
    row = await connection.fetchrow(statements["key_of"], member_id)
    if row is None:
        return None
    return MemberKey.unwrap(masters, member_id, row["key_version"], row["master_version"], row["wrapped"])


def sealed_text(
    masters: MasterKeys, member_id: int, row: Mapping[str, Any], field: str, text: str | None
) -> bytes | None:
    """Return what somebody else wrote about a member as it is stored; `row` holds the member's key, wrapped.

    Nothing is kept of what is written about somebody who was erased. A key that does not open loses the text, which is
    logged, and not the purchase that it is about.
    """
    if text is None or row["wrapped"] is None:
        return None
    try:
        key = MemberKey.unwrap(masters, member_id, row["key_version"], row["master_version"], row["wrapped"])
    except (Unreadable, KeysMissing):
        log.exception("a text was not kept", field=field, member=public("mem", member_id))
        return None
    return key.seal(field, text)


async def destroy_key(connection: Connection, member_id: int) -> bool:
    """Destroy a member's key in the caller's transaction, so that nobody reads again what it sealed.

    Tells whether there was one. Copies of the database hold the wrapped key as long as they are kept.
    """
    return await connection.fetchval(statements["destroy_key"], member_id) is not None


async def under_older(connection: Connection, masters: MasterKeys) -> int:
    """Return how many members' keys are not under the newest master key."""
    version, _ = masters.newest()
    count: int = await connection.fetchval(statements["keys_under_older"], version)
    return count


async def rewrap_slice(masters: MasterKeys, after: int, limit: int) -> Rewrapped | None:
    """Put a slice of members' keys under the newest master key, in a transaction of its own; None when none is left.

    It may be cut off and run again at any point, and by several at once: a key that was changed or destroyed meanwhile
    stays so. A key that does not open is left as it is, and stops no other.
    """
    version, master = masters.newest()

    async def rewrap(connection: Connection) -> Rewrapped | None:
        rows = await connection.fetch(statements["slice_under_older"], version, after, limit)
        if not rows:
            return None
        wrapped: dict[int, tuple[bytes, bytes]] = {}
        unreadable: list[int] = []
        for row in rows:
            member_id = row["member_id"]
            try:
                key = MemberKey.unwrap(masters, member_id, row["key_version"], row["master_version"], row["wrapped"])
            except (Unreadable, KeysMissing):
                unreadable.append(member_id)
                continue
            wrapped[member_id] = (key.wrap(version, master), row["wrapped"])
        done = await connection.fetch(
            statements["rewrap"],
            version,
            list(wrapped),
            [new for new, _ in wrapped.values()],
            [before for _, before in wrapped.values()],
        )
        return Rewrapped(rows[-1]["member_id"], len(done), tuple(unreadable))

    return await raced(rewrap)


def _purpose_of_key(member_id: int, version: int, master_version: int) -> bytes:
    return b"koinon member key\n" + _numbers(member_id, version, master_version)


def _numbers(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(NUMBER_BYTES, "big") for number in numbers)
