"""Holds a bundle's contract versions to those that the partner keeps."""

from collections.abc import Sequence

from koinon_verify.canonical import read_object, write_canonical
from koinon_verify.files import lines_of, open_file, unreadable
from koinon_verify.lines import read_contract
from koinon_verify.problems import Problems, Refused
from koinon_verify.records import Bundle, Contract


def check_pins(files: Sequence[str], bundle: Bundle, problems: Problems) -> frozenset[int]:
    """Check each contract version of a bundle against the files of `--contract`; return the versions that are pinned.

    A file holds contract versions as a bundle has them, a line of JSON each, in any spelling. A version that is in
    none of the files is refused too: somebody else has kept it.
    """
    pins: dict[int, Contract] = {}
    for file in files:
        try:
            _read_pins(file, bundle, pins, problems)
        except Refused as refused:
            problems.add(file, None, refused)
        except OSError as error:
            problems.add(file, None, unreadable(error))
    held: set[int] = set()
    for contract in bundle.contracts if files else ():
        if contract is None:
            continue
        wrong = _wrong_in(contract, pins.get(contract.version))
        if wrong is None:
            held.add(contract.version)
        else:
            problems.add(bundle.file, contract.line, Refused("contract-not-pinned", wrong))
    return frozenset(held)


def _read_pins(file: str, bundle: Bundle, pins: dict[int, Contract], problems: Problems) -> None:
    """Read a file up to its first line that is no contract version of the partner."""
    with open_file(file) as stream:
        for number, raw in enumerate(lines_of(stream), 1):
            if not raw.strip():
                continue
            try:
                _take(raw, number, bundle, pins)
            except Refused as refused:
                problems.add(file, number, refused)
                return


def _take(raw: bytes, number: int, bundle: Bundle, pins: dict[int, Contract]) -> None:
    fields = read_object(raw)
    contract = read_contract(fields, write_canonical(fields), number)
    if bundle.identity and contract.partner != bundle.identity.partner:
        raise Refused("identity-mismatch", f"this is a contract of {contract.partner}")
    if pins.setdefault(contract.version, contract).digest != contract.digest:
        raise Refused("contract-mismatch", f"version {contract.version} is given twice, with different terms")


def _wrong_in(contract: Contract, pin: Contract | None) -> str | None:
    if pin is None:
        return f"version {contract.version} is not among those given by --contract"
    if pin.digest == contract.digest:
        return None
    kept = pin.terms
    parts = [f"{name} is {here}, not {kept[name]}" for name, here in contract.terms.items() if here != kept[name]]
    return f"version {contract.version} is not the one given by --contract: {', '.join(parts)}"
