"""One connection to a PostgreSQL server: statements are sent ahead of their results, errors have their SQLSTATE.

A transaction that waits for the result of each of its ten statements pays ten times for the way to the server. Here a
statement is sent when it is asked for, and its result is waited for when somebody looks at it, so a step pays five
times. psycopg's cursors in pipeline mode take twice as long for the same (measured: 742 against 360 microseconds for
twelve statements in six trips), hence its documented lower level, `psycopg.pq`.
"""

from __future__ import annotations

import contextlib
import re
import select
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import cache
from itertools import count
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import abc, pq
from psycopg.adapt import Transformer

from tasktrail.store.transaction import Params, Row

BROKEN: Final = "08006"
"""The SQLSTATE of a connection that is lost. Source: PostgreSQL documentation, appendix A."""
_NO_CONNECTION: Final = "08001"
_PARAMETER: Final = re.compile(r"(?<![:\w]):([a-z_]\w*)")
_LONGEST_QUEUE: Final = 256
"""Statements that are sent before their results are read, so that neither side's memory grows without end."""
_SENT_TOGETHER: Final = 3
"""After so many statements the server begins with them, while we say the next."""
_numbers: Final = count(1)
NO_NUL: Final = "\N{SYMBOL FOR NULL}"
"""The server's texts cannot hold the character 0; sent as it is, it would end the text."""


class ServerError(Exception):  # the store turns it into ours
    """What the server refused, or that it is gone.

    Attributes:
        sqlstate: Five characters.
    """

    def __init__(self, sqlstate: str, message: str) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class Statement(NamedTuple):
    """A statement as the server takes it: `$1` for `:name`, and the names in that order."""

    name: bytes
    text: bytes
    names: tuple[str, ...]


@cache
def statement(text: str) -> Statement:
    """Return a statement with named parameters as the server takes it."""
    names = tuple(dict.fromkeys(_PARAMETER.findall(text)))
    numbered = _PARAMETER.sub(lambda match: f"${names.index(match[1]) + 1}", text)
    return Statement(f"q{next(_numbers)}".encode(), numbered.encode(), names)


class Answer:
    """The result of a statement that was sent; looking at it waits for it."""

    __slots__ = ("_at", "_error", "_rows", "_wire", "changed")

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._rows: list[Row] | None = None
        self._error: ServerError | None = None
        self._at = 0
        self.changed = 0

    def put(self, result: pq.abc.PGresult, transformer: abc.Transformer) -> None:
        """Take what came from the server."""
        if result.status in _REFUSED:
            self._error = refusal(result)
        else:
            transformer.set_pgresult(result)
            self._rows = transformer.load_rows(0, result.ntuples, tuple) if result.ntuples else []
            self.changed = result.command_tuples or 0

    @property
    def is_there(self) -> bool:
        """Whether looking at it waits for nothing."""
        return self._rows is not None

    def fetchone(self) -> Row | None:
        """Return the next row; None after the last."""
        rows = self._all()
        self._at += 1
        return rows[self._at - 1] if self._at <= len(rows) else None

    def fetchall(self) -> list[Row]:
        """Return the rows that were not looked at yet."""
        rows, at = self._all(), self._at
        self._at = len(rows)
        return rows[at:]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.fetchall())

    def _all(self) -> list[Row]:
        if self._rows is None:
            if self._error is None:
                self._wire.settle()
            if self._error is not None:
                raise self._error
        assert self._rows is not None
        return self._rows


def connected(conninfo: str, longest_s: float) -> pq.abc.PGconn:
    """Return a new connection. Other threads go on meanwhile, which they do not when libpq itself waits.

    Raises:
        ServerError: The server is not there, or does not let us in; after `longest_s` seconds at the latest.
    """
    pg, end = pq.PGconn.connect_start(conninfo.encode()), time.monotonic() + longest_s
    try:
        while (status := pg.connect_poll()) != pq.PollingStatus.OK:
            if status == pq.PollingStatus.FAILED:
                raise ServerError(_NO_CONNECTION, _first_line(pg.get_error_message()))
            poll = select.poll()  # anew each time: of several hosts each has a socket of its own
            poll.register(pg.socket, select.POLLIN if status == pq.PollingStatus.READING else select.POLLOUT)
            if not poll.poll(max(0.0, end - time.monotonic()) * 1000):
                raise ServerError(_NO_CONNECTION, f"no answer within {longest_s:g} s")
    except BaseException:
        pg.finish()
        raise
    return pg


