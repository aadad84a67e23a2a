"""Messages about one payment find each other; messages about two do not."""

from typing import Any

import pytest

from offers.feeds.messages import CardMessage
from offers.payments.joins import components, join_keys
from tests.unit.offers.samples import message


def bare(kind: str = "authorisation", amount_minor: int = 5000, **fields: Any) -> CardMessage:
    """Return a message without a network's transaction id, unless one is given."""
    return message(kind, amount_minor, **({"network_transaction_id": None} | fields))


def trace(reference: str, day: str) -> dict[str, Any]:
    """Return Mastercard's trace id, which ends in the network's day (MMDD)."""
    return {"network": "mastercard", "network_transaction_id": f"MCC{reference}{day}"}


def joined(*messages: CardMessage) -> bool:
    """Return whether the messages are one payment, in both orders."""
    assert len(components(messages)) == len(components(messages[::-1]))
    return len(components(messages)) == 1


def test_keys_come_from_one_message_alone() -> None:
    """Each link that a message states is a key."""
    keys = join_keys(
        message(
            "clearing",
            payment_ref="p-1",
            original_message_id="m-0",
            arn="74111116061000000000017",
            original_network_transaction_id="461234567890000",
        )
    )

    assert keys == {
        "message:src_a:clearing-5000",
        "message:src_a:m-0",
        "payment:src_a:p-1",
        "arn:74111116061000000000017",
        "network:visa:461234567890123",
        "network:visa:461234567890000",
    }


@pytest.mark.parametrize(
    "link",
    [
        {"original_message_id": "authorisation-5000"},
        {"payment_ref": "p-1"},
        {"network_transaction_id": "461234567890123"},
        {"original_network_transaction_id": "4612 3456 7890 123"},
    ],
)
def test_any_one_link_joins(link: dict[str, Any]) -> None:
    """The source's word or the network's is enough."""
    first = message(payment_ref="p-1")

    assert joined(first, bare("clearing", **link))
    assert not joined(first, bare("clearing"))


def test_a_sources_references_are_its_own() -> None:
    """The same reference from two sources is two payments; the network's id is one."""
    first = bare(payment_ref="p-1")

    assert not joined(first, bare("clearing", source="src_b", payment_ref="p-1"))
    assert not joined(first, bare("clearing", source="src_b", original_message_id="authorisation-5000"))
    assert joined(message(), message("clearing", source="src_b"))
    assert not joined(message(network="other"), message("clearing", source="src_b", network="other"))


def test_the_acquirers_reference_joins_what_is_about_one_presentment() -> None:
    """A refund's reversal carries the refund's reference, a chargeback the clearing's."""
    arn = "74111116061000000000017"

    assert joined(bare("refund", arn=arn), bare("refund_reversal", arn=arn))
    assert joined(bare("clearing", arn=arn), bare("chargeback", source="src_b", arn=arn))


def test_same_content_under_other_ids_is_two_payments() -> None:
    """Nothing is ever joined because it looks alike."""
    assert not joined(bare(message_id="m-1"), bare(message_id="m-2"))


def test_a_series_is_not_one_payment() -> None:
    """Each month of a subscription names the first as its original; its refund names its own."""
    first = message(is_recurring=True)
    second = message(
        message_id="m-2",
        network_transaction_id="461234567890555",
        original_network_transaction_id="461234567890123",
        original_message_id="authorisation-5000",
        is_recurring=True,
    )
    cleared = message(
        "clearing",
        network_transaction_id="461234567890555",
        original_network_transaction_id="461234567890123",
        is_recurring=True,
    )
    refund = bare("refund", original_network_transaction_id="461234567890555", is_recurring=True)

    assert [len(group) for group in components([first, second, cleared, refund])] == [1, 3]


@pytest.mark.parametrize(("first", "second"), [("0302", "0303"), ("0228", "0229"), ("0228", "0301"), ("0229", "0301")])
def test_midnight_may_part_an_authorisation_from_its_clearing(first: str, second: str) -> None:
    """Mastercard's days may be one apart, also around a leap day, for the same authorisation code."""
    authorised = bare(auth_code="A1B2C3", **trace("123456", first))

    assert joined(authorised, bare("clearing", auth_code="a1b2c3", **trace("123456", second)))


def test_the_turn_of_the_year_parts_nothing() -> None:
    """31 December and 1 January are neighbours."""
    authorised = bare(auth_code="A1B2C3", **trace("123456", "1231"))

    assert joined(authorised, bare("clearing", auth_code="A1B2C3", **trace("123456", "0101")))


@pytest.mark.parametrize(("first", "second"), [("0302", "0304"), ("0227", "0301"), ("0228", "0302"), ("1230", "0101")])
def test_two_days_apart_is_another_payment(first: str, second: str) -> None:
    """The tolerance is one day."""
    authorised = bare(auth_code="A1B2C3", **trace("123456", first))

    assert not joined(authorised, bare("clearing", auth_code="A1B2C3", **trace("123456", second)))


def test_a_banknet_reference_is_given_again_the_next_day() -> None:
    """Two authorisations with one reference on two days are two payments, each with its clearing."""
    monday = bare(message_id="m-1", auth_code="A1B2C3", **trace("123456", "0302"))
    tuesday = bare(message_id="m-2", auth_code="Z9Y8X7", **trace("123456", "0303"))
    cleared = bare("clearing", auth_code="Z9Y8X7", **trace("123456", "0303"))

    groups = components([monday, tuesday, cleared])

    assert [[each.message_id for each in group] for group in groups] == [["m-1"], ["m-2", "clearing-5000"]]


def test_a_bare_banknet_reference_takes_its_day_from_the_message() -> None:
    """Without DE 15 in the id, `network_date` says the day, then the merchant's clock, then the event's own day."""
    ids: dict[str, Any] = {"network": "mastercard", "network_transaction_id": "MCC123456", "auth_code": "A1B2C3"}
    authorised = bare(occurred_at="2026-03-02T23:59:00+02:00", **ids)

    assert joined(authorised, bare("clearing", occurred_at="2026-03-05T04:00:00Z", network_date="2026-03-02", **ids))
    assert joined(
        authorised,
        bare("clearing", occurred_at="2026-03-05T04:00:00Z", merchant_local_datetime="2026-03-03T00:00:10", **ids),
    )
    assert joined(authorised, bare("clearing", occurred_at="2026-03-03T04:00:00Z", **ids))
    assert not joined(authorised, bare("clearing", occurred_at="2026-03-05T04:00:00Z", **ids))


def test_a_bare_original_reference_joins_nothing() -> None:
    """Whose day is not known, it could be anybody's."""
    authorised = bare(network="mastercard", network_transaction_id="MCC123456")
    refund = bare("refund", network="mastercard", original_network_transaction_id="MCC123456")

    assert not joined(authorised, refund)


def test_a_late_message_merges_what_stood_apart() -> None:
    """A clearing that carries both ids shows that two payments were one."""
    by_source, by_network = bare(payment_ref="p-1"), message("increment", 700)
    link = message("clearing", payment_ref="p-1")

    assert len(components([by_source, by_network])) == 2
    assert len(components([by_source, by_network, link])) == 1
