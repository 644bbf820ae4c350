"""The store in one SQLite file, or in memory."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

import apsw

from tasktrail.model.errors import Busy, NotAStore, StoreError
from tasktrail.store import asking_sqlite, keeping, liveness, locks, migrate
from tasktrail.store.asking import Answered
from tasktrail.store.group_commit import Batch, GroupCommit, Ticket
from tasktrail.store.patience import Patience
from tasktrail.store.queries import queries
from tasktrail.store.seam import LEASE_S, Store
from tasktrail.store.sqlite_connection import Connection
from tasktrail.store.sqlite_file import APPLICATION_ID, check_file, foreign
from tasktrail.store.transaction import Transaction

_READERS_KEPT: Final = 4
_SQLITE: Final = "sqlite"

T = TypeVar("T")


class SqliteStore:
    """Rows in one SQLite file: one connection writes, others read. Use `open_store` to get one.

    Args:
        path: None keeps everything in memory, for as long as this object lives.
        synchronous: `full` survives power loss; `normal` survives a crash of the process only.
        busy_s: How long a write waits for other processes before it gives up with `Busy`.
        accepts: Told the version of the schema that is there, before it is made or upgraded; what it raises stops that.

    Attributes:
        where: How messages name it.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        synchronous: str = "full",
        busy_s: float = 30.0,
        accepts: Callable[[int], None] = migrate.any_version,
    ) -> None:
        self.path = path
        self.where = str(path) if path else "memory:"
        self.busy_s = busy_s
        self._synchronous = synchronous
        self._accepts = accepts
        self._queries = queries(_SQLITE)
        self._pid = os.getpid()
        self._group = GroupCommit(self._commit)
        self._gate = threading.RLock()
        self._idle: list[tuple[apsw.Connection, Patience]] = []
        self._patience = Patience()
        self._opened = False
        self._inode: tuple[int, int] | None = None
        self._token = (0, 0)
        self._writer: apsw.Connection | None = None
        self._seen: tuple[apsw.Connection, int] | None = None
        with _explained(self.where):
            self._open_writer()

    # the seam

    def write(self, work: Callable[[Transaction], T], *, patience_s: float | None = None) -> T:
        """Run `work` in a transaction; when this returns, its effect survives kill -9 and power loss.

        Args:
            patience_s: How long to wait for other processes; None is the store's own limit.

        Raises:
            Busy: Another process kept the write lock all that time; the message names it.
            StoreError: The file cannot be written; nothing was changed.
        """
        self._check_open()
        ticket = Ticket(work, self.busy_s if patience_s is None else patience_s)
        try:
            result: T = self._group.submit(ticket)
        except apsw.Error as error:
            raise _explain(error, self.where) from error
        return result

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on one consistent snapshot; it must not write."""
        self._check_open()
        with _explained(self.where), self._reader() as connection:
            connection.execute("BEGIN")
            try:
                return work(Transaction(Connection(connection, self._queries)))
            finally:
                connection.execute("ROLLBACK")

    def ask(self, text: str, *, most: int, timeout_s: float) -> Answered:
        """Answer one statement in SQL that reads; a connection of its own could not write.

        Raises:
            BadInput: It would write, is not understood, or is not the only one.
            TookTooLong: It did not end in time.
        """
        self._check_open()
        with _explained(self.where):
            if self.path is not None:
                return asking_sqlite.ask_file(self.path, text, most, timeout_s)
            with self._gate:
                return asking_sqlite.ask(self._connection(), text, most, timeout_s)

    def close(self) -> None:
        """Close all connections. The next use opens anew."""
        with self._gate:
            for connection in [*(idle for idle, _ in self._idle), self._writer]:
                if connection is not None:
                    connection.close()
            self._idle.clear()
            if self.path:
                self._writer, self._inode = None, None

    def changed_token(self) -> tuple[int, int]:
        """Return what differs once anybody has committed, here or in another process; cheap enough to poll.

        It never waits: while a write is under way it is what it was before.
        """
        if self._gate.acquire(blocking=False):
            try:
                connection = self._connection()
                self._token = int(connection.pragma("data_version")), int(connection.total_changes())
            finally:
                self._gate.release()
        return self._token

    # who is alive

    @property
    def _lives(self) -> Path | None:
        """Where the processes that execute its tasks keep their locks; None in memory."""
        return self.path.with_name(f"{self.path.name}-workers") if self.path else None

    def begin_life(self, lease_s: float = LEASE_S) -> liveness.LifeLock | liveness.OwnLife:  # noqa: ARG002 - a lock tells
        """Let other processes see that this one lives."""
        return liveness.LifeLock(self._lives) if self._lives else liveness.OwnLife()

    def is_held(self, name: str) -> bool:
        """Whether the process whose life has this name lives; what is left of a dead one is removed."""
        if self._lives is None:
            return name == str(os.getpid())
        if liveness.is_held(self._lives, name):
            return True
        liveness.clear(self._lives, name)
        return False

    def held(self, names: Sequence[str]) -> set[str]:
        """Return those of the names whose process lives."""
        return {name for name in names if self.is_held(name)}

    # keeping

    def is_same(self, other: Store) -> bool:
        """Whether both are the same file, whatever its names."""
        if self.path is None or other.path is None:
            return other is self
        return self.path.samefile(other.path)

    def backup(self, target: Path) -> None:
        """Write a consistent copy, with everything acknowledged so far, to a new file.

        Raises:
            StoreError: The target exists, or cannot be written; then it is removed again.
        """
        with _explained(str(target)), self._reader() as connection:
            keeping.copy_whole(connection, target)

    def integrity(self) -> list[str]:
        """Return what SQLite itself finds wrong with the file; empty when it is sound."""
        with _explained(self.where), self._reader() as connection:
            return keeping.faults(connection)

    def spare_bytes(self) -> int | None:
        """Return what `compact` would give back."""
        with _explained(self.where), self._reader() as connection:
            return keeping.spare_bytes(connection)

    def compact(self) -> list[str]:
        """Write the file anew, so that nothing is left of what was removed; return what was in the way of that."""
        self._check_open()
        with _explained(self.where), self._gate:
            self._patience.begin(self.busy_s)
            return keeping.compact(self._connection())

    # opening

    def _open_writer(self) -> None:
        if self.path and not self._opened:
            check_file(self.path)
        self._patience.begin(self.busy_s)
        connection = self._connect(self._patience, create=True)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._writer, self._opened, self._inode = connection, True, _inode_of(self.path)

    def _connect(self, patience: Patience, *, create: bool = False) -> apsw.Connection:
        flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if create else 0)
        connection = apsw.Connection(str(self.path) if self.path else ":memory:", flags)
        connection.set_busy_handler(patience.nap)
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = " + {"full": "FULL", "normal": "NORMAL"}[self._synchronous])
        connection.execute("PRAGMA fullfsync = ON")
        connection.execute("PRAGMA checkpoint_fullfsync = ON")
        return connection

    def _prepare(self, connection: apsw.Connection) -> None:
        version = int(connection.pragma("user_version"))
        _check_ours(connection, self.where)
        self._accepts(version)
        _check_migrations(connection, version, self.where)
        self._use_wal(connection)
        if migrate.pending(_SQLITE, version):
            self._migrate(connection, version)
        self._version = int(connection.pragma("user_version"))

    def _use_wal(self, connection: apsw.Connection) -> None:
        """Switching to WAL does not wait for others by itself, so ask until they are done."""
        while self.path and connection.pragma("journal_mode") != "wal":
            try:
                connection.pragma("journal_mode", "wal")
            except apsw.BusyError:
                if not self._patience.nap(1):
                    raise

    def _migrate(self, connection: apsw.Connection, version: int) -> None:
        if version and self.path:
            self._copy_before_upgrade(connection, version)
        connection.execute("BEGIN IMMEDIATE")
        try:
            self._migrate_inside(connection)
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise

    def _migrate_inside(self, connection: apsw.Connection) -> None:
        """Read the version again: another process may have been faster."""
        version = int(connection.pragma("user_version"))
        _check_newer(connection, version, self.where)
        for one in migrate.pending(_SQLITE, version):
            connection.execute(one.text)
            row = {"number": one.number, "name": one.name, "checksum": one.checksum, "oldest": one.oldest}
            connection.execute(self._queries["add_migration"], row | {"at": time.time_ns() // 1000})
        connection.pragma("application_id", APPLICATION_ID)
        connection.pragma("user_version", max(version, migrate.latest(_SQLITE)))

    def _copy_before_upgrade(self, connection: apsw.Connection, version: int) -> None:
        """Several processes may do so at once: each copies under a name of its own, and all copies are alike."""
        assert self.path is not None
        copy = self.path.with_name(f"{self.path.name}.before-version-{migrate.latest(_SQLITE)}-from-{version}")
        part = copy.with_name(f".{copy.name}.{os.getpid()}.part")
        if copy.exists():
            return
        try:
            connection.execute("VACUUM INTO ?", (str(part),))
            if int(connection.pragma("user_version")) == version:  # else somebody upgraded it meanwhile, and has a copy
                part.chmod(0o600)
                part.replace(copy)
        finally:
            part.unlink(missing_ok=True)

    # connections

    def _connection(self) -> apsw.Connection:
        if self._writer is None:
            self._open_writer()
        assert self._writer is not None
        return self._writer

    @contextlib.contextmanager
    def _reader(self) -> Iterator[apsw.Connection]:
        if self.path is None:
            with self._gate:
                yield self._connection()
            return
        connection, patience = self._take_idle()
        try:
            yield connection
        finally:
            if len(self._idle) < _READERS_KEPT and not connection.in_transaction:
                self._idle.append((connection, patience))
            else:
                connection.close()

    def _take_idle(self) -> tuple[apsw.Connection, Patience]:
        try:
            connection, patience = self._idle.pop()
        except IndexError:
            patience = Patience()
            patience.begin(self.busy_s)
            return self._connect(patience), patience
        patience.begin(self.busy_s)
        return connection, patience

    def _check_open(self) -> None:
        """Refuse a file that was taken away: what is written there would be lost, and what is read is of the past.

        A forked child must not touch its parent's connections, not even to close them: it opens its own.
        """
        if self._inode is not None and _inode_of(self.path) != self._inode:
            raise StoreError(
                f"{self.where} was removed or replaced while it was open",
                hint="end this process and start it again; what it had written is in the file that was taken away",
            )
        if self._pid != os.getpid():
            _left_behind.extend([self._writer, *(idle for idle, _ in self._idle)])
            self._pid, self._writer, self._idle = os.getpid(), None, []
            self._group, self._gate = GroupCommit(self._commit), threading.RLock()

    # committing

    def _commit(self, batch: Batch) -> None:
        """Run all tickets in one transaction, each behind a savepoint of its own; errors go to whose they are."""
        with self._gate:
            connection, ending = None, False
            try:
                connection = self._connection()
                self._begin(connection, max(ticket.patience_s for ticket in batch.tickets))
                self._run(connection, batch.tickets)
                ending = True
                connection.execute("COMMIT")
                self._seen = connection, connection.data_version()
            except Exception as error:  # noqa: BLE001 - whatever it is belongs to the callers that wait
                self._roll_back(connection)
                _fail(batch.tickets, error)
            except BaseException:  # this thread is interrupted: what the others asked for is done by one of them
                batch.done = ending and connection is not None and not connection.in_transaction
                self._roll_back(connection)
                raise

    def _roll_back(self, connection: apsw.Connection | None) -> None:
        """A connection that cannot even roll back is given up; closing it does."""
        if connection is None or not connection.in_transaction:
            return
        try:
            connection.execute("ROLLBACK")
        except apsw.Error:
            if self.path:
                self._writer = None
                connection.close()
            else:
                connection.execute("ROLLBACK")

    def _begin(self, connection: apsw.Connection, patience_s: float) -> None:
        self._patience.begin(patience_s)
        try:
            connection.execute("BEGIN IMMEDIATE")
        except apsw.BusyError:
            holder = locks.write_lock_holder(self.path) if self.path else None
            raise Busy(
                f"{self.where} was locked for {patience_s:g} s by {holder or 'another process'}",
                hint="tasktrail doctor",
            ) from None
        seen = connection, connection.data_version()
        if seen != self._seen:  # others wrote since, perhaps a newer program
            version = int(connection.pragma("user_version"))
            if version != self._version:
                _check_newer(connection, version, self.where)
            self._version, self._seen = version, seen

    def _run(self, connection: apsw.Connection, batch: Sequence[Ticket]) -> None:
        if len(batch) == 1:
            self._run_one(connection, batch[0])
            return
        for ticket in batch:
            connection.execute("SAVEPOINT ticket")
            try:
                self._run_one(connection, ticket)
            except Exception as error:
                ticket.error = error
                if not connection.in_transaction:  # the database itself rolled all of it back, as on a full disk
                    raise
                connection.execute("ROLLBACK TO ticket")
            connection.execute("RELEASE ticket")

    def _run_one(self, connection: apsw.Connection, ticket: Ticket) -> None:
        transaction = Transaction(Connection(connection, self._queries))
        ticket.result = ticket.work(transaction)
        transaction.finish()


_left_behind: Final[list[apsw.Connection | None]] = []
"""Connections of a parent process: never closed here, which would break the parent's locks."""


