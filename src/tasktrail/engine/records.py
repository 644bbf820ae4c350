"""Reads executions and observations, whoever executed or told them: lists, traces, one by its id."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tasktrail.engine.values import text_of
from tasktrail.formats.moment import parse_moment
from tasktrail.model.errors import BadInput
from tasktrail.model.record import STATUSES, Record, executed, recorded
from tasktrail.model.reference import readings
from tasktrail.store.transaction import Transaction

MOST: Final = 101
"""Records of a page, and one more, by which it is seen that there is another page."""
MOST_OF_TRACE: Final = 10_000
FOREVER: Final = 2**62
"""Later than all, in microseconds; its negative is earlier."""
_OWN_SESSION: Final = r"task:(?P<task>.*):(?P<at>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?\+00:00):(?P<end>.{4})"
_LONGEST_NUMBER: Final = 9
_BITS: Final = 64
"""Of a number in a database, its sign among them."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which executions a list is about; None leaves a filter out.

    Args:
        task_id: As its reporter named it; of what Tasktrail executed the reference.
        since: The earliest start, microseconds UTC; it is included.
        backfilled: False is also what says nothing of it.
        cursor: The last record of the page before.
    """

    task_id: str | None = None
    status: str | None = None
    since: int | None = None
    backfilled: bool | None = None
    cursor: str | None = None
    limit: int = 20

    def params(self) -> dict[str, object]:
        """Return them as the queries take them."""
        before, after_id = _place(self.cursor)
        return {
            "status": self.status,
            "backfilled": None if self.backfilled is None else int(self.backfilled),
            "since": -FOREVER if self.since is None else self.since,
            "before": before,
            "after_id": after_id,
            "limit": self.limit,
        }


def list_executions(tx: Transaction, wanted: Wanted) -> list[Record]:
    """Return executions of both kinds, the newest start first.

    Raises:
        BadInput: The status or the cursor cannot be.
    """
    if wanted.status is not None and wanted.status not in STATUSES:
        raise BadInput(f"expected status to be {', '.join(STATUSES)}, got: {wanted.status!r}")
    if wanted.status == "failed" and wanted.task_id is None:
        rows = tx.rows("failed_of_both_kinds", **wanted.params())
        return [by_row(tx, int(str(row_id)), is_recorded=bool(is_recorded)) for row_id, is_recorded in rows]
    parts = [_recorded(tx, wanted), *([] if wanted.backfilled else [_executed(tx, wanted)])]
    merged = heapq.merge(*parts, key=_newest_first)
    return [_whole(tx, record) for record, _ in zip(merged, range(wanted.limit), strict=False)]


def cursor_of(record: Record) -> str:
    """Return where the page after a record begins."""
    return f"{record.started_at}.{record.row_id}"


def observations(tx: Transaction, since: int | None, limit: int) -> list[Record]:
    """Return what was observed, the newest first."""
    params = Wanted(since=since, limit=limit).params()
    return [recorded(row) for row in tx.rows("recorded", type="observation", **params)]


def trace(tx: Transaction, trace_id: str) -> list[Record]:
    """Return all attempts of a trace, by number, then by start."""
    query = {"trace_id": trace_id, "limit": MOST_OF_TRACE}
    found = [recorded(row) for row in tx.rows("recorded_of_trace", **query)]
    found += [executed(row) for row in tx.rows("executed_of_trace", **query)]
    found.sort(key=lambda record: (record.attempt, record.started_at, record.row_id))
    return [_whole(tx, record) for record in found]


def last_failed_of(tx: Transaction, trace_id: str, task_id: str) -> tuple[int, str] | None:
    """Return number and span of the last attempt of a task that was told of in a trace; None unless that failed."""
    row = tx.row("last_of_trace", trace_id=trace_id, task=task_id)
    return (int(str(row[0])), str(row[1])) if row and row[2] == "failed" else None


def record_by_id(tx: Transaction, public_id: str) -> Record | None:
    """Return the record of an id, None when there is none."""
    if row := tx.row("recording_by_id", id=public_id):
        return _whole(tx, recorded(row))
    reference, is_numbered, number = public_id.rpartition("@")
    if not is_numbered or not number.isdecimal() or len(number) > _LONGEST_NUMBER:
        return None
    rows = (tx.row("executed_by_number", task_id=task_id, n=int(number)) for task_id in tasks_of(tx, reference))
    return next((_whole(tx, executed(row)) for row in rows if row), None)


def known(tx: Transaction, keys: Sequence[str]) -> set[str]:
    """Return those of the idempotency keys under which there is a record."""
    answers = tx.execute_each("recording_of_key", ({"key": key} for key in keys))
    return {key for key, rows in zip(keys, answers, strict=True) if rows.fetchall()}


def by_row(tx: Transaction, row_id: int, *, is_recorded: bool) -> Record:
    """Return the record of a row that is there."""
    row = tx.row("recorded_by_row" if is_recorded else "executed_by_row", id=row_id)
    assert row is not None
    return _whole(tx, recorded(row) if is_recorded else executed(row))


def session(tx: Transaction, session_id: str) -> list[Record]:
    """Return the records of a session, the oldest first; the own session of an execution is told by its name."""
    found = [recorded(row) for row in tx.rows("recorded_of_session", session_id=session_id)]
    own = re.fullmatch(_OWN_SESSION, session_id, re.DOTALL)
    at = parse_moment(own["at"]) if own else None
    if own is not None and at is not None:
        begun = map(recorded, tx.rows("recorded_at", task=own["task"], first=at, last=at + 1))
        found += [one for one in begun if one.session_id is None and one.id[-4:] == own["end"]]
    return [_whole(tx, record) for record in found]


def count(tx: Transaction, kind: str) -> int:
    """Return how many records there are of a type; executions of both kinds."""
    found = tx.row("count_recorded", type=kind)
    more = tx.row("count_executed") if kind == "task_execution" else None
    return sum(int(str(row[0])) for row in (found, more) if row)


def moment_of(value: datetime | str, name: str) -> int:
    """Return a moment in microseconds UTC.

    Raises:
        BadInput: A text is no ISO 8601 time.
    """
    at = parse_moment(value.isoformat() if isinstance(value, datetime) else str(value))
    if at is None:
        raise BadInput(f"expected {name} to be an ISO 8601 time, got: {str(value)[:80]!r}", hint="2025-11-05T14:15:00Z")
    return at


# --- both kinds -------------------------------------------------------------------------------------------------------


def _recorded(tx: Transaction, wanted: Wanted) -> Iterator[Record]:
    """The filter that leaves the least decides which index is walked along."""
    params = wanted.params()
    if wanted.status == "running":  # is never told
        return iter(())
    if wanted.task_id is not None:
        name = "recorded_failed_of_task" if wanted.status == "failed" else "recorded_of_task"
        rows = tx.rows(name, task=wanted.task_id, **params)
    elif wanted.backfilled:
        rows = tx.rows("recorded_backfilled", **params)
    else:
        rows = tx.rows("recorded", type="task_execution", **params)
    return map(recorded, rows)


def _executed(tx: Transaction, wanted: Wanted) -> Iterator[Record]:
    params = wanted.params()
    if wanted.task_id is not None:
        tasks = tasks_of(tx, wanted.task_id)
        rows = [row for task_id in tasks for row in tx.rows("executed_of_task", task_id=task_id, **params)]
        return iter(sorted(map(executed, rows), key=_newest_first))
    return map(executed, tx.rows("executed_lately", **params))


def _whole(tx: Transaction, record: Record) -> Record:
    """Return a record with its values, where columns hold the hash of a large one."""
    if not any(value is not None and value.startswith("@") for value in (record.inputs, record.output)):
        return record
    return record._replace(inputs=text_of(record.inputs, tx), output=text_of(record.output, tx))


def _newest_first(record: Record) -> tuple[int, int]:
    return -record.started_at, record.row_id


def tasks_of(tx: Transaction, reference: str) -> list[int]:
    """Return the row ids of the tasks that a reference with its run may mean: runs of two kinds may be called so."""
    for reading in readings(reference):
        if reading.run is None or reading.key is None:
            continue
        index = -1 if reading.index is None else reading.index
        name = {"key": reading.key, "item": reading.item or "", "map_index": index}
        runs = tx.runs("runs_by_name", name=reading.run, kind=reading.kind)
        tasks = [task.id for run in runs if (task := tx.task("task_by_key", run_id=run.id, **name))]
        if tasks:
            return tasks
    return []


def _place(cursor: str | None) -> tuple[int, int]:
    """Return the start and the row id of the record before a page."""
    if cursor is None:
        return FOREVER, -1
    at, _, row_id = cursor.partition(".")
    with suppress(ValueError):
        place = int(at), int(row_id)
        if all(number.bit_length() < _BITS for number in place):
            return place
    raise BadInput(f"expected a cursor that a page named, got: {cursor[:80]!r}")
