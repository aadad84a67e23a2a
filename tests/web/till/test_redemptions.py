"""Redemptions over HTTP: points are reserved on proof alone, and never more than there are."""

import asyncio
from datetime import date, timedelta
from typing import Any

import asyncpg
import pytest
import time_machine

from koinon import ids
from koinon.clock import machine_now
from koinon.ledger.jobs import release_due_holds
from koinon.redemptions.proofs import AttestedCapReached, AttestedHeadroom
from tests.kit.scheme import assert_field, assert_refused, unchanged
from tests.kit.town import Shop, Town

NOBODY = "mem_" + "0" * 13


async def test_points_are_reserved_on_a_pay_code(town: Town, database: asyncpg.Pool) -> None:
    """They leave the balance, are held for half an hour, and the receipt says so."""
    ada = await town.person()
    await town.grocer.earned(ada, 100)
    answer = await town.cafe.reserve(
        points=30, proof={"pay_code": await ada.pay_code()}, place=town.cafe.place, receipt="T-1"
    )

    body = answer.json()
    assert answer.status_code == 201
    assert body == {
        "redemption": body["redemption"],
        "state": "reserved",
        "points": 30,
        "balance": 70,
        "expires_at": "2026-03-02T09:30:00+00:00",
        "receipt": {
            "effect": "held",
            "journal": body["receipt"]["journal"],
            "partner": "cafe",
            "points": "30",
            "programme": "league",
            "unit": "points",
            "version": "1",
            "window": "1",
        },
    }
    assert await ada.balance() == (70, 30)
    hold = await database.fetchrow("SELECT * FROM ledger.hold")
    assert (hold["amount"], hold["state"], hold["proof_kind"], hold["place_id"]) == (
        30,
        "reserved",
        "pay_code",
        town.cafe.place_id,
    )
    read = await town.cafe.api.get(f"/v1/redemptions/{body['redemption']}")
    assert read.json()["receipt"] == "T-1"


async def test_an_amount_is_worth_points_rounded_up(town: Town) -> None:
    """At a face value of half a cent, 1.01 EUR takes 202 points; the till is never given more than was burnt."""
    ada = await town.person()
    await town.grocer.earned(ada, 1000)
    answer = await town.cafe.reserve(amount_minor=101, currency="EUR", proof={"pay_code": await ada.pay_code()})
    assert (answer.status_code, answer.json()["points"], answer.json()["balance"]) == (201, 202, 798)


async def test_a_face_value_that_does_not_divide(town: Town) -> None:
    """At 0.003 EUR a point, 1 cent takes 4 points, not 3."""
    odd = await town.another_programme(code="odd", face_value_per_point="0.003")
    ada = await odd.person()
    await odd.grocer.earned(ada, 10)
    answer = await odd.cafe.reserve(amount_minor=1, currency="EUR", proof={"pay_code": await ada.pay_code()})
    assert answer.json()["points"] == 4


async def test_a_pay_code_pays_once(town: Town, database: asyncpg.Pool) -> None:
    """The same code under another key is refused, at another brand too, also after its points were given back."""
    ada = await town.person()
    await town.grocer.earned(ada, 100)
    code = await ada.pay_code()
    first = await town.cafe.reserve(points=10, proof={"pay_code": code})
    async with unchanged(database):
        for shop in (town.cafe, town.grocer):
            assert_refused(await shop.reserve(points=10, proof={"pay_code": code}), 422, "proof-already-used")
    await town.cafe.release(first.json()["redemption"])
    async with unchanged(database):
        assert_refused(await town.cafe.reserve(points=10, proof={"pay_code": code}), 422, "proof-already-used")


