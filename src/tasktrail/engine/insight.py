"""What failed last, and in which ways: the first question of whoever debugs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tasktrail.engine.records import FOREVER, Wanted, by_row, list_executions, tasks_of
from tasktrail.model.record import Record
from tasktrail.store.transaction import Transaction

WINDOW: Final = 1_000
"""Of the newest failures so many are searched for patterns: more than are shown, and few enough to read at once."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Failures that have a fingerprint in common.

    Args:
        fingerprint: None: of these nobody knows one.
        count: How many of those that were looked at.
        first_at: When the oldest of them began, microseconds UTC; `last_at` the newest.
        example: The newest.
    """

    fingerprint: str | None
    count: int
    first_at: int
    last_at: int
    example: Record


@dataclass(frozen=True, slots=True)
class LastFailed:
    """The last failures and their patterns.

    Args:
        failures: The newest first; where only unique ones are asked for, the newest of each pattern.
        patterns: What was seen last first, then what is more frequent.
        examined: Among how many failures the patterns were looked for.
        is_all: Whether there are no older ones.
    """

    failures: Sequence[Record]
    patterns: Sequence[Pattern]
    examined: int
    is_all: bool


@dataclass(slots=True)
class _Seen:
    """What is known of a fingerprint while the failures go by, from the newest to the oldest."""

    row_id: int
    is_recorded: bool
    last_at: int
    first_at: int
    count: int = 1


def last_failed(
    tx: Transaction, *, task_id: str | None = None, since: int | None = None, limit: int = 10, unique: bool = False
) -> LastFailed:
    """Return the last failures of both kinds, and what they have in common with those before.

    Args:
        task_id: As its reporter names it; of what Tasktrail executed the reference.
        since: The earliest start, microseconds UTC; it is included.
        limit: Of failures, and of patterns.
        unique: Whether of failures with one fingerprint only the newest is wanted.
    """
    marks = _marks(tx, task_id, since)
    seen = _by_fingerprint(marks)
    newest = sorted(seen.items(), key=lambda one: (-one[1].last_at, -one[1].count))[:limit]
    patterns = [_pattern(tx, fingerprint, one) for fingerprint, one in newest]
    if unique:
        failures: Sequence[Record] = [one.example for one in patterns]
    else:
        failures = list_executions(tx, Wanted(task_id, "failed", since, limit=limit))
    return LastFailed(failures, patterns, len(marks), len(marks) < WINDOW)


def _marks(tx: Transaction, task_id: str | None, since: int | None) -> list[tuple[int, str | None, int, bool]]:
    """Return of each failure its row id, its fingerprint, its start and whether it was recorded, the newest first."""
    params = {"since": -FOREVER if since is None else since, "limit": WINDOW}
    if task_id is None:
        return [_mark(row) for row in tx.rows("failures_lately", **params)]
    marks = [_mark(row) for row in tx.rows("failures_of_task", task=task_id, **params)]
    if tasks_of(tx, task_id):  # few attempts, so the whole records do
        executed = list_executions(tx, Wanted(task_id, "failed", since, limit=WINDOW))
        marks += [(one.row_id, one.fingerprint, one.started_at, False) for one in executed if one.type is None]
    return sorted(marks, key=lambda mark: (-mark[2], mark[0]))[:WINDOW]


def _mark(row: Sequence[object]) -> tuple[int, str | None, int, bool]:
    row_id, fingerprint, started_at, task_id = row
    return int(str(row_id)), None if fingerprint is None else str(fingerprint), int(str(started_at)), task_id is None


def _by_fingerprint(marks: Iterable[tuple[int, str | None, int, bool]]) -> dict[str | None, _Seen]:
    seen: dict[str | None, _Seen] = {}
    for row_id, fingerprint, at, is_recorded in marks:
        if known := seen.get(fingerprint):
            known.count += 1
            known.first_at = at
        else:
            seen[fingerprint] = _Seen(row_id, is_recorded, at, at)
    return seen


def _pattern(tx: Transaction, fingerprint: str | None, seen: _Seen) -> Pattern:
    example = by_row(tx, seen.row_id, is_recorded=seen.is_recorded)
    return Pattern(fingerprint, seen.count, seen.first_at, seen.last_at, example)
