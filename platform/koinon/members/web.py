"""Members over HTTP: enrolment by partners, and what members see and do themselves."""

import os
from typing import Any
from uuid import UUID

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from koinon import ids
from koinon.callers.guards import require
from koinon.callers.model import Caller
from koinon.clock import machine_now
from koinon.database import Connection, pool
from koinon.fields import MemberId
from koinon.http.cursors import Page, PageCursor, PageLimit
from koinon.http.openapi import Keyed, gives, reads, writes
from koinon.http.requests import once, write_of
from koinon.members import operations, pay_codes, reading
from koinon.members.model import Wallet
from koinon.members.operations import (
    Consent,
    ConsentWithdrawn,
    ContactMissing,
    ContactsOfTwoMembers,
    Enrolment,
    NewMember,
    UnknownConsent,
    UnknownMember,
    Withdrawal,
)
from koinon.members.pay_codes import PayCode
from koinon.members.pending import PendingSources
from koinon.members.profiles import Profile, read_profile
from koinon.members.reading import Event
from koinon.problems import invalid_field
from koinon.references import id_in_path
from koinon.runtime import runtime_of

PAGE = 50

Asking = Request[Caller, Any, Any]


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A member as a partner may see them: that they are one, and a page of what they consented to for this partner.

    `next` is the cursor of the page after it, or null on the last one.
    """

    member: MemberId
    consents: list[Consent]
    next: str | None


@post(
    "/members",
    guards=[require("members:write")],
    operation_id="enrolMember",
    summary="Enrol a member",
    operation_class=Keyed,
    responses=writes(201, Enrolment, ContactMissing, ContactsOfTwoMembers)
    | gives(200, Enrolment, "It was a member already.", example={"new": False}),
)
async def enrol_member(request: Asking, data: JSONBody[NewMember]) -> Response[bytes]:
    """Enrol a person by e-mail, telephone or both, with their consents for this partner.

    A person has one account in a coalition: who is known already is answered with 200 and `new` false, the consents
    are recorded for this partner, and nothing else about them is told or changed.
    """
    partner_id = request.user.partner_id
    assert partner_id is not None, "members are enrolled by partners"  # noqa: S101  # the guard saw to it
    keys = runtime_of(request).keys
    return await once(
        await write_of(request, data),
        lambda enrolment: 201 if enrolment.new else 200,
        lambda connection: operations.enrol(connection, keys, partner_id, data),
    )


@get(
    "/members/{member:str}",
    guards=[require("members:write")],
    operation_id="readMember",
    summary="Read a member",
    responses=reads(UnknownMember),
)
async def read_member(
    request: Asking,
    member: FromPath[str],
    limit: FromQuery[PageLimit] = PAGE,
    cursor: FromQuery[PageCursor] = None,
) -> Member:
    """Read that a member is one, and their consents for this partner, the newest first.

    Never their balance, and never other brands' business.
    """
    caller = request.user
    assert caller.programme_id is not None, "members are read by partners"  # noqa: S101  # the guard saw to it
    member_id = id_in_path("mem", member, UnknownMember)
    async with pool().acquire() as connection:
        await operations.check_member(connection, caller.programme_id, member_id)
        after = record_of_cursor("con", cursor, member_id)
        given = await operations.consents(connection, member_id, caller.partner_id, after, limit)
    return Member(member=member, consents=given.items, next=given.next)


@get(
    "/me/profile",
    guards=[require("me:read")],
    operation_id="readProfile",
    summary="Read what one told of oneself",
    responses=reads(),
)
async def read_own_profile(request: Asking) -> Response[Profile]:
    """Read one's name and what one is reached at, which nobody but oneself is shown."""
    _, member_id, _ = of_member(request.user)
    async with pool().acquire() as connection:
        profile = await read_profile(connection, runtime_of(request).keys.masters, member_id)
    return Response(profile, headers={"Cache-Control": "no-store"})


