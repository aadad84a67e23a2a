"""Logs: after a day's flow, failures among it, they hold no card number, no secret and nothing about a person."""

from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
import structlog
from litestar import Litestar

from koinon.database import transaction
from koinon.delivery.jobs import send_due_mail
from koinon.members import operations
from tests.kit.town import CARD_NUMBER, PAR, Person, Town, card_message, found_town
from tests.web.conftest import Callers, newest_code
from tests.web.offers.bodies import published

EMAIL = "augusta.byron@example.org"
NAME = "Augusta Byron"
PHONE = "+358401234567"
TOKEN = "tok-4f1d0c6e-augusta"


async def break_at_the_database(*_: Any, **__: Any) -> None:
    """Fail as a statement does that meets a row with the same key: the server's words repeat the key."""
    async with transaction() as connection:
        await connection.execute(
            "INSERT INTO members.contact (contact_hash, programme_id, kind, member_id, sealed_value) "
            "SELECT contact_hash, programme_id, kind, member_id, sealed_value FROM members.contact"
        )


async def till_and_card(town: Town) -> list[str]:
    """Let a member be enrolled, earn, pay and be refused; return what no log may hold."""
    member, browser, _ = await town.scheme.member_of(town.grocer.api, email=EMAIL, name=NAME, phone=PHONE)
    person = Person(member=member, account_id=0, browser=browser)
    await published(town.grocer, activation_required=False)
    await town.processor.linked(person, TOKEN, par=PAR, last4="4242")
    tender = {"source": town.processor.source, "token": TOKEN, "auth_code": "A1B2C3"}
    earning = (await town.grocer.earn(person, points=500, tender=tender)).json()["earning"]
    code = await person.pay_code()
    redemption = (await town.cafe.reserve(points=5, proof={"pay_code": code})).json()["redemption"]
    await town.cafe.capture(redemption)
    await town.cafe.reserve(points=5, proof={"pay_code": code})
    await town.cafe.reserve(points=5, proof={"card": {"source": town.processor.source, "token": TOKEN}})
    await town.grocer.reverse(earning=earning)
    await town.grocer.earn(person, points=5, receipt=CARD_NUMBER)
    await town.processor.feed([card_message(town.grocer, TOKEN), card_message(town.grocer, CARD_NUMBER)])
    await town.processor.feed([], secret=b"x" * 32)
    await town.work()
    await browser.client.get(f"/v1/places/{CARD_NUMBER.replace(' ', '')}")
    secrets = [value.split("=")[-1] for value in browser.headers.values()]
    secrets += [town.grocer.api.headers["Authorization"].split()[1], town.processor.secret.hex()]
    return [code, TOKEN, PAR, *(each for each in secrets if len(each) > 15)]


async def test_logs_hold_nothing_about_anybody(
    callers: Callers, app: Litestar, database: asyncpg.Pool, logged: Callable[[], str]
) -> None:
    """Not in what is logged about a member's whole day, and not when the database fails with their address in hand."""
    town = await found_town(callers, app.state.runtime.keys.secret)
    secret = await till_and_card(town)
    asked = {"email": EMAIL, "programme": town.scheme.programme, "role": "member"}
    await town.processor.client.post("/v1/sign-in/codes", json=asked)
    code = await newest_code(town.secret)
    await send_due_mail(app.state.runtime)
    await town.processor.client.post("/v1/sign-in/sessions", json=asked | {"code": "000000"})
    await town.processor.client.post("/v1/sign-in/sessions", json=asked | {"code": code})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(operations, "enrol", break_at_the_database)
        failed = await town.grocer.api.post("/v1/members", {"email": EMAIL, "name": NAME})
    assert failed.status_code == 500
    assert EMAIL not in failed.text

    text = logged()
    assert "unexpected error" in text
    assert "contact_pkey" in text
    for each in (EMAIL, "augusta", NAME, "Byron", PHONE, CARD_NUMBER, CARD_NUMBER.replace(" ", ""), code, *secret):
        where = text.lower().find(each.lower())
        assert where < 0, f"{each!r} stands in: {text[max(0, where - 200) : where + 200]}"


def test_what_is_kept_of_a_failure(logged: Callable[[], str]) -> None:
    """Where it happened, what led to it, and every exception of a group; of the database's words, names alone."""
    error = asyncpg.UniqueViolationError(f"{EMAIL} is there already")
    try:
        try:
            raise error
        except asyncpg.UniqueViolationError as cause:
            raise ExceptionGroup("two jobs", [ValueError("the first"), RuntimeError("the second")]) from cause
    except ExceptionGroup:
        structlog.get_logger().exception("it failed")

    text = logged()
    kept = ("test_what_is_kept_of_a_failure", "UniqueViolationError: 23505", "which led to", "two jobs", "the second")
    for each in kept:
        assert each in text
    assert EMAIL not in text
