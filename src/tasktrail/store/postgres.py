"""The store in a PostgreSQL database: the same tables and queries; many processes write at the same time."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from tasktrail.model.errors import Busy, StoreError, Unreachable
from tasktrail.store import asking_postgres, migrate
from tasktrail.store import postgres_schema as schema
from tasktrail.store.address import address, quoted, refuse_backup
from tasktrail.store.asking import Answered
from tasktrail.store.connected import Connected
from tasktrail.store.group_commit import Batch, GroupCommit, Ticket
from tasktrail.store.lives import LeasedLife, SessionLife, living
from tasktrail.store.queries import queries
from tasktrail.store.seam import LEASE_S, Store
from tasktrail.store.session import is_lost, one, passed_around, session
from tasktrail.store.transaction import Mistaken, Params, Transaction
from tasktrail.store.wire import ServerError, Wire

_POSTGRES: Final = "postgres"
_OLDEST_SERVER: Final = 130000
_READERS_KEPT: Final = 4
_PUT_OFF_MS: Final = 20
"""How long a ticket that shares a commit waits for rows of another process: longer, and it goes alone. So two
processes that share commits between the same runs never wait for each other."""
_LAST_LOOK_S: Final = 2.0
"""How long an interrupted thread tries to find out what became of its commit."""
_NAP_S: Final = 0.05
_NUMBERED: Final = """
SELECT begin_write(:known),
  set_config('lock_timeout', :patience_ms, true),
  set_config('enable_seqscan', 'off', true),
  set_config('enable_hashjoin', 'off', true),
  set_config('enable_mergejoin', 'off', true)
