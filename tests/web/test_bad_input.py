"""Bad input: each kind of it is refused with its own code, and nothing changes in any table."""

import asyncio
import time
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
from litestar import Litestar

from tests.kit.nights import close_window_early, of_window, work_the_night
from tests.kit.scheme import assert_field, assert_refused, contract_body, programme_body, unchanged
from tests.kit.town import CARD_NUMBER, NOW, PAR, Town, card_message, found_town
from tests.web.conftest import Callers
from tests.web.offers.bodies import offer_body

NOBODY = "par_" + "0" * 13
TOKEN = "tok-ada"


@pytest.fixture
async def town(callers: Callers, app: Litestar) -> Town:
    """Give a programme with a grocer, a café and a processor."""
    return await found_town(callers, app.state.runtime.keys.secret)


async def test_an_unknown_partner(town: Town, database: asyncpg.Pool) -> None:
    """Nobody signs a contract, gets a key or a place for a brand that there is not."""
    operator = town.scheme.operator
    key = {"name": "till", "public_jwk": {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43}}
    place = {"partner": NOBODY, "name": "Nowhere", "time_zone": "UTC"}
    async with unchanged(database):
        for answer in (
            await operator.post(f"/v1/partners/{NOBODY}/contracts", contract_body()),
            await operator.post("/v1/partners/grocer/contracts", contract_body()),
            await operator.post(f"/v1/partners/{NOBODY}/keys", key),
            await operator.post("/v1/places", place),
        ):
            assert_refused(answer, 404, "unknown-partner")


async def test_a_wrong_signature(town: Town, database: asyncpg.Pool) -> None:
    """Of a feed and of a card link, by another key and over other bytes."""
    ada = await town.person()
    send = town.processor.send
    asked = {
        f"/v1/feeds/{town.processor.source}/transactions": {"messages": [card_message(town.grocer, TOKEN)]},
        "/v1/cards": {"member": ada.member, "token": TOKEN},
    }
    async with unchanged(database):
        for path, body in asked.items():
            raw = msgspec.json.encode(body)
            assert_refused(await send(path, raw, secret=b"x" * 32), 401, "signature-invalid")
            signature = {"webhook-signature": "v1," + "A" * 43 + "="}
            assert_refused(await send(path, raw, headers=signature), 401, "signature-invalid")


async def test_a_stale_timestamp(town: Town, database: asyncpg.Pool) -> None:
    """Signed more than five minutes ago, or ahead."""
    ada = await town.person()
    now = int(time.time())
    feed = msgspec.json.encode({"messages": [card_message(town.grocer, TOKEN)]})
    link = msgspec.json.encode({"member": ada.member, "token": TOKEN})
    async with unchanged(database):
        for timestamp in (0, now - 301, now + 360):
            for path, body in ((f"/v1/feeds/{town.processor.source}/transactions", feed), ("/v1/cards", link)):
                answer = await town.processor.send(path, body, timestamp=timestamp)
                assert_refused(answer, 401, "timestamp-stale")


async def test_a_replayed_message_with_another_body(town: Town, database: asyncpg.Pool) -> None:
    """It is told as a conflict, and the first stays what it was."""
    message = card_message(town.grocer, TOKEN)
    assert (await town.processor.feed([message])).json()["accepted"] == 1
    async with unchanged(database):
        answer = await town.processor.feed([message | {"amount_minor": 5}])
    assert (answer.status_code, answer.json()["conflict"]) == (202, 1)
    assert answer.json()["verdicts"] == [{"position": 0, "message_id": message["message_id"], "verdict": "conflict"}]


