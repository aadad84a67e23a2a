"""Partners, contracts and keys over HTTP."""

import re
from typing import Any

from litestar import Request, Response, Router, delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from koinon.callers.guards import require
from koinon.callers.model import Caller
from koinon.database import pool
from koinon.http.cursors import Page, PageCursor, PageLimit
from koinon.http.openapi import Keyed, reads, writes
from koinon.http.requests import once, write_of
from koinon.identity.operations import UnknownClient
from koinon.parties import partners
from koinon.parties.operations import CurrencyMismatch, UnknownPartner, UnknownProgramme
from koinon.parties.partners import Partner
from koinon.parties.programmes import UnknownCurrency
from koinon.problems import invalid_field
from koinon.references import id_in_field, id_in_path
from partners import clients, contracts
from partners.clients import NewClient, OperatorHasNoKeys, PartnerClient
from partners.contracts import ContractInThePast, ContractVersion, GapNotCovered, NewContract, OperatorHasNoContract
from partners.joining import IbanInvalid, NewPartner, PartnerCodeReserved, PartnerCodeTaken
from partners.joining import create_partner as join

PAGE = 50

Asking = Request[Caller, Any, Any]


@post(
    "/partners",
    guards=[require("partners:write")],
    operation_id="createPartner",
    summary="Add a partner",
    operation_class=Keyed,
    responses=writes(201, Partner, UnknownProgramme, IbanInvalid, PartnerCodeReserved, PartnerCodeTaken),
)
async def create_partner(request: Asking, data: JSONBody[NewPartner]) -> Response[bytes]:
    """Add a brand to a programme; it can issue and honour once it has a contract."""
    return await once(await write_of(request, data), 201, lambda connection: join(connection, data))


@get(
    "/partners",
    guards=[require("partners:write")],
    operation_id="listPartners",
    summary="List partners",
    responses=reads(UnknownPartner),
)
async def list_partners(
    programme: FromQuery[str | None] = None,
    limit: FromQuery[PageLimit] = PAGE,
    cursor: FromQuery[PageCursor] = None,
) -> Page[Partner]:
    """List partners by code, of one programme or of all."""
    programme_id = None if programme is None else id_in_field("pro", programme, "/programme")
    after = None if cursor is None else id_in_field("par", cursor, "/cursor")
    async with pool().acquire() as connection:
        return await partners.partners(connection, programme_id, after, limit)


@get(
    "/partners/{partner:str}",
    guards=[require("partners:write")],
    operation_id="readPartner",
    summary="Read a partner",
    responses=reads(UnknownPartner),
)
async def read_partner(partner: FromPath[str]) -> Partner:
    """Read a partner."""
    async with pool().acquire() as connection:
        return await partners.partner(connection, id_in_path("par", partner, UnknownPartner))


@post(
    "/partners/{partner:str}/contracts",
    guards=[require("partners:write")],
    operation_id="addContract",
    summary="Add a version of a partner's contract",
    operation_class=Keyed,
    responses=writes(
        201, ContractVersion, UnknownPartner, UnknownCurrency, CurrencyMismatch, ContractInThePast, GapNotCovered,
        OperatorHasNoContract,
    ),
)  # fmt: skip
async def add_contract(request: Asking, partner: FromPath[str], data: JSONBody[NewContract]) -> Response[bytes]:
    """Add the next version of a partner's terms.

    Refused when it begins in the past, and when any honoured point would cost more than its issuer pays in: P − F < H
    for any pair of versions in the programme, older ones too, because lots keep their version for life.
    """
    partner_id = id_in_path("par", partner, UnknownPartner)
    return await once(
        await write_of(request, data), 201, lambda connection: contracts.add_contract(connection, partner_id, data)
    )


@get(
    "/partners/{partner:str}/contracts",
    guards=[require("partners:write")],
    operation_id="listContracts",
    summary="List a partner's contract versions",
    responses=reads(UnknownPartner),
)
async def list_contracts(
    partner: FromPath[str], limit: FromQuery[PageLimit] = PAGE, cursor: FromQuery[PageCursor] = None
) -> Page[ContractVersion]:
    """List a partner's contract versions, the first one first."""
    if cursor is not None and not re.fullmatch(r"[0-9]{1,9}", cursor):
        raise invalid_field("/cursor", "not a cursor of this list")
    async with pool().acquire() as connection:
        partner_id = id_in_path("par", partner, UnknownPartner)
        return await contracts.contracts(connection, partner_id, int(cursor or 0), limit)


@post(
    "/partners/{partner:str}/keys",
    guards=[require("keys:write")],
    operation_id="addKey",
    summary="Register a public key of a partner's system",
    operation_class=Keyed,
    responses=writes(201, PartnerClient, UnknownPartner, OperatorHasNoKeys),
)
async def add_key(request: Asking, partner: FromPath[str], data: JSONBody[NewClient]) -> Response[bytes]:
    """Register an Ed25519 public key; the answer's `client` is what the system's assertions name.

    `scopes` lists what it may do. The brand's owner and the operator may leave it out, for all that a brand's system
    can do; a developer lists it, also what their own role may not do.
    """
    partner_id = own_partner(request, partner)
    write = await write_of(request, data)
    return await once(write, 201, lambda connection: clients.add_client(connection, partner_id, data, write.caller))


@get(
    "/partners/{partner:str}/keys",
    guards=[require("keys:write")],
    operation_id="listKeys",
    summary="List a partner's keys",
    responses=reads(UnknownPartner),
)
async def list_keys(
    request: Asking, partner: FromPath[str], limit: FromQuery[PageLimit] = PAGE, cursor: FromQuery[PageCursor] = None
) -> Page[PartnerClient]:
    """List a partner's keys, revoked ones too."""
    after = 0 if cursor is None else id_in_field("cli", cursor, "/cursor")
    async with pool().acquire() as connection:
        return await clients.clients(connection, own_partner(request, partner), after, limit)


@delete(
    "/partners/{partner:str}/keys/{client:str}",
    status_code=200,
    guards=[require("keys:write")],
    operation_id="revokeKey",
    summary="Revoke a partner's key",
    operation_class=Keyed,
    responses=writes(200, PartnerClient, UnknownPartner, UnknownClient, example={"revoked_at": "2026-03-02T12:30:00Z"}),
)
async def revoke_key(request: Asking, partner: FromPath[str], client: FromPath[str]) -> Response[bytes]:
    """Revoke a key: it gets no new token, and its tokens end within a second."""
    partner_id, client_id = own_partner(request, partner), id_in_path("cli", client, UnknownClient)
    return await once(
        await write_of(request, None), 200, lambda connection: clients.end_client(connection, partner_id, client_id)
    )


def own_partner(request: Asking, text: str) -> int:
    """Return the partner that a path names; to a partner's staff there is none but their own."""
    partner_id = id_in_path("par", text, UnknownPartner)
    if request.user.kind != "operator" and partner_id != request.user.partner_id:
        raise UnknownPartner
    return partner_id


router = Router(
    "/v1",
    route_handlers=[
        create_partner,
        list_partners,
        read_partner,
        add_contract,
        list_contracts,
        add_key,
        list_keys,
        revoke_key,
    ],
    tags=["parties"],
)
