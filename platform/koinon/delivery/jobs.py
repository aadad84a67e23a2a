"""What the worker does for delivery: send the mail that is due."""

import secrets
from datetime import datetime

import structlog

from koinon.clock import machine_now
from koinon.delivery.model import Mail, pause
from koinon.delivery.operations import claim_mail, settle_failed, settle_given_up, settle_sent
from koinon.delivery.senders import NotSent, Sender, sender
from koinon.ids import public
from koinon.runtime import Runtime

# With the senders' time-outs a slice ends within its lease, so that no other worker sends the same mail beside it.
SLICE = 10

log = structlog.get_logger(__name__)


async def send_due_mail(runtime: Runtime) -> bool:
    """Send a bounded slice of the mail that is due; tell whether there was any.

    Mail is noted as sent after it left: a worker that dies between the two sends it again, with the same Message-ID,
    and none is ever lost.
    """
    mails = await claim_mail(machine_now(), SLICE)
    living = [mail for mail in mails if not await _given_up(mail, machine_now())]
    if not living:
        return bool(mails)
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
        await settle_given_up(mail, "a header cannot hold its text", machine_now())
        log.warning("mail given up", mail=public("mail", mail.mail_id), reason="unwritable")
        return
    try:
        await way_out.send(message)
    except NotSent as error:
        if error.final:
            await settle_given_up(mail, str(error), machine_now())
            log.warning("mail given up", mail=public("mail", mail.mail_id), reason=str(error))
        else:
            await _postpone(mail, error)
        return
    await settle_sent(mail, machine_now())


async def _postpone(mail: Mail, error: NotSent) -> None:
    again_at = machine_now() + pause(mail.attempts, 500 + secrets.randbelow(1001))
    await settle_failed(mail, str(error), again_at)
    log.warning("mail not sent", mail=public("mail", mail.mail_id), attempts=mail.attempts, reason=str(error))


async def _given_up(mail: Mail, now: datetime) -> bool:
    if now < mail.tried_until:
        return False
    await settle_given_up(mail, "it was not sent in time", now)
    log.warning("mail given up", mail=public("mail", mail.mail_id), attempts=mail.attempts, reason="time")
    return True
