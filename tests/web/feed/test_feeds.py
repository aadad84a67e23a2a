"""Feeds over HTTP: a signed batch is taken in message by message, each with its own verdict, durable when answered."""

import asyncio
import time
from typing import Any

import asyncpg
import msgspec

from koinon.app import BODY_BYTES_MAXIMUM
from tests.kit.scheme import assert_refused, unchanged
from tests.kit.town import CARD_NUMBER, Town, card_message
from tests.web.offers.bodies import published

TOKEN = "tok-ada"
PLAIN_CARD_NUMBER = CARD_NUMBER.replace(" ", "")


def verdicts(body: dict[str, Any]) -> list[str]:
    """Return what became of each message."""
    return [each["verdict"] for each in body["verdicts"]]


async def test_a_batch_is_taken_in(town: Town, database: asyncpg.Pool) -> None:
    """Every message has its own row and verdict; after the worker's turn the member has the points."""
    ada = await town.person()
    await town.processor.linked(ada, TOKEN)
    await published(town.grocer, activation_required=False)
    messages = [
        card_message(town.grocer, TOKEN, message_id=f"m{number}", auth_code=f"A{number}") for number in range(3)
    ]
    answer = await town.processor.feed(messages)

    assert answer.status_code == 202
    assert answer.json() == {
        "accepted": 3,
        "duplicate": 0,
        "conflict": 0,
        "refused": 0,
        "verdicts": [{"position": number, "message_id": f"m{number}", "verdict": "accepted"} for number in range(3)],
    }
    assert await database.fetchval("SELECT count(*) FROM offers.inbox WHERE state = 'new'") == 3
    await town.work()
    assert await ada.balance() == (300, 0)


async def test_a_batch_that_is_sent_again(town: Town, database: asyncpg.Pool) -> None:
    """Every message is a duplicate, whatever order and spacing it comes in, and changes nothing."""
    messages = [card_message(town.grocer, TOKEN) for _ in range(5)]
    await town.processor.feed(messages)
    async with unchanged(database):
        again = await town.processor.feed(messages)
        reordered = [dict(reversed(message.items())) for message in reversed(messages)]
        mixed = await town.processor.feed(reordered)
    assert (verdicts(again.json()), verdicts(mixed.json())) == (["duplicate"] * 5, ["duplicate"] * 5)


async def test_the_same_id_with_another_body(town: Town, database: asyncpg.Pool) -> None:
    """A conflict, in the same batch and in a later one; the first stays what it was."""
    first = card_message(town.grocer, TOKEN, message_id="m1")
    other = first | {"amount_minor": 1}
    answer = await town.processor.feed([first, other, first])
    assert verdicts(answer.json()) == ["accepted", "conflict", "duplicate"]
    async with unchanged(database):
        assert verdicts((await town.processor.feed([other])).json()) == ["conflict"]
    body = await database.fetchval("SELECT body FROM offers.inbox")
    assert msgspec.json.decode(body)["amount_minor"] == 1000


async def test_two_batches_at_once_share_messages(town: Town, database: asyncpg.Pool) -> None:
    """Eight senders of the same fifty messages, each in its own order: each message is accepted once."""
    messages = [card_message(town.grocer, TOKEN) for _ in range(50)]
    answers = await asyncio.gather(
        *(town.processor.feed(messages[turn:] + messages[:turn]) for turn in range(0, 40, 5))
    )
    assert {answer.status_code for answer in answers} == {202}
    assert sum(answer.json()["accepted"] for answer in answers) == 50
    assert sum(answer.json()["duplicate"] for answer in answers) == 350
    assert await database.fetchval("SELECT count(*) FROM offers.inbox") == 50


