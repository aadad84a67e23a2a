"""What a simulated coalition and its day are made of. Everything is frozen and refers to others by key."""

from typing import Any

from msgspec import Struct


class ContractTerms(Struct, frozen=True, kw_only=True):
    """A brand's terms as exact decimal text, so that no rate ever was a float.

    Rates are in major units of the currency per point; `issue_share` is the part of price less fee paid at issue.
    """

    price: str
    fee: str
    issue_share: str
    honour: str
    currency: str
    effective_from: str


class NetworkId(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One way a network names a place.

    `kind` is acquirer (a merchant id, unique within its acquirer), merchant or store (the scheme's own ids).
    """

    kind: str
    value: str
    network: str
    valid_from: str
    acquirer_id: str = ""


class Place(Struct, frozen=True, kw_only=True):
    """A place where cards are taken; `partner` is empty for a shop outside the coalition, which has no ids in it."""

    key: str
    partner: str
    category: str
    name: str
    descriptor: str
    city: str
    postcode: str
    country: str
    zone: str
    mcc: str
    channel: str
    network_ids: tuple[NetworkId, ...]


class Offer(Struct, frozen=True, kw_only=True):
    """An offer of a brand, to be activated by members.

    It gives `points` for every `per_minor` minor units of the payment, or `points` once when `per_minor` is 0; at
    least `minimum_minor` has to be spent, and one payment earns at most `cap_points`. `starts_at` and `ends_at` are
    local times without an offset: they hold in the zone of the place.
    """

    key: str
    partner: str
    name: str
    points: int
    per_minor: int
    minimum_minor: int
    cap_points: int
    budget_points: int
    starts_at: str
    ends_at: str
    popularity_permille: int


class Partner(Struct, frozen=True, kw_only=True):
    """A brand: who it is, where it is paid, on what terms, and where and with what it rewards."""

    code: str
    name: str
    category: str
    iban: str
    email: str
    stated_points_per_unit: int
    contract: ContractTerms
    places: tuple[Place, ...]
    offers: tuple[Offer, ...]


class Source(Struct, frozen=True, kw_only=True):
    """A processor; one names a payment's life in every message of it, the other leaves only the network's ids."""

    code: str
    name: str
    gives_payment_ref: bool
    local_timestamps: bool


class Card(Struct, frozen=True, kw_only=True):
    """A card as its processor names it; `member` is empty for a card that nobody linked."""

    token: str
    par: str
    last4: str
    network: str
    source: str
    member: str


class Member(Struct, frozen=True, kw_only=True):
    """A person, with the cards they link and the offers they activate before the day begins."""

    key: str
    name: str
    email: str
    language: str
    enrolled_by: str
    cards: tuple[Card, ...]
    activations: tuple[str, ...]


class Coalition(Struct, frozen=True, kw_only=True):
    """Everything that stands before the day begins, and the times at which to set it up.

    At `setup_at` partners, contracts, places, sources and offers are made; at `enrolment_at`, when contracts and
    offers have begun, members join, link cards and activate offers. Both lie before `business_date`. `face_value` is
    what a point is worth at a till, in major units as decimal text.
    """

    seed: int
    name: str
    business_date: str
    zone: str
    currency: str
    face_value: str
    expiry_months: int
    setup_at: str
    enrolment_at: str
    partners: tuple[Partner, ...]
    sources: tuple[Source, ...]
    members: tuple[Member, ...]
    unlinked_cards: tuple[Card, ...]
    outside_places: tuple[Place, ...]


class CardMessage(Struct, frozen=True, kw_only=True):
    """A card message as its source posts it, with what is known of it.

    `expected` is the verdict it must get: accepted, duplicate, conflict or refused. `fault` names what is wrong
    with a refused or conflicting one. `sequence` is its place in the order its source produced; `delayed` tells
    that it is posted out of that order on purpose.
    """

    source: str
    sequence: int
    payment: str
    kind: str
    expected: str
    body: dict[str, Any]
    fault: str = ""
    delayed: bool = False


class Tender(Struct, frozen=True, kw_only=True):
    """What a till knows of the card payment that paid a purchase."""

    card_token: str
    auth_code: str


class Earning(Struct, frozen=True, kw_only=True):
    """A purchase that a till reports; points are stated by the brand, or left to its offer when `points` is None."""

    key: str
    partner: str
    place: str
    member: str
    amount_minor: int
    currency: str
    receipt: str
    occurred_at: str
    points: int | None
    tender: Tender | None


class Redemption(Struct, frozen=True, kw_only=True):
    """Points spent at a till, asked for by points or, when `amount_minor` is set, by an amount worth them.

    `proof` is pay-code, card (then with its token) or staff; `outcome` is captured, released, or reversed after
    its capture.
    """

    key: str
    partner: str
    place: str
    member: str
    points: int
    amount_minor: int | None
    proof: str
    card_token: str | None
    receipt: str
    occurred_at: str
    outcome: str


class Phase(Struct, frozen=True, kw_only=True):
    """A part of the day: set the programme's clock to `clock_at`, post all of it, and wait until it is worked off."""

    name: str
    clock_at: str
    card_messages: tuple[CardMessage, ...] = ()
    earnings: tuple[Earning, ...] = ()
    redemptions: tuple[Redemption, ...] = ()


class Plan(Struct, frozen=True, kw_only=True):
    """A coalition's day: phases in order, when the night may begin, and how many of each kind there are."""

    seed: int
    business_date: str
    phases: tuple[Phase, ...]
    close_at: str
    counts: dict[str, int]


class Scale(Struct, frozen=True, kw_only=True):
    """How much happens in a day; the demo's own numbers are the defaults."""

    card_messages: int = 20_000
    earnings: int = 3_000
    redemptions: int = 1_000
    members: int = 500
