"""Load over HTTP: wrk when the machine has it, else a bounded loop in Python, and which of the two it was.

A load is a list of finished requests; a new key is put into each as it is sent, where `KEY` stands in its bytes.
"""

import asyncio
import re
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from itertools import count, cycle
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from load_tests.bench.database import BenchFailed

KEY = "{key}"
CONNECTIONS = 32
REQUESTS_PER_SECOND = re.compile(r"^Requests/sec:\s+([0-9.]+)", re.MULTILINE)
REFUSED = re.compile(r"Non-2xx or 3xx responses: ([0-9]+)|Socket errors: connect [1-9]")

WRK_SCRIPT = """
-- One request after another of those below, each under a key of its own.
local thread_count = 0
function setup(thread) thread:set("number", thread_count); thread_count = thread_count + 1 end
local requests = {
%s
}
local sent = 0
function request()
  sent = sent + 1
  local each = requests[(sent + number * 7919) %% #requests + 1]
  local headers = { ["Content-Type"] = "application/json", ["Authorization"] = each[1],
    ["Idempotency-Key"] = "%s-" .. number .. "-" .. sent }
  return wrk.format("POST", "%s", headers, each[2])
end
"""


class Call(msgspec.Struct, frozen=True):
    """One request of a load: who calls, and the JSON body."""

    authorization: str
    body: str


def loader() -> str:
    """Return the name of what makes the load on this machine."""
    return "wrk" if shutil.which("wrk") else "a loop in Python (wrk is not installed)"


def post_load(address: str, path: str, calls: Sequence[Call], seconds: int) -> float:
    """Post the calls round and round for some seconds over CONNECTIONS; return requests a second.

    Raises BenchFailed when any was refused.
    """
    program = shutil.which("wrk")
    if program is None:
        return asyncio.run(_looped(address, path, calls, seconds))
    return _wrk(program, address, path, calls, seconds)


def _wrk(program: str, address: str, path: str, calls: Sequence[Call], seconds: int) -> float:
    table = ",\n".join(f"  {{ {_lua(each.authorization)}, {_lua(each.body)} }}" for each in calls)
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "post.lua"
        script.write_text(WRK_SCRIPT % (table, uuid.uuid4().hex, path), encoding="utf-8")
        arguments = [program, "-t2", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script), address]
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)  # noqa: S603  # wrk itself
    rate = REQUESTS_PER_SECOND.search(done.stdout)
    if done.returncode != 0 or rate is None or REFUSED.search(done.stdout):
        raise BenchFailed(done.stdout + done.stderr)
    return float(rate[1])


def _lua(text: str) -> str:
    """Return a text as a Lua string: JSON's escapes of quotes and backslashes are Lua's too."""
    return msgspec.json.encode(text).decode()


async def _looped(address: str, path: str, calls: Sequence[Call], seconds: int) -> float:
    host = urlsplit(address)
    run, numbers = uuid.uuid4().hex, count()
    waiting = cycle(_request(host.netloc, path, each) for each in calls)

    def requests() -> Iterator[bytes]:
        for request in waiting:
            yield request.replace(KEY.encode(), f"{run}-{next(numbers)}".encode())

    source = requests()
    begun = time.monotonic()
    results = await asyncio.gather(
        *(_connection(str(host.hostname), host.port or 80, source, begun + seconds) for _ in range(CONNECTIONS))
    )
    return sum(results) / (time.monotonic() - begun)


def _request(host: str, path: str, call: Call) -> bytes:
    body = call.body.encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nIdempotency-Key: {KEY}\r\n"
        f"Authorization: {call.authorization}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _connection(host: str, port: int, requests: Iterator[bytes], until: float) -> int:
    """Send one request after another until the time is over; return how many were answered."""
    reader, writer = await asyncio.open_connection(host, port)
    answered = 0
    try:
        while time.monotonic() < until:
            writer.write(next(requests))
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = head[head.index(b"content-length:") + 15 :].split(b"\r\n", 1)[0]
            body = await reader.readexactly(int(length))
            if head[9:10] != b"2":
                raise BenchFailed(f"{head.decode()}{body.decode()}")
            answered += 1
    finally:
        writer.close()
    return answered
