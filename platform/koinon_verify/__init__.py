"""The verifier of bundles, which stands alone: it shares no calculator with the platform.

It needs Python and the `cryptography` package, no database and no network.
"""

from koinon_verify.command import main
from koinon_verify.problems import CODES, Problem
from koinon_verify.report import Report
from koinon_verify.verification import verify_bundle

__all__ = ["CODES", "Problem", "Report", "main", "verify_bundle"]