"""
"""A writer looks for the few rows that it changes. A plan is made while a table is small and kept when it grows."""
_AGAIN: Final = frozenset({"40001", "40P01"})
_VIOLATED: Final = "23"
"""How SQLSTATEs of broken constraints begin."""
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
        self._schema, conninfo, self.where, is_pooled = address(url)
        connect = passed_around if is_pooled else session
        # No method of the store, which whoever keeps it would keep alive.
        self._place = conninfo, quoted(self._schema)
        self._connect = partial(connect, *self._place, busy_s)
        self._lives: type[SessionLife | LeasedLife] = LeasedLife if is_pooled else SessionLife
        self._queries = queries(_POSTGRES)
        self._reading = _without_locks(self._queries)
        self._group = GroupCommit(self._commit)
        self._gate = threading.RLock()
        self._idle: list[Wire] = []
        self._writer: Wire | None = None
        self._life: SessionLife | LeasedLife | None = None
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
                return work(Transaction(Connected(wire, self._reading)))
            finally:
                wire.roll_back()

        return self._asking(reading)

    def ask(self, text: str, *, most: int, timeout_s: float) -> Answered:
        """Answer one statement in SQL that reads, in a transaction that may not write.

        Raises:
            BadInput: It would write, is not understood, or is not the only one.
            TookTooLong: It did not end in time.
        """
        with self._explained():
            return asking_postgres.ask(*self._place, text, most, timeout_s)

    def close(self) -> None:
        """Close all connections. The next use opens anew."""
        with self._gate:
            for wire in [*self._idle, self._writer]:
                if wire is not None:
                    wire.close()
            self._idle.clear()
            self._writer = None

    def drop(self) -> None:
        """Remove the schema with all that is in it, for ever; the next use of this object fails."""
        self._asking(lambda wire: wire.ask(f"DROP SCHEMA {quoted(self._schema)} CASCADE").fetchall())
        self.close()

    def changed_token(self) -> str:
        """Return what differs once anybody has committed, here or elsewhere; one trip to the server.

        It is the life of this process that asks, so that a life which was lost is begun again.

        Raises:
            Unreachable: The server is away; this does not wait for it.
        """
        with self._explained():
            if isinstance(self._life, SessionLife) and self._pid == os.getpid():
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

    def begin_life(self, lease_s: float = LEASE_S) -> SessionLife | LeasedLife:
        """Let others see that this process lives.

        Args:
            lease_s: How long others may take it for alive after its death, where a pooler hides that.
        """
        self._check_process()
        with self._explained():
            life = self._lives(self._connect, lease_s)
            life.begin()
        self._life = life
        return life

    def is_held(self, name: str) -> bool:
        """Whether the process whose life has this name lives."""
        return name in self.held([name])

    def held(self, names: Sequence[str]) -> set[str]:
        """Return those of the names whose process lives; one trip to the server for all of them."""
        return self._asking(partial(living, names=names))

    # keeping

    def is_same(self, other: Store) -> bool:
        """Whether both are one: the same schema of the same database of a server that runs since the same moment."""
        if not isinstance(other, PostgresStore) or other._schema != self._schema:
            return False
        return self._asking(_database) == other._asking(_database)

    def backup(self, target: Path) -> None:
        """Refuse: the server's own tools copy it.

        Raises:
            BadInput: Always; the hint says what to type.
        """
        raise refuse_backup(self._url, target)

    def spare_bytes(self) -> int | None:
        """Return None: the server uses the space again by itself."""
        return None

    def compact(self) -> list[str]:
        """Write all tables anew, one after the other; nobody reads or writes a table meanwhile."""
        try:
            return self._asking(_compacted)
        except StoreError as error:  # it took too long, or a pooler is in between
            return [error.message]

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
            believes = len(todo) == 1
            try:
                while todo:
                    todo = self._try(Batch(list(todo)), patience_s, end, believes=believes)
                    believes = False
            except Exception as error:  # noqa: BLE001 - whatever it is belongs to the callers that wait
                explained = self._explain(error) if isinstance(error, ServerError) else error
                for ticket in batch.tickets:
                    if not ticket.done:
                        ticket.error = ticket.error or explained
                        ticket.batch = batch  # which is done when this returns

    def _try(self, part: Batch, patience_s: float, end: float, *, believes: bool) -> Sequence[Ticket]:
        """Commit what can be committed together now; return what is still to be done.

        An interruption (KeyboardInterrupt) leaves the part marked as done if it was committed, else nothing of it.
        """
        mark: _Mark | None = None
        try:
            for ticket in part.tickets:
                ticket.batch = part
            wire = self._connected()
            wire.ask("BEGIN")
            patience_ms = str(max(1, round(patience_s * 1000)))
            number = wire.ask(_NUMBERED, {"known": migrate.latest(_POSTGRES), "patience_ms": patience_ms})
            put_off, event = self._run(wire, part.tickets, believes=believes)
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
        except Mistaken:
            self._roll_back()
            return part.tickets
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

    def _run(self, wire: Wire, tickets: Sequence[Ticket], *, believes: bool) -> tuple[list[Ticket], Params | None]:
        """Return the tickets that must go alone, and the last event of the others."""
        if len(tickets) == 1:
            return [], (self._run_believing if believes else self._run_one)(wire, tickets[0])
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
        transaction = Transaction(Connected(wire, self._queries))
        ticket.result = ticket.work(transaction)
        transaction.finish()
        return transaction.last_event

    def _run_believing(self, wire: Wire, ticket: Ticket) -> Params | None:
        """The same, while what is expected of a run is taken for so until all was said: one trip instead of three."""
        transaction = Transaction(Connected(wire, self._queries), believes=True)
        try:
            ticket.result = ticket.work(transaction)
            transaction.finish()
            wire.settle()
        except Exception as error:
            is_refused = isinstance(error, ServerError) and not error.sqlstate.startswith(_VIOLATED)
            if is_refused or not transaction.is_believing:
                raise
            raise Mistaken from error
        if not transaction.check():
            raise Mistaken
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


_PASSED_AROUND: Final = ("is behind a pooler that passes sessions around", "add pooler=transaction to the URL")
_EXPLAINED: Final = (
    ("42501", "refuses", "GRANT CREATE ON DATABASE … TO …, or a schema that is yours: …?schema=NAME"),
    ("53", "cannot serve us now", "free disk, memory or connections of the server"),
    ("42P05", *_PASSED_AROUND),
    ("26", *_PASSED_AROUND),
)
"""By how the SQLSTATE begins."""


class _Mark(NamedTuple):
    """By which a transaction is known again: its number, since when the server runs, the last event it appended."""

    xid: str
    began_at: str
    event: Params | None


_left_behind: Final[list[Wire | SessionLife | LeasedLife | None]] = []
"""Connections of a parent process: never closed here, which would end the parent's."""


def _without_locks(named: Mapping[str, str]) -> dict[str, str]:
    """Who only reads holds nothing."""
    reading = {name: text.replace(named["skip_held"], "") for name, text in named.items()}
    return reading | {"lock_run": named["run_by_id"]}


def _snapshot(wire: Wire) -> str:
    """Which transactions are over: not only when one began, but that it has ended."""
    return str(one(wire, "SELECT CAST(pg_current_snapshot() AS TEXT)"))


def _compacted(wire: Wire) -> list[str]:
    names = wire.ask("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()").fetchall()
    for (name,) in names:
        wire.ask(f"VACUUM FULL {quoted(str(name))}").fetchall()
    return []


def _database(wire: Wire) -> object:
    """Which database of which server."""
    text = "SELECT CAST(extract(epoch FROM pg_postmaster_start_time()) AS TEXT) || ' ' || oid FROM pg_database "
    return one(wire, f"{text}WHERE datname = current_database()")
