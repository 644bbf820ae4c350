"""uvicorn, with what it lacks: a deadline for each request, and an end that returns."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import HANDLED_SIGNALS

from tasktrail.logs import logger

_LAST_WORDS_S: Final = 2
"""How long after the grace applications have to notice that their client is gone; then they are cancelled."""


class Listener(uvicorn.Server):
    """Serves until a signal comes or `should_exit` is set.

    Args:
        grace_s: Answers have this long to end, then their connections are closed. Event streams never end on their own.

    Attributes:
        told: Called once requests are answered.
    """

    told: Callable[[], None]

    def __init__(self, config: uvicorn.Config, grace_s: float) -> None:
        super().__init__(config)
        config.timeout_graceful_shutdown = int(grace_s) + _LAST_WORDS_S
        self._grace_s = grace_s

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.told()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().call_later(self._grace_s, self._hang_up)
        await super().shutdown(sockets)

    def _hang_up(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn does, but a signal that was heeded is not raised again: who serves goes on after it."""
        is_main = threading.current_thread() is threading.main_thread()
        before = {number: signal.signal(number, self.handle_exit) for number in HANDLED_SIGNALS} if is_main else {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def protocol(deadline_s: float) -> type[asyncio.Protocol]:
    """Return the protocol that closes a connection whose request is not there in time, however it trickles."""

    class Deadline(H11Protocol):
        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)  # type: ignore[arg-type]  # asyncio hands a stream over
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self._watch()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._watch()

        def _watch(self) -> None:
            """The time runs while the client owes a request or the rest of one, not while it waits for an answer."""
            is_owed = self in self.connections and self.conn.their_state in (h11.IDLE, h11.SEND_BODY)
            if is_owed and self._timer is None:
                self._timer = self.loop.call_later(deadline_s, self._close)
            elif not is_owed and self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _close(self) -> None:
            client: tuple[Any, ...] = self.client or ("?",)
            logger(__name__).info("closed a connection of %s: no request within %g s", client[0], deadline_s)
            self.transport.abort()

    return Deadline
