"""Load over HTTP: wrk when the machine has it, else a loop in Python on the same cores, and which of the two it was.

A load is a list of finished requests. Each is sent once, over some connections side by side, and the load ends when the
last is answered: so what was answered is all that was written, and rows can be held to it.
"""

import asyncio
import re
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from load_tests.bench.database import BenchFailed

SCRIPT = Path(__file__).parent / "post.lua"
GET_WRK = "for load that costs little install wrk (Debian: apt-get install wrk; macOS: brew install wrk)"
LONGEST_SECONDS = 120
"""When a load is given up: far above what any takes."""


class Requests(msgspec.Struct, frozen=True, kw_only=True):
    """Requests to be sent once each, the status that every answer must have, and the whole numbers to sum in them."""

    requests: Sequence[bytes]
    connections: int
    status: int
    summed: tuple[str, ...]


class Answered(msgspec.Struct, frozen=True):
    """When the first request was sent and the last answer came (`time.monotonic`), and what the numbers came to."""

    begun: float
    ended: float
    sums: Mapping[str, int]

    @property
    def seconds(self) -> float:
        """How long the load took."""
        return self.ended - self.begun


def loader() -> str:
    """Return the name of what makes the load on this machine."""
    return "wrk" if shutil.which("wrk") else f"a loop in Python, which takes cores from what is measured: {GET_WRK}"


def request(address: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """Return the bytes of a request that posts a JSON body."""
    given = {"Host": urlsplit(address).netloc, "Content-Type": "application/json", "Content-Length": str(len(body))}
    lines = (f"{name}: {value}\r\n" for name, value in (given | dict(headers)).items())
    return f"POST {path} HTTP/1.1\r\n{''.join(lines)}\r\n".encode() + body


async def send(address: str, load: Requests) -> Answered:
    """Send a load; raises BenchFailed when an answer has another status, or does not come."""
    program = shutil.which("wrk")
    try:
        async with asyncio.timeout(LONGEST_SECONDS):
            return await (looped(address, load) if program is None else by_wrk(program, address, load))
    except TimeoutError:
        raise BenchFailed(f"{len(load.requests)} requests were not answered in {LONGEST_SECONDS} seconds") from None


async def by_wrk(program: str, address: str, load: Requests) -> Answered:
    """Let wrk send a load; it says itself when it began and when all was answered."""
    with tempfile.TemporaryDirectory(prefix="koinon-bench-") as folder:
        file = Path(folder) / "requests"
        file.write_bytes(b"".join(b"%d\n%b" % (len(each), each) for each in load.requests))
        wrk = await asyncio.create_subprocess_exec(
            *(program, "-t1", f"-c{load.connections}", f"-d{LONGEST_SECONDS}s", "-s", str(SCRIPT), address),
            *("--", str(file), str(load.status), *load.summed),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            return await _followed(wrk, load)
        finally:
            # It would go on until its time is over, with nothing left to send.
            if wrk.returncode is None:
                wrk.terminate()
            await wrk.wait()


async def _followed(wrk: asyncio.subprocess.Process, load: Requests) -> Answered:
    assert wrk.stdout is not None, "it was asked for"  # noqa: S101  # create_subprocess_exec was given a pipe
    begun, told = 0.0, ""
    async for raw in wrk.stdout:
        line = raw.decode(errors="replace")
        told += line
        match line.split():
            case ["begun"]:
                begun = time.monotonic()
            case ["answered", *sums]:
                return Answered(begun, time.monotonic(), dict(zip(load.summed, map(int, sums), strict=True)))
            case ["refused", *_]:
                raise BenchFailed(line)
    raise BenchFailed(f"wrk ended before all was answered: {told}")


async def looped(address: str, load: Requests) -> Answered:
    """Send a load from this process."""
    host = urlsplit(address)
    waiting = iter(load.requests)
    sums: Counter[str] = Counter(dict.fromkeys(load.summed, 0))
    begun = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for _ in range(load.connections):
            group.create_task(_connection(str(host.hostname), host.port or 80, waiting, load, sums))
    return Answered(begun, time.monotonic(), sums)


async def _connection(host: str, port: int, waiting: Iterator[bytes], load: Requests, sums: Counter[str]) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        for each in waiting:
            writer.write(each)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = head[head.index(b"content-length:") + 15 :].split(b"\r\n", 1)[0]
            body = await reader.readexactly(int(length))
            if int(head[9:12]) != load.status:
                raise BenchFailed(f"{head.decode()}{body.decode()}")
            for name in load.summed:
                found = re.search(rb'"%b":([0-9]+)' % name.encode(), body)
                sums[name] += int(found[1]) if found else 0
    finally:
        writer.close()
