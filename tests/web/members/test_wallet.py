"""What a member sees: one pooled balance by brand and expiry, what is on its way, and a history with reasons."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from uuid import UUID

import asyncpg
from litestar import Litestar

from koinon import ids
from koinon.database import Connection, pool
from koinon.ledger import model
from koinon.ledger.model import AnyCommand, Outcome
from koinon.ledger.operations import post_now
from koinon.members.model import Holding, Pending, Wallet, wallet_of
from koinon.members.pending import PendingSources
from tests.kit.scheme import Scheme, open_scheme
from tests.web.conftest import Callers, problem_of

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TODAY = date(2026, 3, 2)


async def test_points_are_pooled(callers: Callers, app: Litestar, database: asyncpg.Pool) -> None:
    """Free, held and coming points add up by brand; the soonest expiry is named; points due today do not count."""
    scheme = await open_scheme(callers)
    grocer, fuel = await scheme.partner("grocer"), await scheme.partner("fuel")
    shop = await scheme.api_of(grocer)
    _, browser, account_id = await scheme.member_of(shop)
    await _post(scheme, account_id, grocer, points=100, expires_on=date(2026, 4, 1))
    await _post(scheme, account_id, fuel, points=30, expires_on=date(2026, 4, 1))
    await _post(scheme, account_id, fuel, points=7, expires_on=None)
    await _post(scheme, account_id, grocer, points=5, expires_on=TODAY)
    await _hold(scheme, account_id, fuel, points=110)

    async def coming(connection: Connection, *, account_id: int, member_id: int) -> Sequence[Pending]:
        assert await connection.fetchval("SELECT account_id FROM members.member WHERE member_id = $1", member_id) == (
            account_id
        )
        return [Pending(partner="cafe", brand="Café", points=9), Pending(partner="fuel", brand="Fuel", points=1)]

    app.state["runtime"][PendingSources].add(coming)
    answer = await browser.get("/v1/me/wallet")

    assert answer.status_code == 200
    assert answer.json() == {
        "unit": "points",
        "available": 27,
        "held": 110,
        "pending": 10,
        "worth": {"amount_minor": 13, "currency": "EUR"},
        "brands": [
            {"partner": "cafe", "brand": "Café", "available": 0, "held": 0, "pending": 9},
            {"partner": "fuel", "brand": "Fuel", "available": 27, "held": 10, "pending": 1},
            {"partner": "grocer", "brand": "Grocer", "available": 0, "held": 100, "pending": 0},
        ],
        "expiries": [{"expires_on": "2026-04-01", "points": 20}, {"expires_on": None, "points": 7}],
        "next_expiry": {"date": "2026-04-01", "points": 20},
    }


async def test_an_empty_wallet(callers: Callers) -> None:
    """A new member has nothing, and nothing expires."""
    scheme = await open_scheme(callers)
    _, browser, _ = await scheme.member_of(await scheme.api_of(await scheme.partner()))

    assert (await browser.get("/v1/me/wallet")).json() == {
        "unit": "points",
        "available": 0,
        "held": 0,
        "pending": 0,
        "worth": {"amount_minor": 0, "currency": "EUR"},
        "brands": [],
        "expiries": [],
        "next_expiry": None,
    }
    assert (await browser.get("/v1/me/history")).json() == {"items": [], "next": None}


async def test_history_comes_a_page_at_a_time(callers: Callers, database: asyncpg.Pool) -> None:
    """The newest first, each with brand, effect and reason, holds until they end; another account's cursor is none."""
    scheme = await open_scheme(callers)
    grocer = await scheme.partner()
    shop = await scheme.api_of(grocer)
    _, browser, account_id = await scheme.member_of(shop)
    _, other, _ = await scheme.member_of(shop, email="bob@example.org")
    await _post(scheme, account_id, grocer, points=100, expires_on=None, reason="welcome")
    held = await _hold(scheme, account_id, grocer, points=40)
    await _capture(scheme, account_id, grocer, UUID(held.answer["hold_id"]))
    await _hold(scheme, account_id, grocer, points=10)

    first = (await browser.get("/v1/me/history", limit=2)).json()
    rest = (await browser.get("/v1/me/history", limit=2, cursor=first["next"])).json()
    assert rest["next"] is None
    assert [
        (item["kind"], item["points"], item["moved"], item["brand"], item["reason"])
        for item in first["items"] + rest["items"]
    ] == [
        ("hold", -10, 10, "Grocer", None),
        ("capture", -40, 40, "Grocer", None),
        ("earn", 100, 100, "Grocer", "welcome"),
    ]
    assert rest["items"][0]["at"] == "2026-03-02T09:00:00Z"
    assert rest["items"][0]["journal"].startswith("jnl_")
    assert (await other.get("/v1/me/history")).json()["items"] == []
    assert problem_of(await other.get("/v1/me/history", cursor=first["next"])) == (400, "invalid-input")
    assert problem_of(await browser.get("/v1/me/history", cursor="jnl_1")) == (400, "invalid-input")


