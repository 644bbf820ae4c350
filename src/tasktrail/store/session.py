"""A connection to a PostgreSQL server, and what its session is told: once, or in each transaction behind a pooler."""

from __future__ import annotations

from typing import Final

from psycopg import pq

from tasktrail.store.queries import queries
from tasktrail.store.transaction import Params
from tasktrail.store.wire import Answer, ServerError, Wire, connected

_LOST: Final = ("08", "57P", "25P03")
"""SQLSTATEs, by their beginning, after which the connection is of no use."""
_CONNECT_S: Final = 10.0
_TELL: Final = queries("postgres")["settings"]


def session(conninfo: str, search_path: str, busy_s: float) -> Wire:
    """Return a connection whose session is ours until it ends."""
    wire = Wire(connected(conninfo, _CONNECT_S), prepares=True, longest_s=_longest_s(busy_s))
    wire.began_at = str(one(wire, _TELL, {**_settings(search_path, busy_s), "is_local": False}))
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

    def __init__(self, pg: pq.abc.PGconn, settings: Params, *, longest_s: float) -> None:
        super().__init__(pg, prepares=False, longest_s=longest_s)
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
        self._told = super().ask(_TELL, self._settings)

    def settle(self) -> None:
        """Wait for all results; the server may have been started again since the last ones."""
        super().settle()
        if self._told is not None:
            self.began_at, self._told = str((self._told.fetchone() or ("",))[0]), None


def one(wire: Wire, text: str, params: Params | None = None) -> object:
    row = wire.ask(text, params).fetchone()
    return row[0] if row else None


def is_lost(error: ServerError) -> bool:
    return error.sqlstate.startswith(_LOST)
