"""A lie that one bundle shows by itself: figures, signs and places that cannot all be true, in a log that is whole."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from koinon.audit.model import Effect, PartyEffect
from koinon.money import EXPONENTS as SETTLED
from koinon_verify import verify_bundle
from koinon_verify.currencies import EXPONENTS
from tests.kit.bundles import WINDOWS, Coalition, Mover
from tests.unit.verify.test_forgeries import Found, found_in, set_field

Alter = Callable[[dict[str, Any]], None]

GROCER = "grocer"


def more(*journals: tuple[str, str, list[Mover]]) -> Coalition:
    """Return a coalition whose window 12 has more journals at its end."""
    return Coalition(windows={12: [*WINDOWS[12], *journals]})


def details(folder: Path, bundle: bytes) -> list[str]:
    """Return what the problems of a bundle say."""
    path = folder / "forged.bundle"
    path.write_bytes(bundle)
    return [problem.detail for problem in verify_bundle(path).problems]


def in_currency(**fields: str) -> Coalition:
    """Return a coalition whose statement, and whose contracts too when it is named, state a currency."""
    if "currency" not in fields:
        return Coalition(alter_statement=set_field(**fields))

    return Coalition(
        alter_statement=set_field(**fields),
        alter_contracts=lambda terms: [msgspec.structs.replace(each, currency=fields["currency"]) for each in terms],
    )


@pytest.mark.parametrize("exponent", ["0", "1", "3", "5", "5000", "100000000", "1" + "0" * 29])
def test_the_decimals_of_a_currency_are_those_of_iso_4217(tmp_path: Path, exponent: str) -> None:
    """A bill of a hundredth or of a hundred times its euros is refused, and no huge number is written out."""
    forged = in_currency(exponent=exponent).close(12)[GROCER]

    assert found_in(tmp_path, forged) == [("statement", "currency-wrong")]
    assert details(tmp_path, forged) == [f"EUR has 2 decimals, not {exponent}"]


def test_an_unknown_currency_is_refused(tmp_path: Path) -> None:
    """Metals, codes that are none and currencies by number have no minor unit; contracts are held to it as well."""
    for code in ("XXX", "XAU", "EURO", "eur", "978", ""):
        found = found_in(tmp_path, in_currency(currency=code).close(12)[GROCER])
        assert found == [("contract", "currency-wrong")] * 2 + [("statement", "currency-wrong")]


def test_whatever_can_be_settled_in_can_be_verified() -> None:
    """The verifier's own table of currencies has each that the platform settles in, with as many decimals."""
    assert dict(EXPONENTS) == dict(SETTLED)
    assert {code: EXPONENTS[code] for code in ("EUR", "JPY", "KWD", "CLF", "ISK", "MRU")} == {
        "EUR": 2, "JPY": 0, "KWD": 3, "CLF": 4, "ISK": 0, "MRU": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    "day", ["2026-02-29", "2026-3-02", "20260302", "2026-W10-1", "2026-03-02T00:00:00", "today", ""]
)
def test_a_business_date_is_a_day(tmp_path: Path, day: str) -> None:
    """A date that is none, or is spelled otherwise, is refused."""
    forged = Coalition(alter_statement=set_field(business_date=day)).close(12)[GROCER]

    assert found_in(tmp_path, forged) == [("statement", "field-wrong")]


def test_what_was_honoured_was_accepted_by_somebody(tmp_path: Path) -> None:
    """An entry that the issuer is charged for without the piece that an acceptor shares is refused."""
    alone = more(("red_66", "capture", [(GROCER, Effect.HONOURED, 20, 1, None)])).close(12)[GROCER]

    assert found_in(tmp_path, alone) == [("entry", "shared-mismatch")]
    assert details(tmp_path, alone) == ["honoured of red_66 has no shared piece"]

    def unshared(effects: list[PartyEffect]) -> list[PartyEffect]:
        return [msgspec.structs.replace(effect, piece=None) for effect in effects]

    assert found_in(tmp_path, Coalition(alter_effects=unshared).close(12)[GROCER]) == [("entry", "shared-mismatch")] * 3


@pytest.mark.parametrize("effect", [Effect.ISSUED, Effect.EXPIRED, Effect.HELD, Effect.RELEASED])
def test_what_has_one_side_shares_nothing(tmp_path: Path, effect: Effect) -> None:
    """A shared piece on an effect that has no other side is refused."""
    forged = more(("red_66", "earn", [(GROCER, effect, 20, 1, 0)])).close(12)[GROCER]

    assert found_in(tmp_path, forged) == [("entry", "shared-mismatch")]


@pytest.mark.parametrize("effect", list(Effect))
def test_an_entry_has_points(tmp_path: Path, effect: Effect) -> None:
    """An entry of no points is no business."""
    piece = 0 if effect in {Effect.HONOURED, Effect.ACCEPTED} else None
    forged = more(("red_77", "earn", [(GROCER, effect, 0, 1, piece)])).close(12)[GROCER]

    assert found_in(tmp_path, forged) == [("entry", "entry-wrong")]


@pytest.mark.parametrize(
    ("effect", "expected"),
    [
        (Effect.ISSUED, []),
        (Effect.EXPIRED, [("entry", "entry-wrong")]),
        (Effect.HELD, [("entry", "entry-wrong")]),
        (Effect.RELEASED, [("entry", "entry-wrong")]),
    ],
)
def test_what_cannot_be_taken_back_has_its_sign(tmp_path: Path, effect: Effect, expected: Found) -> None:
    """Earned and burnt points are taken back; what expired, was held or released never is."""
    forged = more(("red_77", "reverse", [(GROCER, effect, -5, 1, None)])).close(12)[GROCER]

    assert found_in(tmp_path, forged) == expected


