"""What the worker does for delivery: send the mail that is due, and forget what left long ago."""

import secrets
from datetime import datetime, timedelta

import structlog

from koinon.clock import machine_now
from koinon.database import pool
from koinon.delivery.model import Mail, pause
from koinon.delivery.operations import claim_mail, settle_failed, settle_given_up, settle_sent, statements
from koinon.delivery.senders import NotSent, Sender, sender
from koinon.ids import public
from koinon.runtime import Runtime

# With the senders' time-outs a slice ends within its lease, so that no other worker sends the same mail beside it.
SLICE = 10

FORGETTING_SLICE = 1_000
SETTLED_KEPT_FOR = timedelta(days=30)
"""Whether and when mail left is asked within days; to whom and what it was is gone since then."""

log = structlog.get_logger(__name__)


async def send_due_mail(runtime: Runtime) -> bool:
    """Send a bounded slice of the mail that is due; tell whether there was any.

    Mail is noted as sent after it left: a worker that dies between the two sends it again, with the same Message-ID,
    and none is ever lost.
    """
    mails, unreadable = await claim_mail(runtime.keys.secret, machine_now(), SLICE)
    for mail_id in unreadable:
        await _give_up(mail_id, "it was sealed under another installation's secret", reason="unreadable")
    living = [mail for mail in mails if not await _is_too_late(mail, machine_now())]
    if not living:
        return bool(mails or unreadable)
    try:
        async with sender(runtime.settings) as way_out:
            for mail in living:
                await _send(way_out, mail, runtime.settings.mail_sender)
    except NotSent as error:
        for mail in living:
            await _postpone(mail, error)
    return True


async def _send(way_out: Sender, mail: Mail, mail_sender: str) -> None:
    try:
        message = mail.message(mail_sender)
    except ValueError:
        await _give_up(mail.mail_id, "a header cannot hold its text", reason="unwritable")
        return
    try:
        await way_out.send(message)
    except NotSent as error:
        if error.final:
            await _give_up(mail.mail_id, str(error), reason=str(error))
        else:
            await _postpone(mail, error)
        return
    await settle_sent(mail, machine_now())


async def forget_mail(_: Runtime, now: datetime | None = None) -> bool:
    """Forget one slice of the mail that left, or was given up, long ago; tell whether there may be more."""
    before = (now or machine_now()) - SETTLED_KEPT_FOR
    tag: str = await pool().execute(statements["forget_mail"], before, FORGETTING_SLICE)
    return tag == f"DELETE {FORGETTING_SLICE}"


async def _postpone(mail: Mail, error: NotSent) -> None:
    again_at = machine_now() + pause(mail.attempts, 500 + secrets.randbelow(1001))
    await settle_failed(mail, str(error), again_at)
    log.warning("mail not sent", mail=public("mail", mail.mail_id), attempts=mail.attempts, reason=str(error))


async def _is_too_late(mail: Mail, now: datetime) -> bool:
    if now < mail.tried_until:
        return False
    await _give_up(mail.mail_id, "it was not sent in time", reason="time")
    return True


async def _give_up(mail_id: int, error: str, *, reason: str) -> None:
    await settle_given_up(mail_id, error, machine_now())
    log.warning("mail given up", mail=public("mail", mail_id), reason=reason)
