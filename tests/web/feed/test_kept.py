"""What a processor says is kept: every field of a card message, from the signed bytes to what a payment is made of."""

from typing import Any

import asyncpg
import msgspec
import pytest

from koinon import ids
from offers.feeds.messages import CardMessage
from tests.kit.town import Town
from tests.unit.offers.test_reading import EVERYTHING

FIELDS = [field.encode_name for field in msgspec.structs.fields(CardMessage)]
NESTED = ("components", "merchant", "payment_facilitator", "extra")


async def stored(database: asyncpg.Pool) -> dict[str, Any]:
    """Return the only message that a payment was folded of, as it is stored."""
    (row,) = await database.fetch("SELECT * FROM offers.payment_message")
    body: dict[str, Any] = msgspec.json.decode(row["body"])
    assert row["message_id"] == body["message_id"]
    assert str(row["source_id"]) == body["source_id"]
    return body


@pytest.mark.parametrize("named", [True, False])
async def test_every_field_is_kept(town: Town, database: asyncpg.Pool, named: bool) -> None:  # noqa: FBT001  # a parameter of the test
    """The fullest message, with its source's name or without, is accepted, folded, and stored field by field."""
    ada = await town.person()
    await town.processor.linked(ada, EVERYTHING["card_token"], par=EVERYTHING["par"])
    sent = EVERYTHING | {"source_id": town.processor.source}
    if not named:
        del sent["source_id"]
    assert set(EVERYTHING) == set(FIELDS)

    answer = await town.processor.feed([sent])
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1), answer.text
    await town.work()

    kept = await stored(database)
    assert list(kept) == FIELDS
    canonical = {
        "source_id": str(ids.private("src", town.processor.source)),
        "occurred_at": "2026-03-02T12:00:00.250000+02:00",
    }
    for name in FIELDS:
        assert kept[name] == canonical.get(name, EVERYTHING[name]), name
    for name in NESTED:
        assert kept[name].keys() == EVERYTHING[name].keys(), name


async def test_what_is_not_said_is_not_made_up(town: Town, database: asyncpg.Pool) -> None:
    """Of a message with nothing but what it needs, nothing more is stored than that and its source."""
    ada = await town.person()
    await town.processor.linked(ada, "tok_a")
    least = {
        "message_id": "m-1", "type": "clearing", "occurred_at": "2026-03-02T10:00:00Z", "network": "other",
        "amount_minor": 1, "currency": "978", "merchant": {"descriptor": "GROCER"}, "card_token": "tok_a",
    }  # fmt: skip
    assert (await town.processor.feed([least])).json()["accepted"] == 1
    await town.work()

    source = str(ids.private("src", town.processor.source))
    assert await stored(database) == least | {"source_id": source, "currency": "EUR"}
