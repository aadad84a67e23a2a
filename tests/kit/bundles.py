"""A small coalition that settles two windows and writes real bundles with the platform's own builders.

Two brands, the grocer (two contract versions) and the café; every kind of effect, reversals, pieces shared and
not, rates that do not divide evenly. `alter` hooks let a test make a lying operator whose log is consistent.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from hashlib import sha256
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from koinon.audit.bundles import Bundle, BundleEntry, BundleWriter, Committed, Extended
from koinon.audit.leaves import (
    CommitmentTree,
    canonical,
    commitment,
    contract_reference,
    journal_leaf,
    run_leaf,
    seal_leaf,
)
from koinon.audit.model import Effect, JournalFacts, PartyEffect, SealContent, Statement, StatementLine, StatementPoints
from koinon.audit.notes import Checkpoint, public_key, sign, write_note
from koinon.audit.tiles import TiledTree, tree_of
from koinon.audit.tree import leaf_hash
from koinon.parties.model import ContractTerms

LOG = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
WITNESS = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
ORIGIN = "log.example/sun"
KEY = public_key(ORIGIN, LOG)

Alter = Callable[[dict[str, Any]], None]
Mover = tuple[str, Effect, int, int, int | None]


def terms(partner: str, version: int, *rates: str) -> ContractTerms:
    """Return a contract version with its price, fee, share at issue and honour rate."""
    price, fee, issue_share, honour = rates
    return ContractTerms(
        partner=partner,
        version=str(version),
        price=price,
        fee=fee,
        issue_share=issue_share,
        honour=honour,
        currency="EUR",
        effective_from=f"2026-0{version}-01T00:00:00Z",
    )


CONTRACTS = {
    "grocer": [terms("grocer", 1, "1", "3/20", "1/3", "1/2"), terms("grocer", 2, "6/5", "1/5", "1", "17/20")],
    "cafe": [terms("cafe", 1, "4/5", "1/10", "0", "2/3")],
}

ISSUED, HONOURED, EXPIRED, ACCEPTED = Effect.ISSUED, Effect.HONOURED, Effect.EXPIRED, Effect.ACCEPTED
WINDOWS: dict[int, list[tuple[str, str, list[Mover]]]] = {
    12: [
        ("red_01", "earn", [("grocer", ISSUED, 100, 1, None)]),
        ("red_02", "earn", [("grocer", ISSUED, 33, 2, None)]),
        ("red_03", "earn", [("cafe", ISSUED, 250, 1, None)]),
        ("red_04", "hold", [("cafe", Effect.HELD, 110, 1, None)]),
        (
            "red_05",
            "capture",
            [
                ("grocer", HONOURED, 60, 1, 0),
                ("cafe", ACCEPTED, 60, 1, 0),
                ("cafe", HONOURED, 40, 1, 1),
                ("cafe", ACCEPTED, 40, 1, 1),
            ],
        ),
        ("red_06", "release", [("cafe", Effect.RELEASED, 10, 1, None)]),
        ("red_07", "reverse", [("grocer", ISSUED, -7, 1, None)]),
        ("red_08", "expire", [("grocer", EXPIRED, 5, 2, None)]),
        (
            "red_09",
            "burn",
            [
                ("cafe", HONOURED, 15, 1, 0),
                ("grocer", ACCEPTED, 15, 2, 0),
                ("cafe", HONOURED, 15, 1, 1),
                ("grocer", ACCEPTED, 15, 2, 1),
            ],
        ),
    ],
    13: [
        ("red_10", "earn", [("grocer", ISSUED, 1, 1, None)]),
        ("red_11", "reverse", [("grocer", HONOURED, -60, 1, 0), ("cafe", ACCEPTED, -60, 1, 0)]),
    ],
    14: [],
}


@dataclass
class Coalition:
    """A log under way, and what its partners have been billed so far."""

    alter_statement: Alter | None = None
    alter_seal: Alter | None = None
    alter_effects: Callable[[list[PartyEffect]], list[PartyEffect]] | None = None
    alter_contracts: Callable[[list[ContractTerms]], list[ContractTerms]] | None = None
    windows: dict[int, list[tuple[str, str, list[Mover]]]] = field(default_factory=lambda: WINDOWS)
    origin: str = ORIGIN
    seal_first: bool = False
    run_first: bool = False
    witnessed: bool = True
    leaves: list[bytes] = field(default_factory=lambda: [b"an older leaf"] * 3)
    billed: dict[tuple[str, str, str, int], tuple[int, int]] = field(default_factory=dict)
    outstanding: Counter[str] = field(default_factory=Counter)
    salts: int = 0
    alter_extends: Callable[[Extended], Extended | None] | None = None
    signed: list[tuple[int, int]] = field(default_factory=list)

    def close(self, window: int) -> dict[str, bytes]:
        """Log a window's journals, its seal and its run, and return the bundle of each partner."""
        if self.seal_first:
            self.leaves += [b""] * 2
        entries = self._journals(window)
        if self.run_first:
            statements, seals = self._run(window, entries), self._seal(window, entries)
        else:
            seals, statements = self._seal(window, entries), self._run(window, entries)
        tree = tree_of([leaf_hash(leaf) for leaf in self.leaves])
        checkpoint = Checkpoint(self.origin, tree.size, tree.root())
        extends = self._extends(tree)
        self.signed.append((window, tree.size))
        signatures = [sign(checkpoint.body, ORIGIN, LOG)]
        if self.witnessed:
            signatures.append(sign(checkpoint.body, "witness.example", WITNESS))
        return {
            partner: written(
                Bundle(
                    programme="sun",
                    partner=partner,
                    window=window,
                    key=KEY,
                    note=write_note(checkpoint.body, signatures),
                    extends=extends,
                    contracts=self._contracts(partner),
                    seal=seals[partner],
                    statement=statements[partner],
                ),
                [entry for entry, _ in entries[partner]],
                tree,
            )
            for partner in CONTRACTS
        }

    def _extends(self, tree: TiledTree) -> Extended | None:
        if not self.signed:
            return None
        window, size = self.signed[-1]
        extends = Extended(window=window, size=size, proof=tree.consistency_proof(size))
        return self.alter_extends(extends) if self.alter_extends else extends

    def _contracts(self, partner: str) -> list[ContractTerms]:
        contracts = CONTRACTS[partner][::-1]
        return self.alter_contracts(contracts) if self.alter_contracts else contracts

    def _new_salt(self) -> bytes:
        self.salts += 1
        return sha256(f"salt {self.salts}".encode()).digest()

    def _journals(self, window: int) -> dict[str, list[tuple[BundleEntry, PartyEffect]]]:
        entries: dict[str, list[tuple[BundleEntry, PartyEffect]]] = defaultdict(list)
        for journal, _, movers in self.windows[window]:
            facts = JournalFacts(
                journal=journal, at=f"2026-03-{window - 10:02}T10:15:37Z", programme="sun", window=window
            )
            counters = Counter({partner: len(entries[partner]) for partner in CONTRACTS})
            effects: list[PartyEffect] = []
            for partner, effect, points, version, piece in movers:
                counters[partner] += 1
                effects.append(
                    PartyEffect(
                        partner=partner,
                        effect=effect,
                        points=points,
                        unit="points",
                        version=version,
                        counter=counters[partner],
                        piece=piece,
                    )
                )
            if self.alter_effects:
                effects = self.alter_effects(effects)
            leaf = journal_leaf(facts, effects, self._new_salt)
            for made, opening in zip(effects, leaf.effects, strict=True):
                shared = None if made.piece is None else leaf.pieces[made.piece]
                entry = BundleEntry(index=len(self.leaves), leaf=leaf.text, opening=opening, shared=shared)
                entries[made.partner].append((entry, made))
            self.leaves.append(leaf.text)
        return entries

    def _seal(self, window: int, entries: dict[str, list[tuple[BundleEntry, PartyEffect]]]) -> dict[str, Committed]:
        contents = {}
        for partner in CONTRACTS:
            sums = sums_of(effect for _, effect in entries[partner])
            self.outstanding[partner] += sums["issued"] - sums["honoured"] - sums["expired"]
            content = SealContent(
                **{name: str(sums[name]) for name in ("accepted", "expired", "honoured", "issued")},
                counter=str(len(entries[partner])),
                outstanding=str(self.outstanding[partner]),
                partner=partner,
                programme="sun",
                window=str(window),
            )
            contents[partner] = altered(content, self.alter_seal if partner == "grocer" else None)
        return self._committed("seal", window, contents)

    def _run(self, window: int, entries: dict[str, list[tuple[BundleEntry, PartyEffect]]]) -> dict[str, Committed]:
        contents = {
            partner: altered(
                self._statement(partner, window, [effect for _, effect in entries[partner]]),
                self.alter_statement if partner == "grocer" else None,
            )
            for partner in CONTRACTS
        }
        return self._committed("run", window, contents)

    def _committed(self, kind: str, window: int, contents: dict[str, bytes]) -> dict[str, Committed]:
        salts = {partner: self._new_salt() for partner in contents}
        commitments = {partner: commitment(salts[partner], content) for partner, content in contents.items()}
        tree = CommitmentTree([*commitments.values(), sha256(b"a third partner").digest()])
        make = seal_leaf if kind == "seal" else run_leaf
        leaf = make(f"2026-03-{window - 9:02}T00:10:00Z", "sun", window, tree.root)
        index = len(self.leaves)
        if self.seal_first and kind == "seal":
            index = self.leaves.index(b"")
            self.leaves[index] = leaf
        else:
            self.leaves.append(leaf)
        committed = {}
        for partner, content in contents.items():
            place, proof = tree.path(commitments[partner])
            committed[partner] = Committed(
                index=index,
                leaf=leaf,
                salt=salts[partner],
                content=content,
                root_index=place,
                root_size=tree.size,
                root_proof=proof,
            )
        return committed

    def _statement(self, partner: str, window: int, effects: list[PartyEffect]) -> Statement:
        lines = [line for contract in CONTRACTS[partner] for line in self._lines(partner, contract, effects)]
        pays = sum(int(line.amount) for line in lines if line.debtor == partner)
        receives = sum(int(line.amount) for line in lines if line.creditor == partner)
        sums = sums_of(effects)
        return Statement(
            programme="sun",
            partner=partner,
            window=str(window),
            business_date=f"2026-03-{window - 10:02}",
            currency="EUR",
            exponent="2",
            points=StatementPoints(**{name: str(sums[name]) for name in ("issued", "honoured", "accepted", "expired")}),
            contracts=tuple(contract_reference(contract) for contract in CONTRACTS[partner]),
            lines=tuple(sorted(lines, key=lambda line: (line.leg, int(line.version)))),
            pays=str(pays),
            receives=str(receives),
            net=str(receives - pays),
        )

    def _lines(self, partner: str, contract: ContractTerms, effects: list[PartyEffect]) -> Iterable[StatementLine]:
        price, fee, share, honour = (
            Fraction(rate) for rate in (contract.price, contract.fee, contract.issue_share, contract.honour)
        )
        legs = [
            ("fee", "issued", partner, "operator", fee),
            ("issue_funding", "issued", partner, "pool", share * (price - fee)),
            ("honour_funding", "honoured", partner, "pool", (1 - share) * (price - fee)),
            ("reimbursement", "accepted", "pool", partner, honour),
            ("breakage", "expired", "pool", "breakage", share * (price - fee)),
        ]
        sums = sums_of(effect for effect in effects if str(effect.version) == contract.version)
        for leg, effect, debtor, creditor, rate in legs:
            cell = (partner, leg, effect, int(contract.version))
            before, billed = self.billed.get(cell, (0, 0))
            if before == sums[effect] == 0:
                continue
            amount = round(rate * (before + sums[effect])) - billed
            self.billed[cell] = (before + sums[effect], billed + amount)
            yield StatementLine(
                leg=leg,
                debtor=debtor,
                creditor=creditor,
                version=contract.version,
                rate=str(rate),
                points_before=str(before),
                billed_before=str(billed),
                points=str(sums[effect]),
                amount=str(amount),
            )


