"""Contract versions: each begins now or later, in the settlement currency, and leaves no honoured point unpaid for."""

from datetime import datetime
from typing import Annotated, Any

import msgspec

from koinon import ids
from koinon.clock import business_now, rfc3339
from koinon.database import Connection, add, on
from koinon.fields import CurrencyText, DecimalText, Instant, PartnerId, within_calendar
from koinon.http.cursors import Page, page_of
from koinon.parties import tables
from koinon.parties.model import (
    Contract,
    Terms,
    TermsError,
    UncoveredError,
    check_effective,
    coverage_gap,
    parse_terms,
)
from koinon.parties.operations import CurrencyMismatch, partner_row, programme_contracts, programme_row, terms_of
from koinon.parties.programmes import check_currency
from koinon.parties.rates import decimal_rate, exact_decimal
from koinon.problems import Refused, invalid_field


class ContractInThePast(Refused):
    """A version would begin before the programme's time, or not after the versions before it."""

    code = "contract-in-the-past"
    title = "A contract version begins now or later, and after every version before it"


class GapNotCovered(Refused):
    """Some honoured point would cost more than its issuer pays in."""

    code = "coverage-gap"
    title = "An honoured point would cost more than its issuer pays in, and nobody funds the difference"


class OperatorHasNoContract(Refused):
    """The operator stands on the other side of every contract."""

    code = "operator-has-no-contract"
    title = "The operator's own partner has no contract with itself"


class NewContract(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The next version of a partner's terms, rates in major units per point.

    `price` P per point issued, `fee` F inside it for the operator, `issue_share` s (0 to 1, or `n/d`) of P − F paid at
    issue, `honour` H per point accepted. A partner's first version may leave `effective_from` out: it begins now.
    """

    price: Annotated[DecimalText, msgspec.Meta(examples=["0.0100"])]
    fee: Annotated[DecimalText, msgspec.Meta(examples=["0.0015"])]
    issue_share: Annotated[str, msgspec.Meta(max_length=64, examples=["1", "0.5", "1/3"])]
    honour: Annotated[DecimalText, msgspec.Meta(examples=["0.0085"])]
    currency: Annotated[str, msgspec.Meta(max_length=3, examples=["EUR"])]
    effective_from: Annotated[Instant, msgspec.Meta(examples=["2026-04-01T00:00:00+03:00"])] | None = None


class ContractVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a partner's terms; it never changes."""

    partner: PartnerId
    version: Annotated[int, msgspec.Meta(examples=[2])]
    price: Annotated[str, msgspec.Meta(examples=["0.01"])]
    fee: Annotated[str, msgspec.Meta(examples=["0.0015"])]
    issue_share: Annotated[str, msgspec.Meta(examples=["1"])]
    honour: Annotated[str, msgspec.Meta(examples=["0.0085"])]
    currency: CurrencyText
    effective_from: Annotated[datetime, msgspec.Meta(examples=["2026-03-31T21:00:00Z"])]


async def add_contract(connection: Connection, partner_id: int, asked: NewContract) -> ContractVersion:
    """Add the next version of a partner's contract in the caller's transaction, one at a time in a programme.

    Raises UnknownPartner, InvalidInput, UnknownCurrency, CurrencyMismatch, ContractInThePast, GapNotCovered,
    OperatorHasNoContract.
    """
    check_currency("/currency", asked.currency)
    terms = _terms(asked)
    partner = await partner_row(connection, partner_id)
    if partner.operator:
        raise OperatorHasNoContract
    # The lock: of two versions that are covered each by itself, the second to come sees the first.
    programme = await programme_row(connection, partner.programme_id, locked=True)
    if asked.currency != programme.settlement_currency:
        raise CurrencyMismatch(currency=asked.currency, programme_currency=programme.settlement_currency)
    signed = await programme_contracts(connection, partner.programme_id)
    own = [contract for contract in signed if contract.partner == partner.code]
    now = business_now(programme.clock_at)
    candidate = Contract(
        partner=partner.code,
        version=len(own) + 1,
        currency=asked.currency,
        terms=terms,
        effective_from=_effective_from(asked, now, first=not own),
    )
    _check_effective(candidate, own, now)
    if (gap := coverage_gap(candidate, signed)) is not None:
        facts: dict[str, Any] = gap.facts() | {"currency": asked.currency}
        raise GapNotCovered(**facts)
    return _version(await add(connection, _row(partner_id, candidate)))


async def contracts(connection: Connection, partner_id: int, after: int, limit: int) -> Page[ContractVersion]:
    """Return a page of a partner's contract versions; the cursor is the last version. Raises UnknownPartner."""
    await partner_row(connection, partner_id)
    query = tables.Contract.objects().where(tables.Contract.partner_id == partner_id, tables.Contract.version > after)
    rows = await on(connection, query.order_by(tables.Contract.version).limit(limit + 1))
    return page_of(rows, limit, _version, lambda row: str(row.version))


def _terms(asked: NewContract) -> Terms:
    try:
        return parse_terms(
            price=asked.price,
            fee=asked.fee,
            issue_share=asked.issue_share,
            honour=asked.honour,
            currency=asked.currency,
        )
    except UncoveredError as error:
        # The widest gap of all pairs, which may be with another partner, is named once all are read.
        return error.terms
    except TermsError as error:
        raise invalid_field(f"/{error.field}", str(error)) from None


def _effective_from(asked: NewContract, now: datetime, *, first: bool) -> datetime:
    """Return when a version begins, in whole seconds, as statements and bundles print it."""
    if asked.effective_from is None:
        if not first:
            raise invalid_field("/effective_from", "only a partner's first contract may begin now without saying when")
        return now.replace(microsecond=0)
    if asked.effective_from.microsecond:
        raise invalid_field("/effective_from", "a contract begins at a whole second")
    if not within_calendar(asked.effective_from):
        raise invalid_field("/effective_from", "a contract begins between the years 2000 and 2199")
    return asked.effective_from


def _check_effective(candidate: Contract, own: list[Contract], now: datetime) -> None:
    # `now` is cut to its second, as the first version is that begins now: nothing can have been posted before it.
    begins_with_now = candidate.effective_from == now.replace(microsecond=0) and not own
    try:
        check_effective(candidate, own, candidate.effective_from if begins_with_now else now)
    except TermsError:
        facts = {"now": rfc3339(now), "effective_from": rfc3339(candidate.effective_from)}
        if own:
            facts["last_effective_from"] = rfc3339(own[-1].effective_from)
        raise ContractInThePast(**facts) from None


def _row(partner_id: int, candidate: Contract) -> tables.Contract:
    terms = candidate.terms
    return tables.Contract(
        partner_id=partner_id,
        version=candidate.version,
        currency=candidate.currency,
        price_num=terms.price.numerator,
        price_den=terms.price.denominator,
        fee_num=terms.fee.numerator,
        fee_den=terms.fee.denominator,
        issue_share_num=terms.issue_share.numerator,
        issue_share_den=terms.issue_share.denominator,
        honour_num=terms.honour.numerator,
        honour_den=terms.honour.denominator,
        effective_from=candidate.effective_from,
    )


def _version(row: tables.Contract) -> ContractVersion:
    return ContractVersion(
        partner=ids.public("par", row.partner_id),
        version=row.version,
        price=decimal_rate(row.price_num, row.price_den, row.currency),
        fee=decimal_rate(row.fee_num, row.fee_den, row.currency),
        issue_share=exact_decimal(terms_of(row.to_dict()).issue_share),
        honour=decimal_rate(row.honour_num, row.honour_den, row.currency),
        currency=row.currency,
        effective_from=row.effective_from,
    )
