"""Places are found by what the networks call them, or not at all."""

from datetime import UTC, datetime

import pytest

from koinon.places.model import (
    AMBIGUOUS_PLACE,
    LAPSED_PLACE,
    UNKNOWN_PLACE,
    Candidate,
    Facilitator,
    IdentityKind,
    Merchant,
    Network,
    NetworkIdentity,
    Resolution,
    descriptor,
    identifier,
    message_keys,
    registered_keys,
    resolve,
)

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def merchant_id(value: str, acquirer: str = "400012") -> NetworkIdentity:
    """Return a merchant id within its acquirer, as it is registered with Visa."""
    return NetworkIdentity(kind=IdentityKind.ACQUIRER_MERCHANT, network=Network.VISA, acquirer_id=acquirer, value=value)


def known(
    place: int, identity: NetworkIdentity, since: datetime = LONG_AGO, until: datetime | None = None
) -> list[Candidate]:
    """Return the candidates that a registered identity makes."""
    return [Candidate(place, key, since, until) for key in registered_keys(identity)]


def seen(facilitator: Facilitator | None = None, **names: str) -> tuple[str, ...]:
    """Return the keys of a merchant as a Visa message names it."""
    return message_keys(Network.VISA, Merchant(**names), facilitator)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (" 12-34 56 ", "123456"),
        ("ab/1", "AB1"),
        ("007", "007"),
        ("\uff11\uff12\uff13", "123"),
        ("0", ""),
        ("00000", ""),
        ("null", ""),
        ("None", ""),
        ("N/A", ""),
        (" ", ""),
        (None, ""),
    ],
)
def test_ids_are_compared_without_decoration(sent: str | None, kept: str) -> None:
    """An id is upper case letters and digits; what a network sends for want of a value is none."""
    assert identifier(sent) == kept


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("  Grocer  12,Helsinki ", "GROCER 12 HELSINKI"),
        ("PAYPAL *GROCER", "PAYPAL *GROCER"),
        ("K-Market Äimärautio", "K MARKET ÄIMÄRAUTIO"),
        (None, ""),
    ],
)
def test_descriptors_keep_words_and_the_aggregators_star(sent: str | None, kept: str) -> None:
    """A descriptor is its words in upper case."""
    assert descriptor(sent) == kept


def test_a_store_id_tells_more_than_a_merchant_id() -> None:
    """The most telling key decides, whatever the others say."""
    store = NetworkIdentity(kind=IdentityKind.SCHEME_STORE, network=Network.VISA, value="S77")
    candidates = [*known(1, merchant_id("123")), *known(2, store)]

    found = resolve([seen(mid="123", acquirer_id="400012", scheme_store_id="s77")], candidates, NOON)

    assert found == Resolution(2, "store:visa:S77")


def test_a_bare_merchant_id_is_no_key() -> None:
    """A merchant id is unique only within its acquirer."""
    assert seen(mid="123") == ()
    assert resolve([seen(mid="123", acquirer_id="499999")], known(1, merchant_id("123")), NOON).place_id is None


@pytest.mark.parametrize(("registered", "sent"), [("0000000123", "123"), ("123", "0000000123"), ("00123", "0123")])
def test_zeros_on_the_left_do_not_matter(registered: str, sent: str) -> None:
    """A merchant id padded by either side is found."""
    found = resolve([seen(mid=sent, acquirer_id="400012")], known(1, merchant_id(registered)), NOON)

    assert found == Resolution(1, "acquirer~:visa:400012:123")


def test_an_exact_merchant_id_goes_before_a_padded_one() -> None:
    """Two merchants whose ids differ only in zeros are told apart."""
    candidates = [*known(1, merchant_id("0123")), *known(2, merchant_id("123"))]

    assert resolve([seen(mid="0123", acquirer_id="400012")], candidates, NOON).place_id == 1
    assert resolve([seen(mid="123", acquirer_id="400012")], candidates, NOON).place_id == 2
    assert resolve([seen(mid="00123", acquirer_id="400012")], candidates, NOON).reason == AMBIGUOUS_PLACE


@pytest.mark.parametrize("nothing", ["0", "00000", "NULL", ""])
def test_a_merchant_id_that_says_nothing_finds_nothing(nothing: str) -> None:
    """No place is found by a filler."""
    assert seen(mid=nothing, acquirer_id="400012") == ()


def test_a_food_courts_merchant_id_is_narrowed_by_the_terminal() -> None:
    """Of several brands behind one merchant id, the terminal tells which."""
    terminal = NetworkIdentity(kind=IdentityKind.TERMINAL, acquirer_id="400012", value="123", terminal_id="T9")
    candidates = [*known(1, merchant_id("123")), *known(2, merchant_id("123")), *known(2, terminal)]

    found = resolve([seen(mid="123", acquirer_id="400012", terminal_id="T9")], candidates, NOON)

    assert found == Resolution(2, "terminal:400012:T9:123")


def test_several_brands_behind_one_merchant_id_are_no_place() -> None:
    """What cannot be told apart is not guessed; a terminal of neither does not help."""
    terminal = NetworkIdentity(kind=IdentityKind.TERMINAL, acquirer_id="400012", value="123", terminal_id="T9")
    candidates = [*known(1, merchant_id("123")), *known(2, merchant_id("123")), *known(3, terminal)]

    found = resolve([seen(mid="123", acquirer_id="400012", terminal_id="T9")], candidates, NOON)

    assert found == Resolution(None, None, AMBIGUOUS_PLACE)


