"""A session on a PostgreSQL server: what it is told when it begins, and one that says that this process lives."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from tasktrail.store.queries import queries
from tasktrail.store.transaction import Params
from tasktrail.store.wire import Answer, ServerError, Wire, connected

_LOST: Final = ("08", "57P", "25P03")
"""SQLSTATEs, by their beginning, after which the connection is of no use."""
_CONNECT_S: Final = 10.0
_QUERIES: Final = queries("postgres")

T = TypeVar("T")


def session(conninfo: str, search_path: str, busy_s: float) -> Wire:
    """Return a connection whose session is ours until it ends."""
    wire = Wire(connected(conninfo, _CONNECT_S), prepares=True, longest_s=_longest_s(busy_s))
    wire.began_at = str(one(wire, _QUERIES["settings"], {**_settings(search_path, busy_s), "is_local": False}))
    return wire


def passed_around(conninfo: str, search_path: str, busy_s: float) -> Wire:
    """Return a connection to a pooler that may give each transaction another session."""
    return PooledWire(connected(conninfo, _CONNECT_S), _settings(search_path, busy_s), longest_s=_longest_s(busy_s))


def _longest_s(busy_s: float) -> float:
    return busy_s + 30


def _settings(search_path: str, busy_s: float) -> dict[str, str]:
    lock_ms = round(busy_s * 1000)
    return {"search_path": search_path, "lock_ms": str(lock_ms), "statement_ms": str(lock_ms + 30_000)}


class PooledWire(Wire):
    """A connection of which only a transaction has a session: each says anew what it goes by, in the same trip.

    What is asked outside of a transaction is one of its own together with that: the server ends it when it answers.
    """

    def __init__(self, pg: object, settings: Params, *, longest_s: float) -> None:
        super().__init__(pg, prepares=False, longest_s=longest_s)  # type: ignore[arg-type]  # libpq's, seen by wire alone
        self._settings = {**settings, "is_local": True}
        self._told: Answer | None = None
        self._is_open = False
        one(self, "SELECT 1")

    def ask(self, text: str, params: Params | None = None) -> Answer:
        """Send a statement with its parameters by name."""
        ends, begins = text in ("COMMIT", "ROLLBACK"), text.startswith("BEGIN")
        if not ends and not begins and not self._is_open:
            self._tell()
        answer = super().ask(text, params)
        if begins:
            self._tell()
        self._is_open = begins or (self._is_open and not ends)
        return answer

    def _tell(self) -> None:
        self._told = super().ask(_QUERIES["settings"], self._settings)

    def settle(self) -> None:
        """Wait for all results; the server may have been started again since the last ones."""
        super().settle()
        if self._told is not None:
            self.began_at, self._told = str((self._told.fetchone() or ("",))[0]), None


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
        one(self._wire, "SELECT pg_advisory_lock(:key)", {"key": key_of(self.name)})
        return self._wire

    def free(self) -> None:
        """End the session; harmless when it has ended, and in a forked child, whose parent has it."""
        if self._wire is not None and self._pid == os.getpid():
            self._wire.close()

    @staticmethod
    def living(wire: Wire, names: Sequence[str]) -> set[str]:
        """Return those of the names whose lock is held: the server frees it with the session."""
        by_key = {key_of(name): name for name in names}
        rows = wire.ask(_QUERIES["held_lives"], {"ids": json.dumps(list(by_key))}).fetchall()
        return {by_key[int(str(row[0]))] for row in rows}


def key_of(name: str) -> int:
    """Return the number of the lock that a life of this name holds."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


def one(wire: Wire, text: str, params: Params | None = None) -> object:
    row = wire.ask(text, params).fetchone()
    return row[0] if row else None


def is_lost(error: ServerError) -> bool:
    return error.sqlstate.startswith(_LOST)
