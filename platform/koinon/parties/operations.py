"""Where a partner stands at an instant: its programme, its programme's time, and its contract then.

Read anew for every call and kept nowhere, so that a moved clock or a new contract counts from its commit on.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any, Literal

import asyncpg
import msgspec

from koinon.clock import business_now, machine_now
from koinon.database import Connection, beside, on
from koinon.parties import tables
from koinon.parties.model import Contract, Terms
from koinon.problems import NotFound, Refused

statements = beside(__file__)

Mode = Literal["live", "sandbox"]


class UnknownProgramme(NotFound):
    """No programme has this id."""

    code = "unknown-programme"
    title = "There is no such programme"


class UnknownPartner(NotFound):
    """No partner has this id."""

    code = "unknown-partner"
    title = "There is no such partner"


class ContractMissing(Refused):
    """The partner has no contract in force."""

    code = "contract-missing"
    title = "The partner has no contract in force at this time"


class CurrencyMismatch(Refused):
    """Money is in another currency than its programme settles in; `currency` and `programme_currency` are its facts."""

    code = "currency-mismatch"
    title = "The amount is not in the programme's settlement currency"


class TermsInForce(msgspec.Struct, frozen=True, kw_only=True):
    """A partner, its programme and its terms at an instant.

    `now` is the programme's time; `at` is the instant that `version` and `terms` belong to (both None before the first
    contract). `face_value` is minor units of `currency` per point; `programme` and `partner` are codes.
    """

    programme_id: int
    programme: str
    mode: Mode
    now: datetime
    time_zone: str
    currency: str
    expiry_months: int | None
    face_value: Fraction
    unit_id: int
    operator_id: int
    partner_id: int
    partner: str
    brand: str
    operator: bool
    attested_points_per_day: int
    at: datetime
    version: int | None
    terms: Terms | None

    def contract(self) -> tuple[int, Terms]:
        """Return (version, terms) in force at `at`; raises ContractMissing."""
        if self.version is None or self.terms is None:
            raise ContractMissing(partner=self.partner)
        return self.version, self.terms


async def terms_in_force(connection: Connection, partner_id: int, at: datetime | None = None) -> TermsInForce:
    """Return where a partner stands at an instant (None: now), in one query; raises UnknownPartner."""
    return (await standings(connection, [(partner_id, at)]))[0]


async def standings(connection: Connection, asked: Sequence[tuple[int, datetime | None]]) -> list[TermsInForce]:
    """Return where partners stand, each at its instant (None: its programme's now), in the order asked, in one query.

    Raises UnknownPartner when one of them is not known.
    """
    machine = machine_now()
    partner_ids, instants = [partner_id for partner_id, _ in asked], [at for _, at in asked]
    rows = await connection.fetch(statements["terms_in_force"], partner_ids, instants, machine)
    if len(rows) < len(asked):
        raise UnknownPartner
    return [_terms_in_force(row, at, machine) for row, at in zip(rows, instants, strict=True)]


async def programme_now(connection: Connection, programme_id: int) -> datetime:
    """Return a programme's time; raises UnknownProgramme."""
    return business_now((await programme_facts(connection, programme_id))["clock_at"])


async def programme_facts(connection: Connection, programme_id: int) -> asyncpg.Record:
    """Return what wallets and activations ask of a programme; raises UnknownProgramme."""
    row = await connection.fetchrow(statements["programme_facts"], programme_id)
    if row is None:
        raise UnknownProgramme
    return row


async def programme_row(connection: Connection, programme_id: int, *, locked: bool = False) -> tables.Programme:
    """Return a programme's row, locked against others who lock it when asked; raises UnknownProgramme."""
    query = tables.Programme.objects().where(tables.Programme.programme_id == programme_id)
    row = await on(connection, (query.lock_rows("NO KEY UPDATE") if locked else query).first())
    if row is None:
        raise UnknownProgramme
    return row


async def partner_row(connection: Connection, partner_id: int) -> tables.Partner:
    """Return a partner's row; raises UnknownPartner."""
    row = await on(connection, tables.Partner.objects().where(tables.Partner.partner_id == partner_id).first())
    if row is None:
        raise UnknownPartner
    return row


async def contract_at(connection: Connection, partner_id: int, at: datetime) -> tuple[int, Terms] | None:
    """Return (version, terms) of a partner at an instant, or None before its first contract; raises UnknownPartner."""
    found = await terms_in_force(connection, partner_id, at)
    return None if found.version is None else found.contract()


async def programme_contracts(connection: Connection, programme_id: int) -> list[Contract]:
    """Return every contract version of every partner of a programme, by partner's code and version."""
    partner = tables.Contract.partner_id
    query = tables.Contract.select(*tables.Contract.all_columns(), partner.code.as_alias("partner"))
    query = query.where(partner.programme_id == programme_id).order_by(partner.code, tables.Contract.version)
    rows = await on(connection, query)
    return [
        Contract(
            partner=row["partner"],
            version=row["version"],
            currency=row["currency"],
            terms=terms_of(row),
            effective_from=row["effective_from"],
        )
        for row in rows
    ]


def terms_of(row: Mapping[str, Any]) -> Terms:
    """Return the terms that a row's eight columns of rates hold."""
    return Terms(
        price=Fraction(row["price_num"], row["price_den"]),
        fee=Fraction(row["fee_num"], row["fee_den"]),
        issue_share=Fraction(row["issue_share_num"], row["issue_share_den"]),
        honour=Fraction(row["honour_num"], row["honour_den"]),
    )


def _terms_in_force(row: asyncpg.Record, at: datetime | None, machine: datetime) -> TermsInForce:
    now: datetime = row["clock_at"] or machine
    return TermsInForce(
        programme_id=row["programme_id"],
        programme=row["programme"],
        mode=row["mode"],
        now=now,
        time_zone=row["time_zone"],
        currency=row["settlement_currency"],
        expiry_months=row["expiry_months"],
        face_value=Fraction(row["face_value_num"], row["face_value_den"]),
        unit_id=row["unit_id"],
        operator_id=row["operator_id"],
        partner_id=row["partner_id"],
        partner=row["partner"],
        brand=row["brand"],
        operator=row["operator"],
        attested_points_per_day=row["attested_points_per_day"],
        at=at or now,
        version=row["version"],
        terms=None if row["version"] is None else terms_of(row),
    )
