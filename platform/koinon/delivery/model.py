"""Mail as it is queued and as it is sent."""

from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime

import msgspec

from koinon.ids import public

FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(hours=1)
TRIED_FOR = timedelta(days=5)
"""How long mail without an end of its own is tried: what RFC 5321 §4.5.4.1 asks of a sender."""


class Letter(msgspec.Struct, frozen=True):
    """What is sealed of mail while it waits: to whom it is, and what it says."""

    recipient: str
    body: str


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """Plain text for one recipient; worthless from `expires_at` on. `attempts` counts the one that is being made."""

    mail_id: int
    recipient: str
    subject: str
    body: str
    created_at: datetime
    attempts: int
    expires_at: datetime | None = None

    @property
    def tried_until(self) -> datetime:
        """The instant from which it is no longer tried."""
        return self.expires_at or self.created_at + TRIED_FOR

    def message(self, sender: str) -> EmailMessage:
        """Return the message; every attempt has the same Message-ID and Date, so that a second copy is known as one.

        Raises ValueError when a header cannot hold what it is given.
        """
        message = EmailMessage()
        message["From"] = sender
        message["To"] = self.recipient
        message["Subject"] = self.subject
        message["Date"] = format_datetime(self.created_at)
        message["Message-ID"] = f"<{public('mail', self.mail_id)}@{sender.rpartition('@')[2].rstrip('>')}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(self.body)
        return message


def pause(attempts: int, jitter_thousandths: int) -> timedelta:
    """Return how long to wait after a failed attempt: doubled each time up to an hour, and spread by jitter.

    The jitter is 500 to 1500 thousandths of it, so that mail that failed together is not tried together again.
    """
    doubled = FIRST_PAUSE * (1 << min(attempts - 1, 20))
    return min(doubled, LONGEST_PAUSE) * jitter_thousandths / 1000
