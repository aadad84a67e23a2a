"""The card-number firewall finds card numbers in every disguise it names, and lets ids of other kinds pass."""

import json
import random
import unicodedata
from typing import Any

import pytest
import schwifty
import structlog
from hypothesis import given
from hypothesis import strategies as st

from koinon.http.card_numbers import (
    LENGTHS,
    MASKED,
    PREFIXES,
    found_in_json,
    holds_card_number,
    mask,
    mask_event,
    passes_luhn,
)

# Numbers that the networks publish for tests; they belong to nobody.
PUBLISHED = (
    "4111111111111111",
    "4012888888881881",
    "4222222222222",
    "4000000000000000006",
    "5555555555554444",
    "5105105105105100",
    "2223003122003222",
    "2720992593319364",
    "378282246310005",
    "371449635398431",
    "6011111111111117",
    "6011000990139424",
    "30569309025904",
    "38520000023237",
    "3530111333300000",
    "3566002020360505",
    "6200000000000005",
    "6759649826438453",
    "5018000000000009",
    "2200000000000004",
)
CARD = "4111111111111111"
GOOD = (
    "",
    "0",
    "4111111111111112",  # a wrong check digit
    "411111111111111",  # fifteen digits are no Visa number
    "41111111111111111",  # nor are seventeen
    "1111111111111117",  # no network begins so
    "9999999999999995",
    "2026-03-02T10:15:30.123456+02:00",
    "1772446530123",  # a machine's milliseconds
    "74537605259536043849425",  # an acquirer's reference: 23 digits
    "+358 40 123 4567",
    "192.168.100.100 10.0.0.1",
    "mem_0123456789abc",
    "0198c1d2-4111-7111-8111-111111111111",
    "41111111-1111-1111-1111-111111111111",
    "f" * 24 + "4111111111111111" + "f" * 24,  # inside a SHA-256
    "PRISMA HELSINKI 0012 00100",
    "4111,1111,1111,1111",  # a list of numbers
    "4111:1111:1111:1111",
)


def spoken(digits: str, script: str) -> str:
    """Return digits in another script's digits."""
    zero = ord(unicodedata.lookup(f"{script} DIGIT ZERO"))
    return "".join(chr(zero + int(digit)) for digit in digits)


DISGUISED = (
    "4111 1111 1111 1111",
    "4111-1111-1111-1111",
    "4111.1111.1111.1111",
    "4111_1111_1111_1111",
    "4111\t1111\n1111\r\n1111",
    "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
    "4111 - 1111 - 1111 - 1111",
    "4111\u00a01111\u202f1111\u20091111",
    "4111\u20131111\u22121111\u20111111",
    "4111\u200b1111\u200d1111\ufeff1111",
    "4111\u00ad1111\u00b71111\u20601111",
    "4111 1111 1111 1111 12/27 123",
    "4111111111111111 12 27",
    "12 4111111111111111",
    "no 7: 4111 1111 1111 1111",
    "%B4111111111111111^DOE/J^27121010000000000?",
    ";4111111111111111=27121010000000000?",
    "pan=4111111111111111;",
    "VISA4111111111111111",
    "4111111111111111x",
    spoken(CARD, "FULLWIDTH"),
    spoken(CARD, "ARABIC-INDIC"),
    spoken(CARD, "DEVANAGARI"),
    spoken(CARD, "MATHEMATICAL BOLD"),
    spoken(CARD[:8], "THAI") + CARD[8:],
    "\u2074\u00b9\u00b9\u00b9\u00b9\u00b9\u00b9\u00b9\u00b9\u00b9\u00b9\u00b9\u00b9\u00b9\u00b9\u00b9",
)


@pytest.mark.parametrize("number", PUBLISHED)
def test_published_numbers_are_found(number: str) -> None:
    """Every network's test number is found, alone and in a sentence."""
    assert holds_card_number(number)
    assert holds_card_number(f"paid with {number}, thanks")


@pytest.mark.parametrize("text", DISGUISED)
def test_disguises_are_seen_through(text: str) -> None:
    """Groups, blanks of every kind, hyphens, digits of other scripts, and what stands beside them hide nothing."""
    assert holds_card_number(text)
    assert found_in_json(json.dumps({"note": text}).encode()) == ["/note"]
    assert found_in_json(json.dumps({"note": text}, ensure_ascii=False).encode()) == ["/note"]


