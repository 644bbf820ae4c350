"""The store in a PostgreSQL database: the same tables and queries; many processes write at the same time."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from tasktrail.model.errors import Busy, StoreError, Unreachable
from tasktrail.store import migrate
from tasktrail.store import postgres_schema as schema
from tasktrail.store.address import address, quoted, refuse_backup
from tasktrail.store.group_commit import Batch, GroupCommit, Ticket
from tasktrail.store.queries import queries
from tasktrail.store.seam import Store
from tasktrail.store.session import Life, is_lost, key_of, one
from tasktrail.store.transaction import Params, Row, Rows, Transaction
from tasktrail.store.wire import Answer, ServerError, Wire, as_json, connected

_POSTGRES: Final = "postgres"
_OLDEST_SERVER: Final = 130000
_READERS_KEPT: Final = 4
_PUT_OFF_MS: Final = 20
"""How long a ticket that shares a commit waits for rows of another process: longer, and it goes alone. So two
processes that share commits between the same runs never wait for each other."""
_CONNECT_S: Final = 10.0
_LAST_LOOK_S: Final = 2.0
"""How long an interrupted thread tries to find out what became of its commit."""
_NAP_S: Final = 0.05
_FETCHED: Final = 1000
_AGAIN: Final = frozenset({"40001", "40P01"})
_TOO_OLD: Final = "TT001"
"""The SQLSTATE of `begin_write` when this program is; its message is the version of the schema."""

T = TypeVar("T")


class PostgresStore:
    """Rows in a schema of a PostgreSQL database. Use `open_store` to get one.

    Args:
        url: `postgresql://user:password@host:port/database`, with what libpq knows as `?key=value`, and `schema=NAME`
            (`tasktrail` when not said).
        busy_s: How long a write waits for others, or for the server to come back, before it gives up.
        accepts: Told the version of the schema that is there, before it is made or upgraded; what it raises stops that.

    Attributes:
        path: None: it is no file.
        where: How messages name it; without the password.
    """

    path: Path | None = None

    def __init__(self, url: str, *, busy_s: float = 30.0, accepts: Callable[[int], None] = migrate.any_version) -> None:
        self.busy_s = busy_s
        self._url = url
        self._schema, conninfo, self.where = address(url)
        self._connect = partial(_connection, conninfo, self._schema, busy_s)
        self._queries = queries(_POSTGRES)
        self._reading = {**self._queries, "lock_run": self._queries["run_by_id"]}
        self._group = GroupCommit(self._commit)
        self._gate = threading.RLock()
        self._idle: list[Wire] = []
        self._writer: Wire | None = None
        self._life: Life | None = None
        self._pid = os.getpid()
        self._prepare(accepts)

    # the seam

    def write(self, work: Callable[[Transaction], T], *, patience_s: float | None = None) -> T:
        """Run `work` in a transaction; when this returns, its effect survives whatever the server's settings promise.

        Args:
            work: May be run more than once, when others were faster or the connection was lost before its commit.
            patience_s: How long to wait for others and for the server; None is the store's own limit.

        Raises:
            Busy: Others held what it needs all that time.
            StoreError: The server cannot be reached, or refuses; nothing was changed.
        """
        self._check_process()
        result: T = self._group.submit(Ticket(work, self.busy_s if patience_s is None else patience_s))
        return result

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on one consistent snapshot; what it writes does not stay."""

        def reading(wire: Wire) -> T:
            wire.ask("BEGIN ISOLATION LEVEL REPEATABLE READ")
            try:
                return work(Transaction(_Connected(wire, self._reading)))
            finally:
                wire.roll_back()

        return self._asking(reading)

    def close(self) -> None:
        """Close all connections. The next use opens anew."""
        with self._gate:
            for wire in [*self._idle, self._writer]:
                if wire is not None:
                    wire.close()
            self._idle.clear()
            self._writer = None

    def changed_token(self) -> str:
        """Return what differs once anybody has committed, here or elsewhere; one trip to the server.

        It is the life of this process that asks, so that a life which was lost is begun again.

        Raises:
            Unreachable: The server is away; this does not wait for it.
        """
        with self._explained():
            if self._life is not None and self._pid == os.getpid():
                return self._life.ask(_snapshot)
        return self._asking(_snapshot, patience_s=0.0)

    def _asking(self, ask: Callable[[Wire], T], *, patience_s: float | None = None) -> T:
        """Ask on an idle connection; all of them may have been lost together, so then on new ones.

        Args:
            patience_s: How long to wait for a server that is away; None is the store's own limit.
        """
        self._check_process()
        end = time.monotonic() + (self.busy_s if patience_s is None else patience_s)
        with self._explained():
            while True:
                try:
                    return self._ask_on(self._idle.pop() if self._idle else self._connect(), ask)
                except ServerError as error:
                    if not is_lost(error):
                        raise
                    if not self._drop_idle() and time.monotonic() >= end:
                        raise
                    time.sleep(_NAP_S)

    def _ask_on(self, wire: Wire, ask: Callable[[Wire], T]) -> T:
        try:
            return ask(wire)
        finally:
            if not wire.is_broken and len(self._idle) < _READERS_KEPT:
                self._idle.append(wire)
            else:
                wire.close()

    def _drop_idle(self) -> bool:
        """Close the idle connections; return whether there were any."""
        dropped = 0
        while self._idle:
            self._idle.pop().close()
            dropped += 1
        return dropped > 0

    # who is alive

    def begin_life(self) -> Life:
        """Let others see that this process lives."""
        self._check_process()
        with self._explained():
            life = Life(self._connect)
            life.begin()
        self._life = life
        return life

    def is_held(self, name: str) -> bool:
        """Whether the process whose life has this name lives: the server ends it with its session."""
        return name in self.held([name])

    def held(self, names: Sequence[str]) -> set[str]:
        """Return those of the names whose process lives; one trip to the server for all of them."""
        by_key = {key_of(name): name for name in names}
        ids = {"ids": json.dumps(list(by_key))}
        rows = self._asking(lambda wire: wire.ask(self._queries["held_lives"], ids).fetchall())
        return {by_key[int(str(row[0]))] for row in rows}

    # keeping

    def is_same(self, other: Store) -> bool:
        """Whether both are one: the same schema of a database in which the one sees who lives in the other."""
        if not isinstance(other, PostgresStore) or other._schema != self._schema:
            return False
        life = Life(self._connect)
        try:
            with self._explained():
                life.begin()
            return other.is_held(life.name)
        finally:
            life.free()

    def backup(self, target: Path) -> None:
        """Refuse: the server's own tools copy it.

        Raises:
            BadInput: Always; the hint says what to type.
        """
        raise refuse_backup(self._url, target)

    def integrity(self) -> list[str]:
        """Return nothing: the server looks after its own files."""
        return []

    # connections

    def _connected(self) -> Wire:
        if self._writer is None or self._writer.is_broken:
            self._writer = self._connect()
        return self._writer

    def _check_process(self) -> None:
        """A forked child must not talk over its parent's connections: it opens its own."""
        if self._pid != os.getpid():
            _left_behind.extend([self._writer, *self._idle, self._life])
            self._pid, self._writer, self._idle, self._life = os.getpid(), None, [], None
            self._group, self._gate = GroupCommit(self._commit), threading.RLock()

    # opening

    def _prepare(self, accepts: Callable[[int], None]) -> None:
        with self._explained():
            wire = self._connected()
            version = int(str(one(wire, "SELECT current_setting('server_version_num')")))
            if version < _OLDEST_SERVER:
                raise StoreError(
                    f"{self.where} is PostgreSQL {version // 10000}; Tasktrail needs 13 or newer",
                    hint="use a newer server, or a SQLite file: tasktrail --store FILE",
                )
            try:
                accepts(schema.version(wire, self._schema, self.where))
            except BaseException:
                self.close()
                raise
            schema.upgrade(wire, self._schema, self.where)

    # committing

    def _commit(self, batch: Batch) -> None:
        """Run all tickets in as few transactions as others let us; errors go to whose they are."""
        with self._gate:
            todo: Sequence[Ticket] = batch.tickets
            patience_s = max(ticket.patience_s for ticket in batch.tickets)
            end = time.monotonic() + patience_s
            try:
                while todo:
                    todo = self._try(Batch(list(todo)), patience_s, end)
            except Exception as error:  # noqa: BLE001 - whatever it is belongs to the callers that wait
                explained = self._explain(error) if isinstance(error, ServerError) else error
                for ticket in batch.tickets:
                    if not ticket.done:
                        ticket.error = ticket.error or explained
                        ticket.batch = batch  # which is done when this returns

    def _try(self, part: Batch, patience_s: float, end: float) -> Sequence[Ticket]:
        """Commit what can be committed together now; return what is still to be done.

        An interruption (KeyboardInterrupt) leaves the part marked as done if it was committed, else nothing of it.
        """
        mark: _Mark | None = None
        try:
            for ticket in part.tickets:
                ticket.batch = part
            wire = self._connected()
            wire.ask("BEGIN")
            if patience_s != self.busy_s:
                wire.ask(f"SET LOCAL lock_timeout = {max(1, round(patience_s * 1000))}")
            number = wire.ask("SELECT begin_write(:known)", {"known": migrate.latest(_POSTGRES)})
            put_off, event = self._run(wire, part.tickets)
            for ticket in put_off:
                ticket.batch = None
            if not number.is_there:  # whoever looked at a result has it already
                wire.settle()
            mark = _Mark(str((number.fetchone() or ("",))[0]), wire.began_at, event)
            wire.ask("COMMIT")
            wire.settle()
            part.done = True
        except ServerError as error:
            return self._after(error, part, mark, end)
        except Exception:
            self._roll_back()
            raise
        except BaseException:
            if self._writer is not None:
                self._writer.close()
            part.done = mark is not None and self._was_committed(mark, time.monotonic() + _LAST_LOOK_S)
            raise
        return put_off

    def _after(self, error: ServerError, part: Batch, mark: _Mark | None, end: float) -> Sequence[Ticket]:
        """Return what is to be done after an error; it is raised again where nothing helps."""
        self._roll_back()
        if error.sqlstate in _AGAIN and time.monotonic() < end:
            return part.tickets
        if not is_lost(error):
            raise error
        # Not only as long as the caller would wait: told to try again, it would do twice what may well be done.
        if mark is not None and self._was_committed(mark, max(end, time.monotonic() + self.busy_s)):
            part.done = True
            return ()
        if time.monotonic() >= end:
            raise error
        time.sleep(_NAP_S)
        return part.tickets

    def _run(self, wire: Wire, tickets: Sequence[Ticket]) -> tuple[list[Ticket], Params | None]:
        """Return the tickets that must go alone, and the last event of the others."""
        if len(tickets) == 1:
            return [], self._run_one(wire, tickets[0])
        put_off: list[Ticket] = []
        event: Params | None = None
        for number, ticket in enumerate(tickets):
            if number == 1:
                wire.ask(f"SET LOCAL lock_timeout = {_PUT_OFF_MS}")
            wire.ask("SAVEPOINT ticket")
            try:
                appended = self._run_one(wire, ticket)
                wire.settle()
                event = appended or event
            except Exception as error:
                if wire.is_broken or (isinstance(error, ServerError) and error.sqlstate == _TOO_OLD):
                    raise
                if isinstance(error, ServerError) and error.sqlstate in ("55P03", *_AGAIN):
                    put_off.append(ticket)
                else:
                    ticket.error = self._explain(error) if isinstance(error, ServerError) else error
                with contextlib.suppress(ServerError):
                    wire.settle()
                wire.ask("ROLLBACK TO ticket")
            wire.ask("RELEASE ticket")
        return put_off, event

    def _run_one(self, wire: Wire, ticket: Ticket) -> Params | None:
        """Return the last event that the ticket appended."""
        transaction = Transaction(_Connected(wire, self._queries))
        ticket.result = ticket.work(transaction)
        transaction.settle()
        return transaction.last_event

    def _was_committed(self, mark: _Mark, end: float) -> bool:
        """Find out what became of a commit whose answer was lost: the server keeps it."""
        while True:
            try:
                status = self._status_of(mark)
            except ServerError as error:
                if not is_lost(error) or time.monotonic() > end:
                    raise
                status = None
            if status in ("committed", "aborted"):
                return status == "committed"
            time.sleep(_NAP_S)

    def _status_of(self, mark: _Mark) -> object:
        """A server that crashed meanwhile may have given the number to another transaction, or not yet again.

        Then our own event tells. Work without one is done again: output, progress, files; twice is once there.
        """
        wire = self._connected()
        if wire.began_at == mark.began_at:
            return one(wire, "SELECT pg_xact_status(CAST(:xid AS xid8))", {"xid": mark.xid})
        there = mark.event is not None and one(wire, self._queries["same_event"], mark.event)
        return "committed" if there else "aborted"

    def _roll_back(self) -> None:
        if self._writer is not None:
            self._writer.roll_back()

    # errors

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except ServerError as error:
            raise self._explain(error) from error

    def _explain(self, error: ServerError) -> StoreError | Busy:
        state = error.sqlstate
        if state == "55P03":
            return Busy(f"{self.where} was locked by others for longer than {self.busy_s:g} s", hint="tasktrail doctor")
        if state == _TOO_OLD:
            return migrate.newer(_POSTGRES, str(error), self.where)
        if is_lost(error):
            hint = "check host, port, user and password, and that the server runs"
            return Unreachable(f"{self.where} cannot be reached: {error}", hint=hint)
        for begin, words, hint in _EXPLAINED:
            if state.startswith(begin):
                return StoreError(f"{self.where} {words}: {error}", hint=hint)
        return StoreError(f"{self.where}: {error} (SQLSTATE {state})", hint="tasktrail doctor --verify")


