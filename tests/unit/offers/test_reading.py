"""Card messages are read whole, or refused field by field without repeating what was sent."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pycountry
import pytest

from koinon.money import EXPONENTS
from koinon.places.model import Facilitator, Merchant, Network, message_keys
from offers.feeds.currencies import NUMERIC, letters
from offers.feeds.messages import CardMessage, Channel, Components, MessageType
from offers.feeds.reading import DETAILS, RefusedMessage, content_hash, looks_like_card_number, read_message
from tests.unit.offers.samples import body, message

CARD_NUMBER = "4111111111111111"

EVERYTHING: dict[str, Any] = {
    "message_id": "m-1",
    "source_id": "src_a",
    "type": "clearing",
    "sequence": 2**64 - 1,
    "occurred_at": "2026-03-02T12:00:00.25+02:00",
    "occurred_at_raw": "02/03/2026 12:00",
    "source_tz": "Europe/Helsinki",
    "merchant_local_datetime": "2026-03-02T12:00:00",
    "payment_ref": "pay-1",
    "network": "mastercard",
    "network_transaction_id": "MCC1234560302",
    "network_date": "2026-03-02",
    "original_network_transaction_id": "MCC1234550301",
    "original_message_id": "m-0",
    "arn": "74111116061000000000017",
    "clearing_sequence": 1,
    "clearing_count": 2,
    "auth_code": "A1B2C3",
    "rrn": "606112345678",
    "stan": "000017",
    "amount_minor": 5000,
    "currency": "EUR",
    "billing_amount_minor": 5400,
    "billing_currency": "USD",
    "components": {
        "subtotal_minor": 3000,
        "tip_minor": 500,
        "tax_minor": 400,
        "surcharge_minor": 100,
        "cashback_minor": 1000,
    },
    "mcc": "0742",
    "merchant": {
        "mid": "000123",
        "acquirer_id": "400012",
        "scheme_merchant_id": "VM1",
        "scheme_store_id": "VS1",
        "se_number": "9421112223",
        "terminal_id": "T9",
        "descriptor": "GROCER 12",
        "descriptor2": "HELSINKI",
        "city": "Helsinki",
        "region": "Uusimaa",
        "postcode": "00100",
        "country": "FI",
    },
    "payment_facilitator": {"id": "F1", "sub_merchant_id": "M9", "name": "Square"},
    "card_token": "tok_a",
    "par": "V0010013019010000000000000001",
    "card_last4": "0042",
    "card_bin6": "41111100",
    "dpan_last4": "9001",
    "token_requestor_id": "40010030273",
    "wallet": "device",
    "pos_entry_mode": "071",
    "card_present": True,
    "channel": "in_store",
    "is_recurring": False,
    "is_installment": False,
    "is_preauth": False,
    "response_code": "00",
    "extra": {"anything": [1, {"nested": None}]},
}


def read(**fields: Any) -> CardMessage | RefusedMessage:
    """Read a message with some fields changed."""
    return read_message(msgspec.json.encode(body(**fields)), "src_a")


def faults(sent: CardMessage | RefusedMessage) -> list[tuple[str, str]]:
    """Return the pointer and the code of every fault."""
    assert isinstance(sent, RefusedMessage)
    return [(fault.pointer, fault.code) for fault in sent.faults]


def test_every_field_is_accepted_and_kept() -> None:
    """Each field of the canonical message arrives as it was sent, and is written back the same."""
    assert set(EVERYTHING) == {field.encode_name for field in msgspec.structs.fields(CardMessage)}

    kept = read_message(msgspec.json.encode(EVERYTHING), "src_a")

    assert isinstance(kept, CardMessage)
    assert kept.type is MessageType.CLEARING
    assert kept.network is Network.MASTERCARD
    assert kept.channel is Channel.IN_STORE
    assert kept.occurred_at == datetime(2026, 3, 2, 10, 0, 0, 250_000, tzinfo=UTC)
    assert kept.occurred_at.utcoffset() == timedelta(hours=2)
    assert kept.network_date == date(2026, 3, 2)
    assert kept.components == Components(
        subtotal_minor=3000, tip_minor=500, tax_minor=400, surcharge_minor=100, cashback_minor=1000
    )
    assert kept.payment_facilitator == Facilitator(id="F1", sub_merchant_id="M9", name="Square")
    written = msgspec.json.decode(msgspec.json.encode(kept))
    assert written == EVERYTHING | {"occurred_at": "2026-03-02T12:00:00.250000+02:00"}


@pytest.mark.parametrize("moment", ["1970-01-01T00:00:00", "2199-12-30T23:59:59"])
def test_the_first_and_the_last_moments_are_read(moment: str) -> None:
    """A clock that was never set tells the first second of 1970, which is a time like others."""
    kept = message(occurred_at=f"{moment}Z", merchant_local_datetime=moment)

    assert kept.occurred_at == datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert kept.merchant_local_datetime == datetime.fromisoformat(moment)


def test_what_is_not_sent_stays_unknown() -> None:
    """A missing field is None, and the source is the feed's."""
    kept = message()

    assert kept.source_id == "src_a"
    assert (kept.card_present, kept.channel, kept.is_preauth, kept.par) == (None, None, None, None)