async def test_two_sources(town: Town, database: asyncpg.Pool) -> None:
    """A message id and a token belong to their source; a source cannot post in another's name."""
    other = await town.source("other")
    message = card_message(town.grocer, TOKEN, message_id="m1")
    assert verdicts((await town.processor.feed([message])).json()) == ["accepted"]
    assert verdicts((await other.feed([message])).json()) == ["accepted"]
    keys = await database.fetchval("SELECT count(DISTINCT card_key) FROM offers.inbox")
    assert keys == 2
    body = msgspec.json.encode({"messages": [message]})
    async with unchanged(database):
        forged = await other.send(f"/v1/feeds/{town.processor.source}/transactions", body)
        assert_refused(forged, 401, "signature-invalid")
        named = await other.feed([message | {"message_id": "m2", "source_id": town.processor.source}])
    assert named.json()["verdicts"][0]["errors"][0]["code"] == "source-mismatch"
    own = message | {"message_id": "m2", "source_id": other.source}
    assert verdicts((await other.feed([own])).json()) == ["accepted"]


async def test_a_message_from_the_future(town: Town, database: asyncpg.Pool) -> None:
    """More than a day ahead of the programme's clock it is refused and may come again in its time; the rest stands."""
    messages = [
        card_message(town.grocer, TOKEN, message_id=f"m{number}", occurred_at=at)
        for number, at in enumerate(("2026-03-03T08:59:59Z", "2026-03-03T09:00:01Z", "2199-01-01T00:00:00Z"))
    ]
    body = (await town.processor.feed(messages)).json()
    assert verdicts(body) == ["accepted", "refused", "refused"]
    assert [each["code"] for each in body["verdicts"][1]["errors"]] == ["in-the-future"]
    assert await database.fetchval("SELECT count(*) FROM offers.message") == 1
    await town.move_clock("2026-03-03T09:00:00Z")
    assert verdicts((await town.processor.feed(messages[:2])).json()) == ["duplicate", "accepted"]


async def test_a_batch_that_nobody_signed(town: Town, database: asyncpg.Pool) -> None:
    """A wrong secret, other bytes, another id, none at all, an unknown source, a stale timestamp."""
    now = int(time.time())
    path = f"/v1/feeds/{town.processor.source}/transactions"
    body = msgspec.json.encode({"messages": [card_message(town.grocer, TOKEN)]})
    send = town.processor.send
    right = (await send(path, body, webhook_id="w1")).request.headers
    signed = {name: right[name] for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}
    async with unchanged(database):
        for answer in (
            await send(path, body, secret=b"x" * 32),
            await send(path, body, headers={"webhook-signature": ""}),
            await send(path, body, headers={"webhook-signature": "v1,!!!"}),
            await send(path, body, headers={"webhook-timestamp": str(now + 100)}),
            await send(path, body + b" ", headers=signed),
            await send(path, body, headers=signed | {"webhook-id": "w2"}),
            await send(path, body, headers={"webhook-timestamp": "soon"}),
            await send("/v1/feeds/src_1/transactions", body),
            await send("/v1/feeds/src_" + "0" * 13 + "/transactions", body),
            await town.processor.client.post(path, content=body, headers={"Content-Type": "application/json"}),
        ):
            assert_refused(answer, 401, "signature-invalid")
        for seconds in (-301, 360):
            assert_refused(await send(path, body, timestamp=now + seconds), 401, "timestamp-stale")


CARD_NUMBER_PLACES: list[tuple[dict[str, Any], str]] = [
    ({"merchant": {"mid": "M1", "acquirer_id": "4", "descriptor": f"CAFE {CARD_NUMBER}"}}, "/merchant/descriptor"),
    ({"extra": {"notes": [{"a/b": PLAIN_CARD_NUMBER}]}}, "/extra/notes/0/a~1b"),
    ({"extra": {"number": int(PLAIN_CARD_NUMBER)}}, "/extra/number"),
    ({"extra": {PLAIN_CARD_NUMBER: 1}}, "/extra"),
    ({"card_token": PLAIN_CARD_NUMBER}, "/card_token"),
    ({"message_id": PLAIN_CARD_NUMBER}, "/message_id"),
    ({"payment_ref": "4111-1111-1111-1111"}, "/payment_ref"),
    ({"network_transaction_id": PLAIN_CARD_NUMBER}, "/network_transaction_id"),
    ({PLAIN_CARD_NUMBER: 1}, ""),
    ({"colour": PLAIN_CARD_NUMBER}, "/colour"),
    ({"extra": {"mid": "378282246310005"}}, "/extra/mid"),
    ({"extra": {"phone": "+378282246310005"}}, "/extra/phone"),
    ({"extra": {"merchant": {"mid": "378282246310005"}}}, "/extra/merchant/mid"),
]


