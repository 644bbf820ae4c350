"""Tasktrail on PostgreSQL: a chain in one process, batches over some connections, many workers."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pooled
import server
from crowd import Crowd, await_start, together
from measuring import Reading, peak_rss_mb, timed
from shapes import BATCH, CONNECTIONS
from subjects_tasktrail import executed_chain, no_op_inline

WORKERS: Final = 8
IDLE_WORKERS: Final = 64
IDLE_S: Final = 10.0
CLAIMS: Final = 1_000


def chain(n: int, folder: Path) -> Reading:
    with _store(folder) as own:
        seconds = executed_chain(no_op_inline, n)
        return Reading(n, seconds, peak_rss_mb(), server.settings(own))


def batches(n: int, folder: Path) -> Reading:
    """Several processes hand ten tasks in and claim the next ten, in one commit each; no step is called."""
    with _store(folder) as own:
        pooled.begin(folder, pooled.plain(n))
        with Crowd([[__file__, str(folder)]] * CONNECTIONS) as crowd:
            seconds = together(crowd)
        pooled.attempts_of_all(n)
        return Reading(n, seconds, peak_rss_mb(), server.settings(own))


def workers(n: int, folder: Path) -> Reading:
    with _store(folder) as own:
        seconds = pooled.executed_by(WORKERS, n, folder)
        return Reading(n, seconds, peak_rss_mb(), f"{server.settings(own)}; {WORKERS} workers")


def waiting(n: int, folder: Path) -> Reading:
    """The 99th percentile of claims, one task and one commit each, where n tasks wait."""
    with _store(folder) as own:
        pooled.begin(folder, pooled.plain(1))
        with server.connect(own) as connection:
            _fill(connection, n)
        claimer = pooled.Claimer(folder, 1)
        taken = []
        for _ in range(min(CLAIMS, n)):
            with timed() as watch:
                claimer.next()
            taken.append(watch.seconds)
        words = f"{server.settings(own)}; median {statistics.median(taken) * 1000:.1f} ms"
        return Reading(n, sorted(taken)[int(len(taken) * 0.99)], peak_rss_mb(), words)


def _fill(connection: Any, n: int) -> None:
    """Let n more tasks wait, like the one that does: by SQL, as the engine would take its time."""
    made = "run_id, key, position, queue, max_retries, created_at"
    connection.execute("SET search_path = tasktrail")
    (one,) = connection.execute("SELECT id FROM task WHERE status = 'pending' AND unmet = 0").fetchone()
    connection.execute(
        f"INSERT INTO task (id, {made}, map_index) SELECT id + i, {made}, map_index + i"
        f" FROM task, generate_series(1, {n}) AS i WHERE id = {one}"
    )
    connection.execute(f"UPDATE run SET n_pending = n_pending + {n}")
    connection.execute("ANALYZE")  # as the server does by itself within a minute


def idle(n: int, folder: Path) -> Reading:
    """The share of a core that the server's processes take while n workers have nothing to do."""
    with _store(folder) as own:
        with pooled.working(n, folder):
            before = server.cpu_s(own)
            time.sleep(IDLE_S)
            spent = server.cpu_s(own) - before
        words = f"{server.settings(own)}; {spent * 1000:.0f} ms of CPU time in {IDLE_S:.0f} s"
        return Reading(n, max(spent / IDLE_S, 1e-6), peak_rss_mb(), words)


@contextmanager
def _store(folder: Path) -> Iterator[Any]:
    """Start a server, and let Tasktrail use it; must come before the first import of tasktrail."""
    with server.running(folder) as own:
        os.environ["TASKTRAIL_STORE"] = own.url()
        yield own


def take_part(folder: Path) -> None:
    """In a process of its own: claim and finish until nothing is left."""
    claimer = pooled.Claimer(folder, BATCH)
    await_start()
    while claimer.next():
        pass


SUBJECTS = {
    "postgres-chain": chain,
    "postgres-batches": batches,
    "postgres-workers": workers,
    "postgres-waiting": waiting,
    "postgres-idle": idle,
}

if __name__ == "__main__":
    take_part(Path(sys.argv[1]))
