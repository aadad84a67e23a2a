"""Koinon's own card messages: a payment's steps written as the JSON that its processor would post."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct

from load_tests.distributions import permille
from load_tests.simulator.coalition import LETTERS, SYMBOLS
from load_tests.simulator.lives import Life, Step
from load_tests.simulator.model import Card, CardMessage, Place, Source

CLEARINGS_END = 79_200
"""22:00: what would be cleared later on this day is cleared by then."""

REFUNDS_END = 80_400
"""22:20, likewise for refunds and reversals."""

WALLET_PERMILLE = 200
PAR_PERMILLE = 900
STORE_ID_PERMILLE = 700
PADDED_MID_PERMILLE = 30
MISSING_MID_PERMILLE = 20
NAMED_ORIGINAL_PERMILLE = 500

OUTSIDE_ACQUIRER = "499990"
WALLET_REQUESTOR = "40010030273"


class Payment(Struct, frozen=True, kw_only=True):
    """A simulated card payment: who, where, what for, and the seconds of the day at which its messages came."""

    key: str
    card: Card
    place: Place
    life: Life
    auth_code: str
    network_transaction_id: str
    seconds: tuple[int, ...]
    messages: tuple[CardMessage, ...]


class Clockwork:
    """The seconds of one local day, given out so that no two events of one person share one."""

    def __init__(self, midnight: datetime) -> None:
        """Take the local midnight with which the day begins."""
        self.midnight = midnight.astimezone(UTC)
        self.used: defaultdict[str, set[int]] = defaultdict(set)

    def take(self, holder: str, wanted: int) -> int:
        """Return the first second from `wanted` on that the holder has not used, and mark it used."""
        while wanted in self.used[holder]:
            wanted += 1
        self.used[holder].add(wanted)
        return wanted

    def at(self, second: int, zone: str = "UTC") -> datetime:
        """Return the moment of a second since midnight, in a zone."""
        return (self.midnight + timedelta(seconds=second)).astimezone(ZoneInfo(zone))


class Desk:
    """Writes payments as messages, numbering what every processor numbers."""

    def __init__(self, rng: Random, clockwork: Clockwork, sources: tuple[Source, ...]) -> None:
        """Take the day's clockwork and its processors."""
        self.rng = rng
        self.clockwork = clockwork
        self.sources = {source.code: source for source in sources}
        self.numbers: defaultdict[str, int] = defaultdict(int)
        self.payments = 0
        self.presentments = 0
        self.auth_codes: set[tuple[str, str]] = set()

    def write(self, card: Card, place: Place, life: Life, second: int) -> Payment:
        """Return the payment that begins at about this second, with its messages in their own order."""
        self.payments += 1
        number = self.payments
        network_id = self._network_transaction_id(card.network, number)
        auth_code = self._auth_code(card)
        seconds = self._seconds(card, life, second)
        present = self._presence(place)
        bodies: list[dict[str, Any]] = []
        for step, at in zip(life.steps, seconds, strict=True):
            body = self._body(card, place, step, at) | present
            body |= self._links(card, step, number, network_id, bodies) | self._records(body, step, number, auth_code)
            bodies.append(body)
        return Payment(
            key=f"payment-{number:05}",
            card=card,
            place=place,
            life=life,
            auth_code=auth_code,
            network_transaction_id=network_id,
            seconds=seconds,
            messages=tuple(self._message(card, f"payment-{number:05}", body) for body in bodies),
        )

    def refund(self, payment: Payment, amount_minor: int, second: int) -> CardMessage:
        """Return a refund of a payment that comes after everything else, linked as its processor links it."""
        step = Step(type="refund", amount_minor=amount_minor)
        at = self.clockwork.take(payment.card.member or payment.card.token, second)
        bodies = [message.body for message in payment.messages]
        body = self._body(payment.card, payment.place, step, at)
        number = int(payment.key.removeprefix("payment-"))
        body |= self._links(payment.card, step, number, payment.network_transaction_id, bodies)
        body |= self._records(body, step, number, payment.auth_code)
        return self._message(payment.card, payment.key, body)

    def message_id(self, source: str) -> str:
        """Return the next message id of a processor."""
        self.numbers[source] += 1
        return f"{source}-{self.numbers[source]:07}"

    def _message(self, card: Card, payment: str, body: dict[str, Any]) -> CardMessage:
        return CardMessage(
            source=card.source,
            sequence=0,
            payment=payment,
            kind=body["type"],
            expected="accepted",
            body=body,
        )

    def _seconds(self, card: Card, life: Life, second: int) -> tuple[int, ...]:
        holder = card.member or card.token
        seconds: list[int] = []
        for step in life.steps:
            end = CLEARINGS_END if step.type in {"clearing", "increment"} else REFUNDS_END
            last = seconds[-1] + 1 if seconds else second
            second = self.clockwork.take(holder, max(last, min(second + step.wait_seconds, end)))
            seconds.append(second)
        return tuple(seconds)

    def _body(self, card: Card, place: Place, step: Step, second: int) -> dict[str, Any]:
        source = self.sources[card.source]
        local = self.clockwork.at(second, place.zone)
        body: dict[str, Any] = {
            "message_id": self.message_id(card.source),
            "type": step.type,
            "occurred_at": local.isoformat() if source.local_timestamps else _utc(self.clockwork.at(second)),
            "network": card.network,
            "amount_minor": step.amount_minor,
            "currency": "EUR",
            "mcc": place.mcc,
            "merchant": self._merchant(card, place, step),
            "card_token": card.token,
            "card_last4": card.last4,
        }
        if source.local_timestamps:
            body["merchant_local_datetime"] = local.replace(tzinfo=None).isoformat()
        if permille(self.rng, PAR_PERMILLE):
            body["par"] = card.par
        if step.tip_minor:
            body["components"] = {
                "subtotal_minor": step.amount_minor - step.tip_minor,
                "tip_minor": step.tip_minor,
            }
        return body

    def _links(
        self, card: Card, step: Step, number: int, network_id: str, before: list[dict[str, Any]]
    ) -> dict[str, Any]:
        """Return the ids by which a message joins its payment; an orphan has none that anyone knows."""
        if step.orphan:
            return {"network_transaction_id": self._network_transaction_id(card.network, 500_000 + number)}
        links: dict[str, Any] = {"network_transaction_id": network_id}
        if step.type == "refund":
            links["network_transaction_id"] = self._network_transaction_id(card.network, self._presentment())
            links["original_network_transaction_id"] = network_id
            if permille(self.rng, NAMED_ORIGINAL_PERMILLE):
                cleared = [body["message_id"] for body in before if body["type"] == "clearing"]
                links["original_message_id"] = cleared[0]
        if self.sources[card.source].gives_payment_ref:
            links["payment_ref"] = f"{card.source}-p{number:06}"
        return links

    def _records(self, body: dict[str, Any], step: Step, number: int, auth_code: str) -> dict[str, Any]:
        """Return what a network records beside: codes of an authorisation, references of a presentment."""
        records: dict[str, Any] = {}
        match step.type:
            case "authorisation" | "increment":
                records = {"response_code": "00", "auth_code": auth_code, "is_preauth": step.preauthorised}
                records["stan"] = f"{number % 1_000_000:06}"
            case "decline":
                records = {"response_code": "51", "stan": f"{number % 1_000_000:06}"}
            case "clearing":
                records = {"arn": self._arn(body["merchant"]["acquirer_id"]), "auth_code": auth_code}
            case "refund" | "clearing_reversal":
                records = {"arn": self._arn(body["merchant"]["acquirer_id"])}
        if step.legs:
            records |= {"clearing_sequence": step.leg, "clearing_count": step.legs}
        return records

    def _merchant(self, card: Card, place: Place, step: Step) -> dict[str, Any]:
        """Return the merchant as this network names it; a clearing may name it another way than its authorisation."""
        known = [entry for entry in place.network_ids if entry.network == card.network]
        merchant: dict[str, Any] = {
            "acquirer_id": OUTSIDE_ACQUIRER,
            "mid": "9990001",
            "descriptor": place.descriptor,
            "city": place.city,
            "postcode": place.postcode,
            "country": place.country,
        }
        scheme = False
        for entry in known:
            if entry.kind == "acquirer":
                merchant |= {"acquirer_id": entry.acquirer_id, "mid": entry.value}
            elif permille(self.rng, STORE_ID_PERMILLE):
                scheme = True
                merchant[f"scheme_{entry.kind}_id"] = entry.value
        if step.type == "clearing" and permille(self.rng, PADDED_MID_PERMILLE):
            merchant["mid"] = merchant["mid"].zfill(15)
        elif step.type == "clearing" and scheme and permille(self.rng, MISSING_MID_PERMILLE):
            merchant["mid"] = "0"
        return merchant

    def _presence(self, place: Place) -> dict[str, Any]:
        online = place.channel == "online"
        present: dict[str, Any] = {"channel": place.channel, "card_present": not online}
        if permille(self.rng, WALLET_PERMILLE):
            device = f"{self.rng.randrange(10_000):04}"
            present |= {"wallet": "device", "token_requestor_id": WALLET_REQUESTOR, "dpan_last4": device}
        present["pos_entry_mode"] = "010" if online else "071"
        return present

    def _auth_code(self, card: Card) -> str:
        """Draw six symbols that this card has not had today; other cards may."""
        while True:
            code = "".join(self.rng.choice(SYMBOLS if place else LETTERS) for place in range(6)).upper()
            if (card.token, code) not in self.auth_codes:
                self.auth_codes.add((card.token, code))
                return code

    def _network_transaction_id(self, network: str, number: int) -> str:
        """Return an id in the network's own shape: Visa and Amex 15 digits, Mastercard reference and date."""
        if network == "mastercard":
            return f"MCB{number:06}{self.clockwork.at(43_200):%m%d}"
        return f"{'46' if network == 'visa' else '00'}{self.rng.randrange(10**7):07}{number:06}"

    def _presentment(self) -> int:
        self.presentments += 1
        return 700_000 + self.presentments

    def _arn(self, acquirer: str) -> str:
        """Return an acquirer reference number: 22 digits and their check digit."""
        self.presentments += 1
        day = f"{self.clockwork.at(43_200):%y%j}"[1:]
        digits = f"7{acquirer}{day}{self.presentments:011}"
        return digits + check_digit(digits)


def check_digit(digits: str) -> str:
    """Return the Luhn check digit of a text of digits."""
    odd = sum(int(digit) for digit in digits[-2::-2])
    even = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[::-2])
    return str(-(odd + even) % 10)


def _utc(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
