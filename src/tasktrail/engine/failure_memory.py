"""Failure memory: where the same error was seen before, which attempt succeeded afterwards, and what it noted.

What is looked at is limited, however long the history is: the newest failures of an error, and of each task that failed
the attempts and events that follow.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from tasktrail.engine.errors import KnownError, known_error
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.plans import find_plan
from tasktrail.model.plan import PlanTask
from tasktrail.model.reference import format_task
from tasktrail.model.task import FINAL, Task
from tasktrail.store.transaction import Transaction

_FAILURES_LOOKED_AT: Final = 20
_ATTEMPTS_LOOKED_AT: Final = 50
_EVENTS_LOOKED_AT: Final = 100
_MOST_PLACES: Final = 5
_MOST_MENDED: Final = 3
_MOST_NOTES: Final = 3
_LONGEST_NOTE: Final = 300
_SAID: Final = ("summary", "reason")


class Mended(NamedTuple):
    """An attempt that succeeded where the error had been, and what was noted from the failure to its end."""

    task: str
    attempt: int
    at: int
    actor: str | None
    notes: Sequence[str]


@dataclass(frozen=True, slots=True)
class Memory:
    """What is known of a failure.

    Args:
        tasks: References of tasks in which it was seen, the last first; not all, where there are many.
        mended: Attempts that succeeded afterwards, the last failure's first.
    """

    error: KnownError
    tasks: Sequence[str]
    mended: Sequence[Mended]


class _Failure(NamedTuple):
    """One row of the query `failures_of_error`."""

    id: int
    n: int
    started_at: int
    trace_id: str
    task_ref: str | None
    task_id: int | None
    run_id: int | None
    key: str | None
    item: str | None
    map_index: int | None
    run: str | None

    @property
    def task(self) -> str:
        """As people write it; of a recorded execution as its reporter did."""
        if self.run is None:
            return self.task_ref or self.trace_id
        return format_task(self.run, str(self.key), self.item or "", -1 if self.map_index is None else self.map_index)


def memory_of(tx: Transaction, fingerprint: str, *, without: Task | None = None) -> Memory | None:
    """Return what is known of an error; None when it was never seen.

    Args:
        without: Leave out the last attempt of this task, which has just failed.
    """
    error = known_error(tx, fingerprint)
    if error is None:
        return None
    rows = tx.rows("failures_of_error", fingerprint=fingerprint, limit=_FAILURES_LOOKED_AT)
    last_of: dict[str, _Failure] = {}
    for failure in (_Failure._make(row) for row in rows):
        if without is None or (failure.task_id, failure.n) != (without.id, without.attempts):
            last_of.setdefault(failure.task, failure)
    places = list(last_of.values())[:_MOST_PLACES]
    mended = [one for one in (_mended(tx, failure) for failure in places) if one]
    return Memory(error, [failure.task for failure in places], mended[:_MOST_MENDED])


def remembered(ledger: Ledger, task: Task) -> Memory | None:
    """Return what is worth knowing of how a task failed; None where that is nothing.

    Of one that stands failed, that its error was seen before; of one that is open, how it failed before.
    """
    return ledger.store.read(lambda tx: remembered_in(tx, task)) if _may_remember(task) else None


def remembered_of_plan(ledger: Ledger, plan: str, task: PlanTask) -> Memory | None:
    """Return the same of a task of a plan that was just claimed."""

    def work(tx: Transaction) -> Memory | None:
        run = find_plan(tx, plan)
        found = tx.task("task_by_key", key=task.key, run_id=run.id, item="", map_index=-1) if run else None
        return remembered_in(tx, found) if found else None

    return ledger.store.read(work) if task.attempts > 1 else None


def remembered_in(tx: Transaction, task: Task) -> Memory | None:
    """Return what `remembered` does, inside a transaction that does more."""
    fingerprint = _last_failure(tx, task) if _may_remember(task) else None
    if fingerprint is None:
        return None
    if task.status != "failed":
        return memory_of(tx, fingerprint)
    memory = memory_of(tx, fingerprint, without=task)
    return memory if memory and memory.error.occurrences > 1 else None


def _may_remember(task: Task) -> bool:
    """Whether a look at its history is worth it: what begins for the first time has none."""
    return task.status == "failed" or (task.status not in FINAL and task.attempts > (task.status == "in_progress"))


def _last_failure(tx: Transaction, task: Task) -> str | None:
    """Return the fingerprint of a task's last failure, whether that ended an attempt or not."""
    rows = tx.rows("latest_events_of_task", id=task.id, before=None, limit=_EVENTS_LOOKED_AT)
    changes = (json.loads(str(row[7])) for row in rows if row[7] is not None and '"fingerprint"' in str(row[7]))
    return next((str(one["fingerprint"][1]) for one in changes if "fingerprint" in one), None)


# what succeeded afterwards


def _mended(tx: Transaction, failure: _Failure) -> Mended | None:
    if failure.task_id is None:
        return _mended_record(tx, failure)
    row = tx.row("next_success", task_id=failure.task_id, n=failure.n, limit=_ATTEMPTS_LOOKED_AT)
    if row is None:
        return None
    n, at, actor = int(str(row[0])), int(str(row[1])), row[2]
    notes = list(_notes(tx, failure, n, at))[-_MOST_NOTES:]
    return Mended(failure.task, n, at, None if actor is None else str(actor), notes)


def _notes(tx: Transaction, failure: _Failure, n: int, until: int) -> Iterator[str]:
    """Yield what was noted on a task from an attempt that failed to one that succeeded, and what that one said."""
    rows = tx.rows("latest_events_of_task", id=failure.task_id, before=None, limit=_EVENTS_LOOKED_AT)
    for row in reversed(rows):
        at, verb, attempt, note = int(str(row[1])), row[3], row[6], row[8]
        is_last = verb == "complete" and attempt == n
        if note is not None and (is_last or (verb == "note" and failure.started_at <= at <= until)):
            yield _shortened(str(note))
        if is_last and row[7] is not None:
            changes = json.loads(str(row[7]))
            yield from (_shortened(changes[name][1]) for name in _SAID if changes.get(name, (None, None))[1])


def _mended_record(tx: Transaction, failure: _Failure) -> Mended | None:
    """A recorded execution is mended by a later one of its task: of the same trace, else of any."""
    name, after = failure.task_ref or "", failure.started_at
    row = tx.row("next_success_of_trace", trace_id=failure.trace_id, name=name, after=after)
    if row is None and name:
        row = tx.row("next_success_of_ref", name=name, after=after, limit=_ATTEMPTS_LOOKED_AT)
    if row is None:
        return None
    n, at, actor, response = row
    notes = [_shortened(str(response))] if response else []
    return Mended(failure.task, int(str(n)), int(str(at)), None if actor is None else str(actor), notes)


def _shortened(note: str) -> str:
    line = " ".join(note.split())
    return line if len(line) <= _LONGEST_NOTE else f"{line[: _LONGEST_NOTE - 1]}…"