@pytest.mark.parametrize(
    "pieces",
    [
        [(GROCER, Effect.ISSUED, 5, 1, None), (GROCER, Effect.EXPIRED, 5, 1, None)],
        [(GROCER, Effect.ISSUED, 5, 1, None), (GROCER, Effect.ISSUED, -4, 1, None)],
        [(GROCER, Effect.HONOURED, 5, 1, 0), (GROCER, Effect.ACCEPTED, -5, 2, 1)],
        [(GROCER, Effect.ISSUED, 5, 1, None), (GROCER, Effect.ACCEPTED, 5, 2, 0)],
    ],
)
def test_a_journal_is_one_fact(tmp_path: Path, pieces: list[Mover]) -> None:
    """One leaf never both gives and takes back, nor does two kinds of things."""
    assert found_in(tmp_path, more(("red_77", "earn", pieces)).close(12)[GROCER]) == [("entry", "entry-wrong")]


def test_points_of_several_versions_may_expire_or_be_honoured_at_once(tmp_path: Path) -> None:
    """One journal has an entry for each contract version of the lots that it took from."""
    coalition = more(
        ("red_77", "expire", [(GROCER, Effect.EXPIRED, 5, 1, None), (GROCER, Effect.EXPIRED, 2, 2, None)]),
        ("red_78", "capture", [(GROCER, Effect.HONOURED, 5, 1, 0), (GROCER, Effect.ACCEPTED, 5, 2, 0)]),
        ("red_79", "reverse", [(GROCER, Effect.ISSUED, -5, 1, None), (GROCER, Effect.ISSUED, -2, 2, None)]),
    )

    assert found_in(tmp_path, coalition.close(12)[GROCER]) == []


def carried(coalition: Coalition, **points: tuple[int, int]) -> Coalition:
    """Let a coalition's grocer carry (points, minor units) in cells of contract version 1, by leg."""
    effects = {"fee": "issued", "issue_funding": "issued", "honour_funding": "honoured", "breakage": "expired"}
    for leg, before in points.items():
        coalition.billed[GROCER, leg, effects[leg], 1] = before
    return coalition


def test_the_past_of_one_version_is_one(tmp_path: Path) -> None:
    """Fee and funding at issue are for the same points: a bill that carries on from two histories is refused."""
    forged = carried(Coalition(), fee=(1_000_003, 150_000)).close(12)[GROCER]

    assert found_in(tmp_path, forged) == [("statement", "line-wrong")]
    assert details(tmp_path, forged) == [
        "version 1: fee starts from 1000003 points issued before, and issue_funding from 0"
    ]


def test_outstanding_points_follow_from_the_statement(tmp_path: Path) -> None:
    """What the seal says is outstanding is what the lines carry on from, and the window's points."""
    for stated in ("999999", "-5", "62", "60"):
        forged = Coalition(alter_seal=set_field(outstanding=stated)).close(12)[GROCER]
        assert found_in(tmp_path, forged) == [("seal", "seal-mismatch")]
    assert details(tmp_path, forged) == ["outstanding is 60, and 0 - 0 - 0 before and 61 now make 61"]

    past = {"fee": (700, 105), "issue_funding": (700, 198), "honour_funding": (100, 57), "breakage": (30, 8)}
    coalition = carried(Coalition(), **past)
    assert found_in(tmp_path, coalition.close(12)[GROCER]) == [("seal", "seal-mismatch")]
    coalition = carried(Coalition(), **past)
    coalition.outstanding[GROCER] = 570
    assert found_in(tmp_path, coalition.close(12)[GROCER]) == []


def test_points_may_be_burnt_a_window_before_they_were_issued(tmp_path: Path) -> None:
    """A writer that took its window just before the close may burn what the next window issued: below zero is true."""
    coalition = Coalition(
        windows={12: [("red_80", "capture", [(GROCER, Effect.HONOURED, 5, 1, 0), ("cafe", Effect.ACCEPTED, 5, 1, 0)])]}
    )

    assert found_in(tmp_path, coalition.close(12)[GROCER]) == []


def test_a_run_waits_for_the_seal(tmp_path: Path) -> None:
    """A run whose leaf stands before the seal was calculated from a window that could still grow."""
    forged = Coalition(run_first=True).close(12)[GROCER]

    assert found_in(tmp_path, forged) == [("statement", "run-before-seal")]
    assert details(tmp_path, forged) == ["the run's leaf 12 does not follow the seal's leaf 13"]


def test_honest_nights_of_every_kind_hold(tmp_path: Path) -> None:
    """The first night of all, a night without business, and the first night of a brand that joined later."""
    coalition = Coalition(windows={12: WINDOWS[12], 13: WINDOWS[14], 14: WINDOWS[13]})
    late = Coalition(windows={12: [WINDOWS[12][2]], 13: WINDOWS[12], 14: WINDOWS[13]})
    for each in (coalition, late):
        before: Path | None = None
        for window in (12, 13, 14):
            path = tmp_path / f"{window}.bundle"
            path.write_bytes(each.close(window)[GROCER])
            assert verify_bundle(path).problems == []
            assert verify_bundle(path, previous=before).problems == []
            before = path
