"""The log over HTTP: anyone can read it whole, hash it again and hold every checkpoint against the one before.

The arithmetic here is the test's own (RFC 6962, C2SP tlog-tiles); only signatures and proofs are checked by the
verifier that brands run.
"""

from hashlib import sha256

import httpx
import pytest

from koinon import ids
from koinon.audit.logs import LIVE_LOG, log_key, log_path
from koinon.audit.tiles import TiledTree, tiles_for
from koinon.ledger.model import Earn
from koinon.ledger.operations import post_now
from koinon_verify.merkle import verify_consistency
from koinon_verify.notes import Checkpoint, open_checkpoint, read_key
from tests.kit.scheme import assert_refused
from tests.web.settlement.conftest import League

WIDTH = 256
FIRST_NIGHT = 300 + 6 + 1 + 1
"""Leaves: single points issued, the journals of S-1, the window's seal, and its run."""
SECOND_NIGHT = FIRST_NIGHT + 250 + 2 + 1 + 1


class Reader:
    """Anybody, who knows the log's key and reads by HTTP alone."""

    def __init__(self, client: httpx.AsyncClient, path: str, key: str) -> None:
        self.client = client
        self.path = path
        self.key = read_key(key)

    async def checkpoint(self) -> Checkpoint:
        """Return the log's last checkpoint, whose signature holds."""
        answer = await self.client.get(f"{self.path}/checkpoint")
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert answer.headers["Cache-Control"] == "no-cache"
        return open_checkpoint(answer.content.decode(), self.key)

    async def tile(self, level: str, index: int, width: int) -> bytes:
        """Return a tile, which may be kept for ever."""
        path = self.path + tile_path(level, index, width)
        answer = await self.client.get(path)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        return answer.content

    async def row(self, level: int, count: int) -> list[bytes]:
        """Return the first hashes of a level."""
        data = b"".join([await self.tile(str(level), index, width) for index, width in tiles(count)])
        assert len(data) == 32 * count
        return [data[place : place + 32] for place in range(0, len(data), 32)]

    async def entries(self, count: int) -> list[bytes]:
        """Return the first leaves: each of a tile's is two bytes of length and the leaf."""
        leaves = []
        for index, width in tiles(count):
            data = await self.tile("entries", index, width)
            for _ in range(width):
                end = 2 + int.from_bytes(data[:2], "big")
                leaves.append(data[2:end])
                data = data[end:]
            assert data == b""
        return leaves


