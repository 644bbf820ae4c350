"""Servers for tests: in a thread, on a free port of this machine, spoken to by raw bytes."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tasktrail.serving.address import Address
from tasktrail.serving.asgi import Receive, Scope, Send
from tasktrail.serving.server import Server

PATIENCE_S = 60
"""How long to wait for what comes in an instant, on a machine that is busy."""


class Echo:
    """An application that sends back the body it got.

    Attributes:
        calls: The scopes of the requests that reached it.
        life: What was said to it of its own start and end.
    """

    def __init__(self) -> None:
        self.calls: list[Scope] = []
        self.life: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.live(receive, send)
            return
        self.calls.append(scope)
        await self.answer(scope, receive, send)

    async def live(self, receive: Receive, send: Send) -> None:
        for _ in range(2):
            message = await receive()
            self.life.append(message["type"])
            await send({"type": f"{message['type']}.complete"})

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": message["body"]})


class Stream(Echo):
    """An application whose answer to GET goes on until POST says so; each part is sent when it is there."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = asyncio.Event()

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":
            self.goes_on.set()
            await super().answer(scope, receive, send)
            return
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        waiting = asyncio.ensure_future(self.goes_on.wait())
        leaving = asyncio.ensure_future(receive())
        await asyncio.wait([waiting, leaving], return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        if waiting.done():
            await send({"type": "http.response.body", "body": b"data: 2\n\n"})
        waiting.cancel()


@dataclass
class Answer:
    """What a server answered."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes
    error: dict[str, str] = field(default_factory=dict)


@dataclass
class Running:
    """A server that runs in a thread."""

    app: Echo
    server: Server
    thread: threading.Thread

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(("127.0.0.1", self.server.port), timeout=PATIENCE_S)

    def ask(self, text: str, body: bytes = b"") -> Answer:
        """Send lines of a request as they are, `HOST` and `PORT` filled in, then a body; return the answer."""
        filled = text.replace("HOST", self.host).replace("PORT", str(self.server.port))
        with self.connect() as connection:
            connection.sendall(filled.replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n" + body)
            return answer_of(connection)


def answer_of(connection: socket.socket) -> Answer:
    """Read an answer to its end."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    body = response.read()
    is_error = response.status >= 400 and response.headers.get_content_type() == "application/json"
    return Answer(response.status, response.headers, body, json.loads(body)["error"] if is_error else {})


def post(body: bytes, *headers: str) -> str:
    """Return the lines of a POST that is right, with further headers."""
    return "\n".join(["POST / HTTP/1.1", "Host: HOST", f"Content-Length: {len(body)}", *headers])


@contextmanager
def running(app: Echo | None = None, address: Address | None = None, **options: Any) -> Iterator[Running]:
    """Run a server; at the end it is stopped, and must end."""
    app = Echo() if app is None else app
    server = Server(app, Address() if address is None else address, **options)
    is_up = threading.Event()
    thread = threading.Thread(target=server.run, args=[lambda port: is_up.set()], daemon=True)
    thread.start()
    try:
        assert is_up.wait(PATIENCE_S)
        yield Running(app, server, thread)
    finally:
        server.stop()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
