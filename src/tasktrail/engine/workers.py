"""Who executes tasks: the workers of a store, as people look at them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from tasktrail.engine.execution import is_alive
from tasktrail.engine.ledger import Ledger
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


def list_workers(ledger: Ledger, limit: int) -> list[WorkerView]:
    """Return the newest workers, the newest first."""

    def work(tx: Transaction) -> tuple[list[Row], Counter[int | None]]:
        held = Counter(task.worker_id for task in tx.tasks("held_by_workers"))
        return tx.rows("workers_page", before=None, limit=limit), held

    rows, held = ledger.store.read(work)
    return [_view(ledger, row, held) for row in rows]


def _view(ledger: Ledger, row: Row, held: Counter[int | None]) -> WorkerView:
    worker_id, name, host, pid, _, _, started_at, stopped_at, queues, labels = row
    state: WorkerState = "stopped" if stopped_at is not None else "alive" if is_alive(ledger.store, row) else "dead"
    return WorkerView(
        int(str(worker_id)), str(name), str(host), int(str(pid)), state, _words(queues), _words(labels),
        held[int(str(worker_id))], int(str(started_at)), int(str(stopped_at)) if stopped_at is not None else None,
    )  # fmt: skip


def _words(text: object) -> tuple[str, ...]:
    return tuple(json.loads(str(text))) if text is not None else ()
