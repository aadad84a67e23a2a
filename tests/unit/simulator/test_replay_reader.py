"""Reading a real file of card postings: signs, dates, missing currencies, and what cannot be read."""

import gzip
from pathlib import Path

import msgspec
import pytest

from load_tests.replay import (
    MAPPINGS,
    Layout,
    Row,
    SeenPlace,
    UnknownLayoutError,
    layout_for,
    load_layout,
    place_name,
    read,
    survey,
)
from offers.feeds.messages import CardMessage
from offers.feeds.reading import read_message

HEADER = (
    "row,trans_date,original_gross_amount,original_currency,billing_gross_amount,"
    "billing_currency,merchant_name,card_last4,account_desc"
)
GOOD = [
    "7,2014-01-31,12.30,,,GBP,Tesco stores 2933,0421,Purchases Food",
    "8,2014-07-01,-2.00,,,,tesco stores 5204,0421,",
    '9,2014-07-02,1500,JPY,8.61,GBP,"paypal *shop, ltd",9999,Books',
]
BAD = {
    ",2014-01-31,1.00,,,,shop,0421,": ("missing-id", "row"),
    "1,,1.00,,,,shop,0421,": ("missing-date", "trans_date"),
    "1,31/01/2014,1.00,,,,shop,0421,": ("bad-date", "trans_date"),
    "1,2014-02-30,1.00,,,,shop,0421,": ("bad-date", "trans_date"),
    "1,2014-01-31,,,,,shop,0421,": ("missing-amount", "original_gross_amount"),
    "1,2014-01-31,1.005,,,,shop,0421,": ("bad-amount", "original_gross_amount"),
    "1,2014-01-31,1e3,,,,shop,0421,": ("bad-amount", "original_gross_amount"),
    "1,2014-01-31,0.00,,,,shop,0421,": ("zero-amount", "original_gross_amount"),
    "1,2014-01-31,1.00,QQQ,,,shop,0421,": ("unknown-currency", "original_currency"),
    "1,2014-01-31,1.00,,,,,0421,": ("missing-merchant", "merchant_name"),
    "1,2014-01-31,1.00,,,,shop,,": ("missing-card", "card_last4"),
    "1,2014-01-31,1.00,,,,shop,4111 1111 1111 1111,": ("card-number", "card_last4"),
    "1,2014-01-31,1.00": ("wrong-number-of-columns", ""),
}


@pytest.fixture(scope="module")
def layout() -> Layout:
    """Return the committed mapping."""
    return load_layout(MAPPINGS / "birmingham_purchase_cards.toml")


def written(folder: Path, *lines: str) -> Path:
    """Write a file of these rows under the real file's header."""
    path = folder / "cards.csv"
    path.write_text("\n".join([HEADER, *lines, ""]), encoding="utf-8")
    return path


def test_a_row_becomes_a_message(tmp_path: Path, layout: Layout) -> None:
    """A positive amount is a clearing at noon in the file's zone, in minor units, in pounds when nothing is said."""
    rows = list(read(written(tmp_path, *GOOD), layout))
    assert rows[0] == Row(
        line=2,
        body={
            "message_id": "birmingham-7",
            "type": "clearing",
            "occurred_at": "2014-01-31T12:00:00+00:00",
            "network": "other",
            "amount_minor": 1230,
            "currency": "GBP",
            "merchant": {"descriptor": "Tesco stores 2933", "country": "GB"},
            "card_token": "birmingham-card-0421",
            "card_last4": "0421",
            "extra": {"account": "Purchases Food"},
        },
        place="TESCO STORES",
    )


def test_signs_seasons_and_currencies(tmp_path: Path, layout: Layout) -> None:
    """A negative amount is a refund of a positive one, summer has its offset, and a yen has no smaller unit."""
    _, refund, foreign = (row.body or {} for row in read(written(tmp_path, *GOOD), layout))
    assert (refund["type"], refund["amount_minor"], refund["currency"]) == ("refund", 200, "GBP")
    assert refund["occurred_at"] == "2014-07-01T12:00:00+01:00"
    assert "extra" not in refund
    assert (foreign["type"], foreign["amount_minor"], foreign["currency"]) == ("clearing", 1500, "JPY")


def test_gzip_is_read_as_well(tmp_path: Path, layout: Layout) -> None:
    """The same bytes, compressed, give the same rows, whatever the file is called."""
    plain = written(tmp_path, *GOOD)
    zipped = tmp_path / "cards"
    zipped.write_bytes(gzip.compress(plain.read_bytes()))
    assert list(read(zipped, layout)) == list(read(plain, layout))


@pytest.mark.parametrize("line", BAD)
def test_a_row_that_cannot_be_read_says_why(tmp_path: Path, layout: Layout, line: str) -> None:
    """Its error is a code and a column, repeats nothing, and the rows around it are read."""
    rows = list(read(written(tmp_path, GOOD[0], line, GOOD[1]), layout))
    assert [bool(row.body) for row in rows] == [True, False, True]
    assert (rows[1].error, rows[1].column) == BAD[line]
    assert rows[1] == Row(line=3, error=rows[1].error, column=rows[1].column)