async def test_a_message_with_a_card_number(town: Town, database: asyncpg.Pool) -> None:
    """It alone is refused, by its place and never by its content; the others are taken in."""
    messages = [card_message(town.grocer, TOKEN, **changes) for changes, _ in CARD_NUMBER_PLACES]
    answer = await town.processor.feed([*messages, card_message(town.grocer, TOKEN)])

    body = answer.json()
    assert (answer.status_code, verdicts(body)) == (202, ["refused"] * len(messages) + ["accepted"])
    pointers = [[error["pointer"] for error in each["errors"]] for each in body["verdicts"][:-1]]
    assert pointers == [[pointer] for _, pointer in CARD_NUMBER_PLACES]
    assert {error["code"] for each in body["verdicts"][:-1] for error in each["errors"]} == {"card-number"}
    assert "1111" not in answer.text
    assert await database.fetchval("SELECT count(*) FROM offers.message") == 1


async def test_a_card_number_in_the_envelope(town: Town, database: asyncpg.Pool) -> None:
    """Beside the messages, as a name or a value, it is refused and not echoed."""
    path = f"/v1/feeds/{town.processor.source}/transactions"
    async with unchanged(database):
        for envelope in ({"messages": [], PLAIN_CARD_NUMBER: 1}, {"messages": [], "note": CARD_NUMBER}):
            answer = await town.processor.send(path, msgspec.json.encode(envelope))
            assert_refused(answer, 422, "card-number-refused")
            assert "1111" not in answer.text
        echoed = await town.processor.send(f"/v1/feeds/{PLAIN_CARD_NUMBER}/transactions", b"{}")
        assert_refused(echoed, 422, "card-number-refused")
        assert "1111" not in echoed.text


def nest(levels: int) -> dict[str, Any]:
    """Return an object with so many others in it."""
    return {"a": nest(levels - 1)} if levels else {}


FAULTS: list[tuple[dict[str, Any], str, str]] = [
    ({"amount_minor": -1}, "/amount_minor", "amount-not-positive"),
    ({"amount_minor": 0}, "/amount_minor", "amount-not-positive"),
    ({"amount_minor": 10.5}, "/amount_minor", "not-whole"),
    ({"amount_minor": 10**15 + 1}, "/amount_minor", "amount-too-large"),
    ({"amount_minor": 10**30}, "/amount_minor", "amount-too-large"),
    ({"amount_minor": "1000"}, "/amount_minor", "wrong-type"),
    ({"amount_minor": ...}, "/amount_minor", "missing-field"),
    ({"currency": "XXX"}, "/currency", "unknown-currency"),
    ({"currency": "000"}, "/currency", "unknown-currency"),
    ({"currency": ...}, "/currency", "missing-field"),
    ({"type": "gift"}, "/type", "unknown-value"),
    ({"occurred_at": "2026-03-02T11:00:00"}, "/occurred_at", "no-offset"),
    ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "/occurred_at", "time-out-of-range"),
    ({"occurred_at": "soon"}, "/occurred_at", "bad-format"),
    ({"card_token": ""}, "/card_token", "too-short"),
    ({"card_token": "a\u0000b"}, "/card_token", "unprintable"),
    ({"message_id": ""}, "/message_id", "too-short"),
    ({"colour": "red"}, "/colour", "unknown-field"),
    ({"merchant": ...}, "/merchant", "no-merchant"),
    ({"extra": {"n": "x" * 9000}}, "/extra", "extra-too-large"),
    ({"extra": nest(31)}, "/extra", "nested-too-deeply"),
    ({"extra": nest(500)}, "/extra", "nested-too-deeply"),
    ({"merchant": nest(500)}, "/merchant/a", "unknown-field"),
    ({"colour": nest(500)}, "/colour", "unknown-field"),
]


