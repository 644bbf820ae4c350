"""How SQLite answers SQL of somebody: on a connection that cannot write, and asks what a statement is about to do."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import apsw

from tasktrail.model.errors import BadInput
from tasktrail.store.asking import NOTHING_MORE, Answered, check_reads, misunderstood, refused, several, too_long

_LOOK_EVERY: Final = 20_000
"""Steps of SQLite's machine between two looks at the clock: some milliseconds, in which Ctrl-C waits, too."""
_LONGEST_VALUE: Final = 64 * 1024 * 1024
_BUSY_MS: Final = 5_000
_ALLOWED: Final = frozenset({apsw.SQLITE_SELECT, apsw.SQLITE_READ, apsw.SQLITE_FUNCTION, apsw.SQLITE_RECURSIVE})
_PRAGMAS: Final = frozenset({
    "collation_list", "compile_options", "database_list", "foreign_key_list", "function_list", "index_info",
    "index_list", "index_xinfo", "module_list", "pragma_list", "table_info", "table_list", "table_xinfo",
})  # fmt: skip
"""Those that only tell, also as tables: `pragma_table_info('executions')`."""
_OF_THE_STATEMENT: Final = (
    apsw.SQLError, apsw.AuthError, apsw.BindingsError, apsw.ReadOnlyError, apsw.TooBigError, apsw.ExecTraceAbort,
)  # fmt: skip
"""Errors that are no trouble of the file."""
_FORBIDDEN: Final = frozenset({"load_extension", "fts3_tokenizer"})


def ask_file(path: Path, text: str, most: int, timeout_s: float) -> Answered:
    """Answer on a connection of its own, which is opened for reading alone."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        connection.set_busy_timeout(_BUSY_MS)
        connection.limit(apsw.SQLITE_LIMIT_ATTACHED, 0)
        connection.limit(apsw.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
        connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
        connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
        return ask(connection, text, most, timeout_s)
    finally:
        connection.close()


def ask(connection: apsw.Connection, text: str, most: int, timeout_s: float) -> Answered:
    """Answer on a connection; afterwards it is as it was.

    Raises:
        BadInput: The statement would write, is not understood, or is not the only one.
        TookTooLong: It did not end in time.
    """
    check_reads(text)
    guard = _Guard(text, time.monotonic() + timeout_s)
    with _guarded(connection, guard):
        try:
            cursor = connection.execute(text)
            columns = [str(column[0]) for column in cursor.get_description()]
            rows = [row for row, _ in zip(cursor, range(most + 1), strict=False)]
            cursor.close(force=True)
        except apsw.InterruptError:
            raise too_long(timeout_s) from None
        except apsw.ExecutionCompleteError:
            return Answered(guard.columns, [], False)
        except _OF_THE_STATEMENT as error:
            raise guard.explain(error) from None
    return Answered(columns, rows[:most], len(rows) > most)


class _Guard:
    """Looks at what a statement is about to do, whether it is the only one, and at the clock."""

    def __init__(self, text: str, end: float) -> None:
        self.columns: list[str] = []
        self._text = text
        self._end = end
        self._refused: str | None = None
        self._is_several = False

    def allows(self, action: int, first: str | None, second: str | None, _database: str | None, _by: str | None) -> int:
        """Answer for what a statement is compiled to do."""
        name = apsw.mapping_authorizer_function[action]
        told = action in _ALLOWED and (second or "").lower() not in _FORBIDDEN
        if told or (name == "SQLITE_PRAGMA" and (first or "").lower() in _PRAGMAS):
            return apsw.SQLITE_OK
        words = [str(name).removeprefix("SQLITE_").replace("_", " "), first if name != "SQLITE_FUNCTION" else second]
        self._refused = self._refused or " ".join(word for word in words if word)
        return apsw.SQLITE_DENY

    def begins(self, cursor: apsw.Cursor, statement: str, _bindings: object) -> bool:
        """Answer for a statement that is about to be executed."""
        self.columns = [str(column[0]) for column in cursor.get_description()]
        self._is_several = NOTHING_MORE.fullmatch(self._text[len(statement) :]) is None
        return not self._is_several

    def is_late(self) -> bool:
        """Answer whether to stop."""
        return time.monotonic() > self._end

    def explain(self, error: apsw.Error) -> BadInput:
        """Return what was wrong, in words."""
        if self._is_several:
            return several()
        if self._refused is not None:
            return refused(self._refused)
        if isinstance(error, apsw.BindingsError):
            return BadInput("the statement has parameters, for which there are no values", hint="write the values")
        offset = getattr(error, "error_offset", -1)
        at = len(self._text.encode()[:offset].decode(errors="replace")) if offset >= 0 else None
        return misunderstood(str(error), self._text, at)


@contextlib.contextmanager
def _guarded(connection: apsw.Connection, guard: _Guard) -> Iterator[None]:
    connection.execute("PRAGMA query_only = ON")
    connection.authorizer = guard.allows
    connection.set_progress_handler(guard.is_late, _LOOK_EVERY)
    connection.exec_trace = guard.begins
    try:
        yield
    finally:
        connection.exec_trace = None
        connection.set_progress_handler(None)
        connection.authorizer = None
        connection.execute("PRAGMA query_only = OFF")
