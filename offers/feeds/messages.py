"""The canonical card message: what every processor's format is turned into.

A message is immutable and says one thing about one card payment. Its sign comes from its type, never from its number.
Fields that a source does not have are left out; what is not said stays unknown and never becomes a guess.
"""

import hashlib
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from koinon.places.model import Facilitator, Merchant, Network

AMOUNT_MINOR_MAX = 10**15
"""The largest amount of one message: sums over a payment and points on them stay far inside a bigint."""
EXTRA_BYTES_MAX = 8192

Identifier = Annotated[str, Meta(min_length=1, max_length=128)]
Reference = Annotated[str, Meta(max_length=128)]
Code = Annotated[str, Meta(max_length=32)]
AmountMinor = Annotated[int, Meta(ge=0)]
CurrencyCode = Annotated[str, Meta(min_length=1, max_length=8)]
FourDigits = Annotated[str, Meta(pattern=r"^[0-9]{4}$(?!\n)")]


class MessageType(StrEnum):
    """What a card message reports; it alone gives the amount its sign."""

    AUTHORISATION = "authorisation"
    INCREMENT = "increment"
    AUTH_REVERSAL = "auth_reversal"
    AUTH_EXPIRY = "auth_expiry"
    CLEARING = "clearing"
    CLEARING_ADJUSTMENT = "clearing_adjustment"
    CLEARING_REVERSAL = "clearing_reversal"
    REFUND = "refund"
    REFUND_REVERSAL = "refund_reversal"
    CHARGEBACK = "chargeback"
    CHARGEBACK_REVERSAL = "chargeback_reversal"
    DECLINE = "decline"

    # Enum hashes by name, in Python: a quarter of the fold's time went there.
    __hash__ = str.__hash__


MAY_BE_ZERO = frozenset({MessageType.AUTHORISATION, MessageType.DECLINE, MessageType.AUTH_EXPIRY})
"""An account status inquiry asks for nothing, and an expiry releases whatever is left."""
NEEDS_MERCHANT = frozenset(
    {
        MessageType.AUTHORISATION,
        MessageType.DECLINE,
        MessageType.CLEARING,
        MessageType.REFUND,
    }
)
"""What takes one of these back, or adds to it, may leave the merchant to the message that it is about."""


class Channel(StrEnum):
    """How the purchase was made; left out when it is not known, which is neither in store nor online."""

    IN_STORE = "in_store"
    ONLINE = "online"
    MAIL_PHONE = "mail_phone"