async def test_a_retry_with_the_same_key_for_another_member(town: Town, database: asyncpg.Pool) -> None:
    """Of an earning, a redemption and a reversal."""
    ada, bob = await town.person(), await town.person("bob")
    earning = (await town.grocer.earn(ada, points=50, key="earn")).json()["earning"]
    other = await town.grocer.earned(bob, 50)
    codes = [await person.pay_code() for person in (ada, bob)]
    assert (await town.cafe.reserve(points=5, proof={"pay_code": codes[0]}, key="redeem")).status_code == 201
    third = await town.grocer.earned(ada, 10)
    assert (await town.grocer.reverse(earning=third, key="reverse")).status_code == 201
    async with unchanged(database):
        for answer in (
            await town.grocer.earn(bob, points=50, key="earn"),
            await town.cafe.reserve(points=5, proof={"pay_code": codes[1]}, key="redeem"),
            await town.grocer.reverse(earning=other, key="reverse"),
            # A key is its caller's for every kind of write.
            await town.grocer.reverse(earning=earning, key="earn"),
        ):
            assert_refused(answer, 409, "idempotency-key-reused")


async def test_a_write_without_a_key(town: Town, database: asyncpg.Pool) -> None:
    """Missing, empty or too long."""
    ada = await town.person()
    headers = town.grocer.api.headers
    async with unchanged(database):
        for key in ({}, {"Idempotency-Key": ""}, {"Idempotency-Key": "k" * 256}):
            answer = await town.grocer.api.client.post(
                "/v1/earnings", json=town.grocer.earning(ada, points=1), headers=headers | key
            )
            assert_refused(answer, 400, "idempotency-key-missing")


async def test_a_card_number_in_any_body(town: Town, database: asyncpg.Pool) -> None:
    """Whoever sends it, in whatever field, as text or as a number: refused by its place, and not echoed."""
    ada = await town.person()
    grocer, operator = town.grocer.api, town.scheme.operator
    scheme = town.scheme
    bodies: list[tuple[Any, str, Any, str]] = [
        (grocer, "/v1/earnings", town.grocer.earning(ada, receipt=CARD_NUMBER), "/receipt"),
        (grocer, "/v1/earnings", town.grocer.earning(ada, amount_minor=4111111111111111), "/amount_minor"),
        (grocer, "/v1/redemptions", {"points": 1, "proof": {"staff": {"name": CARD_NUMBER}}}, "/proof/staff/name"),
        (grocer, "/v1/reversals", {"earning": "ern_1", "reason": f"card {CARD_NUMBER}"}, "/reason"),
        (grocer, "/v1/members", {"email": "x@example.org", "name": CARD_NUMBER}, "/name"),
        (grocer, "/v1/offers", offer_body(name=CARD_NUMBER), "/name"),
        (ada.browser, "/v1/me/activations", {"offer": CARD_NUMBER}, "/offer"),
        (operator, "/v1/programmes", programme_body(code="xx", name=CARD_NUMBER), "/name"),
        (operator, "/v1/sources", {"programme": scheme.programme, "name": CARD_NUMBER}, "/name"),
    ]
    async with unchanged(database):
        for api, path, body, pointer in bodies:
            answer = await api.post(path, body)
            assert_refused(answer, 422, "card-number-refused")
            assert [error["pointer"] for error in answer.json()["errors"]] == [pointer], path
            assert "1111" not in answer.text


async def test_a_card_number_in_any_query_path_or_key(town: Town, database: asyncpg.Pool) -> None:
    """In an address, however it is written, and in both headers that are kept."""
    number = CARD_NUMBER.replace(" ", "")
    ada = await town.person()
    operator, client = town.scheme.operator, town.processor.client
    body = msgspec.json.encode({"member": ada.member, "token": TOKEN})
    async with unchanged(database):
        for answer in (
            await operator.get("/v1/partners", cursor=number),
            await operator.get("/v1/programmes", cursor=CARD_NUMBER),
            await operator.get(f"/v1/places/{number}"),
            await client.get("/health?card=4111-1111-1111-1111"),
            await client.get(f"/me?next={number}"),
            await town.grocer.earn(ada, points=1, key=number),
            await town.grocer.capture(f"red_{number}"),
            await town.processor.send("/v1/cards", body, webhook_id=number),
            await town.processor.feed([card_message(town.grocer, TOKEN)], webhook_id=number),
        ):
            assert_refused(answer, 422, "card-number-refused")
            assert "1111" not in answer.text
            assert "1111" not in str(answer.headers)