def written(bundle: Bundle, entries: list[BundleEntry], tree: TiledTree) -> bytes:
    """Write a bundle, its entries one at a time."""
    writer = BundleWriter(bundle, tree.inclusion_proof)
    return b"".join([writer.head(), *(writer.entries([entry]) for entry in entries), writer.foot()])


def sums_of(effects: Iterable[PartyEffect]) -> Counter[str]:
    """Sum points by effect."""
    sums = Counter[str]()
    for effect in effects:
        sums[effect.effect.value] += effect.points
    return sums


def altered(value: msgspec.Struct, alter: Alter | None) -> bytes:
    """Write a struct's canonical bytes, after a change to its plain dict."""
    plain = msgspec.to_builtins(value)
    if alter:
        alter(plain)
    return canonical(plain)


def ended(lines: Iterable[bytes]) -> bytes:
    """Give a bundle's lines, without their last, a last line that fits them: what a forger would do."""
    body = b"".join(lines)
    end = {"type": "end", "lines": str(body.count(b"\n")), "sha256": sha256(body).hexdigest()}
    return body + canonical(end) + b"\n"


def receipts_of(bundle: bytes, *effects: str) -> list[dict[str, str]]:
    """Return the receipts that a partner's own calls would have returned, for effects of these kinds."""
    totals: dict[tuple[str, str], dict[str, str]] = {}
    for line in map(json.loads, bundle.splitlines()):
        if line["type"] == "entry" and line["content"]["effect"] in effects:
            content = line["content"]
            key = (content["journal"], content["effect"])
            names = ("effect", "journal", "partner", "points", "programme", "unit", "version", "window")
            receipt = {name: content[name] for name in names}
            if key in totals:
                receipt["points"] = str(int(receipt["points"]) + int(totals[key]["points"]))
            totals[key] = receipt
    return list(totals.values())
