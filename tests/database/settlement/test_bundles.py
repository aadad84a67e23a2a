"""Bundles as they are made: page by page, under a checkpoint that is fixed first, the same bytes whoever makes them."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest

import koinon_verify
from koinon.audit.appending import LogBroken
from koinon.audit.logs import log_key, origin
from koinon.audit.publishing import partner_bundle
from koinon.audit.stored import ProvenInOrder
from koinon.database import pool
from koinon.ledger.model import Earn
from koinon.ledger.operations import post_now
from settlement.jobs import settle
from settlement.operations import calculate_run
from settlement.publishing import BundleDiffers, publish_part
from tests.database.settlement.test_nights import archived
from tests.kit.settlement import Coalition, states

A = "brand-a"


async def calculated(coalition: Coalition) -> int:
    """Settle a day of S-1 up to its signed run, with nothing published; return the run."""
    await coalition.s1_day()
    await coalition.close()
    await coalition.seal()
    run_id = await calculate_run(coalition.programme_id, 1)
    await coalition.seal()
    return run_id


async def test_a_bundle_that_was_cut_off_is_made_under_its_first_checkpoint(
    coalition: Coalition, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Between two pieces the maker dies and the log grows: who goes on writes what the first would have written."""
    monkeypatch.setattr("settlement.publishing.PART_BYTES", 1)
    monkeypatch.setattr("koinon.audit.publishing.PAGE_ENTRIES", 1)
    run_id = await calculated(coalition)
    honest = partner_bundle

    async def dies(*asked: Any, **named: Any) -> Any:
        blocks = honest(*asked, **named)
        for _ in range(2):
            yield await anext(blocks)
        raise ConnectionError

    monkeypatch.setattr("settlement.publishing.partner_bundle", dies)
    with pytest.raises(ConnectionError):
        await publish_part(coalition.runtime, run_id)
    first = await pool().fetch("SELECT * FROM settlement.bundle_part ORDER BY part_no")
    (begun,) = await pool().fetch("SELECT * FROM settlement.bundle_checkpoint")
    assert len(first) == 2
    assert await pool().fetchval("SELECT count(*) FROM settlement.bundle") == 0
    monkeypatch.setattr("settlement.publishing.partner_bundle", honest)
    await coalition.earn(A, 1)
    await coalition.seal()

    await coalition.finish()

    assert (await states())[-1] == "PUBLISHED"
    assert (
        await pool().fetch("SELECT * FROM settlement.bundle_part WHERE partner_id = $1 LIMIT 2", begun["partner_id"])
        == first
    )
    sizes = await pool().fetch("SELECT partner_id, size FROM settlement.bundle_checkpoint")
    assert {row["size"] - begun["size"] for row in sizes if row["partner_id"] != begun["partner_id"]} == {1}
    for partner_id in coalition.partners.values():
        path = tmp_path / f"{partner_id}.bundle"
        await asyncio.to_thread(path.write_bytes, await archived(partner_id, 1))
        report = koinon_verify.verify_bundle(path, key=log_key(coalition.runtime, coalition.programme_id).text)
        assert report.problems == []
        assert report.pinned


async def test_a_piece_that_is_another_stops_the_bundle(coalition: Coalition, database_url: str) -> None:
    """What is there and what would be made now differ: nothing is published, and an alert stands."""
    run_id = await calculated(coalition)
    await publish_part(coalition.runtime, run_id)
    owner = await asyncpg.connect(database_url)
    await owner.execute("DELETE FROM settlement.bundle")
    await owner.execute("UPDATE settlement.bundle_part SET content = 'another'")
    await owner.close()

    with pytest.raises(BundleDiffers, match="piece 1 of the bundle of par_"):
        await publish_part(coalition.runtime, run_id)
    await settle(coalition.runtime)

    assert await pool().fetchval("SELECT count(*) FROM settlement.bundle") == 0
    assert await pool().fetchval("SELECT code FROM settlement.alert") == "unexpected"


async def test_an_entry_that_is_gone_stops_the_bundle(coalition: Coalition, database_url: str) -> None:
    """A bundle that would accuse the log of a gap is not made."""
    run_id = await calculated(coalition)
    owner = await asyncpg.connect(database_url)
    await owner.execute("DELETE FROM audit.opening WHERE counter = 2 AND partner_id = $1", coalition.partners[A])
    await owner.close()

    with pytest.raises(LogBroken, match="of the entries 1 to 3 of brand-a in window 1, some are missing"):
        await publish_part(coalition.runtime, run_id)

    assert await pool().fetchval("SELECT count(*) FROM settlement.bundle") == 0


async def test_pages_of_any_size_make_the_same_bundle(
    coalition: Coalition, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proofs over several tiles are the same however many entries a page has, and no page keeps another's tiles."""
    earns = [Earn(version=1, points=1, **coalition._said(A)) for _ in range(1_500)]
    assert {each.status for each in await post_now(coalition.programme_id, earns)} == {"posted"}
    run_id = await calculated(coalition)
    held: list[int] = []
    turn_to = ProvenInOrder.turn_to

    async def watched(self: ProvenInOrder, indexes: Any) -> None:
        await turn_to(self, indexes)
        held.append(len(self._held))

    monkeypatch.setattr(ProvenInOrder, "turn_to", watched)
    made = []
    for page in (7, 256, 10_000):
        monkeypatch.setattr("koinon.audit.publishing.PAGE_ENTRIES", page)
        while await publish_part(coalition.runtime, run_id):
            pass
        made.append(await archived(coalition.partners[A], 1))
        if page == 7:
            assert max(held) == 4, "two tiles that a page may lie across, the last one, and the one above them"
        await forgotten(database_url)

    assert len(set(made)) == 1
    assert made[0].count(b'"type":"entry"') == 1_503


async def forgotten(url: str) -> None:
    """Forget all bundles, so that they are made again under the same checkpoints."""
    owner = await asyncpg.connect(url)
    await owner.execute("UPDATE settlement.run SET state = 'CALCULATED'")
    await owner.execute("DELETE FROM settlement.bundle")
    await owner.execute("DELETE FROM settlement.bundle_part")
    await owner.close()


async def test_a_bundle_is_of_its_programmes_own_log(coalition: Coalition) -> None:
    """The checkpoint stands beside the bundle as data: its log, its size and root, and whose bundle it extends."""
    await coalition.s1_day()
    await coalition.night()
    await coalition.earn(A, 1)
    await coalition.night()

    rows = await pool().fetch(
        "SELECT r.window_no, c.log_id, c.size, c.note, e.window_no AS extends FROM settlement.bundle_checkpoint c"
        " JOIN settlement.run r USING (run_id) LEFT JOIN settlement.run e ON e.run_id = c.extends_run_id"
        " WHERE c.partner_id = $1 ORDER BY r.window_no",
        coalition.partners[A],
    )
    assert [(row["window_no"], row["log_id"], row["extends"]) for row in rows] == [
        (1, coalition.programme_id, None),
        (2, coalition.programme_id, 1),
    ]
    for row in rows:
        assert row["note"].startswith(f"{origin(coalition.runtime.settings, coalition.programme_id)}\n{row['size']}\n")
