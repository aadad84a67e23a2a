"""The command: what it prints, its exit codes, and that it stands alone."""

import ast
import json
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

import koinon_verify
from koinon.audit.leaves import contract_reference
from koinon_verify import CODES, main
from koinon_verify.amounts import money, round_half_even
from tests.kit.bundles import CONTRACTS, KEY, receipts_of

PACKAGE = Path(koinon_verify.__file__).parent
SOURCES = sorted(PACKAGE.glob("*.py"))
DIGESTS = [contract_reference(terms).sha256 for terms in CONTRACTS["grocer"]]
FINGERPRINT = "SHA256:Vkdap1RjR0wChd9dvyvKtz2mUTWIOem3dIGy6rEHcIw"


@pytest.fixture
def receipts(grocer: Path) -> Path:
    """Return the path of the grocer's own receipts."""
    path = grocer.with_suffix(".receipts")
    made = receipts_of(grocer.read_bytes(), "issued", "accepted")
    path.write_text("".join(json.dumps(receipt) + "\n" for receipt in made), encoding="utf-8")
    return path


def test_a_good_bundle_is_told_to_people(grocer: Path, receipts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Partner, window, entries, receipts, log, key and money, and 0 to the shell."""
    assert main([str(grocer), "--receipts", str(receipts)]) == 0

    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out == (
        "grocer, sun, window 12, 2026-03-02\n"
        "  entries     7   accepted 2, expired 1, honoured 1, issued 3\n"
        "  receipts    4 of 4 matched\n"
        "              entries without a receipt: expired 1 (by date), honoured 1 (at any till)\n"
        "  checkpoint  log.example/sun, 14 leaves\n"
        f"  key         {FINGERPRINT} (trusted from this bundle; --key pins it)\n"
        "  contract 1  price 1, fee 3/20, issue share 1/3, honour 1/2 (minor units of EUR a point), "
        "from 2026-01-01T00:00:00Z\n"
        f"              SHA-256 {DIGESTS[0]} (trusted from this bundle; --contract pins it)\n"
        "  contract 2  price 6/5, fee 1/5, issue share 1, honour 17/20 (minor units of EUR a point), "
        "from 2026-02-01T00:00:00Z\n"
        f"              SHA-256 {DIGESTS[1]} (trusted from this bundle; --contract pins it)\n"
        "  pays                    1.14 EUR\n"
        "  receives                0.26 EUR\n"
        "  net                    -0.88 EUR\n"
        "verified\n"
    )


def test_a_bad_bundle_is_named_by_its_line(grocer: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """File, line, code and reason on the error stream, 1 to the shell, and no figure to book."""
    grocer.write_bytes(grocer.read_bytes().replace(b'"points":"100"', b'"points":"900"', 1))

    assert main([str(grocer), "--key", KEY.text]) == 1

    printed = capsys.readouterr()
    assert printed.err.splitlines() == [
        f"{grocer}:5: commitment-mismatch: the content does not open slot c5 of the leaf",
        f"{grocer}:14: end-wrong: the bytes before the last line do not have the hash that it names",
    ]
    assert printed.out.endswith(f"  key         {FINGERPRINT} (pinned by --key)\nNOT VERIFIED\n")
    assert "EUR" not in printed.out


def test_many_problems_are_cut_short(grocer: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Twenty problems are shown and the rest counted."""
    receipts = grocer.with_suffix(".receipts")
    receipts.write_text("{}\n" * 25, encoding="utf-8")

    assert main([str(grocer), "--receipts", str(receipts)]) == 1
    assert capsys.readouterr().err.splitlines()[20:] == ["and 5 more"]


def test_machines_get_one_line(grocer: Path, receipts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--json prints one object with every figure, for a good bundle and for a bad one."""
    assert main([str(grocer), "--receipts", str(receipts), "--key", KEY.text, "--json"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert json.loads(printed) == {
        "ok": True,
        "bundle": str(grocer),
        "partner": "grocer",
        "programme": "sun",
        "window": 12,
        "business_date": "2026-03-02",
        "entries": 7,
        "effects": {"accepted": 2, "expired": 1, "honoured": 1, "issued": 3},
        "currency": "EUR",
        "exponent": 2,
        "pays": 114,
        "receives": 26,
        "net": -88,
        "receipts": {
            "given": 4,
            "matched": 4,
            "matched_previous": 0,
            "other_windows": 0,
            "other_windows_first": None,
            "other_windows_last": None,
            "entries_without": {"expired": 1, "honoured": 1},
        },
        "origin": "log.example/sun",
        "log_size": 14,
        "key": KEY.text,
        "key_fingerprint": FINGERPRINT,
        "key_pinned": True,
        "contracts": [
            {
                "version": version,
                **dict(zip(("price", "fee", "issue_share", "honour"), rates, strict=True)),
                "currency": "EUR",
                "effective_from": f"2026-0{version}-01T00:00:00Z",
                "sha256": DIGESTS[version - 1],
                "pinned": False,
            }
            for version, rates in ((1, ("1", "3/20", "1/3", "1/2")), (2, ("6/5", "1/5", "1", "17/20")))
        ],
        "previous": None,
        "notes": [],
        "problems": [],
        "more_problems": 0,
    }

    assert main([str(grocer.with_suffix(".nowhere")), "--json"]) == 1
    value = json.loads(capsys.readouterr().out)
    assert (value["ok"], value["entries"]) == (False, 0)
    assert [(item["line"], item["code"]) for item in value["problems"]] == [(None, "unreadable")]


def test_it_runs_as_a_module(grocer: Path) -> None:
    """`python -m koinon_verify` needs the package's own folder on the path and nothing else of ours."""
    run = subprocess.run(
        [sys.executable, "-m", "koinon_verify", str(grocer)],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.endswith("verified\n")
    misused = subprocess.run(
        [sys.executable, "-m", "koinon_verify"], cwd=PACKAGE.parent, capture_output=True, text=True, check=False
    )
    assert misused.returncode == 2
    assert "usage: python -m koinon_verify" in misused.stderr


def test_the_verifier_imports_nothing_of_ours() -> None:
    """Only the standard library, `cryptography` and itself are imported, anywhere in the package."""
    imported: set[str] = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0
                imported.add((node.module or "").split(".")[0])
    outside = imported - set(sys.stdlib_module_names)

    assert outside == {"cryptography", "koinon_verify"}
    assert not imported & {"socket", "urllib", "http", "asyncio", "subprocess", "importlib"}


def test_nothing_of_ours_is_loaded_behind_its_back() -> None:
    """Loading the verifier in a fresh process loads no module of the platform, and no framework."""
    listed = subprocess.run(
        [sys.executable, "-c", "import koinon_verify.__main__, sys"],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    names = "import koinon_verify.command, sys; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run(
        [sys.executable, "-c", names], cwd=PACKAGE.parent, capture_output=True, text=True, check=True
    ).stdout.split()

    assert listed.returncode == 2  # it asks for a bundle
    ours = {"koinon", "partners", "offers", "settlement", "msgspec", "rfc8785", "litestar", "piccolo", "asyncpg"}
    assert not ours & set(loaded)


def test_every_code_is_listed_and_used() -> None:
    """The codes that are raised are those of the list, and each is raised somewhere."""
    raised = {
        code for path in SOURCES for code in re.findall(r'Refused\(\s*"([a-z-]+)"', path.read_text(encoding="utf-8"))
    }
    through = set(re.findall(r'_check_sums\(\s*"([a-z-]+)"', (PACKAGE / "figures.py").read_text(encoding="utf-8")))

    assert raised | through == set(CODES)


def test_halves_go_to_the_even_number() -> None:
    """The verifier's own rounding, on both sides of zero."""
    halves = {number: round_half_even(Fraction(number, 2)) for number in range(-5, 6)}

    assert halves == {-5: -2, -4: -2, -3: -2, -2: -1, -1: 0, 0: 0, 1: 0, 2: 1, 3: 2, 4: 2, 5: 2}
    assert [round_half_even(Fraction(number, 3)) for number in (-5, -4, -2, -1, 1, 2, 4, 5)] == [
        -2,
        -1,
        -1,
        0,
        0,
        1,
        1,
        2,
    ]


def test_money_is_written_with_its_exponent() -> None:
    """Currencies of two, none and three decimals, negative amounts and thousands."""
    assert money(-123_450, 2, "EUR") == "-1,234.50 EUR"
    assert money(5, 2, "EUR") == "0.05 EUR"
    assert money(1_234, 0, "JPY") == "1,234 JPY"
    assert money(-7, 3, "KWD") == "-0.007 KWD"