async def test_a_wrong_message_is_refused_alone(town: Town, database: asyncpg.Pool) -> None:
    """Each names its field and a stable code; none leaves a trace, and the right one stands."""
    messages: list[Any] = [card_message(town.grocer, TOKEN, **changes) for changes, _, _ in FAULTS]
    answer = await town.processor.feed([*messages, 5, None, [], card_message(town.grocer, TOKEN)])
    body = answer.json()
    assert answer.status_code == 202, answer.text
    found = [
        [(error["pointer"], error["code"]) for error in each["errors"]] for each in body["verdicts"][: len(FAULTS)]
    ]
    assert found == [[(pointer, code)] for _, pointer, code in FAULTS]
    assert (body["refused"], body["accepted"]) == (len(FAULTS) + 3, 1)
    assert await database.fetchval("SELECT count(*) FROM offers.message") == 1


BEYOND: list[tuple[str, str, str]] = [
    ("amount_minor", "1e400", "/amount_minor"),
    ("amount_minor", "-1e400", "/amount_minor"),
    ("amount_minor", "9" * 5000, "/amount_minor"),
    ("amount_minor", "4e99999999999999999999", "/amount_minor"),
    ("components", '{"tip_minor": 1e400}', "/components/tip_minor"),
    ("extra", '{"a/b": [0, {"c": 1e400, "d": "1e400"}]}', "/extra/a~1b/1/c"),
    ("extra", '{"a": 1e400, "a": 1}', ""),
]


async def test_a_number_beyond_all_bounds(town: Town, database: asyncpg.Pool) -> None:
    """It is refused with its message, by its place and the message's id; the others are taken."""
    path = f"/v1/feeds/{town.processor.source}/transactions"
    right = msgspec.json.encode(card_message(town.grocer, TOKEN)).decode()
    wrong = [
        msgspec.json.encode(card_message(town.grocer, TOKEN, message_id=f"m{place}", **{name: "PLACE"}))
        .decode()
        .replace('"PLACE"', text)
        for place, (name, text, _) in enumerate(BEYOND)
    ]
    answer = await town.processor.send(path, f'{{"messages": [{",".join([*wrong, right])}]}}'.encode())
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1)
    assert [
        (each["message_id"], [(error["pointer"], error["code"]) for error in each["errors"]])
        for each in answer.json()["verdicts"][:-1]
    ] == [(f"m{place}", [(pointer, "out-of-range")]) for place, (_, _, pointer) in enumerate(BEYOND)]
    assert await database.fetchval("SELECT count(*) FROM offers.message") == 1


async def test_a_card_number_with_an_exponent(town: Town, database: asyncpg.Pool) -> None:
    """Whatever the exponent, its message alone is refused, and other routes refuse it as what it is."""
    path = f"/v1/feeds/{town.processor.source}/transactions"
    right = msgspec.json.encode(card_message(town.grocer, TOKEN)).decode()
    texts = [f"{PLAIN_CARD_NUMBER}e{exponent}" for exponent in ("0", "9" * 7, "9" * 20, "-" + "9" * 20)]
    wrong = [right.replace("1000", text) for text in texts]
    answer = await town.processor.send(path, f'{{"messages": [{",".join([*wrong, right])}]}}'.encode())
    assert (answer.status_code, verdicts(answer.json())) == (202, ["refused"] * len(texts) + ["accepted"])
    assert {error["pointer"] for each in answer.json()["verdicts"][:-1] for error in each["errors"]} == {
        "/amount_minor"
    }
    assert PLAIN_CARD_NUMBER not in answer.text


