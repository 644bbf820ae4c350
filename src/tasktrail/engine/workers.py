"""Who executes tasks: the workers of a store, as people look at them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.ownership import is_alive
from tasktrail.model.run import Run
from tasktrail.model.task import Task
from tasktrail.store.transaction import Row, Transaction

WorkerState = Literal["alive", "dead", "stopped"]


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A process that executes tasks, or did.

    Args:
        queues: Which it serves; none executes only runs that it owns.
        n_tasks: How many it has in progress.
    """

    id: int
    name: str
    host: str
    pid: int
    state: WorkerState
    queues: tuple[str, ...]
    labels: tuple[str, ...]
    n_tasks: int
    started_at: int
    stopped_at: int | None

    @property
    def words(self) -> str:
        """Which process it is, in words."""
        return f"process {self.pid} on {self.host} ({self.name})"

    def takes(self, task: Task) -> bool:
        """Whether it serves the queue of a task and offers what that asks for."""
        return task.queue in self.queues and set(_words(task.labels)) <= set(self.labels)


def list_workers(ledger: Ledger, limit: int) -> list[WorkerView]:
    """Return the newest workers, the newest first."""

    def work(tx: Transaction) -> tuple[list[Row], Counter[int | None]]:
        held = Counter(task.worker_id for task in tx.tasks("held_by_workers"))
        return tx.rows("workers_page", before=None, limit=limit), held

    rows, held = ledger.store.read(work)
    return [_view(ledger, row, held) for row in rows]


def living(ledger: Ledger) -> list[WorkerView]:
    """Return the workers that serve queues and live."""
    rows = ledger.store.read(lambda tx: tx.rows("unstopped_workers"))
    views = (_view(ledger, row, Counter()) for row in rows if row[8] is not None)
    return [view for view in views if view.state == "alive"]


def pools(ledger: Ledger, runs: Iterable[Run]) -> dict[int, str]:
    """Return who executes each of these runs from its queues, in words, by row id; runs that nobody serves are out."""
    workers = living(ledger)
    if not workers:
        return {}

    def work(tx: Transaction) -> dict[int, set[object]]:
        return {run.id: {row[0] for row in tx.rows("queues_of_run", run_id=run.id)} for run in runs}

    found = {}
    for run_id, queues in ledger.store.read(work).items():
        serving = [one for one in workers if queues.intersection(one.queues)]
        if serving:
            found[run_id] = serving[0].words if len(serving) == 1 else f"a pool of {len(serving):,} workers"
    return found


def _view(ledger: Ledger, row: Row, held: Counter[int | None]) -> WorkerView:
    worker_id, name, host, pid, _, _, started_at, stopped_at, queues, labels, died = row
    state: WorkerState = "dead" if died else "stopped"
    if stopped_at is None:
        state = "alive" if is_alive(ledger.store, row) else "dead"
    return WorkerView(
        int(str(worker_id)), str(name), str(host), int(str(pid)), state, _words(queues), _words(labels),
        held[int(str(worker_id))], int(str(started_at)), int(str(stopped_at)) if stopped_at is not None else None,
    )  # fmt: skip


def _words(text: object) -> tuple[str, ...]:
    return tuple(json.loads(str(text))) if text is not None else ()
