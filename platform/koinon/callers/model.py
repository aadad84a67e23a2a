"""Who is calling, and what they may."""

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

CallerKind = Literal["operator", "partner", "member", "source"]
Role = Literal["owner", "marketing", "finance", "developer", "support", "operator"]


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """An authenticated caller.

    `name` is the scope of idempotency: a partner (`par_…`), a member of the operator's staff (`stf_…`), a member
    (`mem_…`) or a source (`src_…`), whichever key or session they used. `scopes` is what the key or role grants.
    `session_id` is set for a browser that signed in.
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
    {
        "programmes:write",
        "partners:write",
        "keys:write",
        "places:write",
        "sources:write",
        "staff:read",
        "settlement:approve",
        "settlement:operate",
        "settlement:read",
        "offers:read",
    }
)
"""What an operator's staff may do; partners' business calls are not among them."""

PARTNER_SCOPES = frozenset(
    {
        "members:write",
        "earnings:write",
        "redemptions:write",
        "reversals:write",
        "offers:write",
        "offers:read",
        "settlement:read",
    }
)
"""What a partner's key may be granted."""

MEMBER_SCOPES = frozenset({"me:read", "me:write"})
"""What a member's session may do."""

SOURCE_SCOPES = frozenset({"cards:write", "feeds:write"})
"""What a processor's signature may do."""

ROLE_SCOPES: Mapping[Role, frozenset[str]] = {
    "operator": OPERATOR_SCOPES,
    "owner": PARTNER_SCOPES | {"keys:write", "staff:read"},
    "marketing": frozenset({"offers:read", "offers:write"}),
    "finance": frozenset({"settlement:read"}),
    "developer": frozenset({"keys:write", "offers:read"}),
    "support": frozenset({"offers:read"}),
}
"""What each role of staff may do in a browser."""


def scopes_of(roles: Iterable[Role]) -> frozenset[str]:
    """Return what somebody with these roles may do."""
    return frozenset().union(*(ROLE_SCOPES[role] for role in roles))
