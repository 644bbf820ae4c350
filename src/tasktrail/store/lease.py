"""A lease that says that this process lives, where no session stays with it: others wait for it to run out."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import threading
from collections.abc import Callable, Sequence
from typing import Final

from tasktrail.store.queries import queries
from tasktrail.store.session import one
from tasktrail.store.wire import ServerError, Wire

_AGAIN_S: Final = 1.0
"""How long a renewal that failed waits: less than the time in which a server that is new counts nobody as dead."""
_GOODBYE_S: Final = 2.0
_QUERIES: Final = queries("postgres")


class LeasedLife:
    """Renews the lease of this process's worker row, which is the one with the life's name, from a thread of its own.

    So an event loop that a step blocks does not make the process look dead.
    """

    def __init__(self, connect: Callable[[], Wire], lease_s: float) -> None:
        self.name = secrets.token_hex(8)
        self.lease_s = lease_s
        self._connect = connect
        self._pid = os.getpid()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._live, name="tasktrail-lease", daemon=True)

    def begin(self) -> None:
        """Renew from now on."""
        self._thread.start()

    def free(self) -> None:
        """Give the lease back; harmless when it was given back, and in a forked child, whose parent has it.

        A server that is away does not hold this up for long: the lease runs out by itself.
        """
        if self._pid == os.getpid():
            self._is_over.set()
            self._thread.join(_GOODBYE_S)

    def _live(self) -> None:
        wire, rest_s = None, 0.0
        while not self._is_over.wait(rest_s):
            wire, rest_s = self._renewed(wire, self.lease_s), self.lease_s / 3
            if wire is None:
                rest_s = min(_AGAIN_S, rest_s)
        wire = self._renewed(wire, 0.0)
        if wire is not None:
            wire.close()

    def _renewed(self, wire: Wire | None, lease_s: float) -> Wire | None:
        """Return the connection for the next time; None when the server was not reached."""
        with contextlib.suppress(ServerError):
            wire = wire or self._connect()
            one(wire, _QUERIES["renew_life"], {"lock_name": self.name, "lease_us": round(lease_s * 1_000_000)})
            return wire
        if wire is not None:
            wire.close()
        return None

    @staticmethod
    def living(wire: Wire, names: Sequence[str]) -> set[str]:
        """Return those of the names whose lease has not run out."""
        rows = wire.ask(_QUERIES["leased_lives"], {"names": json.dumps(list(names))}).fetchall()
        return {str(row[0]) for row in rows}
