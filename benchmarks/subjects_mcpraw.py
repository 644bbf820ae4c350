"""The questions of the MCP benchmark by SQL alone: no server, no objects, the rows as they come."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

import apsw
from measuring import Reading, peak_rss_mb
from subjects_executionsraw import TASKS
from subjects_raw import opened

CALLS: Final = 200
_COLUMNS: Final = """public_id, task_ref, task_slug, outcome, n, trace_id, span_id, started_at, ended_at, duration_us,
  error_type, error, fingerprint, details, backfilled"""
_FAILED: Final = "outcome IN ('error', 'timeout', 'lost')"
_NEWEST: Final = "ORDER BY started_at DESC LIMIT"
_LIST: Final = f"SELECT {_COLUMNS} FROM attempt WHERE type = 'task_execution' {_NEWEST} 21"
_OF_TASK: Final = f"SELECT {_COLUMNS} FROM attempt WHERE task_ref = ? {_NEWEST} 21"
_LAST_FAILED: Final = f"SELECT {_COLUMNS} FROM attempt WHERE {_FAILED} {_NEWEST} 21"
_TRACE: Final = f"SELECT {_COLUMNS} FROM attempt WHERE trace_id = ? AND type IS NOT NULL ORDER BY n LIMIT 51"
_MARKS: Final = f"SELECT id, fingerprint, started_at FROM attempt WHERE {_FAILED} {_NEWEST} 1000"
_ERRORS: Final = "SELECT * FROM error ORDER BY occurrences DESC LIMIT 11"

Query = tuple[str, Callable[[], tuple[str, ...]]]


def _queries(kind: str, n: int) -> tuple[tuple[Query, ...], ...]:
    """Return the queries of each question."""
    chance = random.Random(7)
    plain: Callable[[], tuple[str, ...]] = tuple
    of_task: Query = (_OF_TASK, lambda: (f"task-{chance.randrange(TASKS)}",))
    return {
        "list": (((_LIST, plain),), (of_task,), ((_LAST_FAILED, plain),)),
        "trace": (((_TRACE, lambda: (f"trace-{chance.randrange(n)}",)),),),
        "lastfailed": (((_LAST_FAILED, plain), (_MARKS, plain)),),
        "errors": (((_ERRORS, plain),),),
    }[kind]


def asked(kind: str, n: int, folder: Path) -> Reading:
    """The 95th percentile of the slowest question."""
    with closing(opened(folder / "tasktrail.db")) as connection:
        slowest = max(_p95(connection, queries) for queries in _queries(kind, n))
    return Reading(1, slowest, peak_rss_mb(), f"p95 of {CALLS}; {n:,} there")


def _p95(connection: apsw.Connection, queries: tuple[Query, ...]) -> float:
    seconds = []
    for _ in range(CALLS):
        started = time.perf_counter()
        for sql, params in queries:
            connection.execute(sql, params()).fetchall()
        seconds.append(time.perf_counter() - started)
    return sorted(seconds)[CALLS * 95 // 100]


SUBJECTS = {f"mcpraw-{kind}": partial(asked, kind) for kind in ("list", "trace", "lastfailed", "errors")}
