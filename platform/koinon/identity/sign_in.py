"""Sign-in by one-time code: six digits by mail, good once, for ten minutes and five tries.

Nobody learns from an answer who is a member: an address that nobody has gets the same answers and limits, and no mail.
"""

import hmac
import re
import secrets
from datetime import datetime, timedelta

import msgspec

from koinon.callers.guards import csrf_token
from koinon.clock import machine_now
from koinon.contacts import ContactInvalid, email_address
from koinon.database import Connection, beside, on, transaction
from koinon.delivery.operations import queue_mail
from koinon.identity.model import SessionKind
from koinon.identity.sessions import open_session, session_hash
from koinon.ids import private, public
from koinon.members.directory import member_by_contact
from koinon.parties.tables import Programme
from koinon.problems import Conflict, NotAuthenticated, Problem, invalid_field

CODE_DIGITS = 6
CODE_LIFE = timedelta(minutes=10)
ATTEMPTS_MAXIMUM = 5
CODES_PER_HOUR = 5
HOUR = timedelta(hours=1)
PROGRAMME = re.compile(r"[0-9a-z_-]{1,64}")
"""A programme's id or code."""

statements = beside(__file__)


class CodesTooMany(Problem):
    """An address asked for more codes than an hour allows; `retry_after_seconds` says when the next may be asked."""

    status = 429
    code = "sign-in-codes-too-many"
    title = "Too many codes were asked for; use the last one, or wait"


class CodeInvalid(NotAuthenticated):
    """The code is wrong, was used, has run out, or was tried too often."""

    code = "sign-in-code-invalid"
    title = "This code does not sign you in: ask for a new one"


class PartnerNeeded(Conflict):
    """Somebody works for several brands; `partners` lists them, and the code stays good."""

    code = "partner-needed"
    title = "Say for which brand: name one of partners"


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a code is for: a member of a programme, or a member of staff; `email` in the form that is stored."""

    kind: SessionKind
    email: str
    programme_id: int | None = None

    def digest(self, secret: bytes) -> bytes:
        """Return the keyed hash by which the database knows the address, whoever has it or nobody."""
        text = f"sign-in address\n{self.kind}\n{self.programme_id}\n{self.email}"
        return hmac.digest(secret, text.encode(), "sha256")


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """A new session: `token` is the cookie's value, `csrf` goes into its pages' forms."""

    kind: SessionKind
    token: str
    csrf: str


async def address_of(
    connection: Connection, *, email: str, programme: str | None, kind: SessionKind | None = None
) -> Address:
    """Return the address that a request names; with a programme (its id or code) a member's, without it staff's.

    Raises InvalidInput.
    """
    try:
        form = email_address(email)
    except ContactInvalid as error:
        raise invalid_field("/email", str(error)) from None
    kind = kind or ("staff" if programme is None else "member")
    if kind == "staff":
        return Address(kind=kind, email=form)
    known = None
    # A form and a cookie hold any text, and the database takes not every text to look for.
    if PROGRAMME.fullmatch(programme or ""):
        named = (Programme.code == programme) | (Programme.programme_id == _entity(programme))
        known = await on(connection, Programme.objects().where(named).first())
    if known is None:
        raise invalid_field("/programme", "a member's programme is needed, by its id or its code", "unknown-programme")
    return Address(kind=kind, email=form, programme_id=known.programme_id)


async def ask_code(secret: bytes, address: Address) -> None:
    """Make a code, which ends the one before, and queue its mail in the same transaction.

    Raises CodesTooMany.
    """
    now = machine_now()
    code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"
    digest = address.digest(secret)
    async with transaction() as connection:
        made = await connection.fetchval(
            statements["make_code"],
            digest,
            _code_hash(secret, digest, code),
            now,
            now + CODE_LIFE,
            now - HOUR,
            CODES_PER_HOUR,
        )
        if made is None:
            began_at: datetime = await connection.fetchval(statements["hour_of_codes"], digest)
            seconds = max(1, int((began_at + HOUR - now).total_seconds()))
            raise CodesTooMany(retry_after_seconds=seconds)
        if await _known(connection, secret, address):
            await queue_mail(
                connection,
                secret,
                recipient=address.email,
                subject="Your sign-in code",
                body=MAIL.format(code=code, minutes=CODE_LIFE // timedelta(minutes=1)),
                expires_at=now + CODE_LIFE,
            )


async def sign_in(secret: bytes, address: Address, code: str, *, partner_id: int | None = None) -> SignedIn:
    """Use an address's code and open a session; raises CodeInvalid, PartnerNeeded.

    A wrong code costs one of the five tries; of two that bring the right one at once, one is let in.
    """
    digest = address.digest(secret)
    signed_in = None
    async with transaction() as connection:
        right = await connection.fetchval(
            statements["use_code"], digest, _code_hash(secret, digest, code), machine_now(), ATTEMPTS_MAXIMUM
        )
        if right:
            signed_in = await _open(connection, secret, address, partner_id)
    # Raised after the transaction: a try that failed must stay counted.
    if signed_in is None:
        raise CodeInvalid
    return signed_in


MAIL = """\
Your sign-in code is {code}

It is good for {minutes} minutes, once. Nobody of us ever asks you for it.
If you did not ask for it, ignore this mail: without the code nobody gets in.
"""


async def _open(connection: Connection, secret: bytes, address: Address, partner_id: int | None) -> SignedIn | None:
    if address.kind == "member":
        member_id = await _member(connection, secret, address)
        if member_id is None:
            return None
        token = await open_session(connection, kind="member", member_id=member_id)
    else:
        grants = await connection.fetch(statements["staff_grants"], address.email)
        if not grants:
            return None
        grant = _chosen([dict(row) for row in grants], partner_id)
        token = await open_session(
            connection,
            kind="staff",
            staff_id=grant["staff_id"],
            partner_id=grant["partner_id"],
            programme_id=grant["programme_id"],
        )
    return SignedIn(kind=address.kind, token=token, csrf=csrf_token(secret, session_hash(token).hex()))


def _chosen(grants: list[dict[str, int | None]], partner_id: int | None) -> dict[str, int | None]:
    # The operator's grant has no partner and comes first, so that without a choice the operator is the operator.
    for grant in grants:
        if partner_id is not None and grant["partner_id"] == partner_id:
            return grant
    if partner_id is None and (grants[0]["partner_id"] is None or len(grants) == 1):
        return grants[0]
    partners = [public("par", partner) for grant in grants if (partner := grant["partner_id"]) is not None]
    raise PartnerNeeded(partners=partners)


async def _known(connection: Connection, secret: bytes, address: Address) -> bool:
    if address.kind == "member":
        return await _member(connection, secret, address) is not None
    return bool(await connection.fetch(statements["staff_grants"], address.email))


async def _member(connection: Connection, secret: bytes, address: Address) -> int | None:
    assert address.programme_id is not None, "a member's address names a programme"  # noqa: S101  # address_of saw to it
    return await member_by_contact(connection, secret, address.programme_id, "email", address.email)


def _code_hash(secret: bytes, digest: bytes, code: str) -> bytes:
    # Keyed: without the installation's secret, a million codes would be tried against a stolen table in a second.
    return hmac.digest(secret, b"sign-in code\n" + digest + code.encode(), "sha256")


def _entity(programme: str | None) -> int | None:
    try:
        return private("pro", programme or "")
    except ValueError:
        return None
