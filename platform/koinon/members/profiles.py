"""Profiles: what members told of themselves, opened for their own eyes."""

from typing import Annotated

import msgspec

from koinon import ids
from koinon.database import Connection
from koinon.fields import MemberId
from koinon.keyring import MasterKeys
from koinon.members.directory import ContactKind
from koinon.members.vault import key_of, statements


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What a member told of themselves; of somebody who was erased, nothing can be read any more."""

    member: MemberId
    name: Annotated[str, msgspec.Meta(examples=["Ada Virtanen"])] | None
    email: Annotated[str, msgspec.Meta(examples=["ada@example.org"])] | None
    phone: Annotated[str, msgspec.Meta(examples=["+358401234567"])] | None
    locale: Annotated[str, msgspec.Meta(examples=["en"])] | None
    erased: Annotated[bool, msgspec.Meta(examples=[False])]


async def read_profile(connection: Connection, masters: MasterKeys, member_id: int) -> Profile:
    """Return a member's profile; raises Unreadable for a field that was changed, and KeysMissing."""
    row = await connection.fetchrow(statements["profile"], member_id)
    key = await key_of(connection, masters, member_id)
    contacts: dict[ContactKind, str] = {}
    name: str | None = None
    if key is not None:
        rows = await connection.fetch(statements["contacts_of"], member_id)
        contacts = {each["kind"]: key.open(each["kind"], each["sealed_value"]) for each in rows}
        name = None if row["sealed_name"] is None else key.open("name", row["sealed_name"])
    return Profile(
        member=ids.public("mem", member_id),
        name=name,
        email=contacts.get("email"),
        phone=contacts.get("phone"),
        locale=row["locale"],
        erased=key is None,
    )