AMOUNTS: list[tuple[Any, str]] = [
    (-1, "amount-not-positive"),
    (0, "amount-not-positive"),
    (10.5, "not-whole"),
    (10.0, "not-whole"),
    (1e30, "not-whole"),
    (10**15 + 1, "amount-too-large"),
    (10**30, "amount-too-large"),
    ("1000", "wrong-type"),
    (True, "wrong-type"),
    (None, "wrong-type"),
    ([], "wrong-type"),
    (..., "missing-field"),
]
"""Amounts, and the code of each in a card message; to a till a field that is wrong is an `invalid-field`."""


async def test_an_amount_that_is_none(town: Town, database: asyncpg.Pool) -> None:
    """Negative, nothing, fractional, huge, as text, or missing: in an earning, a redemption and a card message."""
    ada = await town.person()
    await town.grocer.earned(ada, 100)
    proof = {"pay_code": await ada.pay_code()}
    async with unchanged(database):
        for amount, code in AMOUNTS:
            answer = await town.grocer.earn(ada, amount_minor=amount, points=1)
            assert_invalid(answer, "" if amount is ... else "/amount_minor")
            asked = {} if amount in (..., None) else {"amount_minor": amount}
            answer = await town.cafe.reserve(currency="EUR", proof=proof, **asked)
            assert_invalid(answer, "/amount_minor" if asked else "/points")
            refused = (await town.processor.feed([card_message(town.grocer, TOKEN, amount_minor=amount)])).json()
            assert refused["refused"] == 1, amount
            errors = refused["verdicts"][0]["errors"]
            assert [(error["pointer"], error["code"]) for error in errors] == [("/amount_minor", code)], amount


def assert_invalid(answer: httpx.Response, pointer: str) -> None:
    """Assert that a request was refused for one field alone."""
    assert_refused(answer, 400, "invalid-input")
    errors = [(error["pointer"], error["code"]) for error in answer.json()["errors"]]
    assert errors == [(pointer, "invalid-field")], answer.text


async def test_an_unknown_currency(town: Town, database: asyncpg.Pool) -> None:
    """In an earning, a redemption, an offer, a contract, a programme and a card message."""
    ada = await town.person()
    await town.grocer.earned(ada, 100)
    proof = {"pay_code": await ada.pay_code()}
    operator = town.scheme.operator
    async with unchanged(database):
        earning = await town.grocer.earn(ada, currency="ABC", points=1)
        assert_field(earning, "/currency")
        assert earning.json()["errors"][0]["code"] == "unknown-currency"
        redemption = await town.cafe.reserve(amount_minor=5, currency="ABC", proof=proof)
        assert_refused(redemption, 422, "currency-mismatch", currency="ABC")
        offer = await town.grocer.api.post("/v1/offers", offer_body(currency="ABC"))
        assert_refused(offer, 422, "offer-invalid")
        assert [error["code"] for error in offer.json()["errors"]] == ["unknown-currency"]
        contract = contract_body(currency="ABC", effective_from="2026-03-03T00:00:00Z")
        answer = await operator.post(f"/v1/partners/{town.grocer.partner}/contracts", contract)
        assert_refused(answer, 400, "unknown-currency")
        programme = await operator.post("/v1/programmes", programme_body(code="xx", settlement_currency="ABC"))
        assert_refused(programme, 400, "unknown-currency")
        message = (await town.processor.feed([card_message(town.grocer, TOKEN, currency="ABC")])).json()
        assert message["verdicts"][0]["errors"][0]["code"] == "unknown-currency"


async def test_an_offer_that_ends_before_it_starts(town: Town, database: asyncpg.Pool) -> None:
    """Or at the very moment."""
    async with unchanged(database):
        for ends_at in ("2026-03-01T00:00:00", "2026-02-01T00:00:00"):
            answer = await town.grocer.api.post(
                "/v1/offers", offer_body(starts_at="2026-03-01T00:00:00", ends_at=ends_at)
            )
            assert_refused(answer, 422, "offer-invalid")
            assert [(error["pointer"], error["code"]) for error in answer.json()["errors"]] == [
                ("/ends_at", "ends-before-start")
            ]


