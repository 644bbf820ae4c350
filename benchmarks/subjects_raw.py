"""The raw limit: one hand-written SQLite transaction per step, with the rows that Tasktrail writes.

The schema is the one that is shipped. What a library must do beside SQL (deciding, retry policies, scrubbing,
asyncio, calling the step) is left out: nothing that keeps the same rows can be faster on this machine.
"""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import apsw
from measuring import Reading, in_words, peak_rss_mb, timed

_SCHEMA = Path(__file__).parents[1] / "src" / "tasktrail" / "store" / "sql" / "sqlite"
_ACTOR = "user@host"
_TRACE = "0123456789abcdef0123456789abcdef"
_TOKEN = "fedcba9876543210"
_RUN = 1
_WORKER = 1

_FINISH_TASK = """
UPDATE task SET status = 'completed', version = version + 1, output = 'null', open_attempt = NULL, worker_id = NULL,
  lease_token = NULL, last_outcome = 'ok', completed_at = :now
WHERE id = :task AND fence = :fence AND status = 'in_progress'
"""
_CLOSE_ATTEMPT = """
UPDATE attempt SET outcome = 'ok', ended_at = :now, duration_us = :now - started_at, output = 'null'
WHERE task_id = :task AND n = 1
"""
_START_TASK = """
UPDATE task SET status = 'in_progress', version = version + 1, attempts = attempts + 1, fence = fence + 1,
  open_attempt = attempts + 1, worker_id = :worker, lease_token = :token, started_at = :now
WHERE id = :task AND version = 1 AND status = 'pending'
"""
_OPEN_ATTEMPT = """
INSERT INTO attempt (task_id, n, fence, worker_id, actor, trace_id, span_id, started_at)
VALUES (:task, 1, 1, :worker, :actor, :trace, :span, :now)
"""
_WRITE_EVENT = """
INSERT INTO event (at, actor, run_id, task_id, verb, from_status, to_status, attempt, changes)
VALUES (:now, :actor, :run, :task, :verb, :old, :new, 1, :changes)
"""
_COUNT = """
UPDATE run SET n_pending = n_pending - :pending, n_in_progress = n_in_progress + :in_progress,
  n_completed = n_completed + :completed, updated_at = :now
WHERE id = :run
"""


def chain(n: int, folder: Path) -> Reading:
    with closing(opened(folder / "raw.db")) as connection:
        _create(connection, n)
        with timed() as watch:
            _begin_first(connection)
            for task in range(1, n + 1):
                _one_step(connection, task, last=task == n)
        assert _number_completed(connection) == n
        settings = in_words(connection.pragma("journal_mode"), connection.pragma("synchronous"))
    return Reading(n, watch.seconds, peak_rss_mb(), settings)


def _one_step(connection: apsw.Connection, task: int, *, last: bool) -> None:
    """The finish of one step and the start of the next are one transaction."""
    now = moment()
    connection.execute("BEGIN IMMEDIATE")
    _finish(connection, task, now)
    if not last:
        _start(connection, task + 1, now)
    moved = 0 if last else 1
    connection.execute(_COUNT, {"run": _RUN, "pending": moved, "in_progress": moved - 1, "completed": 1, "now": now})
    connection.execute("COMMIT")


def _begin_first(connection: apsw.Connection) -> None:
    now = moment()
    connection.execute("BEGIN IMMEDIATE")
    _start(connection, 1, now)
    connection.execute(_COUNT, {"run": _RUN, "pending": 1, "in_progress": 1, "completed": 0, "now": now})
    connection.execute("COMMIT")


def _finish(connection: apsw.Connection, task: int, now: int) -> None:
    changes = f'{{"last_outcome":[null,"ok"],"output":[null,"null"],"completed_at":[null,{now}]}}'
    connection.execute(_FINISH_TASK, {"task": task, "fence": 1, "now": now})
    connection.execute(_CLOSE_ATTEMPT, {"task": task, "now": now})
    _write_event(connection, task, now, ("complete", "in_progress", "completed"), changes)


def _start(connection: apsw.Connection, task: int, now: int) -> None:
    changes = f'{{"attempts":[0,1],"fence":[0,1],"started_at":[null,{now}]}}'
    attempt = {"worker": _WORKER, "actor": _ACTOR, "trace": _TRACE, "span": f"{task:016x}", "now": now}
    connection.execute(_START_TASK, {"task": task, "worker": _WORKER, "token": _TOKEN, "now": now})
    connection.execute(_OPEN_ATTEMPT, {"task": task, **attempt})
    _write_event(connection, task, now, ("start", "pending", "in_progress"), changes)


def _write_event(connection: apsw.Connection, task: int, now: int, move: tuple[str, str, str], changes: str) -> None:
    verb, old, new = move
    row = {"now": now, "actor": _ACTOR, "run": _RUN, "task": task, "verb": verb, "old": old, "new": new}
    connection.execute(_WRITE_EVENT, {**row, "changes": changes})


def opened(file: Path) -> apsw.Connection:
    connection = apsw.Connection(str(file))
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", "full")
    connection.pragma("foreign_keys", True)
    return connection


def _create(connection: apsw.Connection, n: int) -> None:
    """Make the shipped schema and a run of n pending tasks; not timed."""
    create_schema(connection)
    now = moment()
    with connection:
        connection.execute(
            "INSERT INTO worker (id, name, host, pid, boot_id, lock_name, started_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (_WORKER, _ACTOR, "host", 1, "boot", "1.lock", now),
        )
        connection.execute(
            "INSERT INTO run (id, kind, name, workflow, status, n_pending, trace_id, created_at, updated_at)"
            " VALUES (?, 'dag', 'chain', 'chain', 'running', ?, ?, ?, ?)",
            (_RUN, n, _TRACE, now, now),
        )
        connection.executemany(
            "INSERT INTO task (id, run_id, key, position, created_at) VALUES (?, ?, ?, ?, ?)",
            ((task, _RUN, f"s{task}", task, now) for task in range(1, n + 1)),
        )


def create_schema(connection: apsw.Connection) -> None:
    for file in sorted(_SCHEMA.glob("[0-9]*.sql")):
        connection.execute(file.read_text("utf-8"))


def _number_completed(connection: apsw.Connection) -> int:
    number: int = connection.execute("SELECT n_completed FROM run WHERE id = ?", (_RUN,)).get
    return number


def moment() -> int:
    return time.time_ns() // 1000


SUBJECTS = {"raw-chain": chain}