async def test_one_pay_code_at_ten_tills(town: Town) -> None:
    """Of ten tills at once, one is served."""
    ada = await town.person()
    await town.grocer.earned(ada, 100)
    code = await ada.pay_code()
    answers = await asyncio.gather(*(town.cafe.reserve(points=10, proof={"pay_code": code}) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [201] + [422] * 9
    assert await ada.balance() == (90, 10)


async def test_a_pay_code_that_proves_nothing(town: Town, database: asyncpg.Pool) -> None:
    """Run out, forged, of another member, of another programme: refused, nothing changed."""
    ada, bob = await town.person(), await town.person("bob")
    await town.grocer.earned(ada, 100)
    elsewhere = await town.another_programme(code="elsewhere")
    eve = await elsewhere.person()
    code, foreign = await ada.pay_code(), await eve.pay_code()
    async with unchanged(database):
        stale = await town.cafe.reserve(points=1, proof={"pay_code": town.stale_pay_code(ada, 61)})
        assert_refused(stale, 422, "pay-code-expired")
        from_ahead = await town.cafe.reserve(points=1, proof={"pay_code": town.stale_pay_code(ada, -600)})
        assert_refused(from_ahead, 422, "pay-code-invalid")
        for forged in (code[:-1] + ("0" if code[-1] != "0" else "1"), "KPC", "", "x" * 100, code + "0"):
            assert_refused(await town.cafe.reserve(points=1, proof={"pay_code": forged}), 422, "pay-code-invalid")
        other = await town.cafe.reserve(points=1, member=bob.member, proof={"pay_code": code})
        assert_refused(other, 403, "proof-invalid")
        assert_refused(await town.cafe.reserve(points=1, proof={"pay_code": foreign}), 404, "unknown-member")
    named = await town.cafe.reserve(points=1, member=ada.member, proof={"pay_code": code})
    assert named.status_code == 201


async def test_a_redemption_names_one_proof(town: Town, database: asyncpg.Pool) -> None:
    """None, or two, is refused, whatever else is right."""
    ada = await town.person()
    await town.grocer.earned(ada, 100)
    code = await ada.pay_code()
    async with unchanged(database):
        for proof in ({}, {"pay_code": code, "staff": {"name": "Anna"}}, None):
            answer = await town.cafe.reserve(points=1, member=ada.member, proof=proof)
            assert_refused(answer, 400, "proof-missing")
        assert_refused(await town.cafe.reserve(points=1, member=ada.member), 400, "proof-missing")


async def test_the_card_just_presented(town: Town, database: asyncpg.Pool) -> None:
    """A linked card's token proves its member; any other token, source or member proves nothing."""
    ada, bob = await town.person(), await town.person("bob")
    await town.grocer.earned(ada, 100)
    await town.grocer.earned(bob, 100)
    card = await town.processor.linked(ada, "tok-ada")
    await town.processor.linked(bob, "tok-bob")
    other = await town.source("other")
    shown = {"card": {"source": town.processor.source, "token": "tok-ada"}}
    answer = await town.cafe.reserve(points=10, proof=shown)
    assert (answer.status_code, answer.json()["balance"]) == (201, 90)
    assert (await town.cafe.reserve(points=10, member=ada.member, proof=shown)).status_code == 201

    async with unchanged(database):
        for source, token, member in (
            (town.processor.source, "tok-eve", None),
            (other.source, "tok-ada", None),
            ("src_1", "tok-ada", None),
            (town.processor.source, "tok-ada", bob.member),
        ):
            proof = {"card": {"source": source, "token": token}}
            refused = await town.cafe.reserve(points=1, proof=proof, **({"member": member} if member else {}))
            assert_refused(refused, 403, "proof-invalid")
    await town.processor.unlink(card)
    async with unchanged(database):
        assert_refused(await town.cafe.reserve(points=1, proof=shown), 403, "proof-invalid")


async def attested(shop: Shop, member: str, points: int) -> int:
    """Ask for points on the word of staff; returns the status."""
    return (await shop.reserve(points=points, member=member, proof={"staff": {"name": "Anna"}})).status_code


async def test_the_word_of_staff_is_capped_by_day(town: Town, database: asyncpg.Pool) -> None:
    """A brand's staff attest up to its cap of the day; the next business day is another day."""
    ada = await town.person()
    kiosk = await town.shop("kiosk", attested_points_per_day=100)
    await town.grocer.earned(ada, 1000)
    assert [await attested(kiosk, ada.member, points) for points in (60, 40)] == [201, 201]
    async with unchanged(database):
        refused = await kiosk.reserve(points=1, member=ada.member, proof={"staff": {"name": "Anna"}})
        assert_refused(refused, 422, "attested-cap-reached", cap=100, business_date="2026-03-02")
        nobody = await kiosk.reserve(points=1, proof={"staff": {"name": "Anna"}})
        assert_field(nobody, "/member")
    await town.move_clock("2026-03-02T22:30:00Z")  # half past midnight in Helsinki
    assert await attested(kiosk, ada.member, 100) == 201


async def test_without_a_cap_staff_attest_nothing(town: Town, database: asyncpg.Pool) -> None:
    """A brand whose cap is 0, which it is unless somebody set it, needs a pay code or a card."""
    ada = await town.person()
    await town.grocer.earned(ada, 10)
    async with unchanged(database):
        refused = await town.cafe.reserve(points=1, member=ada.member, proof={"staff": {"name": "Anna"}})
        assert_refused(refused, 422, "attested-cap-reached", cap=0)


async def test_the_cap_holds_under_twenty_tills(town: Town, database: asyncpg.Pool) -> None:
    """Twenty at once for 7 points of a cap of 100: fourteen are served, and the fifteenth would be too many."""
    ada = await town.person()
    kiosk = await town.shop("kiosk", attested_points_per_day=100)
    await town.grocer.earned(ada, 1000)
    statuses = await asyncio.gather(*(attested(kiosk, ada.member, 7) for _ in range(20)))
    assert sorted(statuses) == [201] * 14 + [422] * 6
    assert await database.fetchval("SELECT sum(amount) FROM ledger.hold") == 98
    assert await database.fetchval("SELECT leased_points FROM redemptions.attested_lease") <= 100


async def test_a_refused_redemption_gives_its_headroom_back(town: Town) -> None:
    """What the balance does not cover does not count against the day."""
    ada = await town.person()
    kiosk = await town.shop("kiosk", attested_points_per_day=100)
    await town.grocer.earned(ada, 50)
    assert [await attested(kiosk, ada.member, points) for points in (80, 80, 50)] == [422, 422, 201]


async def test_a_refused_redemption_takes_no_headroom_from_others(town: Town, database: asyncpg.Pool) -> None:
    """A process keeps a slice of it, and what is more goes back to where every process leases from."""
    ada = await town.person()
    kiosk = await town.shop("kiosk", attested_points_per_day=100)
    day, partner_id, elsewhere = date(2026, 3, 2), ids.private("par", kiosk.partner), AttestedHeadroom()
    for points, leased in ((80, 5), (3, 5), (100, 5)):
        assert await attested(kiosk, ada.member, points) == 422
        assert await database.fetchval("SELECT leased_points FROM redemptions.attested_lease") == leased
    with pytest.raises(AttestedCapReached):
        await elsewhere.take(partner_id, day, 96, 100)
    await elsewhere.take(partner_id, day, 95, 100)
    assert await database.fetchval("SELECT leased_points FROM redemptions.attested_lease") == 100


async def test_a_retry_after_the_pay_code_ran_out(town: Town, database: asyncpg.Pool) -> None:
    """A till that lost the answer is given it again, a minute later too; the key is good for nothing else."""
    ada = await town.person()
    await town.grocer.earned(ada, 100)
    code = town.stale_pay_code(ada, 0)
    first = await town.cafe.reserve(points=10, proof={"pay_code": code}, key="k")
    assert first.status_code == 201
    # The code's own clock is the machine's.
    with time_machine.travel(machine_now() + timedelta(seconds=61)):
        async with unchanged(database):
            assert_refused(await town.cafe.reserve(points=10, proof={"pay_code": code}), 422, "pay-code-expired")
            again = await town.cafe.reserve(points=10, proof={"pay_code": code}, key="k")
            assert (again.status_code, again.json()) == (201, first.json())
            assert again.headers["Idempotent-Replayed"] == "true"
            other = await town.cafe.reserve(points=11, proof={"pay_code": code}, key="k")
            assert_refused(other, 409, "idempotency-key-reused")


async def test_a_retry_of_every_proof(town: Town, database: asyncpg.Pool) -> None:
    """By card after it was unlinked, and by staff after the cap was reached, a retry is answered the same."""
    ada = await town.person()
    kiosk = await town.shop("kiosk", attested_points_per_day=10)
    await town.grocer.earned(ada, 100)
    card = await town.processor.linked(ada, "tok-ada")
    proofs: list[dict[str, Any]] = [
        {"card": {"source": town.processor.source, "token": "tok-ada"}},
        {"staff": {"name": "Anna"}},
    ]
    first = [
        await kiosk.reserve(points=10, member=ada.member, proof=proof, key=f"k{place}")
        for place, proof in enumerate(proofs)
    ]
    await town.processor.unlink(card)
    async with unchanged(database):
        again = [
            await kiosk.reserve(points=10, member=ada.member, proof=proof, key=f"k{place}")
            for place, proof in enumerate(proofs)
        ]
    assert [answer.status_code for answer in first + again] == [201] * 4
    assert [answer.json() for answer in again] == [answer.json() for answer in first]


async def test_fifty_redemptions_of_one_balance(town: Town) -> None:
    """Exactly those that the balance covers succeed."""
    ada = await town.person()
    await town.grocer.earned(ada, 200)
    codes = [await ada.pay_code() for _ in range(50)]
    answers = await asyncio.gather(*(town.cafe.reserve(points=9, proof={"pay_code": code}) for code in codes))
    refused = [answer for answer in answers if answer.status_code != 201]
    assert len(refused) == 50 - 22
    for answer in refused:
        assert_refused(answer, 422, "insufficient-balance", available=2, points=9)
    assert await ada.balance() == (2, 198)
    wallet = (await ada.browser.get("/v1/me/wallet")).json()
    assert (wallet["available"], wallet["held"]) == (2, 198)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"points": 0}, "/points"),
    ({"points": -1}, "/points"),
    ({"points": 1.5}, "/points"),
    ({"points": 10**12 + 1}, "/points"),
    ({"points": 10**30}, "/points"),
    ({"amount_minor": 0, "currency": "EUR"}, "/amount_minor"),
    ({"amount_minor": 10**30, "currency": "EUR"}, "/amount_minor"),
    ({"points": 1, "amount_minor": 1, "currency": "EUR"}, "/points"),
    ({}, "/points"),
    ({"points": 1, "place": "pla_1"}, "/place"),
    ({"points": 1, "member": "mem_1"}, "/member"),
    ({"points": 1, "receipt": "a\u0000b"}, "/receipt"),
    ({"points": 1, "currency": "EUR"}, "/currency"),
    ({"points": 1, "proof": {"card": {"source": "src_1", "token": "a\u0000b"}}}, "/proof/card/token"),
    ({"points": 1, "proof": {"staff": {"name": ""}}}, "/proof/staff/name"),
]


