"""How PostgreSQL answers SQL of somebody: in a read-only transaction, on a connection that is closed afterwards."""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import psycopg
from psycopg import pq

from tasktrail.model.errors import BadInput
from tasktrail.store.asking import Answered, Cell, check_reads, misunderstood, refused, several, too_long
from tasktrail.store.wire import BROKEN, ServerError, connected, refusal

_CONNECT_S: Final = 10.0
_GRACE_S: Final = 5.0
"""How long the server may be silent after it should have stopped."""
_TELL: Final = b"SELECT set_config('search_path', $1, true), set_config('statement_timeout', $2, true)"
_NO_WRITE: Final = "25006"
_STOPPED: Final = "57014"
_SYNTAX: Final = "42601"
_UNGIVEN: Final = ("42P02", "42P18", "08P01")
"""Of parameters: one that is not there, one whose type nobody can tell, and too few values."""


def ask(conninfo: str, search_path: str, text: str, most: int, timeout_s: float) -> Answered:
    """Answer on a connection of its own.

    Raises:
        BadInput: The statement would write, is not understood, or is not the only one.
        TookTooLong: It did not end in time.
        ServerError: The server is away, or refuses for a reason that is not the statement's.
    """
    check_reads(text)
    pg = connected(conninfo, _CONNECT_S)
    try:
        _settle(pg, b"BEGIN READ ONLY")
        _settle(pg, _TELL, [search_path.encode(), str(max(1, round(timeout_s * 1000))).encode()])
        return _answered(pg, text, most, time.monotonic() + timeout_s + _GRACE_S)
    except _Refused as error:
        raise error.explained(text, timeout_s) from None
    except psycopg.OperationalError as error:
        raise ServerError(BROKEN, str(error).strip() or "the connection is lost") from None
    finally:
        with contextlib.suppress(psycopg.Error):
            if pg.transaction_status == pq.TransactionStatus.ACTIVE:  # rows are left, or somebody pressed Ctrl-C
                pg.get_cancel().cancel()
        pg.finish()


class _Refused(Exception):  # told as ours by the one function that is called
    """What the server said to the statement of somebody."""

    def __init__(self, result: pq.abc.PGresult) -> None:
        super().__init__()
        self.error = refusal(result)
        place = result.error_field(pq.DiagnosticField.STATEMENT_POSITION)
        self._at = int(place) - 1 if place else None

    def explained(self, text: str, timeout_s: float) -> Exception:
        state, message = self.error.sqlstate, str(self.error)
        if state == _NO_WRITE:
            return refused(message.removeprefix("cannot execute ").removesuffix(" in a read-only transaction"))
        if state == _STOPPED:
            return too_long(timeout_s)
        if state == _SYNTAX and "multiple commands" in message:
            return several()
        if state in _UNGIVEN:
            return BadInput("the statement has parameters, for which there are no values", hint="write the values")
        return misunderstood(message, text, self._at)


def _settle(pg: pq.abc.PGconn, text: bytes, values: list[bytes] | None = None) -> None:
    result = pg.exec_params(text, values or [])
    if result.status == pq.ExecStatus.FATAL_ERROR:
        raise refusal(result)


def _answered(pg: pq.abc.PGconn, text: str, most: int, end: float) -> Answered:
    """Take the rows one by one, so that no more are here than were wanted."""
    pg.send_query_params(text.replace("\0", "").encode(), [])
    pg.set_single_row_mode()
    columns: list[str] = []
    rows: list[list[Cell]] = []
    for result in _results(pg, end):
        if result.status == pq.ExecStatus.FATAL_ERROR:
            raise _Refused(result)
        columns = [(result.fname(at) or b"").decode() for at in range(result.nfields)]
        if len(rows) + result.ntuples > most:
            return Answered(columns, rows, True)
        rows += [_row(result, number) for number in range(result.ntuples)]
    return Answered(columns, rows, False)


def _results(pg: pq.abc.PGconn, end: float) -> Iterator[pq.abc.PGresult]:
    poll = select.poll()
    poll.register(pg.socket, select.POLLIN)
    while True:
        while pg.is_busy():
            if not poll.poll(max(0.0, end - time.monotonic()) * 1000):
                raise ServerError(BROKEN, "no answer")
            pg.consume_input()
        result = pg.get_result()
        if result is None:
            return
        yield result


def _row(result: pq.abc.PGresult, number: int) -> list[Cell]:
    return [_cell(result.get_value(number, at), result.ftype(at)) for at in range(result.nfields)]


def _cell(value: bytes | None, kind: int) -> Cell:
    return None if value is None else _READ.get(kind, bytes.decode)(value)


def _number(value: bytes) -> Cell:
    """A decimal number that a float cannot hold stays text, so that it is shown exactly."""
    text = value.decode()
    if text.lstrip("-").isdigit():
        return int(text)
    return float(text) if text == repr(float(text)) else text


_READ: Final[Mapping[int, Callable[[bytes], Cell]]] = {
    16: lambda value: value == b"t",
    **dict.fromkeys((20, 21, 23, 26), int),
    **dict.fromkeys((700, 701), float),
    1700: _number,
    17: lambda value: bytes.fromhex(value[2:].decode()),
}
"""By the object id of a type: bool, whole numbers, floats, numeric, bytea. All else is text, as the server has it."""
