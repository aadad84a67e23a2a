"""The log over HTTP: what anyone reads without being known."""

import httpx
from litestar import Litestar

from koinon.audit.logs import LIVE_LOG, log_key
from koinon.audit.signing import sign_checkpoint
from koinon_verify.notes import open_checkpoint, read_key


async def test_the_logs_key_is_there_for_everybody(client: httpx.AsyncClient, app: Litestar) -> None:
    """It is text that `koinon verify --key` takes as it is; whoever reads the log may keep it."""
    answer = await client.get("/log/vkey")

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["cache-control"] == "public, max-age=86400"
    assert answer.text == log_key(app.state.runtime, LIVE_LOG).text
    await sign_checkpoint(app.state.runtime)
    note = (await client.get("/log/checkpoint")).text
    assert open_checkpoint(note, read_key(answer.text)).size == 0
