"""Staff, their grants, and clients: each operation in the caller's transaction."""

from typing import Any

import msgspec

from koinon.callers.model import Role
from koinon.clock import rfc3339
from koinon.database import CLOCK, Connection, add, on
from koinon.identity import tables
from koinon.identity.model import KIND_SCOPES, Client, ClientKind, KeyUnusable, checked_jwk
from koinon.identity.sessions import end_staff_sessions
from koinon.identity.tables import Staff, StaffGrant
from koinon.ids import new_id
from koinon.problems import Conflict, InvalidInput, NotFound, field_error, invalid_field


class UnknownClient(NotFound):
    """There is no such client, or it was revoked before."""

    code = "unknown-client"
    title = "There is no such client that could be revoked"


class UnknownGrant(NotFound):
    """Nobody was given this role here."""

    code = "unknown-grant"
    title = "There is no such grant of a role"


class GrantEnded(Conflict):
    """A role is taken back once."""

    code = "grant-ended"
    title = "This role was taken back before"


class LastOperator(Conflict):
    """Without an operator nobody could make one over HTTP, release a settlement or bring anybody in."""

    code = "last-operator"
    title = "This is the last operator: make another one by `koinon keys operator` first"


async def make_staff(connection: Connection, *, email: str, name: str) -> int:
    """Return the id of the member of staff with this address (lower-cased), made when nobody has it."""
    person = Staff(staff_id=new_id(), email=email.strip().lower(), name=name)
    # Written over with itself, the name of somebody who is known stays, and their row is returned.
    known = Staff.insert(person).on_conflict(Staff.email, "DO UPDATE", [(Staff.name, Staff.name)])
    (row,) = await on(connection, known.returning(Staff.staff_id))
    staff_id: int = row["staff_id"]
    return staff_id


async def staff_name(connection: Connection, staff_id: int) -> str | None:
    """Return what a member of staff is called, or None for nobody."""
    person = await on(connection, Staff.objects().where(Staff.staff_id == staff_id).first())
    return None if person is None else person.name


async def operator_by_email(connection: Connection, email: str) -> int | None:
    """Return the member of staff who has this address and the operator's role, or None."""
    person = StaffGrant.staff_id.email == email.strip().lower()
    living = (StaffGrant.role == "operator") & StaffGrant.ended_at.is_null()
    grant = await on(connection, StaffGrant.objects().where(person & living).first())
    return None if grant is None else grant.staff_id


async def grant_role(connection: Connection, *, staff_id: int, role: Role, partner_id: int | None = None) -> int:
    """Give a member of staff a role at a partner, or the operator's, and return the grant; given twice it is one."""
    grant = StaffGrant(grant_id=new_id(), staff_id=staff_id, partner_id=partner_id, role=role)
    # Without a target: Piccolo cannot name the one index that there is, which leaves grants that ended alone.
    made = StaffGrant.insert(grant).on_conflict(action="DO NOTHING").returning(StaffGrant.grant_id)
    known = StaffGrant.select(StaffGrant.grant_id).where(
        StaffGrant.staff_id == staff_id, StaffGrant.partner_id == partner_id, StaffGrant.role == role
    )
    latest = known.order_by(StaffGrant.created_at, ascending=False).limit(1)
    rows = await on(connection, made) or await on(connection, latest)
    grant_id: int = rows[0]["grant_id"]
    return grant_id


async def end_grant(connection: Connection, grant_id: int) -> StaffGrant:
    """Take a role back in the caller's transaction: who had it is signed out wherever they had it.

    With the operator's role its clients end, too. Raises UnknownGrant, GrantEnded, LastOperator.
    """
    own = StaffGrant.grant_id == grant_id
    grant = await on(connection, StaffGrant.objects().where(own).first())
    if grant is None:
        raise UnknownGrant
    if grant.role == "operator":
        # The locks: of two operators who end each other at once, the second to come sees that they are the last.
        living = StaffGrant.select(StaffGrant.grant_id).where(
            StaffGrant.role == "operator", StaffGrant.ended_at.is_null()
        )
        operators = await on(connection, living.order_by(StaffGrant.grant_id).lock_rows("UPDATE"))
        if [row["grant_id"] for row in operators] == [grant_id]:
            raise LastOperator
    ended = StaffGrant.update({StaffGrant.ended_at: CLOCK}).where(own, StaffGrant.ended_at.is_null())
    taken = await on(connection, ended.returning(StaffGrant.ended_at))
    (now,) = await on(connection, StaffGrant.objects().where(own))
    if not taken:
        raise GrantEnded(ended_at=rfc3339(now.ended_at))
    await end_staff_sessions(connection, grant.staff_id, grant.partner_id)
    if grant.role == "operator":
        own_clients = tables.Client.update({tables.Client.revoked_at: CLOCK}).where(
            tables.Client.staff_id == grant.staff_id, tables.Client.revoked_at.is_null()
        )
        await on(connection, own_clients)
    return now


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
    row = tables.Client(
        client_id=client.client_id,
        name=name,
        kind=kind,
        staff_id=staff_id,
        partner_id=partner_id,
        programme_id=programme_id,
        public_jwk=msgspec.json.encode(jwk).decode(),
        scopes=sorted(client.scopes),
    )
    await add(connection, row)
    return client


async def revoke_client(connection: Connection, client_id: int) -> None:
    """End a client's access: no new token at once, and within a second no old one. Raises UnknownClient."""
    living = (tables.Client.client_id == client_id) & tables.Client.revoked_at.is_null()
    revoked = tables.Client.update({tables.Client.revoked_at: CLOCK}).where(living)
    if not await on(connection, revoked.returning(tables.Client.client_id)):
        raise UnknownClient
