"""A partner's keys: which of its systems may call, with which public key and scopes."""

from datetime import datetime
from typing import Annotated, Any

import msgspec

from koinon import ids
from koinon.callers.model import PARTNER_SCOPES, Caller
from koinon.database import Connection, on
from koinon.fields import Line, named
from koinon.http.cursors import Page, page_of
from koinon.identity.operations import UnknownClient, register_client, revoke_client
from koinon.identity.tables import Client
from koinon.parties.operations import partner_row
from koinon.problems import Refused, invalid_field

ClientId = Annotated[str, named("A client", "cli_2bfsqw45hne4k")]


class OperatorHasNoKeys(Refused):
    """The operator's own partner does no business calls; the operator's clients belong to its staff."""

    code = "operator-has-no-keys"
    title = "The operator's own partner has no keys; `koinon keys operator` makes those of its staff"


class NewClient(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A system of a partner: an Ed25519 public key (JWK, `kty` OKP) and what it may do.

    Without scopes it may do all, if the brand's owner or the operator asks; others list them.
    """

    name: Annotated[Line, msgspec.Meta(examples=["Till server"])]
    public_jwk: Annotated[
        dict[str, Any],
        msgspec.Meta(
            max_length=20,
            examples=[{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}],
        ),
    ]
    scopes: (
        Annotated[list[Annotated[str, msgspec.Meta(max_length=64)]], msgspec.Meta(min_length=1, max_length=20)] | None
    ) = None


class PartnerClient(msgspec.Struct, frozen=True, kw_only=True):
    """A partner's client; `client` is what its assertions name as `iss` and `sub`."""

    client: ClientId
    name: Annotated[str, msgspec.Meta(examples=["Till server"])]
    scopes: Annotated[list[str], msgspec.Meta(examples=[["earnings:write", "redemptions:write"]])]
    created_at: datetime
    revoked_at: datetime | None


async def add_client(connection: Connection, partner_id: int, asked: NewClient, caller: Caller) -> PartnerClient:
    """Register a partner's public key in the caller's transaction.

    Raises UnknownPartner, OperatorHasNoKeys, InvalidInput for an unusable key, a scope no partner can have, or no
    scopes from somebody who could not do all of it: a key may do more than who makes it, but not without being asked.
    """
    if asked.scopes is None and caller.kind != "operator" and not caller.scopes >= PARTNER_SCOPES:
        message = f"list what the key may do, of {', '.join(sorted(PARTNER_SCOPES))}: your role may not do all of it"
        raise invalid_field("/scopes", message, "scopes-needed")
    partner = await partner_row(connection, partner_id)
    if partner.operator:
        raise OperatorHasNoKeys
    made = await register_client(
        connection,
        kind="partner",
        name=asked.name,
        public_jwk=asked.public_jwk,
        scopes=None if asked.scopes is None else frozenset(asked.scopes),
        partner_id=partner_id,
        programme_id=partner.programme_id,
    )
    return await _own_client(connection, partner_id, made.client_id)


async def end_client(connection: Connection, partner_id: int, client_id: int) -> PartnerClient:
    """Revoke a partner's key in the caller's transaction; raises UnknownClient."""
    await _own_client(connection, partner_id, client_id)
    await revoke_client(connection, client_id)
    return await _own_client(connection, partner_id, client_id)


async def clients(connection: Connection, partner_id: int, after: int, limit: int) -> Page[PartnerClient]:
    """Return a page of a partner's clients, revoked ones too; the cursor is the last's id. Raises UnknownPartner."""
    await partner_row(connection, partner_id)
    query = Client.objects().where(Client.partner_id == partner_id, Client.client_id > after)
    rows = await on(connection, query.order_by(Client.client_id).limit(limit + 1))
    return page_of(rows, limit, _client, lambda row: ids.public("cli", row.client_id))


async def _own_client(connection: Connection, partner_id: int, client_id: int) -> PartnerClient:
    query = Client.objects().where(Client.client_id == client_id, Client.partner_id == partner_id)
    row = await on(connection, query.first())
    if row is None:
        raise UnknownClient
    return _client(row)


def _client(row: Client) -> PartnerClient:
    return PartnerClient(
        client=ids.public("cli", row.client_id),
        name=row.name,
        scopes=sorted(row.scopes),
        created_at=row.created_at,
        revoked_at=row.revoked_at,
    )