_EXPLAINED: Final = (
    ("42501", "refuses", "GRANT CREATE ON DATABASE … TO …, or a schema that is yours: …?schema=NAME"),
    ("53", "cannot serve us now", "free disk, memory or connections of the server"),
)
"""By how the SQLSTATE begins."""


class _Mark(NamedTuple):
    """By which a transaction is known again: its number, since when the server runs, the last event it appended."""

    xid: str
    began_at: str
    event: Params | None


class _Connected:
    """Runs named queries on a connection."""

    is_far = True

    __slots__ = ("_last", "_queries", "_wire")

    def __init__(self, wire: Wire, named: Mapping[str, str]) -> None:
        self._wire = wire
        self._queries = named
        self._last: Answer | None = None

    def execute(self, name: str, params: Params) -> Rows:
        self._last = self._wire.ask(self._queries[name], params)
        return self._last

    def execute_many(self, name: str, params: Iterable[Params]) -> None:
        """In one statement, where there is one for many; it gets them as JSON.

        Only what inserts has one: an UPDATE from many is planned while the table is small, and then reads all of it.
        """
        given, many = list(params), self._queries.get(f"many_{name}")
        if many is not None and len(given) > 1:
            self._wire.ask(many, {"many": as_json(given)})
            return
        for one_of_them in given:
            self._wire.ask(self._queries[name], one_of_them)

    def stream(self, name: str, params: Params) -> Iterator[Row]:
        """The server keeps the rows; a thousand at a time are here."""
        cursor = next(one for one in map("rows_{}".format, count()) if one not in self._wire.cursors)
        self._wire.cursors.add(cursor)
        try:
            self._wire.ask(f"DECLARE {cursor} NO SCROLL CURSOR FOR {self._queries[name]}", params)
            rows = self._wire.ask(f"FETCH {_FETCHED} FROM {cursor}").fetchall()
            while rows:
                yield from rows
                more = len(rows) == _FETCHED
                rows = self._wire.ask(f"FETCH {_FETCHED} FROM {cursor}").fetchall() if more else []
        finally:
            self._wire.cursors.discard(cursor)
            if not self._wire.is_broken:
                self._wire.ask(f"CLOSE {cursor}")

    def with_queries(self, named: Mapping[str, str]) -> _Connected:
        return _Connected(self._wire, {**self._queries, **named})

    def changed(self) -> int:
        assert self._last is not None
        self._last.fetchall()
        return self._last.changed


_left_behind: Final[list[Wire | Life | None]] = []
"""Connections of a parent process: never closed here, which would end the parent's."""


def _connection(conninfo: str, schema: str, busy_s: float) -> Wire:
    """Return a new connection; no method of the store, which whoever keeps it would keep alive."""
    wire = Wire(connected(conninfo, _CONNECT_S), prepares=True, longest_s=busy_s + 30)
    wire.ask(f"SET search_path = {quoted(schema)}")
    wire.ask(f"SET lock_timeout = {round(busy_s * 1000)}")
    wire.ask(f"SET statement_timeout = {round(busy_s * 1000) + 30_000}")
    wire.ask("SET idle_in_transaction_session_timeout = 60000")
    wire.began_at = str(one(wire, "SELECT CAST(pg_postmaster_start_time() AS TEXT)"))
    return wire


def _snapshot(wire: Wire) -> str:
    """Which transactions are over: not only when one began, but that it has ended."""
    return str(one(wire, "SELECT CAST(pg_current_snapshot() AS TEXT)"))
