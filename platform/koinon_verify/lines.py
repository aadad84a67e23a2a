"""Each type of line by itself: its shape, what opens which commitment, and the proof to the checkpoint."""

from collections.abc import Callable
from hashlib import sha256

from koinon_verify.canonical import (
    Fields,
    check_fields,
    date_of,
    hashes_of,
    objects_of,
    ratio_of,
    text_of,
    unbase64url,
    whole_of,
)
from koinon_verify.currencies import exponent_of
from koinon_verify.leaves import check_time, commitment, open_slot, read_leaf, shared_letter
from koinon_verify.merkle import leaf_hash, verify_inclusion
from koinon_verify.notes import Checkpoint, Key, open_checkpoint, read_key
from koinon_verify.problems import Refused
from koinon_verify.records import (
    EFFECTS,
    MONEY_EFFECTS,
    Consistency,
    Contract,
    Entry,
    Head,
    Identity,
    Seal,
    Statement,
    StatementLine,
)

VERSION = "1"
BUNDLE_VERSIONS = ("1", "2")

_HEAD = {"type", "v", "programme", "partner", "window", "origin", "key"}
_CONTRACT = {
    *("type", "partner", "version", "price", "fee", "issue_share", "honour", "currency", "effective_from"),
}
_ENTRY = {"type", "index", "leaf", "slot", "salt", "content", "proof"}
_EFFECT = {
    *("at", "counter", "effect", "journal", "partner", "points", "programme", "unit", "version", "window"),
}
_PIECE = {"journal", "piece", "points", "programme", "unit", "window"}
_COMMITTED = {"type", "index", "leaf", "salt", "root_index", "root_size", "root_proof", "proof"}
_SEAL = {*MONEY_EFFECTS, "counter", "outstanding", "partner", "programme", "window"}
_STATEMENT = {
    *("v", "type", "programme", "partner", "window", "business_date", "currency", "exponent"),
    *("points", "contracts", "lines", "pays", "receives", "net"),
}
_LINE = {
    *("leg", "debtor", "creditor", "version", "rate", "points_before", "billed_before", "points", "amount"),
}


def read_head(fields: Fields) -> Head:
    """Read the first line; its key's name must be the log's origin."""
    check_fields(fields, _HEAD)
    _check_version(fields, BUNDLE_VERSIONS)
    key, origin = read_key(text_of(fields, "key")), text_of(fields, "origin")
    if key.name != origin:
        raise Refused("origin-mismatch", f"the origin is {origin}, and the key's name {key.name}")
    return Head(_identity(fields), origin, key, text_of(fields, "v"))


def read_checkpoint(fields: Fields, key: Key) -> Checkpoint:
    """Read the second line; the log's key must have signed it."""
    check_fields(fields, {"type", "note"})
    checkpoint = open_checkpoint(text_of(fields, "note"), key)
    if checkpoint.origin != key.name:
        raise Refused("origin-mismatch", f"the checkpoint is of {checkpoint.origin}, and the key of {key.name}")
    return checkpoint


def read_consistency(fields: Fields, checkpoint: Checkpoint | None, line: int) -> Consistency:
    """Read the proof that the log extends an earlier window's; `previous` checks it against that window's bundle."""
    check_fields(fields, {"type", "window", "size", "proof"})
    size = whole_of(fields, "size", 1)
    if checkpoint and size > checkpoint.size:
        raise Refused("field-wrong", f"size is {size}, and the checkpoint's {checkpoint.size}")
    return Consistency(line, whole_of(fields, "window", 0), size, hashes_of(fields, "proof"))


def read_contract(fields: Fields, raw: bytes, line: int) -> Contract:
    """Read a contract version from its line's bytes without the newline."""
    check_fields(fields, _CONTRACT)
    if fields["type"] != "contract":
        raise Refused("field-wrong", "the contract's type is not contract")
    contract = Contract(
        line=line,
        partner=text_of(fields, "partner"),
        version=whole_of(fields, "version", 1),
        price=ratio_of(fields, "price"),
        fee=ratio_of(fields, "fee"),
        issue_share=ratio_of(fields, "issue_share"),
        honour=ratio_of(fields, "honour"),
        currency=text_of(fields, "currency"),
        effective_from=text_of(fields, "effective_from"),
        digest=sha256(raw).hexdigest(),
    )
    if not 0 <= contract.issue_share <= 1:
        raise Refused("field-wrong", "issue_share is not between 0 and 1")
    if not 0 <= contract.fee <= contract.price or contract.honour < 0:
        raise Refused("field-wrong", "a rate is below 0, or the fee above the price that it lies in")
    exponent_of(contract.currency)
    return contract


def read_entry(fields: Fields, checkpoint: Checkpoint | None, line: int) -> Entry:
    """Read an entry: its content opens the partner's slot of a journal leaf that the checkpoint covers."""
    check_fields(fields, _ENTRY, frozenset({"shared"}))
    leaf = read_leaf(text_of(fields, "leaf"), "journal")
    content = check_fields(fields["content"], _EFFECT, frozenset({"shared"}))
    slot = open_slot(leaf, fields, "c")
    index = _check_included(fields, checkpoint)
    check_time(leaf, text_of(content, "at"))
    effect = text_of(content, "effect")
    if effect not in EFFECTS:
        raise Refused("field-wrong", f"effect is none of {', '.join(sorted(EFFECTS))}")
    return Entry(
        line=line,
        index=index,
        slot=slot,
        identity=_identity(content),
        counter=whole_of(content, "counter", 1),
        effect=effect,
        journal=text_of(content, "journal"),
        points=whole_of(content, "points"),
        unit=text_of(content, "unit"),
        version=whole_of(content, "version", 1),
        shared_slot=_check_shared(leaf, fields, content),
    )


