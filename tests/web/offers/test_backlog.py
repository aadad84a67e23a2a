"""The operator sees what the worker set aside, why and what to do, and has it tried again when its cause is mended."""

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from koinon.clock import machine_now
from offers.purchases.intake import take_in
from offers.queues import PAUSES
from offers.rewarding import operations as rewarding
from offers.rewarding.evidence import Contracts, Evidence
from offers.rewarding.operations import reward_waiting
from offers.rewarding.plans import Plan
from tests.kit.league import RUNTIME
from tests.kit.scheme import assert_refused, unchanged
from tests.kit.town import Town, card_message
from tests.web.offers.bodies import published


async def exhausted() -> None:
    """Let the worker try everything until it is done or set aside."""
    now = machine_now()
    for pause in (timedelta(0), *PAUSES):
        now += pause
        while await take_in(RUNTIME, now) or await reward_waiting(RUNTIME, now):
            pass


async def test_a_message_that_was_set_aside_is_shown_and_tried_again(town: Town, database: asyncpg.Pool) -> None:
    """Its body is torn: the backlog says so without a word of it; restored and tried again, it is rewarded."""
    ada = await town.person()
    await published(town.grocer, activation_required=False)
    await town.processor.linked(ada, "tok-ada")
    await town.processor.feed([card_message(town.grocer, "tok-ada", "clearing")])
    body = await database.fetchval("SELECT body FROM offers.inbox")
    received_at = await database.fetchval("SELECT received_at FROM offers.inbox")
    await database.execute("UPDATE offers.inbox SET body = left(body, 40)")
    await exhausted()
    path = f"/v1/programmes/{town.scheme.programme}/backlog"
    shown = (await town.scheme.operator.get(path)).json()

    (alert,) = shown.pop("set_aside")
    assert shown["inbox"] == 0
    where = alert.pop("where")
    assert where.startswith("msgspec.DecodeError at offers/purchases/intake.py:")
    assert datetime.fromisoformat(alert.pop("oldest")) == received_at.astimezone(UTC)
    assert alert == {
        "code": "card-message-unreadable",
        "count": 1,
        "remedy": "What was stored is damaged or of another version: restore it, or run the version that wrote it."
        " Then post to this programme's /backlog/retries.",
    }

    await database.execute("UPDATE offers.inbox SET body = $1", body)
    answered = await town.scheme.operator.post(f"{path}/retries")
    assert (answered.status_code, answered.json()) == (201, {"card_messages": 1, "purchases": 0})
    await town.work()
    assert await ada.balance() == (100, 0)
    assert (await town.scheme.operator.get(path)).json()["set_aside"] == []
    again = await town.scheme.operator.post(f"{path}/retries")
    assert again.json() == {"card_messages": 0, "purchases": 0}


async def test_purchases_that_were_set_aside_are_one_alert(
    town: Town, database: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault that many meet at one place is one alert with their number; another programme's retry changes none."""
    ada = await town.person()
    await published(town.grocer, activation_required=False)
    await town.processor.linked(ada, "tok-ada")
    await town.processor.feed([card_message(town.grocer, "tok-ada", payment_ref=f"p{number}") for number in range(3)])

    def plan(_: Evidence, __: Contracts) -> Plan:
        raise ZeroDivisionError

    with monkeypatch.context() as broken:
        broken.setattr(rewarding, "plan_for", plan)
        await exhausted()
    elsewhere = await town.another_programme(code="elsewhere")
    path = f"/v1/programmes/{town.scheme.programme}/backlog"
    async with unchanged(database):
        other = f"/v1/programmes/{elsewhere.scheme.programme}/backlog"
        assert (await town.scheme.operator.get(other)).json()["set_aside"] == []
        assert_refused(
            await town.scheme.operator.post("/v1/programmes/pro_x/backlog/retries"), 404, "unknown-programme"
        )
    (await town.scheme.operator.post(f"{other}/retries")).raise_for_status()
    (alert,) = (await town.scheme.operator.get(path)).json()["set_aside"]
    assert (alert["code"], alert["count"]) == ("purchase-unforeseen", 3)
    assert alert["where"].startswith("builtins.ZeroDivisionError at ")

    answered = await town.scheme.operator.post(f"{path}/retries")
    assert answered.json() == {"card_messages": 0, "purchases": 3}
    await town.work()
    assert await ada.balance() == (300, 0)
