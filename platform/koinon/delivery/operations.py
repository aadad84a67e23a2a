"""Mail is queued in the transaction of what it tells about: it leaves when that is committed, and only then."""

from datetime import datetime, timedelta

import msgspec

from koinon.database import Connection, beside, pool
from koinon.delivery.model import Letter, Mail
from koinon.ids import new_id, public
from koinon.keyring import derived
from koinon.sealing import Box, Unreadable

LEASE = timedelta(minutes=5)

statements = beside(__file__)


async def queue_mail(
    connection: Connection,
    secret: bytes,
    *,
    recipient: str,
    subject: str,
    body: str,
    expires_at: datetime | None = None,
) -> int:
    """Queue plain text for one recipient in the caller's transaction, and return its id.

    Recipient and body are sealed under a key made from `secret`, the installation's, until the mail left. The subject
    stays readable: it names nobody. From `expires_at` on the mail is not sent any more.
    """
    mail_id = new_id()
    letter = msgspec.json.encode(Letter(recipient=recipient, body=body))
    sealed = _box(secret).seal(letter, _purpose(mail_id))
    await connection.execute(statements["queue_mail"], mail_id, subject, sealed, expires_at)
    return mail_id


async def claim_mail(secret: bytes, now: datetime, limit: int) -> tuple[list[Mail], list[int]]:
    """Take mail that is due for LEASE; what is not settled by then is due again, for any worker.

    Returns (mail, ids of mail that does not open: it was sealed under another installation's secret). No transaction
    stays open while mail is sent: a slow mail server holds up no closing window.
    """
    mails: list[Mail] = []
    unreadable: list[int] = []
    for row in await pool().fetch(statements["claim_mail"], now, limit, LEASE.total_seconds()):
        try:
            letter = open_letter(secret, row["mail_id"], row["sealed_letter"])
        except Unreadable:
            unreadable.append(row["mail_id"])
            continue
        mails.append(
            Mail(
                mail_id=row["mail_id"],
                recipient=letter.recipient,
                subject=row["subject"],
                body=letter.body,
                created_at=row["created_at"],
                attempts=row["attempts"],
                expires_at=row["expires_at"],
            )
        )
    return mails, unreadable


def open_letter(secret: bytes, mail_id: int, sealed: bytes) -> Letter:
    """Return to whom and what waiting mail is; raises Unreadable."""
    data = _box(secret).open(sealed, _purpose(mail_id), public("mail", mail_id))
    return msgspec.json.decode(data, type=Letter)


def _box(secret: bytes) -> Box:
    return Box(derived(secret, b"waiting mail"))


def _purpose(mail_id: int) -> bytes:
    return public("mail", mail_id).encode()


async def settle_sent(mail: Mail, now: datetime) -> None:
    """Note that mail left."""
    await pool().execute(statements["mail_sent"], mail.mail_id, now)


async def settle_failed(mail: Mail, error: str, again_at: datetime) -> None:
    """Note why mail did not leave, and when it is tried again; `error` names nobody."""
    await pool().execute(statements["mail_failed"], mail.mail_id, error, again_at)


async def settle_given_up(mail_id: int, error: str, now: datetime) -> None:
    """Note that mail will not leave; `error` names nobody."""
    await pool().execute(statements["mail_given_up"], mail_id, now, error)
