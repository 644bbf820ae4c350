"""PostgreSQL by hand: what one statement and commit per step costs, and batches with the rows that Tasktrail writes.

The tables are those that are shipped. Statements are prepared; nothing is decided, scrubbed, retried or called.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import server
from crowd import Crowd, await_start, together
from measuring import Reading, peak_rss_mb, timed
from shapes import BATCH, CONNECTIONS

_TABLES = Path(__file__).parents[1] / "src" / "tasktrail" / "store" / "sql" / "postgres"
_TRACE = "0123456789abcdef0123456789abcdef"
_CHANGES = '{"attempts":[0,1],"fence":[0,1],"started_at":[null,1700000000000000]}'

_STEP = """
INSERT INTO event (at, actor, run_id, task_id, verb, from_status, to_status, attempt, changes)
VALUES (%s, 'user@host', 1, %s, 'complete', 'in_progress', 'completed', 1, %s)
"""
_CLAIM = """
UPDATE task SET status = 'in_progress', version = version + 1, attempts = attempts + 1, fence = fence + 1,
  open_attempt = attempts + 1, worker_id = %(worker)s, started_at = %(now)s
WHERE id IN (
  SELECT id FROM task
  WHERE queue = 'default' AND status = 'pending' AND unmet = 0 AND not_before IS NULL
  ORDER BY priority, id LIMIT %(batch)s FOR UPDATE SKIP LOCKED)
RETURNING id
"""
_OPEN = """
INSERT INTO attempt (task_id, n, fence, worker_id, actor, trace_id, span_id, started_at)
SELECT id, 1, 1, %(worker)s, 'user@host', %(trace)s, lpad(to_hex(id), 16, '0'), %(now)s
FROM unnest(%(ids)s::bigint[]) AS id
"""
_FINISH = """
UPDATE task SET status = 'completed', version = version + 1, output = 'null', open_attempt = NULL, worker_id = NULL,
  last_outcome = 'ok', completed_at = %(now)s
WHERE id = ANY(%(ids)s) AND status = 'in_progress' AND fence = 1
"""
_CLOSE = """
UPDATE attempt SET outcome = 'ok', ended_at = %(now)s, duration_us = %(now)s - started_at, output = 'null'
WHERE task_id = ANY(%(ids)s) AND n = 1 AND ended_at IS NULL
"""
_TELL = """
INSERT INTO event (at, actor, run_id, task_id, verb, from_status, to_status, attempt, changes)
SELECT %(now)s, 'user@host', 1, id, %(verb)s, %(old)s, %(new)s, 1, %(changes)s FROM unnest(%(ids)s::bigint[]) AS id
"""
_COUNT = """
UPDATE run SET n_pending = n_pending - %(claimed)s, n_in_progress = n_in_progress + %(claimed)s - %(finished)s,
  n_completed = n_completed + %(finished)s, updated_at = %(now)s
WHERE id = 1
"""


def chain(n: int, folder: Path) -> Reading:
    """One INSERT of an event and its commit per step."""
    with server.running(folder) as own, _made(own, 1) as connection:
        with timed() as watch:
            for _ in range(n):
                connection.execute(_STEP, (_now(), 1, _CHANGES))
        return Reading(n, watch.seconds, peak_rss_mb(), server.settings(own))


def batches(n: int, folder: Path) -> Reading:
    """Several processes claim ten, and finish them with the claim of the next ten in one transaction."""
    with server.running(folder) as own, _made(own, n) as connection:
        commands = [[__file__, own.url(), str(worker)] for worker in range(1, CONNECTIONS + 1)]
        with Crowd(commands) as crowd:
            seconds = together(crowd)
        (done,) = connection.execute(
            "SELECT count(*) FROM task WHERE status = 'completed' AND attempts = 1"
            " AND 1 = (SELECT count(*) FROM attempt WHERE task_id = task.id AND outcome = 'ok')"
        ).fetchone()
        assert done == n, f"{done} of {n} were done once"
        return Reading(n, seconds, peak_rss_mb(), server.settings(own))


def take_part(url: str, worker: int) -> None:
    """In a process of its own: claim and finish until nothing is left."""
    import psycopg

    with psycopg.connect(url, prepare_threshold=0) as connection:
        connection.execute("SELECT 1").fetchone()
        connection.commit()
        await_start()
        held: list[int] = []
        while True:
            held, finished = _next(connection, worker, held), len(held)
            if not (held or finished):
                break


def _next(connection: Any, worker: int, held: list[int]) -> list[int]:
    now, execute = _now(), connection.execute
    if held:
        execute(_FINISH, {"ids": held, "now": now})
        execute(_CLOSE, {"ids": held, "now": now})
        execute(_TELL, _event(held, now, ("complete", "in_progress", "completed")))
    claimed = [row[0] for row in execute(_CLAIM, {"worker": worker, "now": now, "batch": BATCH})]
    if claimed:
        execute(_OPEN, {"ids": claimed, "worker": worker, "trace": _TRACE, "now": now})
        execute(_TELL, _event(claimed, now, ("start", "pending", "in_progress")))
    execute(_COUNT, {"claimed": len(claimed), "finished": len(held), "now": now})
    connection.commit()
    return claimed


def _event(ids: list[int], now: int, move: tuple[str, str, str]) -> dict[str, object]:
    verb, old, new = move
    return {"ids": ids, "now": now, "verb": verb, "old": old, "new": new, "changes": _CHANGES}


def _made(own: Any, n: int) -> Any:
    """Return a connection to the shipped tables, with a run of n pending tasks; not timed."""
    connection = server.connect(own)
    for file in sorted(_TABLES.glob("[0-9]*.sql")):
        connection.execute(file.read_text("utf-8"), prepare=False)
    now = _now()
    for _ in range(CONNECTIONS):
        connection.execute(
            "INSERT INTO worker (name, host, pid, boot_id, lock_name, started_at) VALUES ('', '', 1, '', '', %s)",
            (now,),
        )
    connection.execute(
        "INSERT INTO run (id, kind, name, workflow, status, n_pending, trace_id, created_at, updated_at)"
        " VALUES (1, 'dag', 'chain', 'chain', 'running', %s, %s, %s, %s)",
        (n, _TRACE, now, now),
    )
    connection.execute(
        "INSERT INTO task (run_id, key, position, queue, created_at)"
        " SELECT 1, 's' || i, i, 'default', %s FROM generate_series(1, %s) AS i",
        (now, n),
    )
    connection.execute("ANALYZE")
    return connection


def _now() -> int:
    return time.time_ns() // 1000


SUBJECTS = {"byhand-chain": chain, "byhand-batches": batches}

if __name__ == "__main__":
    take_part(sys.argv[1], int(sys.argv[2]))
