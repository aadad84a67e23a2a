"""An HTTP server that answers what a test tells it to, and keeps what it was asked."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

Answer = tuple[int, Any] | None
"""(status, JSON body), or None: the connection is dropped without an answer."""


class Asked(msgspec.Struct, frozen=True):
    """A request as it came: its first line, its headers in lower case, its body."""

    line: str
    headers: dict[str, str]
    body: bytes


class Stub:
    """Answers one request after another, the last answer for ever."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        """Take the answers in their order."""
        self.answers = list(answers)
        self.asked: list[Asked] = []
        self.connections = 0
        self.cookie = ""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Listen as long as the block runs, and give the address."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = {
                    name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:]) if name
                }
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.asked.append(Asked(head[0], headers, body))
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if answer is None:
                    break
                content = msgspec.json.encode(answer[1])
                head_back = f"HTTP/1.1 {answer[0]} Whatever\r\nContent-Length: {len(content)}\r\n"
                if self.cookie:
                    head_back += f"Set-Cookie: {self.cookie}\r\n"
                writer.write(f"{head_back}\r\n".encode() + content)
                await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()
