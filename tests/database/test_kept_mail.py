"""How long it is known that mail left: by the day on which it did, slice by slice; what waits is not touched."""

from datetime import timedelta

import asyncpg
import pytest

from koinon.clock import machine_now
from koinon.database import transaction
from koinon.delivery import jobs
from koinon.delivery.jobs import forget_mail
from koinon.delivery.operations import claim_mail, queue_mail, settle_given_up, settle_sent
from tests.kit.league import RUNTIME

SECRET = bytes(range(32))


async def queued() -> int:
    """Queue a mail."""
    async with transaction() as connection:
        return await queue_mail(connection, SECRET, recipient="anna@example.org", subject="Hello", body="Hello Anna")


async def left(database: asyncpg.Pool) -> set[int]:
    """Return the ids of the mail that is there."""
    return {row["mail_id"] for row in await database.fetch("SELECT mail_id FROM delivery.mail")}


async def test_mail_is_forgotten_after_thirty_days(database: asyncpg.Pool) -> None:
    """What left and what was given up goes thirty days after that, whenever it was queued; what waits stays."""
    now = machine_now()
    sent = await queued()
    ((mail,), _) = await claim_mail(SECRET, machine_now(), 10)
    await settle_sent(mail, now)
    given_up, waiting = await queued(), await queued()
    await settle_given_up(given_up, "it was not sent in time", now + timedelta(days=2))

    for days, there in (
        (29, {sent, given_up, waiting}), (30, {sent, given_up, waiting}), (31, {given_up, waiting}), (33, {waiting}),
        (900, {waiting}),
    ):  # fmt: skip
        assert not await forget_mail(RUNTIME, now + timedelta(days=days))
        assert await left(database) == there, days


async def test_mail_is_forgotten_slice_by_slice(database: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """No slice is larger than it may be, the longest gone first."""
    monkeypatch.setattr(jobs, "FORGETTING_SLICE", 2)
    now = machine_now()
    mails = [await queued() for _ in range(5)]
    for age, mail_id in enumerate(mails):
        await settle_given_up(mail_id, "no", now - timedelta(days=31 + age))

    seen = []
    while await forget_mail(RUNTIME, now):
        seen.append(await left(database))

    assert seen == [set(mails[:3]), {mails[0]}]
    assert await left(database) == set()
