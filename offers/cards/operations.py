"""Cards: a token is linked to a member by an assertion of the source that made it, and by nothing else (law 14)."""

import hashlib
from typing import Annotated, Literal

import asyncpg
import msgspec
from msgspec import Meta

from koinon import ids
from koinon.clock import business_now
from koinon.database import Connection, beside, pool
from koinon.fields import MemberId, Token, named
from koinon.members.operations import UnknownMember
from koinon.problems import Conflict, NotFound, invalid_field
from offers.feeds.messages import card_key
from offers.feeds.reading import looks_like_card_number

statements = beside(__file__)

NetworkName = Literal["visa", "mastercard", "amex", "discover", "other"]


CardId = Annotated[str, named("A card link", "crd_00qcnjn0p5me581kh3cetm0es8r65rzyjka792g")]


class CardTaken(Conflict):
    """The token, or the payment account behind it, belongs to another member."""

    code = "card-taken"
    title = "This card is linked to another member; the link must end there first"


class UnknownCard(NotFound):
    """No active link of this source has this id."""

    code = "unknown-card"
    title = "There is no such active card link"


class CardAssertion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A source asserts that a token that it made is a member's."""

    member: MemberId
    token: Token
    par: Annotated[str, Meta(pattern=r"^[A-Z0-9]{29}$(?!\n)")] | None = None
    last4: Annotated[str, Meta(pattern=r"^[0-9]{4}$(?!\n)", examples=["4242"])] | None = None
    network: Annotated[NetworkName, Meta(examples=["visa"])] | None = None


class CardEnd(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A source ends a link. The body names it again, because a signature covers the body and not the path."""

    card: CardId


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """An active link; the token is not repeated."""

    card: CardId
    member: MemberId
    last4: Annotated[str, Meta(examples=["4242"])] | None
    linked_at: Annotated[str, Meta(examples=["2026-03-02T09:00:00Z"])]


def par_key(programme_id: int, par: str) -> int:
    """Return the key that a payment account reference is stored under."""
    return int.from_bytes(hashlib.sha256(f"{programme_id}\n{par}".encode()).digest()[:8], "big") >> 1


async def link(connection: Connection, programme_id: int, source_id: int, asserted: CardAssertion) -> Card:
    """Link a card in the caller's transaction; a link that stands already is answered as it is.

    Raises UnknownMember, CardTaken, InvalidInput (a token that looks like a card number).
    """
    if looks_like_card_number(asserted.token):
        raise invalid_field("/token", "this looks like a card number; send the token that stands for it", "card-number")
    try:
        member_id = ids.private("mem", asserted.member)
    except ValueError as error:
        raise invalid_field("/member", str(error)) from None
    facts = await connection.fetchrow(statements["member"], programme_id, member_id)
    if facts is None:
        raise UnknownMember
    key = card_key(programme_id, source_id, asserted.token)
    row = await connection.fetchrow(
        statements["claim_card"],
        key,
        ids.new_record_id(),
        programme_id,
        source_id,
        asserted.token,
        asserted.par,
        asserted.last4,
        asserted.network,
        member_id,
        business_now(facts["clock_at"]),
    )
    if row["member_id"] != member_id or row["token"] != asserted.token:
        raise CardTaken
    if asserted.par is not None and row["par"] != asserted.par:
        raise CardTaken("the token is linked with another payment account reference; end that link first")
    if asserted.par is not None:
        # After the card, as when a link ends: in one order for everybody.
        owner = await connection.fetchval(
            statements["claim_par"],
            par_key(programme_id, asserted.par),
            ids.new_record_id(),
            programme_id,
            asserted.par,
            member_id,
            key,
        )
        if owner != member_id:
            raise CardTaken
    return _card(row)


async def unlink(connection: Connection, programme_id: int, source_id: int, card: str) -> Card:
    """End a link in the caller's transaction: from now on nothing of this card is taken in. Raises UnknownCard."""
    try:
        key, link_id = ids.private_record("crd", card)
    except ValueError:
        raise UnknownCard from None
    clock_at = await connection.fetchval(statements["programme_clock"], programme_id)
    row = await connection.fetchrow(
        statements["end_card"], key, link_id, programme_id, source_id, business_now(clock_at)
    )
    if row is None:
        raise UnknownCard
    if row["par"] is not None:
        account_key = par_key(programme_id, row["par"])
        await connection.execute(statements["leave_par"], account_key, key, business_now(clock_at))
    return _card(row)


async def owner_of(programme_id: int, source: str, token: str) -> int | None:
    """Return the member whose card a source's token is now, or None: the proof that a card was just presented."""
    try:
        source_id = ids.private("src", source)
    except ValueError:
        return None
    owner: int | None = await pool().fetchval(
        statements["owner"], card_key(programme_id, source_id, token), programme_id, source_id, token
    )
    return owner


def _card(row: asyncpg.Record) -> Card:
    return Card(
        card=ids.public_record("crd", row["card_key"], row["link_id"]),
        member=ids.public("mem", row["member_id"]),
        last4=row["last4"],
        linked_at=row["linked_at"].isoformat(),
    )