def _fail(tickets: Sequence[Ticket], error: Exception) -> None:
    for ticket in tickets:
        if ticket.error is None:
            ticket.error = error


def _inode_of(path: Path | None) -> tuple[int, int] | None:
    """Return what tells a file from another of its name; None where there is none."""
    try:
        found = os.stat(path) if path else None  # noqa: PTH116 - a third of the time of Path.stat, before every commit
    except OSError:
        return 0, 0
    return (found.st_dev, found.st_ino) if found else None


def _check_ours(connection: apsw.Connection, where: str) -> None:
    if connection.pragma("application_id") == APPLICATION_ID:
        return
    if connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone():
        raise foreign(where)


def _check_newer(connection: apsw.Connection, version: int, where: str) -> None:
    """Of a version that is not known here, the migrations that made it say who may go on."""
    if version > migrate.latest(_SQLITE):
        found = connection.execute("SELECT max(oldest) FROM migration HAVING max(number) = ?", (version,)).fetchone()
        migrate.refuse_newer(_SQLITE, version, found[0] if found else version, where)


def _check_migrations(connection: apsw.Connection, version: int, where: str) -> None:
    _check_newer(connection, version, where)
    if version:
        applied = connection.execute("SELECT number, checksum FROM migration").fetchall()
        migrate.check(_SQLITE, [(int(str(row[0])), str(row[1])) for row in applied], where)