class Wire:
    """A connection in pipeline mode; this object closes it.

    Args:
        prepares: Whether the server keeps prepared statements of this connection; behind a pooler that hands
            connections around it may not.
        longest_s: A result that takes longer counts as a lost connection.

    Attributes:
        began_at: Since when the server runs; it differs once the server was started again.

    Attributes:
        cursors: Names of those that are open. Few names, since each is a prepared statement.
    """

    def __init__(self, pg: pq.abc.PGconn, *, prepares: bool, longest_s: float) -> None:
        self._pg = pg
        self._prepares = prepares
        self._longest_s = longest_s
        self._prepared: set[bytes] = set()
        self._sent: deque[Answer | bytes] = deque()
        self._transformer = Transformer()
        self._poll = select.poll()
        self.cursors: set[str] = set()
        self.is_broken = False
        self.began_at = ""
        pg.nonblocking = 1
        pg.enter_pipeline_mode()

    def ask(self, text: str, params: Params | None = None) -> Answer:
        """Send a statement with its parameters by name."""
        if len(self._sent) >= _LONGEST_QUEUE:
            self.settle()
        one = statement(text)
        values = [_ENCODED[type(value := params[name])](value) for name in one.names] if params else []
        with _Guard(self):
            self._send(one, values)
        answer = Answer(self)
        self._sent.append(answer)
        if len(self._sent) % _SENT_TOGETHER == 0:
            with _Guard(self):
                self._pg.flush()
        return answer

    def _send(self, one: Statement, values: list[bytes | None]) -> None:
        if not self._prepares:
            self._pg.send_query_params(one.text, values)
            return
        if one.name not in self._prepared:
            self._pg.send_prepare(one.name, one.text)
            self._prepared.add(one.name)
            self._sent.append(one.name)
        self._pg.send_query_prepared(one.name, values)

    def settle(self) -> None:
        """Wait for all results.

        Raises:
            ServerError: The first refusal among them, or the connection is lost.
        """
        if not self._sent and not self.is_broken:
            return
        with _Guard(self):
            self._pg.pipeline_sync()
            refusal = self._collect()
        if refusal is not None:
            raise refusal

    def roll_back(self) -> None:
        """End the transaction without an effect; a connection on which not even that can be done is given up."""
        if self.is_broken:
            return
        try:
            with contextlib.suppress(ServerError):
                self.settle()
            self.ask("ROLLBACK")
            self.settle()
        except ServerError:
            self.close()

    def close(self) -> None:
        """End the connection; results that nobody waited for are lost."""
        if not self.is_broken:
            self.is_broken = True
            self._sent.clear()
            self._pg.finish()

    def _collect(self) -> ServerError | None:
        first: ServerError | None = None
        sent, next_result = self._sent, self._next
        while sent:
            result = next_result()
            if result is None:
                continue
            asked = sent.popleft()
            if isinstance(asked, Answer):
                asked.put(result, self._transformer)
            elif result.status in _REFUSED:
                self._prepared.discard(asked)
            if first is None and result.status == pq.ExecStatus.FATAL_ERROR:
                first = refusal(result)
        while (last := next_result()) is None or last.status != pq.ExecStatus.PIPELINE_SYNC:
            pass
        return first

    def _next(self) -> pq.abc.PGresult | None:
        """Return the next result, None at the end of each statement's."""
        if self._pg.is_busy():
            self._await()
        return self._pg.get_result()

    def _await(self) -> None:
        """Wait until a result is there; what was not sent yet is sent meanwhile."""
        end = time.monotonic() + self._longest_s
        unsent = self._pg.flush()
        while unsent or self._pg.is_busy():
            self._poll.register(self._pg.socket, select.POLLIN | (select.POLLOUT if unsent else 0))
            if not self._poll.poll(max(0, (end - time.monotonic()) * 1000)):
                raise ServerError(BROKEN, f"no answer within {self._longest_s:g} s")
            self._pg.consume_input()
            unsent = self._pg.flush()


class _Guard:
    """Gives a connection up when talking over it fails or is interrupted: nobody knows what is still to come."""

    __slots__ = ("_wire",)

    def __init__(self, wire: Wire) -> None:
        if wire.is_broken:
            raise ServerError(BROKEN, "the connection is lost")
        self._wire = wire

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is None:
            return
        self._wire.close()
        if isinstance(error, psycopg.OperationalError):
            raise ServerError(BROKEN, _first_line(str(error))) from None


_REFUSED: Final = frozenset({pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.PIPELINE_ABORTED})


def refusal(result: pq.abc.PGresult) -> ServerError:
    """Return what the server refused."""
    state = result.error_field(pq.DiagnosticField.SQLSTATE)
    message = result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or result.error_message or b"not executed"
    return ServerError(state.decode() if state else "25P02", _first_line(message.decode(errors="replace")))


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else "no reason given"


def _encoded_text(value: str) -> bytes:
    return (value.replace("\0", NO_NUL) if "\0" in value else value).encode()


_ENCODED: Final[dict[type, Callable[[Any], bytes | None]]] = {
    type(None): lambda _: None,
    bool: lambda value: b"1" if value else b"0",
    int: lambda value: b"%d" % value,
    str: _encoded_text,
}