def test_reading_is_lazy(tmp_path: Path, layout: Layout) -> None:
    """The first row is there before the last one is looked at."""
    path = written(tmp_path, *GOOD)
    rows = read(path, layout)
    assert next(rows).line == 2
    assert [row.line for row in rows] == [3, 4]


def test_a_survey_tells_what_has_to_exist(tmp_path: Path, layout: Layout) -> None:
    """Places with the descriptors that mean them, cards, the span of time, and counts that add up."""
    found = survey(read(written(tmp_path, *GOOD, next(iter(BAD))), layout))
    assert found.counts == {
        "rows": 4,
        "messages": 3,
        "purchases": 2,
        "refunds": 1,
        "errors": 1,
        "error-missing-id": 1,
        "places": 2,
        "cards": 2,
    }
    assert found.places == (
        SeenPlace(name="TESCO STORES", descriptors=("TESCO STORES 2933", "TESCO STORES 5204"), rows=2),
        SeenPlace(name="PAYPAL *SHOP LTD", descriptors=("PAYPAL *SHOP LTD",), rows=1),
    )
    assert found.cards == (("birmingham-card-0421", "0421"), ("birmingham-card-9999", "9999"))
    assert (found.first_at, found.last_at) == ("2014-01-31T12:00:00+00:00", "2014-07-02T12:00:00+01:00")


def test_an_empty_file_has_no_rows(tmp_path: Path, layout: Layout) -> None:
    """A header alone is a file of nothing."""
    found = survey(read(written(tmp_path), layout))
    assert found.counts["rows"] == 0
    assert (found.places, found.first_at) == ((), "")


def test_a_mapping_is_found_by_its_columns(tmp_path: Path, layout: Layout) -> None:
    """The file's header chooses its mapping; a file that no mapping fits is refused, and a wrong one as well."""
    assert layout_for(written(tmp_path, *GOOD)) == layout
    other = tmp_path / "other.csv"
    other.write_text("date,amount\n2014-01-31,1.00\n", encoding="utf-8")
    with pytest.raises(UnknownLayoutError, match="found: none"):
        layout_for(other)
    with pytest.raises(UnknownLayoutError, match=r"lacks the columns .*merchant_name"):
        list(read(other, layout))


def test_a_mapping_with_an_unknown_word_is_refused(tmp_path: Path) -> None:
    """A misspelt setting is an error and never a silent default."""
    text = (MAPPINGS / "birmingham_purchase_cards.toml").read_text(encoding="utf-8")
    path = tmp_path / "wrong.toml"
    path.write_text(text.replace("missing =", "mising ="), encoding="utf-8")
    with pytest.raises(msgspec.ValidationError):
        load_layout(path)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Tesco stores 2933", "TESCO STORES"),
        ("bp snax 24 weoley castle", "BP SNAX 24 WEOLEY CASTLE"),
        ("greggs s1636", "GREGGS"),
        ("PAYPAL *SHOP", "PAYPAL *SHOP"),
        ("12345", "12345"),
    ],
)
def test_descriptors_name_places(layout: Layout, text: str, name: str) -> None:
    """Numbers of stores fall away, short numbers and aggregators' stars stay, and something always remains."""
    assert place_name(text, layout) == name


def test_the_real_file_is_read_whole(data_folder: Path) -> None:
    """Every one of the 79,205 postings becomes a message that the feed takes; 1,443 of them are refunds."""
    path = data_folder / "purchase_cards_2013_2015.csv.gz"
    found = survey(read(path, layout_for(path)))
    print(f"{found.counts['rows']} rows read")
    assert found.counts["rows"] == found.counts["messages"] == 79_205
    assert (found.counts["purchases"], found.counts["refunds"], found.counts["errors"]) == (77_762, 1_443, 0)
    assert len(found.cards) == found.counts["cards"] == 1_189
    assert sum(place.rows for place in found.places) == 79_205
    assert (found.first_at, found.last_at) == ("2013-11-12T12:00:00+00:00", "2015-12-31T12:00:00+00:00")


def test_the_feed_takes_the_real_files_messages(data_folder: Path) -> None:
    """One in ten of the messages, read as the feed reads them, is accepted, and no id comes twice in the file."""
    path = data_folder / "purchase_cards_2013_2015.csv.gz"
    ids: set[str] = set()
    taken = 0
    for number, row in enumerate(read(path, layout_for(path))):
        assert row.body
        ids.add(row.body["message_id"])
        if number % 10 == 0:
            assert isinstance(read_message(msgspec.json.encode(row.body), "any"), CardMessage)
            taken += 1
    print(f"{taken} messages taken")
    assert len(ids) == 79_205
    assert taken == 7_921