@pytest.mark.parametrize(
    ("sent", "kept"), [("eur", "EUR"), ("978", "EUR"), (978, "EUR"), ("036", "AUD"), (36, "AUD"), ("JPY", "JPY")]
)
def test_currencies_become_letters(sent: str | int, kept: str) -> None:
    """A currency may be sent as letters or as a number, written as text or not."""
    canonical = read(currency=sent, billing_currency=sent, billing_amount_minor=5400)

    assert isinstance(canonical, CardMessage)
    assert (canonical.currency, canonical.billing_currency) == (kept, kept)


def test_numeric_codes_are_those_of_iso_4217() -> None:
    """Every currency that money knows has its number, as the ISO list gives it."""
    listed = {entry.numeric: entry.alpha_3 for entry in pycountry.currencies if entry.alpha_3 in EXPONENTS}

    assert {number: code for number, code in NUMERIC.items() if number in listed} == listed
    assert set(NUMERIC.values()) == set(EXPONENTS) - {"ANG"}
    assert (letters("532"), letters("999"), letters("XXX"), letters("")) == ("XCG", None, None, None)


@pytest.mark.parametrize("nothing", ["0", "00000", "null", "None", " "])
def test_fillers_of_networks_say_nothing(nothing: str) -> None:
    """A reference that says nothing joins nothing: it is left out. A merchant stays as sent, and is not known by it."""
    kept = read(
        merchant={"mid": nothing, "terminal_id": nothing, "descriptor": "GROCER"},
        network_transaction_id=nothing,
        payment_ref=nothing,
        auth_code=nothing,
    )

    assert isinstance(kept, CardMessage)
    assert kept.merchant == Merchant(mid=nothing, terminal_id=nothing, descriptor="GROCER")
    assert message_keys(kept.network, kept.merchant) == message_keys(kept.network, Merchant(descriptor="GROCER"))
    assert (kept.network_transaction_id, kept.payment_ref, kept.auth_code) == (None, None, None)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"amount_minor": -1}, [("/amount_minor", "amount-not-positive")]),
        ({"amount_minor": 50.0}, [("/amount_minor", "not-whole")]),
        ({"amount_minor": 50.5}, [("/amount_minor", "not-whole")]),
        ({"amount_minor": "50"}, [("/amount_minor", "wrong-type")]),
        ({"amount_minor": True}, [("/amount_minor", "wrong-type")]),
        ({"amount_minor": 10**15 + 1}, [("/amount_minor", "amount-too-large")]),
        ({"amount_minor": 10**30}, [("/amount_minor", "amount-too-large")]),
        ({"amount_minor": None}, [("/amount_minor", "missing-field")]),
        ({"kind": "clearing", "amount_minor": 0}, [("/amount_minor", "amount-not-positive")]),
        ({"kind": "settlement"}, [("/type", "unknown-value")]),
        ({"network": "abacus"}, [("/network", "unknown-value")]),
        ({"currency": "QQQ"}, [("/currency", "unknown-currency")]),
        ({"currency": "XAU"}, [("/currency", "unknown-currency")]),
        ({"currency": 1000}, [("/currency", "wrong-type")]),
        ({"billing_amount_minor": 5}, [("/billing_amount_minor", "incomplete-pair")]),
        ({"billing_currency": "EUR"}, [("/billing_amount_minor", "incomplete-pair")]),
        ({"components": {"tip_minor": 5001}}, [("/components/tip_minor", "component-exceeds-amount")]),
        ({"components": {"tip": 1}}, [("/components/tip", "unknown-field")]),
        ({"components": {"tip/~": 1}}, [("/components/tip~1~0", "unknown-field")]),
        ({"components": {"tip_minor": -1}}, [("/components/tip_minor", "out-of-range")]),
        ({"occurred_at": "2026-03-02T10:00:00"}, [("/occurred_at", "no-offset")]),
        ({"occurred_at": "yesterday"}, [("/occurred_at", "bad-format")]),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, [("/occurred_at", "time-out-of-range")]),
        ({"occurred_at": "1970-01-01T00:00:00+00:01"}, [("/occurred_at", "time-out-of-range")]),
        ({"occurred_at": "2199-12-31T23:59:59-23:59"}, [("/occurred_at", "time-out-of-range")]),
        ({"merchant_local_datetime": "2026-03-02T10:00:00Z"}, [("/merchant_local_datetime", "unwanted-offset")]),
        ({"merchant_local_datetime": "9999-12-31T23:59:59"}, [("/merchant_local_datetime", "time-out-of-range")]),
        ({"mcc": "742"}, [("/mcc", "bad-format")]),
        ({"mcc": "5411\n"}, [("/mcc", "bad-format")]),
        ({"arn": "1" * 22}, [("/arn", "bad-format")]),
        ({"par": "too-short"}, [("/par", "bad-format")]),
        ({"card_last4": "12"}, [("/card_last4", "bad-format")]),
        ({"card_bin6": "411111111"}, [("/card_bin6", "bad-format")]),
        ({"card_token": CARD_NUMBER}, [("/card_token", "card-number")]),
        ({"card_token": "4111-1111 1111.1111"}, [("/card_token", "card-number")]),
        ({"card_token": "tok_" + CARD_NUMBER}, [("/card_token", "card-number")]),
        ({"card_token": "t" * 65}, [("/card_token", "too-long")]),
        ({"card_token": ""}, [("/card_token", "too-short")]),
        ({"message_id": ""}, [("/message_id", "too-short")]),
        ({"message_id": "m" * 129}, [("/message_id", "too-long")]),
        ({"source_id": "src_b"}, [("/source_id", "source-mismatch")]),
        ({"merchant": None}, [("/merchant", "no-merchant")]),
        ({"merchant": {"city": "Helsinki"}}, [("/merchant", "no-merchant")]),
        ({"merchant": {"brand": "x", "descriptor": "y"}}, [("/merchant/brand", "unknown-field")]),
        ({"merchant": {"mid": 123}}, [("/merchant/mid", "wrong-type")]),
        ({"merchant": {"descriptor": "GRO\0CER"}}, [("/merchant/descriptor", "unprintable")]),
        ({"extra": {"x": "y" * 8192}}, [("/extra", "extra-too-large")]),
        ({"extra": []}, [("/extra", "wrong-type")]),
        ({"card_number": "x"}, [("/card_number", "unknown-field")]),
        ({"sequence": -1}, [("/sequence", "out-of-range")]),
    ],
)
def test_a_fault_names_its_field_and_a_stable_code(changes: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    """One wrong field gives one fault, at its pointer."""
    assert faults(read(**changes)) == expected


def test_all_faults_of_a_message_are_told_at_once() -> None:
    """A developer does not mend one field at a time."""
    refused = read(amount_minor="50", currency=None, mcc="x", colour="red")

    assert sorted(faults(refused)) == [
        ("/amount_minor", "wrong-type"),
        ("/colour", "unknown-field"),
        ("/currency", "missing-field"),
        ("/mcc", "bad-format"),
    ]
    assert isinstance(refused, RefusedMessage)
    assert refused.message_id == "authorisation-50"


@pytest.mark.parametrize(
    ("raw", "code"),
    [(b'{"message_id"', "malformed-json"), (b'{"a":"\xff"}', "malformed-json"), (b"[]", "not-an-object")],
)
def test_what_is_no_message_at_all_is_refused(raw: bytes, code: str) -> None:
    """Broken JSON and other JSON have their codes."""
    assert faults(read_message(raw, "src_a")) == [("", code)]


@pytest.mark.parametrize(
    "changes",
    [
        {"card_token": CARD_NUMBER},
        {"card_token": int(CARD_NUMBER)},
        {"kind": CARD_NUMBER},
        {"kind": f"x - at `$.{CARD_NUMBER}"},
        {"mcc": CARD_NUMBER},
        {"currency": CARD_NUMBER},
        {"occurred_at": CARD_NUMBER},
        {CARD_NUMBER: "x"},
        {"merchant": {CARD_NUMBER: "x"}},
        {"merchant": {"x - at `$.4111.1111.1111.1111": "x"}},
        {"message_id": CARD_NUMBER, "amount_minor": None},
    ],
)
def test_a_refusal_never_repeats_a_card_number(changes: dict[str, Any]) -> None:
    """Wherever a card number was put, the answer does not hold it, in one piece or in several."""
    refused = read(**changes)

    assert isinstance(refused, RefusedMessage)
    answer = msgspec.json.encode(refused).decode()
    assert CARD_NUMBER not in "".join(symbol for symbol in answer if symbol.isdigit())


@pytest.mark.parametrize("kind", ["authorisation", "decline", "auth_expiry"])
def test_an_account_check_may_ask_for_nothing(kind: str) -> None:
    """A zero amount is the sign of a status inquiry; an expiry releases whatever is left."""
    assert message(kind, 0).amount_minor == 0


@pytest.mark.parametrize("kind", ["auth_reversal", "increment", "auth_expiry", "chargeback", "refund_reversal"])
def test_what_follows_a_purchase_may_leave_the_merchant_to_it(kind: str) -> None:
    """Only what stands for itself needs to name its merchant."""
    assert message(kind, merchant=None).merchant is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CARD_NUMBER, True),
        ("4111 1111 1111 1111", True),
        ("378282246310005", True),
        ("6304000000000000000", True),
        ("card 4111 1111 1111 1111-05", True),
        ("12345678-1234-4321-8765-123456789012", False),
        ("ab4111111111111111", False),
        ("\uff14111111111111111", True),
        ("4111111111111112", False),
        ("411111111111", False),
        ("tok_9f8e7d6c5b4a", False),
        ("41111111111111114111111111111111", False),
    ],
)
def test_card_numbers_are_told_by_length_and_luhn(text: str, expected: bool) -> None:  # noqa: FBT001  # a table of cases
    """Groups of 13 to 19 digits with a right check digit look like a card number; parts of other ids do not."""
    assert looks_like_card_number(text) is expected


def test_the_content_hash_is_of_what_was_said() -> None:
    """Spaces and order do not change a message's content; any value does."""
    first = content_hash(b'{"message_id": "m", "amount_minor": 5}')

    assert content_hash(b'{"amount_minor":5,"message_id":"m"}') == first
    assert content_hash(b'{"amount_minor":6,"message_id":"m"}') != first
    assert len(first) == 32


def test_every_code_has_its_sentence() -> None:
    """Codes are stable kebab-case words, each with a sentence."""
    assert all(code.replace("-", "").isalpha() and text.endswith(".") for code, text in DETAILS.items())