@pytest.mark.parametrize("text", GOOD)
def test_what_is_no_card_number_passes(text: str) -> None:
    """Wrong check digits, other lengths, times, ids, telephones and lists of numbers pass."""
    assert not holds_card_number(text)
    assert found_in_json(json.dumps({"note": text}).encode()) == []
    assert mask(text) == text


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ('{"a": 4111111111111111}', ["/a"]),
        ('{"a": -4111111111111111}', ["/a"]),
        ('{"a": 4111111111111111.0}', ["/a"]),
        ('{"a": 4.111111111111111e15}', ["/a"]),
        ('{"a": 41111111111111110e-1}', ["/a"]),
        ('{"a": 4111111111111111E0}', ["/a"]),
        ('{"a": 1e999999999}', []),
        ('{"a": 4111111111111111e99999999999999999999}', []),
        ('{"a": -4111111111111111e-99999999999999999999}', ["/a"]),
        ('{"a": 4.111111111111111e+00000000000000000015}', ["/a"]),
        ('{"a": 0.' + "0" * 5000 + "4111111111111111e5016}", ["/a"]),
        ('{"a": 4111111111111111' + "0" * 5000 + "e-5000}", ["/a"]),
        ('{"a": 4111111111111111e5000}', ["/a"]),
        ('{"a": [0, {"b/c": {"d~e": "4111111111111111"}}]}', ["/a/1/b~1c/d~0e"]),
        ('{"4111111111111111": 1}', [""]),
        ('{"a": {"4111 1111 1111 1111": {"b": "4111111111111111"}}}', ["/a"]),
        ('{"a": "4111111111111111", "a": "clean"}', ["/a"]),
        ('"4111111111111111"', [""]),
        ('{"a": "\\u0034111111111111111"}', ["/a"]),
        ('{"a": "4111\\t1111\\n1111 1111"}', ["/a"]),
        ('{"a": "\\u03944111111111111111"}', ["/a"]),
        ('{"a": "\\u0394 0123"}', []),
        ('{"a": "4111111111111111"', [""]),
        ('{"a": "4111111111111111\\', [""]),
        ("[" * 100_000 + "4111111111111111", [""]),
        ('{"a": "\\ud83d 4111\\ud83d1111\\ud83d11111111"}', ["/a"]),
    ],
)
def test_json_is_looked_through(body: str, pointers: list[str]) -> None:
    """Strings, numbers however written, names, doubled names and escapes are looked at; the pointer is no echo."""
    assert found_in_json(body.encode()) == pointers


@pytest.mark.parametrize(
    ("place", "good", "bad"),
    [
        ("/network_transaction_id", "378282246310005", "4111111111111111"),
        ("/original_network_transaction_id", "371449635398431", "5555555555554444"),
        ("/merchant/mid", "378282246310005", "4111111111111111"),
        ("/messages/7/merchant/mid", "378282246310005", "4111111111111111"),
        ("/iban", "FI2112345600000785", "4111111111111111"),
        ("/phone", "+378282246310005", "4111111111111111"),
    ],
)
def test_typed_fields_take_their_own_form_only(place: str, good: str, bad: str) -> None:
    """A field that is exempt takes digits of its own form, and no card number of another form."""
    assert found_in_json(at(place, good)) == []
    assert found_in_json(at(place, bad)) == [place]


@pytest.mark.parametrize("place", ["/mid", "/extra/mid", "/extra/merchant/mid", "/mid/0", "/merchant/mid/0"])
def test_a_typed_field_is_its_place_and_not_its_name(place: str) -> None:
    """What has the name of an exempt field and stands somewhere else is looked at like anything else."""
    assert found_in_json(at(place, "378282246310005")) == [place]


def at(place: str, value: str) -> bytes:
    """Return a JSON document with one value at a pointer; a number in it is a place in a list."""
    document: Any = value
    for name in reversed(place.split("/")[1:]):
        document = [*([0] * int(name)), document] if name.isdigit() else {name: document}
    return json.dumps(document).encode()


def test_ibans_that_read_like_cards_pass_by_name() -> None:
    """An IBAN whose digits pass Luhn is taken in its field, and refused anywhere else and with a wrong check digit."""
    numbers = (f"{400_000_000_000_00 + serial:014}" for serial in range(10**6))
    ibans = (f"FI{98 - int(number + '151800') % 97:02}{number}" for number in numbers)
    iban = next(text for text in ibans if holds_card_number(text) and schwifty.IBAN(text, allow_invalid=True).is_valid)
    others = (f"FI{check:02}{iban[4:]}" for check in range(2, 99) if f"{check:02}" != iban[2:4])
    spoiled = next(text for text in others if holds_card_number(text))

    assert found_in_json(json.dumps({"iban": iban}).encode()) == []
    assert found_in_json(json.dumps({"note": iban}).encode()) == ["/note"]
    assert found_in_json(json.dumps({"iban": spoiled}).encode()) == ["/iban"]
    spaced = " ".join(iban[at : at + 4] for at in range(0, len(iban), 4))
    assert found_in_json(json.dumps({"iban": spaced}).encode()) == []


