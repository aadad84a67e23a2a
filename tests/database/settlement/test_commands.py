"""`koinon settle` and `koinon verify` as an operator and a brand type them."""

import asyncio
import os
import sys
from pathlib import Path

import asyncpg
import msgspec
import pytest

from koinon import ids
from koinon.database import pool, transaction
from koinon.identity.operations import grant_role, make_staff
from settlement.operations import MakerIsChecker, approve_run
from tests.kit.settlement import Coalition, nets, recorded
from tests.kit.terms import S1

EMAIL = "otto@koinon.example"
NOW = ("--now", "--as", EMAIL)


@pytest.fixture(autouse=True)
async def otto(coalition: Coalition) -> int:
    """Give an operator, who may ask for a run."""
    async with transaction() as connection:
        staff_id = await make_staff(connection, email=EMAIL, name="Otto")
        await grant_role(connection, staff_id=staff_id, role="operator")
    return staff_id


async def koinon(database_url: str, folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Run a command on the test's database; returns (exit code, output, errors)."""
    environment = os.environ | {
        "KOINON_DATABASE_URL": database_url,
        "KOINON_FOLDER": str(folder),
        "COLUMNS": "120",
    }
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "koinon", *arguments, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await child.communicate()
    return child.returncode or 0, output.decode(), errors.decode()


async def test_settle_closes_the_day_and_prints_the_nets(
    coalition: Coalition, database_url: str, tmp_path: Path
) -> None:
    """With --now the open window is closed, sealed, calculated and published, and printed brand by brand."""
    await coalition.s1_day()
    code, output, errors = await koinon(database_url, tmp_path, "settle", "--programme", "league", *NOW)

    assert code == 0, errors
    rows = [[cell.strip() for cell in line.split("│")] for line in output.splitlines() if "│" in line]
    assert rows == [
        ["Brand-A", "10,000", "10,000", "0", "100.00", "0.00", "-100.00"],
        ["Brand-B", "0", "0", "6,000", "0.00", "51.00", "51.00"],
        ["Brand-C", "4,000", "3,000", "7,000", "40.00", "59.50", "19.50"],
        ["breakage", "", "", "", "0.00", "0.00", "0.00"],
        ["margin", "", "", "", "0.00", "0.00", "0.00"],
        ["operator", "", "", "", "0.00", "21.00", "21.00"],
        ["pool", "", "", "", "110.50", "119.00", "8.50"],
    ]
    assert "The pool holds 8.50 USD, and 1,000 outstanding points are worth 8.5 USD: 0 minor units apart" in output
    assert "is PUBLISHED." in output
    assert await nets() == {"brand-a": -10_000, "brand-b": 5_100, "brand-c": 1_950, "operator": 2_100, "pool": 850}


async def test_whoever_closes_early_is_the_maker(
    coalition: Coalition, database_url: str, tmp_path: Path, otto: int
) -> None:
    """The command names a member of the operator's staff, who then cannot approve the run; else it is refused."""
    await coalition.s1_day()
    before = await recorded()
    for wrong in (("--now",), ("--as", EMAIL), ("--now", "--as", "nobody@koinon.example")):
        code, _, errors = await koinon(database_url, tmp_path, "settle", *wrong)
        assert code != 0
        assert errors
    assert await recorded() == before
    code, output, _ = await koinon(database_url, tmp_path, "settle", *NOW, "--json")
    (run,) = msgspec.json.decode(output)["runs"]
    assert (code, run["made_by"]) == (0, ids.public("stf", otto))
    with pytest.raises(MakerIsChecker):
        async with transaction() as connection:
            await approve_run(connection, ids.private("run", run["run"]), otto)


async def test_settle_again_settles_nothing(coalition: Coalition, database_url: str, tmp_path: Path) -> None:
    """A second call on the same day finds nothing to do, says so, and changes nothing."""
    await coalition.s1_day()
    first = await koinon(database_url, tmp_path, "settle", *NOW, "--json")
    before = await recorded()
    again = await koinon(database_url, tmp_path, "settle", *NOW, "--json")
    told = await koinon(database_url, tmp_path, "settle")

    (run,) = msgspec.json.decode(first[1])["runs"]
    assert (run["window"], run["state"], run["pool"]["holds"]) == (1, "PUBLISHED", True)
    assert (again[0], msgspec.json.decode(again[1])) == (0, {"runs": []})
    assert told[:2] == (0, "no window is due; `koinon settle --now --as EMAIL` closes the open one early\n")
    assert await recorded() == before


async def test_settle_takes_up_what_was_left(coalition: Coalition, database_url: str, tmp_path: Path) -> None:
    """Windows that were closed and not settled are settled in their order, each with its run."""
    await coalition.s1_day()
    await coalition.close()
    await coalition.earn("brand-a", 100)
    await coalition.close()
    code, output, _ = await koinon(database_url, tmp_path, "settle", "--json")

    assert code == 0
    assert [run["window"] for run in msgspec.json.decode(output)["runs"]] == [1, 2]
    assert await nets(2) == {"brand-a": -100, "operator": 15, "pool": 85}


async def test_settle_says_what_stops_it(coalition: Coalition, database_url: str, tmp_path: Path) -> None:
    """A pool that does not hold ends the command with 1 and the reason; so does a programme that is not there."""
    await coalition.s1_day()
    owner = await asyncpg.connect(database_url)
    await owner.execute("UPDATE ledger.lot SET remaining = remaining - 1 WHERE remaining > 0")
    await owner.close()

    code, _, errors = await koinon(database_url, tmp_path, "settle", *NOW)
    assert code == 1
    assert "league: The pool does not hold what the outstanding points are worth" in errors
    assert "1000 points are outstanding by the lines, 999 by the lots" in errors
    assert await pool().fetchval("SELECT count(*) FROM settlement.run") == 0
    code, _, errors = await koinon(database_url, tmp_path, "settle", "--programme", "nowhere")
    assert (code, errors.splitlines()[-1]) == (1, "Error: no programme has the code nowhere")


async def test_settle_goes_on_behind_what_stops_it(coalition: Coalition, database_url: str, tmp_path: Path) -> None:
    """One programme's pool does not hold: the other is settled and printed, and the command says 1 and why."""
    other = await Coalition(coalition.runtime).found("other", "EUR")
    await other.brand("shop-a", **S1)
    await other.earn("shop-a", 100)
    await coalition.s1_day()
    owner = await asyncpg.connect(database_url)
    await owner.execute(
        "UPDATE ledger.lot SET remaining = remaining - 1 WHERE remaining > 1 AND account_id = $1", coalition.account_id
    )
    await owner.close()

    code, output, errors = await koinon(database_url, tmp_path, "settle", *NOW, "--json")

    (run,) = msgspec.json.decode(output)["runs"]
    assert (code, run["programme_code"], run["state"]) == (1, "other", "PUBLISHED")
    assert "league: The pool does not hold what the outstanding points are worth" in errors


async def test_settle_says_what_keeps_the_log(coalition: Coalition, database_url: str, tmp_path: Path) -> None:
    """A journal that the log cannot take keeps its window from its seal: the command says which and ends."""
    await coalition.s1_day()
    owner = await asyncpg.connect(database_url)
    await owner.execute("UPDATE ledger.journal SET kind = 'adjust' WHERE kind = 'hold'")
    await owner.close()

    code, output, errors = await koinon(database_url, tmp_path, "settle", "--programme", "league", *NOW)

    assert (code, output) == (1, "")
    assert "league: its log is stopped: The log cannot take the journal jnl_" in errors
    assert "nobody is known to see a journal of kind adjust. Window 1 is not sealed" in errors
    assert await pool().fetchval("SELECT count(*) FROM settlement.run") == 0


async def test_verify_keeps_the_verifiers_exit_code(coalition: Coalition, database_url: str, tmp_path: Path) -> None:
    """`koinon verify` needs no database: 0 for a bundle that holds, 1 for one with a changed byte, naming the line."""
    await coalition.s1_day()
    await coalition.night()
    content = await pool().fetchval(
        "SELECT string_agg(content, ''::bytea ORDER BY part_no) FROM settlement.bundle_part WHERE partner_id = $1",
        coalition.partners["brand-b"],
    )
    right, wrong = tmp_path / "right.bundle", tmp_path / "wrong.bundle"
    await asyncio.to_thread(right.write_bytes, content)
    await asyncio.to_thread(wrong.write_bytes, content.replace(b'"points":"6000"', b'"points":"6001"', 1))
    nowhere = "postgresql://nobody@127.0.0.1:1/nothing"

    code, output, _ = await koinon(nowhere, tmp_path, "verify", str(right))
    assert (code, output.splitlines()[-1]) == (0, "verified")
    code, output, errors = await koinon(nowhere, tmp_path, "verify", str(wrong), "--json")
    assert (code, msgspec.json.decode(output)["ok"], errors) == (1, False, "")
    code, _, errors = await koinon(nowhere, tmp_path, "verify", str(wrong))
    assert code == 1
    assert errors.startswith(f"{wrong}:")


async def test_settle_says_that_the_log_is_stopped(coalition: Coalition, database_url: str, tmp_path: Path) -> None:
    """A log whose tiles were changed takes no leaf more: nothing is settled, and the operator is told why."""
    await coalition.s1_day()
    await coalition.seal()
    owner = await asyncpg.connect(database_url)
    await owner.execute("UPDATE audit.tile SET hashes = set_byte(hashes, 0, get_byte(hashes, 0) # 1)")
    await owner.close()
    before = await recorded()

    code, output, errors = await koinon(database_url, tmp_path, "settle", "--programme", "league", *NOW)

    assert (code, output) == (1, "")
    assert "league: its log is stopped: the tiles of " in errors
    assert await recorded() == before
