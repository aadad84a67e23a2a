"""What requests add to the application."""

from collections.abc import Sequence
from pathlib import Path

from koinon.context import Context, Job
from koinon.idempotency.retention import empty_bodies, forget_requests


class Idempotency(Context):
    """Requests and their answers, plugged into the application."""

    def functions(self) -> Sequence[Path]:
        """Return what forgets requests, and the grants of the schema."""
        return [Path(__file__).with_name("functions.sql")]

    def jobs(self) -> Sequence[Job]:
        """Return the emptying of answers and the forgetting of requests, each when its time has come."""
        return [
            Job(name="empty answers", run=empty_bodies, idle_seconds=60.0, deadline_seconds=60.0),
            Job(name="forget requests", run=forget_requests, idle_seconds=60.0, deadline_seconds=60.0),
        ]
