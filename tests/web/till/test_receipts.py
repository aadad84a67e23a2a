"""Receipts name journals as the log's contents do, by names that lead to no account and no moment."""

import re

import asyncpg
import httpx
import msgspec
from litestar import Litestar

from koinon import ids
from koinon.audit.sequencer import sequence
from tests.kit.town import Town

NAME = re.compile(r"jnl_[0-9a-hjkmnp-tv-z]{26}")


def named(*answers: httpx.Response) -> set[tuple[str, str, str, str]]:
    """Return brand, effect, points and journal of the receipts of answers."""
    receipts = [
        receipt
        for body in (answer.json() for answer in answers)
        for receipt in (body["receipts"] if "receipts" in body else [body["receipt"]])
    ]
    return {(each["partner"], each["effect"], each["points"], each["journal"]) for each in receipts}


async def test_receipts_and_contents_name_journals_alike(town: Town, database: asyncpg.Pool, app: Litestar) -> None:
    """Of every kind of call, and of its retry; an issuer's contents alone do not tell whose points they were."""
    ada = await town.person()
    proof = {"pay_code": await ada.pay_code()}
    calls = [await town.grocer.earn(ada, points=100, key="earn")]
    reserved = await town.cafe.reserve(points=30, proof=proof, key="reserve")
    redemption = reserved.json()["redemption"]
    calls += [reserved, await town.cafe.capture(redemption, key="capture")]
    other = await town.cafe.reserved(ada, 5)
    calls += [await town.cafe.release(other, key="release")]
    calls += [await town.cafe.reverse(redemption=redemption, key="back")]
    calls += [await town.grocer.reverse(earning=calls[0].json()["earning"], key="return")]
    assert {call.status_code for call in calls} == {201}
    again = [
        await town.grocer.earn(ada, points=100, key="earn"),
        await town.cafe.reserve(points=30, proof=proof, key="reserve"),
        await town.cafe.capture(redemption, key="capture"),
        await town.cafe.release(other, key="release"),
        await town.cafe.reverse(redemption=redemption, key="back"),
        await town.grocer.reverse(earning=calls[0].json()["earning"], key="return"),
    ]
    assert [answer.json() for answer in again] == [answer.json() for answer in calls]

    while await sequence(app.state.runtime):
        pass

    rows = await database.fetch("SELECT content FROM audit.opening")
    contents = [msgspec.json.decode(row["content"]) for row in rows]
    receipts = named(*calls)
    assert len(receipts) == 6
    assert receipts < {(each["partner"], each["effect"], each["points"], each["journal"]) for each in contents}
    account = ids.public("jnl", ada.account_id).removeprefix("jnl_")[:10]
    for journal in {each["journal"] for each in contents}:
        assert NAME.fullmatch(journal)
        assert account not in journal