async def test_a_contract_in_the_past(town: Town, database: asyncpg.Pool) -> None:
    """A version begins now or later; what was earned keeps its terms."""
    async with unchanged(database):
        for at in ("2026-03-02T08:59:59Z", "2025-03-02T09:00:00Z"):
            answer = await town.scheme.operator.post(
                f"/v1/partners/{town.grocer.partner}/contracts", contract_body(effective_from=at)
            )
            assert_refused(answer, 422, "contract-in-the-past")


async def test_a_contract_that_does_not_cover_its_points(town: Town, database: asyncpg.Pool) -> None:
    """P − F < H, of its own points at another brand and of another brand's at its own."""
    path = f"/v1/partners/{town.grocer.partner}/contracts"
    later = {"effective_from": "2026-03-03T00:00:00Z"}
    async with unchanged(database):
        for terms in ({"price": "0.0099"}, {"fee": "0.0016"}, {"honour": "0.0086"}):
            answer = await town.scheme.operator.post(path, contract_body(**later, **terms))
            assert_refused(answer, 422, "coverage-gap")


async def test_a_card_claimed_without_its_source(town: Town, database: asyncpg.Pool) -> None:
    """A brand, the member and another processor cannot say whose card a token is."""
    ada = await town.person()
    other = await town.source("other")
    asked = {"member": ada.member, "token": TOKEN}
    named = {"Koinon-Source": town.processor.source}
    async with unchanged(database):
        for answer in (
            await town.grocer.api.post("/v1/cards", asked, headers=named),
            await ada.browser.post("/v1/cards", asked, headers=named),
            await other.send("/v1/cards", msgspec.json.encode(asked), headers=named),
        ):
            assert_refused(answer, 401, "signature-invalid")


async def test_a_card_claimed_by_a_second_member(town: Town, database: asyncpg.Pool) -> None:
    """By its token, and by the payment account behind another token."""
    ada, bob = await town.person(), await town.person("bob")
    await town.processor.linked(ada, TOKEN, par=PAR)
    async with unchanged(database):
        assert_refused(await town.processor.link(bob, TOKEN), 409, "card-taken")
        assert_refused(await town.processor.link(bob, "tok-bob", par=PAR), 409, "card-taken")


async def test_a_redemption_without_proof(town: Town, database: asyncpg.Pool) -> None:
    """The member's id alone proves nothing."""
    ada = await town.person()
    await town.grocer.earned(ada, 100)
    async with unchanged(database):
        assert_refused(await town.cafe.reserve(points=1, member=ada.member), 400, "proof-missing")
        assert_refused(await town.cafe.reserve(points=1, member=ada.member, proof={}), 400, "proof-missing")
        shown = {"card": {"source": town.processor.source, "token": TOKEN}}
        assert_refused(await town.cafe.reserve(points=1, member=ada.member, proof=shown), 403, "proof-invalid")
        attested = {"staff": {"name": "Anna"}}
        refused = await town.cafe.reserve(points=1, member=ada.member, proof=attested)
        assert_refused(refused, 422, "attested-cap-reached")


async def test_a_redemption_with_a_replayed_pay_code(town: Town, database: asyncpg.Pool) -> None:
    """Used before, run out, or made up."""
    ada = await town.person()
    await town.grocer.earned(ada, 100)
    used = await ada.pay_code()
    assert (await town.cafe.reserve(points=1, proof={"pay_code": used})).status_code == 201
    async with unchanged(database):
        for code, problem in (
            (used, "proof-already-used"),
            (town.stale_pay_code(ada, 61), "pay-code-expired"),
            (used[:-2] + "00", "pay-code-invalid"),
        ):
            assert_refused(await town.cafe.reserve(points=1, proof={"pay_code": code}), 422, problem)


async def test_a_redemption_above_the_balance(town: Town, database: asyncpg.Pool) -> None:
    """By points and by amount; the facts say how many there are."""
    ada = await town.person()
    await town.grocer.earned(ada, 100)
    proof = {"pay_code": await ada.pay_code()}
    async with unchanged(database):
        answer = await town.cafe.reserve(points=101, proof=proof)
        assert_refused(answer, 422, "insufficient-balance", available=100, points=101)
        answer = await town.cafe.reserve(amount_minor=51, currency="EUR", proof=proof)
        assert_refused(answer, 422, "insufficient-balance", available=100, points=102)