async def test_only_a_member_has_a_wallet(callers: Callers) -> None:
    """Neither a partner, nor the operator, nor nobody reads one."""
    scheme = await open_scheme(callers)
    shop = await scheme.api_of(await scheme.partner())

    for path in ("/v1/me/wallet", "/v1/me/history", "/v1/me/consents"):
        assert problem_of(await shop.get(path)) == (403, "scope-missing")
        assert problem_of(await scheme.operator.get(path)) == (403, "scope-missing")
        assert (await callers.client.get(path)).status_code == 401


def test_sources_add_up() -> None:
    """Every context that tells of pending points is asked, in the order they plugged themselves in."""

    async def none(connection: Connection, *, account_id: int, member_id: int) -> Sequence[Pending]:
        return []

    sources = PendingSources(none)
    sources.add(none)

    assert list(sources) == [none, none]


def test_what_is_held_does_not_expire_next() -> None:
    """The next expiry counts free points alone, and worth is rounded down."""
    holdings = [
        Holding(partner="a", brand="A", expires_on=date(2026, 3, 3), available=0, held=5),
        Holding(partner="a", brand="A", expires_on=date(2026, 3, 4), available=3, held=0),
        Holding(partner="b", brand="B", expires_on=date(2026, 3, 1), available=8, held=2),
    ]
    wallet: Wallet = wallet_of(
        holdings, [], unit="points", today=date(2026, 3, 2), face_value=Fraction(2, 3), currency="EUR"
    )

    assert wallet.next_expiry is not None
    assert (wallet.next_expiry.date, wallet.next_expiry.points) == (date(2026, 3, 4), 3)
    assert (wallet.available, wallet.held, wallet.worth.amount_minor) == (3, 7, 2)
    assert [(brand.partner, brand.available, brand.held) for brand in wallet.brands] == [("a", 3, 5), ("b", 0, 2)]


async def _send(scheme: Scheme, command: AnyCommand) -> Outcome:
    (outcome,) = await post_now(scheme.programme_id, [command])
    assert outcome.status == "posted", outcome
    return outcome


async def _unit() -> int:
    unit_id: int = await pool().fetchval("SELECT unit_id FROM ledger.unit")
    return unit_id


async def _post(
    scheme: Scheme, account_id: int, partner: str, *, points: int, expires_on: date | None, reason: str | None = None
) -> Outcome:
    return await _send(
        scheme,
        model.Earn(
            caller=partner,
            key=ids.new_record_id().hex,
            content_hash="00",
            account_id=account_id,
            unit_id=await _unit(),
            occurred_at=NOW,
            partner_id=ids.private("par", partner),
            version=1,
            points=points,
            expires_on=expires_on,
            reason=reason,
        ),
    )


async def _hold(scheme: Scheme, account_id: int, partner: str, *, points: int) -> Outcome:
    return await _send(
        scheme,
        model.Hold(
            caller=partner,
            key=ids.new_record_id().hex,
            content_hash="00",
            account_id=account_id,
            unit_id=await _unit(),
            occurred_at=NOW,
            partner_id=ids.private("par", partner),
            version=1,
            points=points,
            today=TODAY,
            proof_kind="pay_code",
            proof_ref=ids.new_record_id().hex,
            hold_expires_at=NOW + timedelta(minutes=30),
        ),
    )


async def _capture(scheme: Scheme, account_id: int, partner: str, hold_id: UUID) -> Outcome:
    return await _send(
        scheme,
        model.Capture(
            caller=partner,
            key=ids.new_record_id().hex,
            content_hash="00",
            account_id=account_id,
            unit_id=await _unit(),
            occurred_at=NOW,
            partner_id=ids.private("par", partner),
            hold_id=hold_id,
        ),
    )
