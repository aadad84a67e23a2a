"""Many nights of business drawn by seed: every run's pool holds, every bundle verifies and follows on from the last."""

import asyncio
import random
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

import koinon_verify
from koinon.database import pool
from koinon.ledger.model import Outcome
from settlement.books import read_books
from tests.kit.settlement import Coalition, nets, statement_bytes

NIGHTS = 4
DEEDS_A_DAY = 30
CONTRACTS = {
    "all-at-issue": {"price": "0.0100", "fee": "0.0015", "issue_share": "1", "honour": "0.0070"},
    "all-at-spend": {"price": "0.0093", "fee": "0.0007", "issue_share": "0", "honour": "0.0061"},
    "split": {"price": "0.0088", "fee": "0.0011", "issue_share": "1/3", "honour": "0.0077"},
}


class Days:
    """Business drawn by seed: earns, burns, holds that outlive their day, and reversals of any day's deeds."""

    def __init__(self, coalition: Coalition, seed: int) -> None:
        self.coalition = coalition
        self.chance = random.Random(seed)  # noqa: S311  # drawn by seed
        self.earned: list[tuple[str, Outcome]] = []
        self.burnt: list[tuple[str, Outcome]] = []
        self.held: list[tuple[str, UUID]] = []

    async def live(self) -> None:
        """Do a day's deeds."""
        for _ in range(DEEDS_A_DAY):
            await self._deed()

    async def _deed(self) -> None:
        brand, points = self.chance.choice(list(CONTRACTS)), self.chance.randint(1, 999)
        available = await pool().fetchval("SELECT available FROM ledger.wallet")
        deed = self.chance.choice(("earn", "earn", "burn", "hold", "capture", "reverse_burn", "reverse_earn"))
        if deed == "earn" or available < points:
            self.earned.append((brand, await self.coalition.earn(brand, points)))
        elif deed == "burn":
            self.burnt.append((brand, await self.coalition.burn(brand, points)))
        elif deed == "hold":
            self.held.append((brand, await self.coalition.reserve(brand, points)))
        elif deed == "capture" and self.held:
            brand, hold = self.held.pop(self.chance.randrange(len(self.held)))
            self.burnt.append((brand, await self.coalition.capture(brand, hold)))
        elif deed == "reverse_burn" and self.burnt:
            await self.coalition.reverse_burn(*self.burnt.pop(self.chance.randrange(len(self.burnt))))
        elif deed == "reverse_earn" and self.earned:
            brand, earned = self.earned.pop(self.chance.randrange(len(self.earned)))
            left = await pool().fetchval(
                "SELECT remaining - held FROM ledger.lot WHERE journal_id = $1::uuid", earned.answer["journal_id"]
            )
            if left == earned.answer["points"]:
                await self.coalition.reverse_earn(brand, earned)


@pytest.mark.parametrize("seed", [1, 20_260_302])
async def test_nights_of_any_business_settle_and_verify(bare: Coalition, tmp_path: Path, seed: int) -> None:
    """Whatever was posted, the pool holds every night, and each brand's bundles verify with all of its receipts."""
    for code, contract in CONTRACTS.items():
        await bare.brand(code, **contract)
    days = Days(bare, seed)
    for _ in range(NIGHTS):
        await days.live()
        await bare.night()

    runs = await pool().fetch("SELECT window_no, state, outstanding_points FROM settlement.run ORDER BY window_no")
    assert [(run["window_no"], run["state"]) for run in runs] == [(n, "PUBLISHED") for n in range(1, NIGHTS + 1)]
    assert runs[-1]["outstanding_points"] == await pool().fetchval("SELECT sum(remaining) FROM ledger.lot")
    for code, partner_id in bare.partners.items():
        receipts = bare.write_receipts(code, tmp_path / f"{code}.receipts")
        before = None
        for window in range(1, NIGHTS + 1):
            path = tmp_path / f"{code}-{window}.bundle"
            await asyncio.to_thread(path.write_bytes, await archived(partner_id, window))
            report = koinon_verify.verify_bundle(path, receipts, previous=before)
            assert report.problems == []
            before = path
    for window in range(1, NIGHTS + 1):
        again = (await read_books(bare.programme_id, window)).calculate()
        assert {each.partner: each.content for each in again.statements} == await statement_bytes(window)
        assert {net.party: net.net for net in again.nets if net.net} == await nets(window)
        assert again.pool.holds


async def test_what_is_carried_is_what_was_billed(bare: Coalition) -> None:
    """Over all nights each cell's amounts sum to its last line's bill, which is the exact total rounded once."""
    for code, contract in CONTRACTS.items():
        await bare.brand(code, **contract)
    days = Days(bare, 7)
    for _ in range(3):
        await days.live()
        await bare.night()

    for code in CONTRACTS:
        billed: dict[tuple[str, str], int] = {}
        for window in range(1, 4):
            for line in msgspec.json.decode((await statement_bytes(window))[code])["lines"]:
                cell = line["leg"], line["version"]
                assert int(line["billed_before"]) == billed.get(cell, 0)
                billed[cell] = billed.get(cell, 0) + int(line["amount"])


async def archived(partner_id: int, window: int) -> bytes:
    """Return a partner's bundle of a window as it was published."""
    content: bytes = await pool().fetchval(
        "SELECT string_agg(p.content, ''::bytea ORDER BY p.part_no) FROM settlement.bundle_part p"
        " JOIN settlement.run r USING (run_id) WHERE p.partner_id = $1 AND r.window_no = $2",
        partner_id,
        window,
    )
    return content
