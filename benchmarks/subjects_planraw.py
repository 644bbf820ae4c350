"""The raw limit of a plan: what comes next, its start and its end, each one hand-written statement and commit.

The schema is the one that is shipped. No attempt, no event, no counters of the run: this is what somebody writes who
wants the tasks and nothing else.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import apsw
from measuring import Reading, in_words, peak_rss_mb, timed
from shapes import CYCLES, plan_tasks
from subjects_raw import create_schema, moment, opened

_NEXT = """
SELECT id, key, title FROM task
WHERE run_id = 1 AND status = 'pending' AND unmet = 0 AND not_before IS NULL
  AND (status = 'in_progress' OR (status = 'pending' AND unmet = 0 AND not_before IS NULL))
ORDER BY priority, position LIMIT 1
"""
_START = """
UPDATE task SET status = 'in_progress', version = version + 1, attempts = attempts + 1, started_at = :now
WHERE id = :id AND status = 'pending'
"""
# The task, and whoever waits for it.
_COMPLETE = """
UPDATE task SET version = version + (id = :id), unmet = unmet - (id <> :id),
  status = CASE WHEN id = :id THEN 'completed' ELSE status END,
  summary = CASE WHEN id = :id THEN 'done' ELSE summary END,
  completed_at = CASE WHEN id = :id THEN :now ELSE completed_at END
WHERE id = :id OR id IN (SELECT task_id FROM need WHERE needed_id = :id)
"""


def cycles(n: int, folder: Path) -> Reading:
    most = min(CYCLES, n // 2)
    with closing(opened(folder / "raw.db")) as connection:
        _create(connection, n)
        with timed() as watch:
            for _ in range(most):
                task = connection.execute(_NEXT).fetchall()[0][0]
                connection.execute(_START, {"id": task, "now": moment()})
                connection.execute(_COMPLETE, {"id": task, "now": moment()})
        assert connection.execute("SELECT count(*) FROM task WHERE status = 'completed'").get == most
        settings = in_words(connection.pragma("journal_mode"), connection.pragma("synchronous"))
    return Reading(most, watch.seconds, peak_rss_mb(), f"{settings}; {n:,} tasks")


def _create(connection: apsw.Connection, n: int) -> None:
    create_schema(connection)
    tasks = plan_tasks(n)
    ids = {task["id"]: row_id for row_id, task in enumerate(tasks, 1)}
    with connection:
        connection.execute(
            "INSERT INTO run (id, kind, name, workflow, n_pending, trace_id, created_at, updated_at)"
            " VALUES (1, 'plan', 'bench', 'bench', ?, '0', ?, ?)",
            (n, moment(), moment()),
        )
        connection.executemany(
            "INSERT INTO task (id, run_id, key, position, unmet, priority, title, created_at)"
            " VALUES (?, 1, ?, ?, ?, ?, ?, ?)",
            (
                (ids[one["id"]], one["id"], ids[one["id"]], len(one["dependencies"]), one["priority"],
                 one["description"], moment())
                for one in tasks
            ),
        )  # fmt: skip
        connection.executemany(
            "INSERT INTO need (task_id, position, needed_key, needed_id) VALUES (?, ?, ?, ?)",
            ((ids[one["id"]], place, key, ids[key]) for one in tasks for place, key in enumerate(one["dependencies"])),
        )


SUBJECTS = {"planraw-cycles": cycles}