async def test_a_wrong_field_is_named(town: Town, database: asyncpg.Pool) -> None:
    """Nothing is reserved, and the answer points at the field."""
    ada = await town.person()
    await town.grocer.earned(ada, 100)
    code = await ada.pay_code()
    async with unchanged(database):
        for asked, pointer in WRONG:
            assert_field(await town.cafe.reserve(**({"proof": {"pay_code": code}} | asked)), pointer)


async def test_a_redemption_that_cannot_be(town: Town, database: asyncpg.Pool) -> None:
    """Above the balance, in another currency, at another's place, without a contract: refused, nothing changed."""
    ada = await town.person()
    await town.grocer.earned(ada, 100)
    bare = await town.shop("bare", contracted=False)
    proof = {"pay_code": await ada.pay_code()}
    async with unchanged(database):
        above = await town.cafe.reserve(points=101, proof=proof)
        assert_refused(above, 422, "insufficient-balance", available=100, points=101)
        dollars = await town.cafe.reserve(amount_minor=10, currency="USD", proof=proof)
        assert_refused(dollars, 422, "currency-mismatch", currency="USD", programme_currency="EUR")
        elsewhere = await town.cafe.reserve(points=1, proof=proof, place=town.grocer.place)
        assert_refused(elsewhere, 404, "unknown-place")
        assert_refused(await bare.reserve(points=1, proof=proof), 422, "contract-missing", partner="bare")
    assert (await town.cafe.reserve(points=100, proof=proof)).status_code == 201


