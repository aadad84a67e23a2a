"""Load: tills, processors and members act on `koinon up`, and nothing fails."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from koinon import keyring
from koinon.audit.notes import open_note, parse_checkpoint, public_key
from koinon.settings import Settings
from tests.web.demo.running import ROOT, installation

PATIENCE_SECONDS = 240
USERS = 12
OFTEN = {
    "/v1/oauth/token",
    "/v1/earnings",
    "/v1/redemptions",
    "/v1/redemptions/[id]/captures",
    "/v1/feeds/[source]/transactions",
    "/v1/me/wallet",
    "/v1/me/history",
}
SELDOM = {"/v1/redemptions/[id]/releases", "/v1/me/offers", "/v1/me/pay-codes"}
"""Drawn so seldom that a test may pass without one."""
ROUND_SECONDS = 5
ROUNDS_MAXIMUM = 12
"""A busy machine may draw less in a round than it takes until everything that is drawn often was drawn."""


@pytest.fixture(scope="module")
def up() -> Iterator[tuple[dict[str, str], list[str]]]:
    """Give the environment of an installation that `koinon up` runs, and the lines that it printed; Ctrl-C ends it."""
    with installation() as environment:
        environment["KOINON_LOG_LEVEL"] = "warning"
        child = subprocess.Popen(
            [sys.executable, "-m", "koinon", "up"],
            cwd=ROOT,
            env=environment | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        try:
            yield environment, [child.stdout.readline() for _ in range(4)]
        finally:
            child.terminate()
            rest, _ = child.communicate(timeout=PATIENCE_SECONDS)
        assert (child.returncode, rest) == (0, "stopped\n")


def fetched(address: str) -> tuple[int, str, bytes]:
    """Return (status, media type, body) of what answers at an address."""
    try:
        with urllib.request.urlopen(address, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310  # our own address
            return answer.status, answer.headers["Content-Type"].partition(";")[0], answer.read()
    except urllib.error.HTTPError as error:
        return error.code, "", error.read()


def test_every_address_that_is_printed_answers(up: tuple[dict[str, str], list[str]]) -> None:
    """`koinon up` prints three: web and API answer at once, the log as soon as the worker has signed it."""
    environment, (*lines, last) = up
    web = f"http://127.0.0.1:{environment['KOINON_PORT']}"
    assert [line.split() for line in lines] == [
        ["web", web],
        ["API", f"{web}/schema"],
        ["log", f"{web}/log/checkpoint"],
    ]
    assert last == f"Ctrl-C stops everything; what was recorded stays in {environment['KOINON_FOLDER']}\n"

    assert fetched(web)[:2] == (200, "text/html")
    assert fetched(f"{web}/schema")[:2] == (200, "text/html")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while fetched(f"{web}/log/checkpoint")[0] != 200 and time.monotonic() < deadline:
        time.sleep(0.1)
    status, media_type, note = fetched(f"{web}/log/checkpoint")
    assert (status, media_type) == (200, "text/plain")
    settings = Settings(folder=Path(environment["KOINON_FOLDER"]))
    key = public_key(settings.log_origin, keyring.load(settings.keys_folder).log)
    assert parse_checkpoint(open_note(note.decode(), [key]).text).origin == settings.log_origin


def asked_in_a_round(environment: dict[str, str]) -> Counter[str]:
    """Let the users act for some seconds, none of which may fail, and return how often each route was called."""
    address = f"http://127.0.0.1:{environment['KOINON_PORT']}"
    time_given = ("--spawn-rate", str(USERS), "--run-time", f"{ROUND_SECONDS}s")
    done = subprocess.run(
        [
            sys.executable, "-m", "locust", "-f", "load_tests/locustfile.py", "-H", address,
            "--headless", "--users", str(USERS), *time_given, "--json",
        ],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    entries = json.loads(done.stdout[done.stdout.index("[") :])
    assert sum(entry["num_failures"] for entry in entries) == 0
    return Counter({entry["name"]: entry["num_requests"] for entry in entries})


def test_load_without_a_failure(up: tuple[dict[str, str], list[str]]) -> None:
    """Twelve users of three kinds call their routes and no others, each that is not rare; locust counts no failure."""
    environment, _ = up
    asked: Counter[str] = Counter()
    for _ in range(ROUNDS_MAXIMUM):
        asked += asked_in_a_round(environment)
        if set(asked) >= OFTEN:
            break

    print(f"{asked.total()} requests")
    assert set(asked) <= OFTEN | SELDOM
    assert set(asked) >= OFTEN
