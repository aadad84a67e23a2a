"""Who is calling, and what they may."""

from typing import Literal

import msgspec

CallerKind = Literal["operator", "partner", "member", "source"]


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """An authenticated caller.

    `name` is the scope of idempotency: a partner (`par_…`), a member of the operator's staff (`stf_…`), a member
    (`mem_…`) or a source (`src_…`), whichever key or session they used. `scopes` is what the key or role grants.
    """

    kind: CallerKind
    name: str
    scopes: frozenset[str]
    programme_id: int | None = None
    partner_id: int | None = None
    staff_id: int | None = None
    member_id: int | None = None
    account_id: int | None = None
    session_id: str | None = None


OPERATOR_SCOPES = frozenset(
    {"programmes:write", "partners:write", "places:write", "sources:write", "settlement:approve", "settlement:operate",
     "settlement:read", "offers:read"}
)
"""What an operator's staff may do; partners' business calls are not among them."""

PARTNER_SCOPES = frozenset(
    {"members:write", "earnings:write", "redemptions:write", "reversals:write", "offers:write", "offers:read",
     "settlement:read"}
)
"""What a partner's key may be granted."""

MEMBER_SCOPES = frozenset({"me:read", "me:write"})
"""What a member's session may do."""
