"""A coalition in the database, built by the platform's own operations: what books, days, leagues and logs stand on."""

from datetime import datetime
from typing import Any

import msgspec
import time_machine

from koinon import ids
from koinon.app import contexts
from koinon.database import Connection
from koinon.ledger.operations import open_account
from koinon.parties.programmes import ClockMove, NewProgramme, Openings, create_programme, move_clock
from koinon.places.operations import NewIdentity, NewPlace, create_place
from partners.contracts import NewContract, add_contract
from partners.joining import NewPartner, create_partner
from tests.kit.terms import NOW, contract_terms, partner_terms, programme_terms


class Built:
    """One programme, with what was added to it; each kind of test adds what it is about."""

    def __init__(self) -> None:
        self.programme_id = self.unit_id = self.operator_id = 0
        self.code = self.currency = ""
        self.partners: dict[str, int] = {}
        self.places: dict[str, int] = {}

    async def open_programme(self, connection: Connection, openings: Openings | None = None, **changes: Any) -> None:
        """Open the programme at NOW, with its unit, its first window and its log.

        A live programme has no clock of its own: it is opened while the machine's stands at NOW.
        """
        asked = msgspec.convert(programme_terms(**changes), NewProgramme)
        with time_machine.travel(asked.clock_at or NOW):
            made = await create_programme(connection, asked, openings or Openings(contexts()))
        self.programme_id, self.operator_id = ids.private("pro", made.programme), ids.private("par", made.operator)
        self.code, self.currency = made.code, made.settlement_currency
        self.unit_id = await connection.fetchval(
            "SELECT unit_id FROM parties.programme WHERE programme_id = $1", self.programme_id
        )

    async def add_brand(self, connection: Connection, code: str, **contract: Any) -> int:
        """Let a brand join, with a contract that begins now if its terms are given, and return its id."""
        asked = msgspec.convert(partner_terms(ids.public("pro", self.programme_id), code), NewPartner)
        partner_id = ids.private("par", (await create_partner(connection, asked)).partner)
        self.partners[code] = partner_id
        if contract:
            await self.add_contract(connection, code, **contract)
        return partner_id

    async def add_contract(self, connection: Connection, code: str, **terms: Any) -> None:
        """Add the next version of a brand's contract, in the programme's currency unless told."""
        asked = contract_terms(**({"currency": self.currency} | terms))
        await add_contract(connection, self.partners[code], msgspec.convert(asked, NewContract))

    async def add_place(
        self, connection: Connection, code: str, *identities: NewIdentity, time_zone: str = "Europe/Helsinki"
    ) -> int:
        """Give a brand a place that networks know by these identities, and return its id; `places` has the first."""
        asked = NewPlace(
            partner=ids.public("par", self.partners[code]),
            name=code.title(),
            time_zone=time_zone,
            identities=list(identities),
        )
        place_id = ids.private("pla", (await create_place(connection, asked)).place)
        self.places.setdefault(code, place_id)
        return place_id

    async def add_account(self, connection: Connection, now: datetime = NOW) -> int:
        """Open an account with an empty wallet, and return its id."""
        account_id = ids.new_id()
        await open_account(
            connection, account_id=account_id, programme_id=self.programme_id, unit_id=self.unit_id, now=now
        )
        return account_id

    async def set_clock(self, connection: Connection, at: datetime) -> None:
        """Move the programme's clock forward."""
        await move_clock(connection, self.programme_id, ClockMove(at=at))