class Components(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Parts of the amount, in minor units of its currency; cash taken out at the till never earns."""

    subtotal_minor: AmountMinor | None = None
    tip_minor: AmountMinor | None = None
    tax_minor: AmountMinor | None = None
    surcharge_minor: AmountMinor | None = None
    cashback_minor: AmountMinor | None = None


class CardMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One message about a card payment, as Koinon's own feed takes it and every adapter makes it.

    `amount_minor` is in minor units of `currency` (ISO 4217 letters after reading). A reversal, a refund and a
    chargeback state what they take back; a `clearing_adjustment` states the new amount of the clearing that it names
    (by `arn`, `original_message_id` or `clearing_sequence`; a payment's only clearing needs no naming). `network_date`
    is the day on which the network's transaction id is unique (DE 15), when the id does not end in it.
    """

    message_id: Annotated[Identifier, Meta(examples=["msg-7f3a91"])]
    source_id: Annotated[str, Meta(max_length=128)] = ""
    type: Annotated[MessageType, Meta(examples=["clearing"])]
    sequence: Annotated[int, Meta(ge=0)] | None = None
    occurred_at: Annotated[datetime, Meta(tz=True)]
    occurred_at_raw: Annotated[str, Meta(max_length=64)] | None = None
    source_tz: Annotated[str, Meta(max_length=64)] | None = None
    merchant_local_datetime: Annotated[datetime, Meta(tz=False)] | None = None
    payment_ref: Annotated[Reference, Meta(examples=["pay-55120"])] | None = None
    network: Annotated[Network, Meta(examples=["visa"])]
    network_transaction_id: Reference | None = None
    network_date: date | None = None
    original_network_transaction_id: Reference | None = None
    original_message_id: Reference | None = None
    arn: Annotated[str, Meta(pattern=r"^[0-9]{23}$(?!\n)")] | None = None
    clearing_sequence: Annotated[int, Meta(ge=1, le=999)] | None = None
    clearing_count: Annotated[int, Meta(ge=1, le=999)] | None = None
    auth_code: Annotated[Code, Meta(examples=["A1B2C3"])] | None = None
    rrn: Code | None = None
    stan: Code | None = None
    amount_minor: Annotated[AmountMinor, Meta(examples=[2500])]
    currency: Annotated[CurrencyCode, Meta(examples=["EUR"])]
    billing_amount_minor: AmountMinor | None = None
    billing_currency: CurrencyCode | None = None
    components: Components | None = None
    mcc: Annotated[FourDigits, Meta(examples=["5411"])] | None = None
    merchant: Merchant | None = None
    payment_facilitator: Facilitator | None = None
    card_token: Annotated[str, Meta(min_length=1, max_length=64, examples=["tok_Yk8sQ2mVwZ"])]
    par: Annotated[str, Meta(pattern=r"^[A-Z0-9]{29}$(?!\n)")] | None = None
    card_last4: Annotated[FourDigits, Meta(examples=["4242"])] | None = None
    card_bin6: Annotated[str, Meta(pattern=r"^[0-9]{6,8}$(?!\n)")] | None = None
    dpan_last4: FourDigits | None = None
    token_requestor_id: Code | None = None
    wallet: Code | None = None
    pos_entry_mode: Code | None = None
    card_present: bool | None = None
    channel: Channel | None = None
    is_recurring: bool | None = None
    is_installment: bool | None = None
    is_preauth: bool | None = None
    response_code: Code | None = None
    extra: dict[str, Any] | None = None


# ISO 8583 field 39: the codes of 1987 that approve. Those of 1993 and 2003, three and four digits, approve by 0.
_APPROVED = frozenset({"00", "08", "10", "11", "16", "85"})


def kind_of(message: CardMessage) -> MessageType:
    """Return what a message reports: an authorisation that the issuer refused is a decline, whatever its type says."""
    code = message.response_code
    if not code or message.type not in {MessageType.AUTHORISATION, MessageType.INCREMENT}:
        return message.type
    approved = code in _APPROVED or (len(code) in {3, 4} and code.startswith("0"))
    return message.type if approved else MessageType.DECLINE


# ISO 8583 field 22, first two digits: how the card's number came to the terminal.
_ENTRY_PRESENT = frozenset({"02", "03", "05", "06", "07", "80", "90", "91", "95"})
_ENTRY_ABSENT = frozenset({"09", "10", "81"})
_ENTRY_ONLINE = frozenset({"09", "81"})


def was_card_present(message: CardMessage) -> bool | None:
    """Return whether the card was at the till; None when neither the source nor the entry mode says."""
    if message.card_present is not None:
        return message.card_present
    mode = (message.pos_entry_mode or "")[:2]
    if mode in _ENTRY_PRESENT:
        return True
    return False if mode in _ENTRY_ABSENT else None


def channel_of(message: CardMessage) -> Channel | None:
    """Return how the purchase was made; None when it cannot be told."""
    if message.channel is not None:
        return message.channel
    if was_card_present(message):
        return Channel.IN_STORE
    return Channel.ONLINE if (message.pos_entry_mode or "")[:2] in _ENTRY_ONLINE else None


def card_key(programme_id: int, source_id: int, token: str) -> int:
    """Return the key that a token's messages and link are stored under: 63 bits of SHA-256, positive."""
    text = f"{programme_id}\n{source_id}\n{token}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1
