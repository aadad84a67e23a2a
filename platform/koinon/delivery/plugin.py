"""What delivery adds to the application."""

from collections.abc import Sequence
from pathlib import Path

from koinon.context import Context, Job
from koinon.delivery.jobs import forget_mail, send_due_mail


class Delivery(Context):
    """Mail, plugged into the application."""

    def functions(self) -> Sequence[Path]:
        """Return the grants of the schema."""
        return [Path(__file__).with_name("functions.sql")]

    def jobs(self) -> Sequence[Job]:
        """Return the sending of mail, looked for twice a second as codes are waited for, and its forgetting."""
        return [
            Job(name="send mail", run=send_due_mail, idle_seconds=0.5),
            Job(name="forget mail", run=forget_mail, idle_seconds=60.0, deadline_seconds=60.0),
        ]
