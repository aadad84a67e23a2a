"""Partners: the brands of a programme, as everybody reads them."""

from datetime import datetime
from typing import Annotated

import msgspec

from koinon import ids
from koinon.database import Connection, on
from koinon.fields import BrandName, PartnerCode, PartnerId, ProgrammeId
from koinon.http.cursors import Page, page_of
from koinon.parties import tables
from koinon.parties.operations import partner_row


class Partner(msgspec.Struct, frozen=True, kw_only=True):
    """A partner; `operator` tells whether it is the operator's own."""

    partner: PartnerId
    programme: ProgrammeId
    code: PartnerCode
    brand: BrandName
    iban: Annotated[str, msgspec.Meta(examples=["FI21 1234 5600 0007 85"])] | None
    contact_email: Annotated[str, msgspec.Meta(examples=["finance@grocer.example"])] | None
    operator: Annotated[bool, msgspec.Meta(examples=[False])]
    attested_points_per_day: Annotated[int, msgspec.Meta(examples=[20000])]
    created_at: datetime


async def partner(connection: Connection, partner_id: int) -> Partner:
    """Return a partner; raises UnknownPartner."""
    return partner_of(await partner_row(connection, partner_id))


async def partners(connection: Connection, programme_id: int | None, after: int | None, limit: int) -> Page[Partner]:
    """Return a page of partners by code, of one programme or of all; the cursor is the last one's id.

    Raises UnknownPartner for a cursor that is no partner.
    """
    code, partner_id = tables.Partner.code, tables.Partner.partner_id
    query = tables.Partner.objects().order_by(code, partner_id).limit(limit + 1)
    if programme_id is not None:
        query = query.where(tables.Partner.programme_id == programme_id)
    if after is not None:
        last = await partner_row(connection, after)
        query = query.where((code > last.code) | ((code == last.code) & (partner_id > last.partner_id)))
    return page_of(await on(connection, query), limit, partner_of, lambda row: ids.public("par", row.partner_id))


def partner_of(row: tables.Partner) -> Partner:
    """Return a partner by its row."""
    return Partner(
        partner=ids.public("par", row.partner_id),
        programme=ids.public("pro", row.programme_id),
        code=row.code,
        brand=row.brand,
        iban=row.iban,
        contact_email=row.contact_email,
        operator=row.operator,
        attested_points_per_day=row.attested_points_per_day,
        created_at=row.created_at,
    )
