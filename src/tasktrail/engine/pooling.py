"""What the workers share: which task of all pooled runs is next, and what a dead one of them leaves behind."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from tasktrail.engine.execution import dead_workers, lapse_in
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.workflows import stored
from tasktrail.model.task import Task
from tasktrail.store.transaction import Transaction

DEFAULT_QUEUE: Final = "default"


@dataclass(frozen=True, slots=True)
class Pool:
    """The tasks that a worker may take.

    Args:
        queues: Which queues it serves.
        labels: What it offers; a task that asks for something else is left to others.
    """

    queues: Sequence[str]
    labels: Sequence[str] = ()

    def next(self, tx: Transaction, limit: int, now: int) -> list[Task]:
        """Return what may start now, the most urgent first, the oldest of those: nothing is passed over for ever."""
        words = {"labels": json.dumps(self.labels), "limit": limit}
        found = chain.from_iterable(
            tx.tasks("pooled_ready", queue=queue, **words) + tx.tasks("pooled_due", queue=queue, now=now, **words)
            for queue in self.queues
        )
        return sorted(found, key=lambda task: (task.priority, task.id))[:limit]


def take_over(ledger: Ledger) -> list[Task]:
    """Give back what workers that died had in progress, so that others take it up; return what that was.

    A task that must not be done twice waits for a person; one that was lost for the third time fails.
    """
    dead = set(dead_workers(ledger.store))
    if not dead:
        return []

    def held(tx: Transaction) -> list[Task]:
        return [task for task in tx.tasks("held_by_workers") if task.worker_id in dead and task.queue is not None]

    once = {run_id: _once(ledger, run_id) for run_id in {task.run_id for task in ledger.store.read(held)}}

    def work(tx: Transaction) -> list[Task]:
        now, lost = ledger.clock.now(), []
        for run_id in sorted(once):
            tx.run(run_id)
            tasks = [task for task in held(tx) if task.run_id == run_id]
            lapse_in(tx, ledger, tasks, once[run_id])
            lost += tasks
        for worker_id in sorted(dead):
            tx.execute("stop_worker", {"id": worker_id, "at": now})
        return lost

    return ledger.commit(work)


def _once(ledger: Ledger, run_id: int) -> Collection[str]:
    """Return the keys of a run's tasks that must not be done twice."""
    run = ledger.store.read(lambda tx: tx.run(run_id))
    if run.definition_id is None:
        return ()
    return [spec.id for spec in stored(ledger, run)[0].steps if spec.effect == "at_most_once"]