def test_a_recycled_merchant_id_belongs_to_whoever_has_it_then() -> None:
    """An identity counts from its first moment up to, and not including, its last."""
    handover = datetime(2026, 3, 1, tzinfo=UTC)
    closed = datetime(2026, 4, 1, tzinfo=UTC)
    candidates = [
        *known(1, merchant_id("123"), until=handover),
        *known(2, merchant_id("123"), since=handover, until=closed),
    ]
    sighting = [seen(mid="123", acquirer_id="400012")]

    assert resolve(sighting, candidates, datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC)).place_id == 1
    assert resolve(sighting, candidates, handover).place_id == 2
    assert resolve(sighting, candidates, closed) == Resolution(None, None, LAPSED_PLACE)


def test_the_authorisations_merchant_goes_before_the_clearings() -> None:
    """A clearing that names the head office changes nothing; it decides when the authorisation is not known."""
    candidates = [*known(1, merchant_id("123")), *known(2, merchant_id("999"))]
    shop, office = seen(mid="123", acquirer_id="400012"), seen(mid="999", acquirer_id="400012")

    assert resolve([shop, office], candidates, NOON).place_id == 1
    assert resolve([seen(mid="555", acquirer_id="400012"), office], candidates, NOON).place_id == 2


def test_an_aggregators_descriptor_is_not_the_brands() -> None:
    """`PAYPAL *GROCER` does not find the grocer unless it is registered so."""
    plain = NetworkIdentity(kind=IdentityKind.DESCRIPTOR, value="Grocer")
    behind = NetworkIdentity(kind=IdentityKind.DESCRIPTOR, value="PayPal *Grocer")

    assert resolve([seen(descriptor="PAYPAL *GROCER")], known(1, plain), NOON).reason == UNKNOWN_PLACE
    assert resolve([seen(descriptor="PAYPAL *GROCER")], known(1, behind), NOON).place_id == 1


def test_a_postcode_narrows_a_descriptor() -> None:
    """The same name in two towns is two places."""
    north = NetworkIdentity(kind=IdentityKind.DESCRIPTOR, value="GROCER", postcode="00100")
    south = NetworkIdentity(kind=IdentityKind.DESCRIPTOR, value="GROCER", city="Hanko")
    candidates = [*known(1, north), *known(2, south)]

    assert resolve([seen(descriptor="grocer", postcode="00 100")], candidates, NOON).place_id == 1
    assert resolve([seen(descriptor="grocer", city="HANKO")], candidates, NOON).place_id == 2
    assert resolve([seen(descriptor="grocer", city="Turku")], candidates, NOON).reason == UNKNOWN_PLACE


def test_a_sub_merchant_is_known_by_its_facilitator() -> None:
    """The facilitator's number and its merchant's find the place."""
    identity = NetworkIdentity(kind=IdentityKind.SUB_MERCHANT, facilitator_id="F1", value="M9")

    found = resolve([seen(Facilitator(id="f1", sub_merchant_id="m9"))], known(4, identity), NOON)

    assert found == Resolution(4, "sub:F1:M9")


def test_amex_names_merchants_by_their_service_establishment() -> None:
    """An SE number is the scheme's merchant id."""
    identity = NetworkIdentity(kind=IdentityKind.SCHEME_MERCHANT, network=Network.AMEX, value="9421112223")
    keys = message_keys(Network.AMEX, Merchant(se_number="9421112223"))

    assert resolve([keys], known(5, identity), NOON).place_id == 5


@pytest.mark.parametrize(
    ("identity", "missing"),
    [
        (NetworkIdentity(kind=IdentityKind.ACQUIRER_MERCHANT, network=Network.VISA, value="1"), "acquirer_id"),
        (NetworkIdentity(kind=IdentityKind.ACQUIRER_MERCHANT, acquirer_id="4", value="1"), "network"),
        (NetworkIdentity(kind=IdentityKind.SCHEME_STORE, value="1"), "network"),
        (NetworkIdentity(kind=IdentityKind.TERMINAL, acquirer_id="4", value="1"), "terminal_id"),
        (NetworkIdentity(kind=IdentityKind.SUB_MERCHANT, value="1"), "facilitator_id"),
        (NetworkIdentity(kind=IdentityKind.DESCRIPTOR, value="--"), "value"),
        (NetworkIdentity(kind=IdentityKind.SCHEME_STORE, network=Network.VISA, value="000"), "value"),
        (NetworkIdentity(kind=IdentityKind.SCHEME_STORE, network=Network.VISA, value="1", city="Turku"), "city"),
        (NetworkIdentity(kind=IdentityKind.DESCRIPTOR, value="KIOSK", network=Network.VISA), "network"),
        (NetworkIdentity(kind=IdentityKind.DESCRIPTOR, value="KIOSK", city="Turku", postcode="20100"), "not both"),
    ],
)
def test_an_identity_that_could_find_nothing_is_refused(identity: NetworkIdentity, missing: str) -> None:
    """Registering names the part that is missing, says nothing, or would be ignored."""
    with pytest.raises(ValueError, match=missing):
        registered_keys(identity)
