"""What one process of an installation holds, made where the process starts and passed down."""

import msgspec

from koinon.identity.keys import Keyring
from koinon.ledger.operations import Ledger
from koinon.settings import Settings


class Runtime(msgspec.Struct, frozen=True, kw_only=True):
    """The settings, the keys and the ledger of a process; the pool is the process's own (koinon.database)."""

    settings: Settings
    keys: Keyring
    ledger: Ledger
