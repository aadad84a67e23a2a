"""Load: tills, processors and members act for ten seconds on `koinon up`, and nothing fails."""

import json
import subprocess
import sys
import time
from collections import Counter

from load_tests.driver.installation import answers
from tests.web.demo.running import ROOT, installation

READY_SECONDS = 90
USERS = 12


def await_ready(address: str, up: subprocess.Popen[bytes]) -> None:
    """Wait until an installation answers."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        assert up.poll() is None, "`koinon up` ended"
        if answers(address):
            return
        time.sleep(0.2)
    raise AssertionError(f"{address} is not ready after {READY_SECONDS} seconds")


def test_ten_seconds_of_load_without_a_failure() -> None:
    """Twelve users of three kinds call every one of their routes; locust counts no failure."""
    with installation() as environment:
        address = f"http://127.0.0.1:{environment['KOINON_PORT']}"
        environment["KOINON_LOG_LEVEL"] = "warning"
        up = subprocess.Popen([sys.executable, "-m", "koinon", "up"], cwd=ROOT, env=environment)
        try:
            await_ready(address, up)
            arguments = ("--headless", "--users", str(USERS), "--spawn-rate", str(USERS), "--run-time", "10s", "--json")
            done = subprocess.run(
                [sys.executable, "-m", "locust", "-f", "load_tests/locustfile.py", "-H", address, *arguments],
                cwd=ROOT,
                env=environment,
                capture_output=True,
                text=True,
                timeout=240,
                check=False,
            )
        finally:
            up.terminate()
            up.wait(60)

    assert done.returncode == 0, done.stdout + done.stderr
    entries = json.loads(done.stdout[done.stdout.index("[") :])
    asked = Counter({entry["name"]: entry["num_requests"] for entry in entries})
    print(f"{asked.total()} requests")
    assert sum(entry["num_failures"] for entry in entries) == 0
    assert {
        "/v1/earnings",
        "/v1/redemptions",
        "/v1/feeds/[source]/transactions",
        "/v1/me/wallet",
        "/v1/me/history",
    } <= set(asked)
