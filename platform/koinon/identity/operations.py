"""Staff, their grants, and clients: each operation in the caller's transaction."""

from typing import Any

import msgspec

from koinon.database import Connection, beside
from koinon.identity.model import KIND_SCOPES, Client, ClientKind, KeyUnusable, Role, checked_jwk
from koinon.ids import new_id
from koinon.problems import InvalidInput, NotFound, field_error, invalid_field

statements = beside(__file__)


class UnknownClient(NotFound):
    """There is no such client, or it was revoked before."""

    code = "unknown-client"
    title = "There is no such client that could be revoked"


async def make_staff(connection: Connection, *, email: str, name: str) -> int:
    """Return the id of the member of staff with this address (lower-cased), made when nobody has it."""
    staff_id: int = await connection.fetchval(statements["make_staff"], new_id(), email.strip().lower(), name)
    return staff_id


async def staff_name(connection: Connection, staff_id: int) -> str | None:
    """Return what a member of staff is called, or None for nobody."""
    name: str | None = await connection.fetchval(statements["staff_name"], staff_id)
    return name


async def operator_by_email(connection: Connection, email: str) -> int | None:
    """Return the member of staff who has this address and the operator's role, or None."""
    staff_id: int | None = await connection.fetchval(statements["operator_by_email"], email.strip().lower())
    return staff_id


async def grant_role(connection: Connection, *, staff_id: int, role: Role, partner_id: int | None = None) -> None:
    """Give a member of staff a role at a partner, or the operator's role; a second time changes nothing."""
    await connection.execute(statements["grant_role"], new_id(), staff_id, partner_id, role)


async def end_grant(connection: Connection, *, staff_id: int, role: Role, partner_id: int | None = None) -> None:
    """Take a role away: sessions lose it with their next request, and with the operator's role its clients end."""
    await connection.execute(statements["end_grant"], staff_id, partner_id, role)
    if role == "operator":
        await connection.execute(statements["revoke_staff_clients"], staff_id)


async def register_client(
    connection: Connection,
    *,
    kind: ClientKind,
    name: str,
    public_jwk: dict[str, Any],
    scopes: frozenset[str] | None = None,
    staff_id: int | None = None,
    partner_id: int | None = None,
    programme_id: int | None = None,
) -> Client:
    """Make a client with its public key, and return it.

    An operator's client belongs to a member of staff; a partner's to a partner and its programme. Without `scopes` it
    gets all that its kind may have. Raises InvalidInput for an unusable key or a scope that the kind cannot have.
    """
    try:
        jwk = checked_jwk(public_jwk)
    except KeyUnusable as error:
        raise invalid_field("/public_jwk", str(error), "key-unusable") from None
    most = KIND_SCOPES[kind]
    if unknown := sorted((scopes or frozenset()) - most):
        message = f"{', '.join(unknown)}: may be granted {', '.join(sorted(most))}"
        raise InvalidInput(message, errors=[field_error("/scopes", message, "unknown-scope")])
    client = Client(
        client_id=new_id(),
        kind=kind,
        name=name,
        public_jwk=jwk,
        scopes=most if scopes is None else scopes,
        staff_id=staff_id,
        partner_id=partner_id,
        programme_id=programme_id,
    )
    await connection.execute(
        statements["register_client"],
        client.client_id,
        name,
        kind,
        staff_id,
        partner_id,
        programme_id,
        msgspec.json.encode(jwk).decode(),
        sorted(client.scopes),
    )
    return client


async def revoke_client(connection: Connection, client_id: int) -> None:
    """End a client's access: no new token at once, and within a second no old one. Raises UnknownClient."""
    if await connection.fetchval(statements["revoke_client"], client_id) is None:
        raise UnknownClient
