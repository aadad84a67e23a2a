"""A night as the interface's description shows it: figures that agree with each other and with the other examples."""

from typing import Any

from koinon.audit.model import ContractReference, Statement, StatementLine, StatementPoints
from settlement.model import OPERATOR, POOL, Leg

BRAND = "grocer"

NIGHT = Statement(
    programme="agora",
    partner=BRAND,
    window="1",
    business_date="2026-03-02",
    currency="EUR",
    exponent="2",
    points=StatementPoints(issued="250000", honoured="120000", accepted="120000", expired="0"),
    contracts=(
        ContractReference(version="1", sha256="28923a18eaa5bcfc67b7c4fa6a92176ba15a6df792514acbe361e2601e594c50"),
    ),
    lines=tuple(
        StatementLine(
            leg=leg,
            debtor=debtor,
            creditor=creditor,
            version="1",
            rate=rate,
            points_before="0",
            billed_before="0",
            points=points,
            amount=amount,
        )
        for leg, debtor, creditor, rate, points, amount in (
            (Leg.FEE, BRAND, OPERATOR, "3/20", "250000", "37500"),
            (Leg.ISSUE_FUNDING, BRAND, POOL, "17/20", "250000", "212500"),
            (Leg.REIMBURSEMENT, POOL, BRAND, "17/20", "120000", "102000"),
        )
    ),
    pays="250000",
    receives="102000",
    net="-148000",
)
"""A point costs 0.0100, of which 0.0015 are the operator's fee; 0.0085 are paid for each point that is honoured."""

STATEMENT_SHA256 = "92b2d9292e6e0cfbcf70c8338a372b8a6af98466814a89d936ae4620afb500e4"
"""The digest of its canonical bytes."""

_HOUSE = dict.fromkeys(("partner", "brand", "issued", "honoured", "accepted", "expired", "statement_sha256"))

PARTIES: list[dict[str, Any]] = [
    {
        "party": BRAND,
        "partner": "par_1ratb6c1vpr2v",
        "brand": "Corner Grocer",
        "issued": 250_000,
        "honoured": 120_000,
        "accepted": 120_000,
        "expired": 0,
        "pays_minor": 250_000,
        "receives_minor": 102_000,
        "net_minor": -148_000,
        "statement_sha256": STATEMENT_SHA256,
    },
    _HOUSE | {"party": OPERATOR, "pays_minor": 0, "receives_minor": 37_500, "net_minor": 37_500},
    _HOUSE | {"party": POOL, "pays_minor": 102_000, "receives_minor": 212_500, "net_minor": 110_500},
]
"""The parties of the same night; their nets sum to zero."""

CALCULATED = {"parties": PARTIES}
"""A run as it is published."""

APPROVED = CALCULATED | {
    "state": "APPROVED",
    "approvals": [{"staff": "stf_38e856smevj2h", "decision": "approved", "decided_at": "2026-03-03T08:10:00Z"}],
}
"""What a second person's yes makes of a run."""