async def test_points_of_all_brands_soonest_expiry_first(town: Town, database: asyncpg.Pool) -> None:
    """The lot that expires first is held first, whoever issued it."""
    ada = await town.person()
    await town.grocer.earned(ada, 30)
    await town.move_clock("2026-03-05T09:00:00Z")
    await town.cafe.earned(ada, 30, occurred_at="2026-03-05T09:00:00Z")
    await town.cafe.reserved(ada, 40)
    held = await database.fetch("SELECT held FROM ledger.lot ORDER BY expires_on")
    assert [row["held"] for row in held] == [30, 10]


async def test_a_hold_that_nobody_ended(town: Town) -> None:
    """After half an hour of the programme's time the worker gives the points back; the till comes too late."""
    ada = await town.person()
    await town.grocer.earned(ada, 100)
    redemption = await town.cafe.reserved(ada, 30)
    await town.move_clock("2026-03-02T09:31:00Z")
    runtime: Any = None
    assert await release_due_holds(runtime)
    assert await ada.balance() == (100, 0)
    assert_refused(await town.cafe.capture(redemption), 409, "redemption-not-open", state="released")


async def test_a_hold_that_ran_out_is_not_captured(town: Town, database: asyncpg.Pool) -> None:
    """Whether or not the worker has given it back yet; until then the till may still release it."""
    ada = await town.person()
    await town.grocer.earned(ada, 100)
    redemption = await town.cafe.reserved(ada, 30)
    await town.move_clock("2026-03-02T09:30:00Z")
    async with unchanged(database):
        late = await town.cafe.capture(redemption)
        assert_refused(late, 409, "redemption-not-open", state="expired")
    assert (await town.cafe.release(redemption)).status_code == 201
    assert await ada.balance() == (100, 0)
