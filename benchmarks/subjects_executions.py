"""Recorded executions: a million through the door in batches, one by one, and how long the looks at them take."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from measuring import Reading, peak_rss_mb, timed
from shapes import EXECUTIONS_AT_ONCE, EXECUTIONS_FAIL, execution_text
from subjects_tasktrail import SETTINGS, use_store

ONE_BY_ONE: Final = 2_000
LOOKS: Final = 500
TASKS: Final = 50
_START: Final = datetime(2025, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)


def create(n: int, folder: Path) -> Reading:
    """Made by the factory, scrubbed, and appended with their keys, a few hundred to a commit."""
    store = _store(folder)
    with timed() as watch:
        for first in range(0, n, EXECUTIONS_AT_ONCE):
            store.append_many([_told(number) for number in range(first, min(n, first + EXECUTIONS_AT_ONCE))])
    return Reading(n, watch.seconds, peak_rss_mb(), f"{SETTINGS}; {EXECUTIONS_AT_ONCE} to a commit")


def one_by_one(n: int, folder: Path) -> Reading:
    """Each of them durable before the next."""
    store = _store(folder)
    with timed() as watch:
        for number in range(n, n + ONE_BY_ONE):
            store.append_experience_idempotent(_told(number))
    return Reading(ONE_BY_ONE, watch.seconds, peak_rss_mb(), f"{SETTINGS}; {n:,} are there")


def listing(n: int, folder: Path) -> Reading:
    """The slowest of a hundred looks at a list, whatever its filter."""
    store, chance = _store(folder), random.Random(7)

    def look() -> object:
        since = _START + _SECOND * chance.randrange(n)
        given: dict[str, Any] = chance.choice([
            {}, {"task_id": f"task-{chance.randrange(TASKS)}"}, {"status": "failed"}, {"status": "success"},
            {"since": since}, {"task_id": f"task-{chance.randrange(TASKS)}", "status": "failed", "since": since},
            {"backfilled": False}, {"backfilled": True}, {"task_id": "nobody"},
        ])  # fmt: skip
        return store.list_task_executions(**given)

    return _p99(n, look)


def trace(n: int, folder: Path) -> Reading:
    store, chance = _store(folder), random.Random(7)
    return _p99(n, lambda: store.get_by_trace_id(f"trace-{chance.randrange(n)}"))


def last_failed(n: int, folder: Path) -> Reading:
    store = _store(folder)
    return _p99(n, lambda: store.list_task_executions(status="failed", limit=10))


def _store(folder: Path) -> Any:
    use_store(folder)
    from tasktrail.executions import RawStore

    return RawStore()


def _told(number: int) -> Any:
    from tasktrail.executions import create_task_execution_experience

    task, started = number % TASKS, _START + _SECOND * number
    failed = number % EXECUTIONS_FAIL == 0
    error = {"type": "ValueError", "message": f"no rows in part {number}", "stack_trace": None} if failed else None
    return create_task_execution_experience(
        f"task-{task}", f"slug-{task}", f"Task {task}", "custom", "scheduled", started, started + _SECOND,
        "failed" if failed else "success", response_text=execution_text(number), error=error,
        trace_id=f"trace-{number}",
    )  # fmt: skip


def _p99(n: int, look: Callable[[], object]) -> Reading:
    """The 99th percentile of the looks; the first one opens the store and does not count."""
    look()
    seconds = []
    for _ in range(LOOKS):
        with timed() as watch:
            look()
        seconds.append(watch.seconds)
    return Reading(1, sorted(seconds)[LOOKS * 99 // 100], peak_rss_mb(), f"p99 of {LOOKS}; {n:,} are there")


SUBJECTS = {
    "executions-create": create,
    "executions-one": one_by_one,
    "executions-list": listing,
    "executions-trace": trace,
    "executions-lastfailed": last_failed,
}