def tiles(count: int) -> list[tuple[int, int]]:
    """Return (index, width) of the tiles that hold so many hashes."""
    return [(start // WIDTH, min(WIDTH, count - start)) for start in range(0, count, WIDTH)]


def tile_path(level: str, index: int, width: int) -> str:
    """Return where a tile is below its log, for an index below a thousand."""
    return f"/tile/{level}/{index:03}" + (f".p/{width}" if width < WIDTH else "")


def root_of(hashes: list[bytes]) -> bytes:
    """Return the root over leaf hashes (RFC 6962 §2.1)."""
    if len(hashes) == 1:
        return hashes[0]
    left = 1
    while left * 2 < len(hashes):
        left *= 2
    return sha256(b"\x01" + root_of(hashes[:left]) + root_of(hashes[left:])).digest()


def hashed(leaves: list[bytes]) -> list[bytes]:
    """Return the hashes of leaves."""
    return [sha256(b"\x00" + leaf).digest() for leaf in leaves]


async def issue(league: League, count: int) -> None:
    """Let a brand issue single points, a journal each."""
    said = league.coalition._said
    commands = [Earn(version=1, points=1, **said("brand-a")) for _ in range(count)]
    assert {each.status for each in await post_now(league.coalition.programme_id, commands)} == {"posted"}


@pytest.fixture
async def reader(league: League) -> Reader:
    """Give a reader of a log of one night, large enough for a second level of tiles."""
    await issue(league, 300)
    await league.coalition.s1_day()
    await league.coalition.night()
    log_id = league.coalition.programme_id
    return Reader(league.callers.client, log_path(log_id), log_key(league.coalition.runtime, log_id).text)


async def test_the_root_is_that_of_the_entries(reader: Reader, league: League) -> None:
    """After a settled night the leaves alone give the signed root, and the tiles of every level are their hashes."""
    signed = await reader.checkpoint()
    assert (signed.origin, signed.size) == (f"koinon.example/log/sandbox/{league.programme}", FIRST_NIGHT)
    leaves = await reader.entries(signed.size)
    assert root_of(hashed(leaves)) == signed.root
    assert len(set(leaves)) == signed.size

    row, level = hashed(leaves), 0
    while row:
        assert await reader.row(level, len(row)) == row, f"level {level}"
        row = [root_of(row[start : start + WIDTH]) for start in range(0, len(row) - WIDTH + 1, WIDTH)]
        level += 1
    assert level == 2


async def test_the_log_names_nobody(reader: Reader, league: League) -> None:
    """Whoever reads every leaf finds no brand and no account in it."""
    log = b"".join(await reader.entries(FIRST_NIGHT))
    ids = (league.coalition.account_id, *league.coalition.partners.values())
    for secret in (b"brand-", b"Brand", *(str(each).encode() for each in ids)):
        assert secret not in log


async def test_a_later_checkpoint_extends_an_earlier_one(reader: Reader, league: League) -> None:
    """After another night the first leaves are what they were, and a proof from the tiles holds between the roots."""
    first, before = await reader.checkpoint(), await reader.entries(FIRST_NIGHT)
    await issue(league, 250)
    await league.coalition.burn("brand-b", 100)
    await league.coalition.night()

    second = await reader.checkpoint()
    leaves = await reader.entries(second.size)
    assert (first.size, second.size) == (FIRST_NIGHT, SECOND_NIGHT)
    assert leaves[: first.size] == before
    assert root_of(hashed(leaves[: first.size])) == first.root
    assert root_of(hashed(leaves)) == second.root

    kept = {
        (level, index): b"".join((await reader.row(level, second.size >> (8 * level)))[index * WIDTH :][:WIDTH])
        for level, index in tiles_for([first.size - 1], second.size)
    }
    proof = TiledTree(second.size, lambda level, index: kept[level, index]).consistency_proof(first.size)
    assert verify_consistency(first.size, second.size, first.root, second.root, proof)
    assert not verify_consistency(first.size, second.size, second.root, first.root, proof)


async def test_what_is_not_signed_is_not_there(reader: Reader, league: League) -> None:
    """A tile beyond the checkpoint, wider than it, or at a path that is not its own is unknown."""
    await issue(league, 1)
    assert (await reader.checkpoint()).size == FIRST_NIGHT
    width = FIRST_NIGHT - WIDTH
    for path in (
        tile_path("0", 1, width + 1),
        tile_path("0", 1, WIDTH),
        tile_path("0", 2, 1),
        tile_path("1", 0, 2),
        tile_path("2", 0, 1),
        tile_path("entries", 1, width + 1),
        tile_path("entries", 2, 1),
        "/tile/0/1",
        "/tile/0/000.p/256",
        "/tile/64/000",
        "/tile/0/x000/000",
    ):
        assert_refused(await reader.client.get(reader.path + path), 404, "unknown-tile")
    assert await reader.tile("0", 0, 5) == (await reader.tile("0", 0, WIDTH))[: 5 * 32]


async def test_a_log_that_nobody_signed_yet(league: League) -> None:
    """A new installation, and a new sandbox programme, has no checkpoint and no tile, and says so."""
    client = league.callers.client
    for path in ("/log", f"/log/sandbox/{league.programme}"):
        assert_refused(await client.get(f"{path}/checkpoint"), 404, "not-found")
        assert_refused(await client.get(f"{path}/tile/0/000.p/1"), 404, "unknown-tile")


async def test_the_live_log_holds_nothing_of_a_sandbox(reader: Reader, league: League) -> None:
    """After a sandbox programme's night the live log is empty, and its key opens nothing of the sandbox's."""
    client = league.callers.client
    live = read_key((await client.get("/log/vkey")).text)
    assert open_checkpoint((await client.get("/log/checkpoint")).text, live).size == 0
    sandbox = read_key((await client.get(f"{reader.path}/vkey")).text)
    assert sandbox == reader.key
    assert (sandbox.name, sandbox.public == live.public) == (f"{live.name}/sandbox/{league.programme}", False)


async def test_a_log_that_is_not_there_is_unknown(league: League) -> None:
    """Neither a brand, nor the live log, nor a programme that nobody opened has a sandbox log."""
    client = league.callers.client
    for name in (
        league.partner("brand-a"),
        ids.public("pro", LIVE_LOG),
        ids.public("pro", ids.new_id()),
        "pro_",
        "demo",
    ):
        for path in ("checkpoint", "vkey", "tile/0/000.p/1"):
            assert_refused(await client.get(f"/log/sandbox/{name}/{path}"), 404, "unknown-log")
