"""`python -m koinon_verify BUNDLE`."""

import sys

from koinon_verify.command import main

sys.exit(main(program="python -m koinon_verify"))