@contextlib.contextmanager
def _explained(where: str) -> Iterator[None]:
    """Turn the database's errors into ours: what, where, what to do."""
    try:
        yield
    except apsw.Error as error:
        raise _explain(error, where) from error


def _explain(error: apsw.Error, where: str) -> StoreError | Busy:
    if isinstance(error, apsw.BusyError):
        return Busy(f"{where} is locked by another process", hint="tasktrail doctor")
    if isinstance(error, apsw.NotADBError):
        return NotAStore(f"{where} is no Tasktrail store", hint="tasktrail --store FILE")
    for kind, words, hint in _EXPLAINED:
        if isinstance(error, kind):
            return StoreError(f"{where} {words} ({error})", hint=hint)
    return StoreError(f"{where}: {type(error).__name__}: {error}", hint="tasktrail doctor --verify")


_EXPLAINED: Final[tuple[tuple[type[apsw.Error], str, str], ...]] = (
    (apsw.FullError, "cannot grow: the disk is full; nothing was changed", "free some space, then run it again"),
    (apsw.ReadOnlyError, "cannot be written: it is read-only; nothing was changed", "make file and folder writable"),
    (apsw.CantOpenError, "cannot be opened", "check that the folder exists and is writable"),
    (apsw.CorruptError, "is damaged", "tasktrail restore BACKUP"),
    (apsw.IOError, "cannot be read or written; nothing was changed", "check the disk, then run it again"),
)
