"""Pay codes: genuine for a minute, for one member, in any letter case; anything else is no pay code."""

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import Litestar

from koinon import ids
from koinon.members.pay_codes import PayCodeExpired, PayCodeInvalid, issue, verify
from tests.kit.scheme import open_scheme
from tests.web.conftest import Callers

NOW = datetime(2026, 3, 2, 9, 0, 0, 500_000, tzinfo=UTC)
SECRET = bytes(range(32))
NONCE = bytes(range(12))


@given(st.integers(1, 2**62), st.binary(min_size=12, max_size=12), st.binary(min_size=32, max_size=32))
def test_a_code_names_its_member(member_id: int, nonce: bytes, secret: bytes) -> None:
    """Whoever has the secret reads the member and the reference from a code, in upper and lower case."""
    code = issue(member_id, secret, NOW, nonce)

    assert verify(code.code, secret, NOW) == (member_id, nonce.hex())
    assert verify(f" {code.code.lower()}\n", secret, NOW) == (member_id, nonce.hex())
    assert len(code.code) == 67
    assert code.code.isalnum()
    assert code.code == code.code.upper()


def test_a_code_lives_a_minute() -> None:
    """To the last moment it is taken, from its end on it is not; one from far ahead is not ours."""
    code = issue(7, SECRET, NOW, NONCE)

    assert code.expires_at == datetime(2026, 3, 2, 9, 1, 0, tzinfo=UTC)
    assert verify(code.code, SECRET, code.expires_at - timedelta(microseconds=1))[0] == 7
    for late in (code.expires_at, NOW + timedelta(days=1)):
        with pytest.raises(PayCodeExpired):
            verify(code.code, SECRET, late)
    with pytest.raises(PayCodeInvalid):
        verify(code.code, SECRET, NOW - timedelta(hours=1))


def test_every_symbol_counts() -> None:
    """A code with any one symbol changed is not genuine."""
    code = issue(7, SECRET, NOW, NONCE).code
    tried = 0
    for position in range(len(code)):
        for symbol in "0Z9KI-":
            if code[position] != symbol:
                changed = code[:position] + symbol + code[position + 1 :]
                with pytest.raises(PayCodeInvalid):
                    verify(changed, SECRET, NOW)
                tried += 1
    assert tried > 300


@pytest.mark.parametrize("text", ["", "KPC", "KPC" + "0" * 63, "KPC" + "0" * 65, "KPC" + "U" * 64, "KPC" + "Ω" * 64])
def test_other_texts_are_no_codes(text: str) -> None:
    """A wrong length or symbol is refused before anything is computed."""
    with pytest.raises(PayCodeInvalid):
        verify(text, SECRET, NOW)


@given(st.text(max_size=80))
def test_no_text_breaks_it(text: str) -> None:
    """Whatever a till sends is refused cleanly."""
    with pytest.raises(PayCodeInvalid):
        verify(text, SECRET, NOW)


def test_another_installation_is_not_believed() -> None:
    """A code under another secret is not genuine."""
    with pytest.raises(PayCodeInvalid):
        verify(issue(7, b"other" * 8, NOW, NONCE).code, SECRET, NOW)


async def test_a_member_gets_codes(callers: Callers, app: Litestar, database: asyncpg.Pool) -> None:
    """Each has a reference of its own; a retry gets the same one; nobody else gets any."""
    scheme = await open_scheme(callers)
    shop = await scheme.api_of(await scheme.partner())
    member, browser, _ = await scheme.member_of(shop)
    secret = app.state.runtime.keys.secret
    answers = [await browser.post("/v1/me/pay-codes", key=key) for key in ("a", "b", "a")]

    assert [answer.status_code for answer in answers] == [201, 201, 201]
    read = [verify(answer.json()["code"], secret, datetime.now(UTC)) for answer in answers]
    assert {member_id for member_id, _ in read} == {ids.private("mem", member)}
    assert read[0] == read[2]
    assert read[0][1] != read[1][1]
    lives = datetime.fromisoformat(answers[1].json()["expires_at"]) - datetime.now(UTC)
    assert timedelta(seconds=30) < lives <= timedelta(seconds=60)
    assert (await shop.post("/v1/me/pay-codes")).status_code == 403
