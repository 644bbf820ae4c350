"""A session on a PostgreSQL server that says that this process lives."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from typing import Final, TypeVar

from tasktrail.store.transaction import Params
from tasktrail.store.wire import ServerError, Wire

_LOST: Final = ("08", "57P", "25P03")
"""SQLSTATEs, by their beginning, after which the connection is of no use."""

T = TypeVar("T")


class Life:
    """A session that holds a lock for as long as this process lives, or until `free`."""

    def __init__(self, connect: Callable[[], Wire]) -> None:
        self.name = secrets.token_hex(8)
        self._connect = connect
        self._wire: Wire | None = None

    def ask(self, ask: Callable[[Wire], T]) -> T:
        """Ask in the session; one that was lost is begun anew, and others may have taken this process for dead."""
        try:
            if self._wire is not None and not self._wire.is_broken:
                return ask(self._wire)
        except ServerError as error:
            if not is_lost(error):
                raise
        return ask(self.begin())

    def begin(self) -> Wire:
        """Take the lock in a session of its own."""
        self._wire = self._connect()
        one(self._wire, "SELECT pg_advisory_lock(:key)", {"key": key_of(self.name)})
        return self._wire

    def free(self) -> None:
        """End the session; harmless when it has ended."""
        if self._wire is not None:
            self._wire.close()


def key_of(name: str) -> int:
    """Return the number of the lock that a life of this name holds."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


def one(wire: Wire, text: str, params: Params | None = None) -> object:
    row = wire.ask(text, params).fetchone()
    return row[0] if row else None


def is_lost(error: ServerError) -> bool:
    return error.sqlstate.startswith(_LOST)
