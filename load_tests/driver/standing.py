"""Opens a coalition for load on an installation that runs on this machine, and writes down how to call it.

`python -m load_tests.driver.standing ADDRESS FILE` is a program of its own, so that load tools with event loops of
their own can use it. The installation is one whose mail lies in its folder (no KOINON_SMTP_URL), as `koinon up` has it.
"""

import asyncio
import sys
import uuid
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from koinon.commands import settings_or_exit
from load_tests.driver.backlog import Operator
from load_tests.driver.connection import Connection
from load_tests.driver.installation import new_operator
from load_tests.driver.mail import MailFolder
from load_tests.driver.opening import Opening
from load_tests.driver.screen import Screen
from load_tests.simulator import make_coalition

MEMBERS = 60
SEED = 1
NOON = "2026-03-02T12:00:00+02:00"
"""Where the programme's clock stands under load: on the simulated coalition's own day, when its offers run."""
EMAIL = "load.operator@koinon.example"


class Brand(msgspec.Struct, frozen=True, kw_only=True):
    """How a brand's system calls: its id, its client, and its private key (PEM, PKCS #8)."""

    partner: str
    client: str
    private_key: str


class Processor(msgspec.Struct, frozen=True, kw_only=True):
    """How a processor calls: its id and its secret (`whsec_…`)."""

    source: str
    secret: str


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """How a member's browser calls: their id, and the headers of their session."""

    member: str
    headers: dict[str, str]


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A coalition that stands, by the simulator's keys; what is simulated of it follows from `seed` and `members`."""

    programme: str
    audience: str
    clock_at: str
    seed: int
    brands: dict[str, Brand]
    processors: dict[str, Processor]
    places: dict[str, str]
    members: dict[str, Session]


async def stand(address: str, folder: Path) -> Standing:
    """Open a coalition with a programme of its own, its clock at noon of the simulated day, and return it."""
    mail = MailFolder(folder / "mail")
    key = folder / f"load-{uuid.uuid4().hex[:8]}.json"
    coalition = make_coalition(SEED, members=MEMBERS)
    async with Connection(address) as connection:
        machine = await new_operator(connection, key, email=EMAIL, name="Load operator")
        operator = Operator(machine)
        opened = await Opening(connection, operator, mail, coalition, Screen(quiet=True)).open(key.stem)
        await operator.move_clock(opened.programme, NOON)
        return Standing(
            programme=opened.programme,
            audience=machine.audience,
            clock_at=NOON,
            seed=SEED,
            brands={
                code: Brand(partner=opened.partners[code], client=api.client, private_key=_pem(api.private_key))
                for code, api in opened.machines.items()
            },
            processors={
                code: Processor(source=api.source, secret=api.secret) for code, api in opened.processors.items()
            },
            places=opened.places,
            members={
                code: Session(member=opened.members[code], headers=await api.headers())
                for code, api in opened.browsers.items()
            },
        )


def _pem(private_key: Ed25519PrivateKey) -> str:
    return private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def main(address: str, file: str) -> None:
    """Open a coalition at an address and write how to call it into a file that only this user can read."""
    folder = settings_or_exit().folder
    made = asyncio.run(stand(address, folder))
    path = Path(file)
    path.touch(mode=0o600)
    path.write_bytes(msgspec.json.encode(made))


if __name__ == "__main__":
    main(*sys.argv[1:])