async def test_a_message_that_is_nested_without_end(town: Town, database: asyncpg.Pool) -> None:
    """It has its own verdict and its id, however deep it is; the others are taken."""
    path = f"/v1/feeds/{town.processor.source}/transactions"
    right = msgspec.json.encode(card_message(town.grocer, TOKEN)).decode()
    deep = [
        msgspec.json.encode(card_message(town.grocer, TOKEN, message_id=f"m{levels}", extra="DEEP"))
        .decode()
        .replace('"DEEP"', '{"a":' * levels + "1" + "}" * levels)
        for levels in (31, 32, 1_000, 100_000)
    ]
    array = "[" * 100_000 + "]" * 100_000
    answer = await town.processor.send(path, f'{{"messages": [{",".join([*deep, array, right])}]}}'.encode())
    body = answer.json()
    assert (answer.status_code, verdicts(body)) == (202, ["accepted", *["refused"] * 4, "accepted"])
    assert [each["message_id"] for each in body["verdicts"][:5]] == ["m31", "m32", "m1000", "m100000", None]
    assert [[(error["pointer"], error["code"]) for error in each["errors"]] for each in body["verdicts"][1:5]] == [
        *[[("/extra", "nested-too-deeply")]] * 3,
        [("", "not-an-object")],
    ]
    assert await database.fetchval("SELECT count(*) FROM offers.message") == 2


async def test_a_batch_that_cannot_be_read(town: Town, database: asyncpg.Pool) -> None:
    """Empty, too many, no JSON, not UTF-8, nested without end, too large: refused whole, nothing changed."""
    path = f"/v1/feeds/{town.processor.source}/transactions"
    message = card_message(town.grocer, TOKEN)
    right = msgspec.json.encode(message)
    async with unchanged(database):
        for batch in ([], [message] * 501):
            answer = await town.processor.feed(batch)
            assert_refused(answer, 400, "invalid-input")
            assert answer.json()["errors"][0]["pointer"] == "/messages"
        for body in (
            b"",
            b"{",
            b"null",
            b"[]",
            b'{"messages": {}}',
            b'{"messages": [' + right,
            b'{"messages": [' + right + b"], \xff}",
            b'{"messages": [' + right + b'], "note": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        ):
            assert_refused(await town.processor.send(path, body), 400, "invalid-input")
        large = await town.processor.send(path, b" " * (BODY_BYTES_MAXIMUM + 1))
        assert_refused(large, 413, "body-too-large", bytes_maximum=4 * 1024 * 1024)


async def test_a_message_that_nobody_can_read(town: Town, database: asyncpg.Pool) -> None:
    """Bytes that are no text are refused for themselves; the others are taken."""
    path = f"/v1/feeds/{town.processor.source}/transactions"
    right = msgspec.json.encode(card_message(town.grocer, TOKEN))
    answer = await town.processor.send(path, b'{"messages": ["\xff", ' + right + b"]}")
    assert (answer.status_code, verdicts(answer.json())) == (202, ["refused", "accepted"])


async def test_five_hundred_messages(town: Town, database: asyncpg.Pool) -> None:
    """A full batch is taken in one transaction."""
    answer = await town.processor.feed([card_message(town.grocer, f"tok-{number}") for number in range(500)])
    assert (answer.status_code, answer.json()["accepted"]) == (202, 500)


async def test_nothing_of_a_stranger_is_kept(town: Town, database: asyncpg.Pool) -> None:
    """A message of a card that nobody linked keeps its id, so that a replay is known, and loses its body."""
    await town.processor.feed([card_message(town.grocer, "tok-stranger", message_id="m1")])
    await town.work()
    row = await database.fetchrow("SELECT state, body FROM offers.inbox")
    assert tuple(row) == ("unlinked", None)
    assert await database.fetchval("SELECT count(*) FROM offers.payment") == 0
    again = await town.processor.feed([card_message(town.grocer, "tok-stranger", message_id="m1")])
    assert verdicts(again.json()) == ["duplicate"]