@get(
    "/me/wallet",
    guards=[require("me:read")],
    operation_id="readWallet",
    summary="Read one's wallet",
    responses=reads(),
)
async def read_wallet(request: Asking) -> Wallet:
    """Read the balance pooled over all brands: by brand, by expiry, held for a till, and on its way."""
    programme_id, member_id, account_id = of_member(request.user)
    async with pool().acquire() as connection:
        return await reading.read_wallet(
            connection,
            runtime_of(request)[PendingSources],
            programme_id=programme_id,
            account_id=account_id,
            member_id=member_id,
        )


@get(
    "/me/history",
    guards=[require("me:read")],
    operation_id="readHistory",
    summary="Read one's history",
    responses=reads(),
)
async def read_history(
    request: Asking, limit: FromQuery[PageLimit] = PAGE, cursor: FromQuery[PageCursor] = None
) -> Page[Event]:
    """Read what happened to one's points and why, the newest first."""
    _, _, account_id = of_member(request.user)
    after = record_of_cursor("jnl", cursor, account_id)
    async with pool().acquire() as connection:
        return await reading.read_history(connection, account_id, after, limit)


@post(
    "/me/pay-codes",
    guards=[require("me:write")],
    operation_id="issuePayCode",
    summary="Get a pay code",
    operation_class=Keyed,
    responses=writes(201, PayCode),
)
async def issue_pay_code(request: Asking) -> Response[bytes]:
    """Get a code that shows a till, once and within a minute, that one is there."""
    _, member_id, _ = of_member(request.user)
    secret = runtime_of(request).keys.secret

    async def issue(_: Connection) -> PayCode:
        return pay_codes.issue(member_id, secret, machine_now(), os.urandom(pay_codes.NONCE_BYTES))

    return await once(await write_of(request, None), 201, issue)


@get(
    "/me/consents",
    guards=[require("me:read")],
    operation_id="listConsents",
    summary="List one's consents",
    responses=reads(),
)
async def list_consents(
    request: Asking, limit: FromQuery[PageLimit] = PAGE, cursor: FromQuery[PageCursor] = None
) -> Page[Consent]:
    """List what one consented to, for whom, and until when; the newest first."""
    _, member_id, _ = of_member(request.user)
    after = record_of_cursor("con", cursor, member_id)
    async with pool().acquire() as connection:
        return await operations.consents(connection, member_id, None, after, limit)


@post(
    "/me/consents/{receipt:str}/withdrawals",
    guards=[require("me:write")],
    operation_id="withdrawConsent",
    summary="Withdraw a consent",
    operation_class=Keyed,
    responses=writes(201, Withdrawal, UnknownConsent, ConsentWithdrawn),
)
async def withdraw_consent(request: Asking, receipt: FromPath[str]) -> Response[bytes]:
    """End a consent as of now; that it was given stays known."""
    programme_id, member_id, _ = of_member(request.user)
    return await once(
        await write_of(request, None),
        201,
        lambda connection: operations.withdraw(
            connection, programme_id=programme_id, member_id=member_id, receipt=receipt
        ),
    )


def of_member(caller: Caller) -> tuple[int, int, int]:
    """Return (programme, member, account) of the member who is signed in."""
    assert caller.programme_id is not None  # noqa: S101  # a member's session has all three
    assert caller.member_id is not None  # noqa: S101  # as above
    assert caller.account_id is not None  # noqa: S101  # as above
    return caller.programme_id, caller.member_id, caller.account_id


def record_of_cursor(prefix: str, cursor: str | None, owner_id: int) -> UUID | None:
    """Return the record that a cursor names, which is the caller's own; raises InvalidInput."""
    if cursor is None:
        return None
    try:
        owner, record_id = ids.private_record(prefix, cursor)
    except ValueError as error:
        raise invalid_field("/cursor", str(error)) from None
    if owner != owner_id:
        raise invalid_field("/cursor", "not a cursor of this list")
    return record_id


router = Router(
    "/v1",
    route_handlers=[
        enrol_member,
        read_member,
        read_own_profile,
        read_wallet,
        read_history,
        issue_pay_code,
        list_consents,
        withdraw_consent,
    ],
    tags=["members"],
)
