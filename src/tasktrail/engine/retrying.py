"""Doing it again: a step with all that comes after it, or what failed, with a fresh budget."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from tasktrail.engine.expansion import SURPLUS
from tasktrail.engine.ledger import Ledger, check_lease
from tasktrail.model.errors import NotFound
from tasktrail.model.graph import Need, downstream
from tasktrail.model.lifecycle import Ask, Verb, decide
from tasktrail.model.run import Run
from tasktrail.model.task import Status, Task
from tasktrail.store.transaction import Mark, Transaction

_TAKES_BACK: Final[Mapping[Status, Verb]] = {
    "completed": "reopen", "skipped": "reopen", "cancelled": "reopen", "failed": "retry",
}  # fmt: skip


def keys_from(ledger: Ledger, run_id: int, key: str, *, in_order: bool) -> list[str]:
    """Return the steps that `take_back` would take back, in order, each once."""
    tasks = ledger.store.read(lambda tx: _from_step(tx, tx.run(run_id), key, in_order))
    return list(dict.fromkeys(task.key for task in tasks))


def take_back(ledger: Ledger, run_id: int, key: str, *, in_order: bool) -> Run:
    """Let a step be done again, with its parts and everything that needs it.

    Args:
        in_order: Whether the steps go one after another, so that all that come after it go with it.

    Raises:
        NotFound: The run has no such step.
        Held: One of them is being executed.
    """

    def work(tx: Transaction) -> Run:
        now, mark = ledger.clock.now(), Mark(ledger.actor, note=f"from {key}")
        tasks = _from_step(tx, tx.run(run_id), key, in_order)
        for task in tasks:
            check_lease(task, Ask("release"), None)
        taken = [task for task in tasks if task.status in _TAKES_BACK]
        tx.apply([(decide(task, Ask(_TAKES_BACK[task.status]), now), mark) for task in taken])
        tx.set_run(run_id, cancelled_at=None, updated_at=now)
        tx.settle()
        return tx.settled(run_id)

    return ledger.commit(work)


def _from_step(tx: Transaction, run: Run, key: str, in_order: bool) -> list[Task]:
    """Return a step, its parts and what comes after it, in order. A part whose item is gone stays skipped."""
    tasks = tx.tasks("tasks_of_run", run_id=run.id)
    own = [task for task in tasks if task.key == key]
    if not own:
        raise NotFound(f"run {run.name} has no task {key!r}", hint=f"tasktrail run dag --status {run.name}")
    chosen = tasks[tasks.index(own[0]) :] if in_order else _with_dependants(tx, run, tasks, own)
    return [task for task in chosen if task.status != "skipped" or task.reason != SURPLUS]


def _with_dependants(tx: Transaction, run: Run, tasks: Collection[Task], starts: Collection[Task]) -> list[Task]:
    """Parts share their step's key, so the graph is one of row ids."""
    needs: dict[str, list[Need]] = {}
    for row in tx.rows("needs_of_run", run_id=run.id):
        needs.setdefault(str(row[0]), []).append(Need(str(row[2])))
    chosen = {str(task.id) for task in starts}
    chosen.update(downstream([str(task.id) for task in tasks], needs, *chosen))
    return [task for task in tasks if str(task.id) in chosen]
