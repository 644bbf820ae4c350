"""Who lives, as a PostgreSQL server tells it: a session holds a lock, or a lease is renewed where none stays."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import threading
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from tasktrail.store.queries import queries
from tasktrail.store.session import is_lost, one
from tasktrail.store.wire import ServerError, Wire

_LEASED: Final = "lease-"
"""How names of lives begin that have a lease and no lock."""
_AGAIN_S: Final = 1.0
"""How long a renewal that failed waits: less than the time in which a server that is new counts nobody as dead."""
_GOODBYE_S: Final = 2.0
_QUERIES: Final = queries("postgres")

T = TypeVar("T")


def living(wire: Wire, names: Sequence[str]) -> set[str]:
    """Return those of the names whose process lives, however each of them shows it; one trip to the server."""
    leased = [name for name in names if name.startswith(_LEASED)]
    locked = {_key_of(name): name for name in names if not name.startswith(_LEASED)}
    of_leases = wire.ask(_QUERIES["leased_lives"], {"names": json.dumps(leased)}) if leased else ()
    of_locks = wire.ask(_QUERIES["held_lives"], {"ids": json.dumps(list(locked))}) if locked else ()
    return {str(row[0]) for row in of_leases} | {locked[int(str(row[0]))] for row in of_locks}


class SessionLife:
    """A session that holds a lock for as long as this process lives, or until `free`."""

    lease_s = None

    def __init__(self, connect: Callable[[], Wire], lease_s: float) -> None:  # noqa: ARG002 - the lock needs none
        self.name = secrets.token_hex(8)
        self._connect = connect
        self._pid = os.getpid()
        self._wire: Wire | None = None

    def ask(self, ask: Callable[[Wire], T]) -> T:
        """Ask in the session; one that was lost is begun anew, and others may have taken this process for dead."""
        try:
            if self._wire is not None and not self._wire.is_broken:
                return ask(self._wire)
        except ServerError as error:
            if not is_lost(error):
                raise
        return ask(self._begun())

    def begin(self) -> None:
        """Take the lock in a session of its own."""
        self._begun()

    def _begun(self) -> Wire:
        self._wire = self._connect()
        one(self._wire, "SELECT pg_advisory_lock(:key)", {"key": _key_of(self.name)})
        return self._wire

    def free(self) -> None:
        """End the session; harmless when it has ended, and in a forked child, whose parent has it.

        The lock is given back first: a server ends a session, and with it the lock, some time after it was left.
        """
        if self._wire is not None and self._pid == os.getpid():
            with contextlib.suppress(ServerError):
                one(self._wire, "SELECT pg_advisory_unlock(:key)", {"key": _key_of(self.name)})
            self._wire.close()


class LeasedLife:
    """Renews the lease of this process's worker row, which is the one with the life's name, from a thread of its own.

    So an event loop that a step blocks does not make the process look dead.
    """

    def __init__(self, connect: Callable[[], Wire], lease_s: float) -> None:
        self.name = f"{_LEASED}{secrets.token_hex(8)}"
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


def _key_of(name: str) -> int:
    """Return the number of the lock that a life of this name holds."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