async def test_fifty_redemptions_of_one_balance(town: Town, database: asyncpg.Pool) -> None:
    """Exactly those that the balance covers succeed, and the refused ones left no trace."""
    ada = await town.person()
    await town.grocer.earned(ada, 100)
    codes = [await ada.pay_code() for _ in range(50)]
    requests = await database.fetchval("SELECT count(*) FROM koinon.request")
    answers = await asyncio.gather(*(town.cafe.reserve(points=7, proof={"pay_code": code}) for code in codes))
    assert sorted(answer.status_code for answer in answers) == [201] * 14 + [422] * 36
    assert {answer.json()["code"] for answer in answers if answer.status_code == 422} == {"insufficient-balance"}
    assert await ada.balance() == (2, 98)
    wallet = (await ada.browser.get("/v1/me/wallet")).json()
    assert (wallet["available"], wallet["held"]) == (2, 98)
    assert await database.fetchval("SELECT count(*) FROM ledger.hold") == 14
    assert await database.fetchval("SELECT count(*) FROM koinon.request") == requests + 14


async def test_a_capture_after_the_close(town: Town, app: Litestar, database: asyncpg.Pool) -> None:
    """It lands in the next window, as its receipt says; movements, lines and statements of the closed one stay."""
    ada = await town.person()
    await town.grocer.earned(ada, 100)
    redemption = await town.cafe.reserved(ada, 30)
    assert await close_window_early(town.scheme.programme_id, "Europe/Helsinki", NOW) == [1]
    await work_the_night(app.state.runtime)
    before = await of_window(1)
    assert all(before[name] for name in ("movements", "line", "statement"))
    answer = await town.cafe.capture(redemption)
    await work_the_night(app.state.runtime)
    assert (answer.status_code, answer.json()["receipt"]["window"]) == (201, "2")
    assert await of_window(1) == before


async def test_a_live_programmes_clock(town: Town, database: asyncpg.Pool) -> None:
    """A live programme has the machine's time and nobody moves it; a sandbox's goes forward alone."""
    operator = town.scheme.operator
    made = await operator.post("/v1/programmes", programme_body(code="live", mode="live", clock_at=...))
    live = made.json()["programme"]
    async with unchanged(database):
        answer = await operator.post(f"/v1/programmes/{live}/clock", {"at": "2027-01-01T00:00:00Z"})
        assert_refused(answer, 409, "programme-is-live")
        with_clock = await operator.post("/v1/programmes", programme_body(code="live2", mode="live"))
        assert_refused(with_clock, 409, "programme-is-live")
        back = await operator.post(f"/v1/programmes/{town.scheme.programme}/clock", {"at": "2026-03-01T00:00:00Z"})
        assert_refused(back, 409, "clock-moves-forward")


async def test_a_body_that_nobody_can_read(town: Town, database: asyncpg.Pool) -> None:
    """No JSON, not UTF-8, nested without end, larger than is taken: a problem that says so, never a failure."""
    api = town.grocer.api
    headers = api.headers | {"Content-Type": "application/json"}
    async with unchanged(database):
        for place, body in enumerate(
            (b"{", b"[]", b"null", b"5", b"\xff", b'{"member": "\xff"}', b"[" * 100_000, b'{"a":' * 100_000, b"")
        ):
            for path in ("/v1/earnings", "/v1/redemptions", "/v1/members", "/v1/offers"):
                answer = await api.client.post(path, content=body, headers=headers | {"Idempotency-Key": f"k{place}"})
                assert_refused(answer, 400, "invalid-input")
        large = await api.client.post(
            "/v1/earnings", content=b" " * (5 * 1024 * 1024), headers=headers | {"Idempotency-Key": "k"}
        )
        assert_refused(large, 413, "body-too-large", bytes_maximum=4 * 1024 * 1024)
