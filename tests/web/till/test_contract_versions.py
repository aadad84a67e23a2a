"""Contract versions of a redemption: its hold freezes the acceptor's, its lots the issuers', and nothing moves them."""

from typing import Any

import asyncpg
import pytest
from litestar import Litestar

from tests.kit.nights import close_window_early, lines_of, statement, work_the_night
from tests.kit.scheme import contract_body
from tests.kit.town import NOW, Person, Shop, Town

LATER = "2026-03-02T09:10:00Z"
SECOND: dict[str, dict[str, str]] = {
    "grocer": {"price": "0.0120", "fee": "0.0020", "honour": "0.0060"},
    "cafe": {"price": "0.0110", "fee": "0.0010", "honour": "0.0070"},
}


@pytest.fixture
async def ada(town: Town) -> Person:
    """Give a member with a thousand of the grocer's points, issued under its first version."""
    ada = await town.person()
    await town.grocer.earned(ada, 1000)
    return ada


async def second_versions(town: Town) -> None:
    """Let both brands' second contract versions begin."""
    for shop in (town.grocer, town.cafe):
        terms = contract_body(effective_from=LATER, **SECOND[shop.code])
        signed = await town.scheme.operator.post(f"/v1/partners/{shop.partner}/contracts", terms)
        assert signed.status_code == 201, signed.text
    await town.move_clock("2026-03-02T09:15:00Z")


async def movements(database: asyncpg.Pool) -> list[tuple[Any, ...]]:
    """Return (debit kind, credit kind, points, issuer's version, acceptor's version) of every movement, in order."""
    rows = await database.fetch(
        "SELECT debit_kind, credit_kind, amount, issuer_version, acceptor_version FROM ledger.movement "
        "ORDER BY journal_id, leg"
    )
    return [tuple(row) for row in rows]


async def lines(town: Town, app: Litestar, shop: Shop) -> list[tuple[str, str, str, str]]:
    """Return the lines of a brand's statement of today."""
    await close_window_early(town.scheme.programme_id, "Europe/Helsinki", NOW)
    await work_the_night(app.state.runtime)
    return lines_of(await statement(shop.code, 1))


async def test_a_hold_freezes_the_acceptors_version(
    town: Town, app: Litestar, database: asyncpg.Pool, ada: Person
) -> None:
    """A version begins between reserve and capture: movement and settlement line are of the one that was reserved."""
    before = await town.cafe.reserved(ada, 200)
    await second_versions(town)
    after = await town.cafe.reserved(ada, 100)
    for redemption in (before, after):
        assert (await town.cafe.capture(redemption)).status_code == 201

    assert await movements(database) == [
        ("issued", "wallet", 1000, 1, None),
        ("wallet", "held", 200, 1, 1),
        ("wallet", "held", 100, 1, 2),
        ("held", "honoured", 200, 1, 1),
        ("held", "honoured", 100, 1, 2),
    ]
    # 200 × 0.85 ct, and 100 × 0.70 ct.
    assert await lines(town, app, town.cafe) == [
        ("reimbursement", "1", "200", "170"),
        ("reimbursement", "2", "100", "70"),
    ]


async def test_a_reversal_is_of_what_it_reverses(
    town: Town, app: Litestar, database: asyncpg.Pool, ada: Person
) -> None:
    """Undone under the second versions, a redemption of the first goes out of the first: the brand nets nothing."""
    redemption = await town.cafe.captured(ada, 200)
    await second_versions(town)
    assert (await town.cafe.reverse(redemption=redemption)).status_code == 201

    assert await movements(database) == [
        ("issued", "wallet", 1000, 1, None),
        ("wallet", "held", 200, 1, 1),
        ("held", "honoured", 200, 1, 1),
        ("honoured", "wallet", 200, 1, 1),
    ]
    assert await ada.balance() == (1000, 0)
    assert await lines(town, app, town.cafe) == []


async def test_a_release_is_of_what_it_releases(town: Town, database: asyncpg.Pool, ada: Person) -> None:
    """It goes back as it was held, and the next hold of the same points has the version of its own time."""
    redemption = await town.cafe.reserved(ada, 200)
    await second_versions(town)
    assert (await town.cafe.release(redemption)).status_code == 201
    await town.cafe.reserved(ada, 300)

    assert await movements(database) == [
        ("issued", "wallet", 1000, 1, None),
        ("wallet", "held", 200, 1, 1),
        ("held", "wallet", 200, 1, 1),
        ("wallet", "held", 300, 1, 2),
    ]


async def test_an_earning_is_taken_back_under_its_own_version(
    town: Town, app: Litestar, database: asyncpg.Pool, ada: Person
) -> None:
    """Issued before and taken back after: the points leave the version that they were billed under."""
    earning = await town.grocer.earned(ada, 400)
    await second_versions(town)
    assert (await town.grocer.reverse(earning=earning)).status_code == 201
    await town.grocer.earned(ada, 50, occurred_at="2026-03-02T09:15:00Z")

    assert await movements(database) == [
        ("issued", "wallet", 1000, 1, None),
        ("issued", "wallet", 400, 1, None),
        ("wallet", "issued", 400, 1, None),
        ("issued", "wallet", 50, 2, None),
    ]
    # 1,000 × (0.15 + 0.85) ct, and 50 × (0.20 + 1.00) ct.
    assert await lines(town, app, town.grocer) == [
        ("fee", "1", "1000", "150"),
        ("fee", "2", "50", "10"),
        ("issue_funding", "1", "1000", "850"),
        ("issue_funding", "2", "50", "50"),
    ]