@given(st.sampled_from(sorted(LENGTHS)), st.data())
def test_every_plausible_number_is_found(length: int, data: st.DataObject) -> None:
    """Whatever begins as a network's numbers of its length do and passes Luhn is found, grouped in any way."""
    prefix = data.draw(st.sampled_from(sorted(PREFIXES[length])))
    middle = data.draw(st.text("0123456789", min_size=length - 5, max_size=length - 5))
    number = next(prefix + middle + digit for digit in "0123456789" if passes_luhn(prefix + middle + digit))
    blanks = data.draw(st.lists(st.sampled_from(["", " ", "-", "\u2013", "\u00a0"]), min_size=length, max_size=length))
    grouped = "".join(digit + blank for digit, blank in zip(number, blanks, strict=True))

    assert holds_card_number(grouped)
    assert found_in_json(json.dumps({"x": f"a {grouped} b"}).encode()) == ["/x"]
    assert not any(digit in mask(grouped).replace(MASKED, "") for digit in "0123456789")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.sampled_from(DISGUISED),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just(CARD), inner),
)


def holds_anywhere(document: Any) -> bool:
    """Tell, without any short cut, whether a document holds a card number."""
    if isinstance(document, dict):
        return any(holds_card_number(name) or holds_anywhere(value) for name, value in document.items())
    if isinstance(document, list):
        return any(map(holds_anywhere, document))
    if isinstance(document, float):
        # A fraction's digits are read as written: only whole numbers are worth others.
        whole = document.is_integer() and abs(document) < 10**20
        return holds_card_number(str(int(document)) if whole else str(document))
    return isinstance(document, str | int) and holds_card_number(str(document))


@given(JSON, st.booleans())
def test_short_cuts_miss_nothing(document: Any, escaped: bool) -> None:  # noqa: FBT001  # drawn by hypothesis
    """The check of a body's bytes finds what looking at every part finds, with letters escaped or not."""
    body = json.dumps(document, ensure_ascii=escaped).encode("utf-8", "surrogatepass")

    if holds_anywhere(document):
        assert found_in_json(body) != []


def test_false_positives() -> None:
    """Of random ids, few of 16 digits and fewer of 15 read like cards, and none in a field of their own."""
    draw = random.Random(20260302)  # noqa: S311  # drawn by seed, to be the same every time
    total = 20_000
    rates = {}
    for length in (13, 14, 15, 16, 17, 19):
        bodies = [json.dumps({"note": str(draw.randrange(10 ** (length - 1), 10**length))}) for _ in range(total)]
        rates[length] = sum(bool(found_in_json(body.encode())) for body in bodies)
    exempt = [
        json.dumps(
            {
                "network_transaction_id": f"{draw.randrange(10**15):015}",
                "merchant": {"mid": f"{draw.randrange(10**15):015}"},
            }
        )
        for _ in range(total)
    ]
    hashes = [json.dumps({"hash": f"{draw.getrandbits(256):064x}"}) for _ in range(total)]

    rates_text = ", ".join(f"{length} digits {found / total:.2%}" for length, found in rates.items())
    print(f"false positives among {total} random ids each: {rates_text}")
    in_exempt = sum(bool(found_in_json(body.encode())) for body in exempt)
    in_hashes = sum(bool(found_in_json(body.encode())) for body in hashes)
    print(f"in exempt fields: {in_exempt} of {total}; SHA-256: {in_hashes} of {total}")
    assert in_exempt == 0
    assert in_hashes == 0
    assert rates[15] / total < 0.006
    assert rates[16] / total < 0.04


def test_masking_keeps_the_rest() -> None:
    """The words around a card number stay, and where two readings overlap all digits go."""
    assert mask("paid 4111 1111 1111 1111 today") == f"paid {MASKED} today"
    assert mask(f"{CARD} and {CARD}") == f"{MASKED} and {MASKED}"
    assert not set("0123456789") & set(mask("4222222222222 4222222222222").replace(MASKED, ""))


def test_log_lines_are_masked() -> None:
    """A log event is masked in every part: text, numbers, bytes, names and what is nested."""
    event = mask_event(
        None,
        "info",
        {
            "event": f"card {CARD}",
            "number": int(CARD),
            "raw": CARD.encode(),
            "nested": {CARD: [CARD, {"deep": (CARD,)}]},
            "amount": 1234,
            "yes": True,
        },
    )

    assert CARD not in repr(event)
    assert event["amount"] == 1234
    assert event["yes"] is True
    assert event["event"] == f"card {MASKED}"


def test_structlog_chain_masks(capsys: pytest.CaptureFixture[str]) -> None:
    """With the processor in the chain, no card number reaches the log."""
    logger = structlog.wrap_logger(
        structlog.PrintLogger(), processors=[mask_event, structlog.processors.JSONRenderer()]
    )

    logger.info("refused", body=f"pan {CARD}")

    assert json.loads(capsys.readouterr().out)["body"] == f"pan {MASKED}"
