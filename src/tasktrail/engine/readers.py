"""Reads the log as it grows: every event, in the order of their numbers, also those whose transaction commits late."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import Event, Found, event_of
from tasktrail.engine.ownership import is_alive, retire, worker_of
from tasktrail.model.errors import Held
from tasktrail.model.reference import Reference
from tasktrail.store.transaction import Row, Transaction

_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class LogEnd:
    """Where the log ends for whoever looks now.

    Args:
        seq: The highest number.
        writers: Transactions that may have a lower number and have not ended; looked at after `seq`, never before.
    """

    seq: int
    writers: frozenset[str]


class Settled:
    """Knows up to which number nothing more comes.

    Numbers are given before commits. Whoever took a lower number than the highest that is visible was writing when that
    was seen; once all who were have ended, what is below has come or never will: a rollback leaves a gap.
    """

    def __init__(self) -> None:
        self.seq = 0
        self._mark: LogEnd = LogEnd(0, frozenset())

    def see(self, end: LogEnd) -> int:
        """Return the number; read the events up to it in a later transaction than the one that saw this end."""
        if not self._mark.writers & end.writers:
            self.seq = self._mark.seq if end.writers else end.seq
            self._mark = end
        return self.seq


@dataclass(frozen=True, slots=True)
class Logged:
    """An event with the run it is of, as people write that, and its row id; of no run both are None."""

    event: Event
    run: str | None
    run_id: int | None


class Reader:
    """A place in the log, in memory.

    Args:
        after: The number of the last event that was seen.
        found: A run or a task, of which alone events are given; None: of all.

    Attributes:
        is_behind: Whether there is more, or may soon be, although nobody commits any more.
    """

    def __init__(self, ledger: Ledger, after: int = 0, found: Found | None = None) -> None:
        self.seq = after
        self.is_behind = False
        self._ledger = ledger
        self._settled = Settled()
        self._of = {
            "run_id": found.run.id if found else None,
            "task_id": found.task.id if found and found.task else None,
        }

    def page(self) -> list[Logged]:
        """Return what comes next, and go behind it; empty when there is nothing yet."""
        found, self.seq = self._next(self.seq)
        return found

    def _next(self, after: int) -> tuple[list[Logged], int]:
        """Return what comes after a number, and how far that is."""
        end = log_end(self._ledger)
        until = self._settled.see(end)
        if end.seq < after:  # the newest runs were removed, and a file gives their numbers again
            return [], end.seq
        found = self._ledger.store.read(lambda tx: self._read(tx, after, until)) if until > after else []
        self.is_behind = until < end.seq or len(found) == _PAGE
        return found, found[-1].event.seq if len(found) == _PAGE else max(after, until)

    def _read(self, tx: Transaction, after: int, until: int) -> list[Logged]:
        rows = tx.rows("events_between", after=after, until=until, limit=_PAGE, **self._of)
        names = json.dumps(sorted({str(row[-1]) for row in rows if row[-1] is not None}))
        shared = {row[0] for row in tx.rows("shared_names", names=names)}
        return [_logged(row, shared) for row in rows]


class NamedReader(Reader):
    """A place in the log that is kept in the store: what is not said to be done is given again, to whoever comes next.

    Args:
        begins: Behind which number a name begins that is new.

    Raises:
        Held: Another process that lives reads under this name.
    """

    def __init__(self, ledger: Ledger, name: str, *, begins: int = 0) -> None:
        super().__init__(ledger)
        self._name, self._begins = name, begins
        self._worker = worker_of(ledger).id
        self._done = 0
        self._take()

    def page(self) -> list[Logged]:
        """Return what comes next after what is done; the same until `done` is called."""
        self.seq = self._place()
        found, self._done = self._next(self.seq)
        return found

    def done(self) -> None:
        """Keep the place behind the last page, in a commit of its own."""
        if self._done == self.seq:
            return
        # Removing runs may have moved it back meanwhile: then what has their numbers now comes next.
        params = {"name": self._name, "worker_id": self._worker, "seq": self._done, "was": self.seq}
        self._ledger.commit(lambda tx: tx.execute("move_reader", params))

    def close(self) -> None:
        """Leave the name to others; of a process that ends without, they find it out."""
        params = {"name": self._name, "worker_id": self._worker}
        self._ledger.commit(lambda tx: tx.execute("leave_reader", params))
        retire(self._ledger)

    def _take(self) -> None:
        store = self._ledger.store
        row = store.read(lambda tx: tx.row("reader_holder", name=self._name))
        if row is not None and row[0] not in (None, self._worker) and is_alive(store, row):
            raise self._held(row)
        params = {"name": self._name, "worker_id": self._worker, "was": row and row[0]}
        if not self._ledger.commit(lambda tx: self._taken(tx, params, is_new=row is None)):
            raise self._held(store.read(lambda tx: tx.row("reader_holder", name=self._name)))

    def _taken(self, tx: Transaction, params: dict[str, Any], *, is_new: bool) -> bool:
        if tx.row("take_reader", **params) is None:
            return False
        if is_new and self._begins:
            place = {"name": self._name, "worker_id": self._worker}
            tx.execute("move_reader", {**place, "seq": self._begins, "was": 0})
        return True

    def _place(self) -> int:
        row = self._ledger.store.read(lambda tx: tx.row("reader_place", name=self._name))
        seq, worker_id = cast("tuple[int, int]", row)
        if worker_id != self._worker:
            raise self._held(self._ledger.store.read(lambda tx: tx.row("reader_holder", name=self._name)))
        return seq

    def _held(self, row: Row | None) -> Held:
        by = f"process {row[3]} on {row[2]} ({row[1]})" if row else "another process"
        return Held(f"reader {self._name} is being read by {by}", hint="choose another name, or wait until it ends")


def log_end(ledger: Ledger) -> LogEnd:
    """Return where the log ends now."""
    rows = ledger.store.read(lambda tx: tx.rows("log_end"))
    return LogEnd(cast("int", rows[0][0]), frozenset(str(row[1]) for row in rows if row[1] is not None))


def _logged(row: Row, shared: Sequence[object] | set[object]) -> Logged:
    event = event_of(row[:-3])
    if row[-3] is None:
        return Logged(event, None, None)
    run_id, kind, name = cast("int", row[-3]), str(row[-2]), str(row[-1])
    return Logged(event, str(Reference(name, kind if name in shared else None)), run_id)
