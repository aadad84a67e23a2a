"""Load with three kinds of user: tills, processors and members, on an installation that runs on this machine.

    koinon up
    locust -f load_tests/locustfile.py -H http://127.0.0.1:8700

Each process that makes load opens a sandbox programme of its own over the API first, and its users act in that.
"""

import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any, ClassVar

import msgspec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from locust import FastHttpUser, between, events, task
from locust.env import Environment
from locust.runners import MasterRunner

from koinon.identity.webhook_signatures import decode_secret, sign
from load_tests.driver.callers import FORM, token_request
from load_tests.driver.standing import Standing
from load_tests.ground import THINK_SECONDS, Ground, ground_of

RENEWED_BEFORE_SECONDS = 60
JSON = {"Content-Type": "application/json"}


class Stage:
    """Where the users of this process act; set before the first of them begins."""

    ground: ClassVar[Ground]
    tokens: ClassVar[dict[str, tuple[str, float]]] = {}


def open_ground(environment: Environment, **_: Any) -> None:
    """Open a coalition over the API, by a program of its own: its event loop and locust's do not go together."""
    if isinstance(environment.runner, MasterRunner):
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "standing.json"
        program = [sys.executable, "-m", "load_tests.driver.standing", str(environment.host), str(file)]
        subprocess.run(program, check=True)  # noqa: S603  # our own program
        standing = msgspec.json.decode(file.read_bytes(), type=Standing)
    run = uuid.uuid4().hex[:12]
    Stage.ground = ground_of(standing, run, seed=int(run, 16))
    Stage.tokens.clear()


# Before the test's own time begins to run.
events.init.add_listener(open_ground)  # type: ignore[no-untyped-call]  # locust's hooks are untyped


class Till(FastHttpUser):
    """A brand's till system: mostly earnings, some of the points spent again."""

    weight = 5
    wait_time = between(*THINK_SECONDS)

    @task(4)
    def earn(self) -> None:
        """Report a purchase."""
        brand, body = Stage.ground.earning()
        if self._post(brand, "/v1/earnings", body) is not None:
            Stage.ground.earned(body)

    @task(1)
    def redeem(self) -> None:
        """Reserve points and capture them, or give them up one time in ten."""
        drawn = Stage.ground.redemption()
        if drawn is None:
            return
        brand, body = drawn
        reserved = self._post(brand, "/v1/redemptions", body)
        if reserved is not None:
            ending = "releases" if Stage.ground.rng.randrange(10) == 0 else "captures"
            path = f"/v1/redemptions/{reserved['redemption']}/{ending}"
            self._post(brand, path, None, name=f"/v1/redemptions/[id]/{ending}")

    def _post(self, brand: str, path: str, body: Any, name: str | None = None) -> Any:
        headers = JSON | {"Authorization": f"Bearer {self._token(brand)}", "Idempotency-Key": uuid.uuid4().hex}
        data = None if body is None else msgspec.json.encode(body).decode()
        with self.client.post(path, data=data, headers=headers, name=name or path, catch_response=True) as answer:
            return answered(answer)

    def _token(self, brand: str) -> str:
        token, until = Stage.tokens.get(brand, ("", 0.0))
        if time.monotonic() < until:
            return token
        known = Stage.ground.standing.brands[brand]
        private_key: Any = load_pem_private_key(known.private_key.encode(), password=None)
        form = token_request(known.client, private_key, Stage.ground.standing.audience)
        headers = {"Content-Type": FORM}
        with self.client.post("/v1/oauth/token", data=form.decode(), headers=headers, catch_response=True) as answer:
            granted = answered(answer)
        Stage.tokens[brand] = (
            granted["access_token"],
            time.monotonic() + granted["expires_in"] - RENEWED_BEFORE_SECONDS,
        )
        return str(granted["access_token"])


class Processor(FastHttpUser):
    """A payment processor: batches of card messages, signed, some of them sent before."""

    weight = 1
    wait_time = between(*THINK_SECONDS)

    @task
    def post_batch(self) -> None:
        """Post a batch of one of the processors; every message is accepted, or known already."""
        source = Stage.ground.rng.choice(sorted(Stage.ground.standing.processors))
        known = Stage.ground.standing.processors[source]
        body = msgspec.json.encode({"messages": Stage.ground.batch(source)})
        signed = sign(decode_secret(known.secret), f"msg_{uuid.uuid4().hex}", int(time.time()), body)
        with self.client.post(
            f"/v1/feeds/{known.source}/transactions",
            data=body.decode(),
            headers=JSON | signed,
            name="/v1/feeds/[source]/transactions",
            catch_response=True,
        ) as answer:
            verdicts = answered(answer)
            if verdicts is not None and (verdicts["refused"] or verdicts["conflict"]):
                answer.failure(f"{verdicts['refused']} refused, {verdicts['conflict']} in conflict")


class Member(FastHttpUser):
    """A member with a phone: looks at the wallet, scrolls through history and offers, shows a pay code."""

    weight = 3
    wait_time = between(*THINK_SECONDS)

    def on_start(self) -> None:
        """Be one of the members."""
        sessions = Stage.ground.standing.members
        self.session = sessions[Stage.ground.rng.choice(sorted(sessions))].headers

    @task(5)
    def wallet(self) -> None:
        """Look at the wallet."""
        self.client.get("/v1/me/wallet", headers=self.session)

    @task(3)
    def history(self) -> None:
        """Look at what happened."""
        self.client.get("/v1/me/history", headers=self.session)

    @task(2)
    def offers(self) -> None:
        """Look at offers."""
        self.client.get("/v1/me/offers", headers=self.session)

    @task(1)
    def pay_code(self) -> None:
        """Get a pay code."""
        self.client.post("/v1/me/pay-codes", headers=self.session | {"Idempotency-Key": uuid.uuid4().hex})


def answered(answer: Any) -> Any:
    """Return an answer's JSON; one that is no success is noted as a failure with its problem, and gives None."""
    if answer.status_code and answer.status_code < 400:
        answer.success()
        return msgspec.json.decode(answer.content)
    answer.failure(f"{answer.status_code}: {(answer.text or '')[:300]}")
    return None