def read_seal(fields: Fields, checkpoint: Checkpoint | None, line: int) -> Seal:
    """Read the seal: the partner's content stands under the root of a seal leaf that the checkpoint covers."""
    check_fields(fields, _COMMITTED | {"content"})
    content = check_fields(fields["content"], _SEAL)
    _check_committed(fields, content, "seal")
    return Seal(
        line=line,
        index=_check_included(fields, checkpoint),
        identity=_identity(content),
        counter=whole_of(content, "counter", 0),
        points={effect: whole_of(content, effect) for effect in MONEY_EFFECTS},
        outstanding=whole_of(content, "outstanding"),
    )


def read_statement(fields: Fields, checkpoint: Checkpoint | None, line: int) -> Statement:
    """Read the statement: it stands under the root of a run leaf that the checkpoint covers."""
    check_fields(fields, _COMMITTED | {"statement"})
    statement = check_fields(fields["statement"], _STATEMENT)
    _check_committed(fields, statement, "run")
    index = _check_included(fields, checkpoint)
    _check_version(statement)
    if statement["type"] != "statement":
        raise Refused("field-wrong", "the statement's type is not statement")
    points = check_fields(statement["points"], set(MONEY_EFFECTS))
    references = [check_fields(item, {"version", "sha256"}) for item in objects_of(statement, "contracts")]
    contracts = {whole_of(item, "version", 1): text_of(item, "sha256") for item in references}
    if len(contracts) != len(references):
        raise Refused("field-wrong", "the statement names a contract version twice")
    currency, exponent = text_of(statement, "currency"), whole_of(statement, "exponent", 0)
    if exponent != exponent_of(currency):
        raise Refused("currency-wrong", f"{currency} has {exponent_of(currency)} decimals, not {exponent}")
    return Statement(
        line=line,
        index=index,
        identity=_identity(statement),
        business_date=date_of(statement, "business_date"),
        currency=currency,
        exponent=exponent,
        points={effect: whole_of(points, effect) for effect in MONEY_EFFECTS},
        contracts=contracts,
        lines=[_read_statement_line(item) for item in objects_of(statement, "lines")],
        pays=whole_of(statement, "pays"),
        receives=whole_of(statement, "receives"),
        net=whole_of(statement, "net"),
    )


def _read_statement_line(value: object) -> StatementLine:
    fields = check_fields(value, _LINE)
    return StatementLine(
        leg=text_of(fields, "leg"),
        debtor=text_of(fields, "debtor"),
        creditor=text_of(fields, "creditor"),
        version=whole_of(fields, "version", 1),
        rate=ratio_of(fields, "rate"),
        points_before=whole_of(fields, "points_before"),
        billed_before=whole_of(fields, "billed_before"),
        points=whole_of(fields, "points"),
        amount=whole_of(fields, "amount"),
    )


def _identity(fields: Fields) -> Identity:
    return Identity(text_of(fields, "partner"), text_of(fields, "programme"), whole_of(fields, "window", 0))


def _check_version(fields: Fields, known: tuple[str, ...] = (VERSION,)) -> None:
    if fields["v"] not in known:
        raise Refused("field-wrong", f"v is not {' or '.join(known)}: this verifier does not know the format")


def _check_included(fields: Fields, checkpoint: Checkpoint | None) -> int:
    index, proof = whole_of(fields, "index", 0), hashes_of(fields, "proof")
    if checkpoint is None:  # the checkpoint's own line has been refused: there is nothing to lead to
        return index
    leaf = leaf_hash(text_of(fields, "leaf").encode())
    if not verify_inclusion(index, checkpoint.size, leaf, proof, checkpoint.root):
        raise Refused("not-included", f"the proof does not show this leaf at {index} of {checkpoint.size}")
    return index


def _check_shared(leaf: Fields, fields: Fields, content: Fields) -> str | None:
    if ("shared" in fields) != ("shared" in content):
        raise Refused("shared-mismatch", "the content and the line do not both have a shared piece")
    if "shared" not in fields:
        return None
    opening = check_fields(fields["shared"], {"slot", "salt", "content"})
    piece = check_fields(opening["content"], _PIECE)
    slot = open_slot(leaf, opening, shared_letter(leaf))
    whole_of(piece, "piece", 0)
    checks: dict[str, Callable[[], bool]] = {
        "commitment": lambda: content["shared"] == leaf[slot],
        "points": lambda: whole_of(piece, "points", 0) == abs(whole_of(content, "points")),
        **{name: _same(piece, content, name) for name in ("journal", "programme", "unit", "window")},
    }
    for name, holds in checks.items():
        if not holds():
            raise Refused("shared-mismatch", f"the shared piece and the content differ in {name}")
    return slot


def _same(piece: Fields, content: Fields, name: str) -> Callable[[], bool]:
    return lambda: text_of(piece, name) == content[name]


def _check_committed(fields: Fields, content: Fields, kind: str) -> None:
    leaf = read_leaf(text_of(fields, "leaf"), kind)
    root = unbase64url(leaf["root"], "the leaf's root")
    item = leaf_hash(commitment(fields, "content" if kind == "seal" else "statement"))
    index, size = whole_of(fields, "root_index", 0), whole_of(fields, "root_size", 1)
    if not verify_inclusion(index, size, item, hashes_of(fields, "root_proof"), root):
        raise Refused("commitment-mismatch", f"the content does not stand under the root of the {kind} leaf")
    if (leaf["programme"], leaf["window"]) != (content["programme"], content["window"]):
        raise Refused("identity-mismatch", f"the {kind} leaf is of another programme or window than its content")
