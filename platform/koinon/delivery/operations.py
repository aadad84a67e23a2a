"""Mail is queued in the transaction of what it tells about: it leaves when that is committed, and only then."""

from datetime import datetime, timedelta

import msgspec

from koinon.database import Connection, beside, pool
from koinon.delivery.model import Mail
from koinon.ids import new_id

LEASE = timedelta(minutes=5)

statements = beside(__file__)


async def queue_mail(
    connection: Connection, *, recipient: str, subject: str, body: str, expires_at: datetime | None = None
) -> int:
    """Queue plain text for one recipient in the caller's transaction, and return its id.

    The subject stays readable after the mail left: it names nobody. From `expires_at` on it is not sent any more.
    """
    mail_id = new_id()
    await connection.execute(statements["queue_mail"], mail_id, recipient, subject, body, expires_at)
    return mail_id


async def claim_mail(now: datetime, limit: int) -> list[Mail]:
    """Take mail that is due for LEASE; what is not settled by then is due again, for any worker.

    No transaction stays open while mail is sent: a slow mail server holds up no closing window.
    """
    rows = await pool().fetch(statements["claim_mail"], now, limit, LEASE.total_seconds())
    return [msgspec.convert(dict(row), Mail) for row in rows]


async def settle_sent(mail: Mail, now: datetime) -> None:
    """Note that mail left."""
    await pool().execute(statements["mail_sent"], mail.mail_id, now)


async def settle_failed(mail: Mail, error: str, again_at: datetime) -> None:
    """Note why mail did not leave, and when it is tried again; `error` names nobody."""
    await pool().execute(statements["mail_failed"], mail.mail_id, error, again_at)


async def settle_given_up(mail: Mail, error: str, now: datetime) -> None:
    """Note that mail will not leave; `error` names nobody."""
    await pool().execute(statements["mail_given_up"], mail.mail_id, now, error)
