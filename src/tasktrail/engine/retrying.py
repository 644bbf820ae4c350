"""Doing it again: a step with all that comes after it, or what failed, with a fresh budget."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tasktrail.engine.expansion import SURPLUS
from tasktrail.engine.items import items_of
from tasktrail.engine.ledger import Ledger, check_lease
from tasktrail.engine.lookup import check_step, task_reference
from tasktrail.engine.ownership import check_free, still_free
from tasktrail.model.errors import Held, NotFound, WrongState
from tasktrail.model.graph import Need, downstream
from tasktrail.model.lifecycle import Ask, Verb, decide
from tasktrail.model.run import STOPPING_KINDS, Run
from tasktrail.model.task import FINAL, ITEM_REMOVED, REMOVED, Status, Task
from tasktrail.store.records import Mark
from tasktrail.store.transaction import Transaction

_GONE: Final = (SURPLUS, ITEM_REMOVED, REMOVED)
_TAKES_BACK: Final[Mapping[Status, Verb]] = {
    "completed": "reopen", "skipped": "reopen", "cancelled": "reopen", "failed": "retry", "blocked": "unblock",
}  # fmt: skip


def keys_from(ledger: Ledger, run_id: int, key: str, *, in_order: bool) -> list[str]:
    """Return the steps that `take_back` would take back, in order, each once."""
    return list(dict.fromkeys(task.key for task in tasks_from(ledger, run_id, key, in_order=in_order)))


def tasks_from(ledger: Ledger, run_id: int, key: str, *, in_order: bool) -> list[Task]:
    """Return these steps as they stand, with their parts."""
    return ledger.store.read(lambda tx: _from_step(tx, tx.run(run_id), key, in_order))


def take_back(ledger: Ledger, run_id: int, key: str, *, in_order: bool, asked: Collection[str] = ()) -> Run:
    """Let a step be done again, with its parts and everything that needs it.

    What a dead process left in progress is left to the next execution, which takes it back first.

    Args:
        in_order: Whether the steps go one after another, so that all that come after it go with it.
        asked: Keys of steps that are blocked as soon as their needs are met. Where such a one stands blocked it is
            asked for again, with what it then needs; any other that is blocked waits for whoever blocked it.

    Raises:
        NotFound: The run has no such step.
        Held: Somebody executes the run, or has claimed one of the steps.
    """
    seen = ledger.store.read(lambda tx: tx.run(run_id))
    check_free(ledger.store, seen)

    def work(tx: Transaction) -> Run:
        now, mark = ledger.clock.now(), Mark(ledger.actor, note=f"from {key}")
        tasks = _from_step(tx, still_free(tx, seen), key, in_order)
        for task in tasks:
            if task.lease_token is not None:
                check_lease(task, Ask("release"), None)
            if task.queue is not None and task.status == "in_progress":
                reference = task_reference(seen.name, task)
                raise Held(f"a worker executes {reference}", hint=f"wait for it, or: tasktrail cancel {reference}")
        again = {key, *asked}
        taken = [task for task in tasks if task.status in _TAKES_BACK]
        taken = [task for task in taken if task.status != "blocked" or not again.isdisjoint((task.key, task.name))]
        tx.apply([(decide(task, Ask(_TAKES_BACK[task.status]), now), mark) for task in taken])
        tx.set_run(run_id, cancelled_at=None, updated_at=now)
        tx.settle()
        return tx.settled(run_id)

    return ledger.commit(work)


def _from_step(tx: Transaction, run: Run, key: str, in_order: bool) -> list[Task]:
    """Return a step, its parts and what comes after it, in order. A part or cell whose item is gone stays skipped."""
    tasks = tx.tasks("tasks_of_run", run_id=run.id)
    own = [task for task in tasks if key in (task.key, task.name)]
    if not own:
        raise NotFound(f"run {run.name} has no task {key!r}", hint=f"tasktrail run dag --status {run.name}")
    chosen = tasks[tasks.index(own[0]) :] if in_order else _with_dependants(tx, run, tasks, own)
    removed = {item.name for item in items_of(tx, run) if item.removed_at is not None} if run.kind == "matrix" else ()
    chosen = [task for task in chosen if task.status != "skipped" or task.reason not in _GONE]
    return [task for task in chosen if task.item not in removed]


def _with_dependants(tx: Transaction, run: Run, tasks: Collection[Task], starts: Collection[Task]) -> list[Task]:
    """Parts share their step's key, so the graph is one of row ids."""
    needs: dict[str, list[Need]] = {}
    for row in tx.rows("needs_of_run", run_id=run.id):
        needs.setdefault(str(row[0]), []).append(Need(str(row[2])))
    chosen = {str(task.id) for task in starts}
    chosen.update(downstream([str(task.id) for task in tasks], needs, *chosen))
    return [task for task in tasks if str(task.id) in chosen]


# what failed


@dataclass(frozen=True, slots=True)
class Failures:
    """A run, and those of its tasks that are to be done again: failed ones, or what was named."""

    run: Run
    tasks: Sequence[Task]


def failures_of_run(ledger: Ledger, run: Run, names: Collection[str] = ()) -> Failures:
    """Return the failed tasks of a run.

    Args:
        names: Only these: a step with its parts (`parse`), or one part (`parse#3`). Of one of which nothing failed all
            that is finished. Empty means all that failed.

    Raises:
        NotFound: The run has no such step.
        WrongState: A step is not over, or another step that failed would stop the run all the same.
    """
    tasks = ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id))
    failed = [task for task in tasks if task.status == "failed"]
    named = {task.id: task for name in names for task in _over(ledger, run, tasks, name)}
    chosen = list(named.values()) if names else failed
    stopping = [task for task in failed if task.critical and task not in chosen]
    if stopping and run.kind in STOPPING_KINDS:
        other = task_reference(run.name, stopping[0])
        words = f"task {task_reference('', stopping[0])[1:]} failed too, and stops the run"
        raise WrongState(words, hint=f"tasktrail retry {run.name}; or: tasktrail skip {other}")
    return Failures(run, chosen)


def _over(ledger: Ledger, run: Run, tasks: Sequence[Task], name: str) -> list[Task]:
    """Return what failed of a step or part; where nothing did, what is finished of it."""
    own = [task for task in tasks if is_named(task, (name,))]
    if not own:
        check_step(ledger, run, name, "tasktrail retry {run}:{step}")
    failed = [task for task in own if task.status == "failed"]
    over = failed or [task for task in own if task.status in FINAL and task.reason not in _GONE]
    if not over:
        what = f"task {name} is {own[0].status}; retry needs a step that is over"
        raise WrongState(what, hint=f"tasktrail explain {run.name}:{name}")
    return over


def is_named(task: Task, names: Collection[str]) -> bool:
    """Whether one of these is the task's own name, or that of its step."""
    return task.key in names or task_reference("", task)[1:] in names


def all_failures(ledger: Ledger, *, since: int | None = None, workflow: str | None = None) -> list[Failures]:
    """Return the failed tasks of all runs that code executes and nobody called off, the oldest run first.

    Args:
        since: Only what failed from then on, microseconds UTC.
        workflow: Only in runs of this workflow.
    """

    def work(tx: Transaction) -> list[Failures]:
        runs = tx.runs("runs_with_failures", workflow=workflow)
        found = (Failures(run, _failed_since(tx, run, since)) for run in runs)
        return [one for one in found if one.tasks]

    return ledger.store.read(work)


def _failed_since(tx: Transaction, run: Run, since: int | None) -> list[Task]:
    failed = tx.tasks("tasks_of_run_in", run_id=run.id, statuses='["failed"]')
    return [task for task in failed if since is None or (task.completed_at or 0) >= since]


def record_reason(ledger: Ledger, run: Run, reason: str) -> None:
    """Keep in the history of a run why something of it is done again."""
    note = ledger.clean_text(reason)
    ledger.commit(lambda tx: tx.record_run(run.id, "note", ledger.clock.now(), ledger.actor, note=note))


def retry_tasks(ledger: Ledger, failures: Failures) -> Run:
    """Let tasks that are over start again with a fresh budget; one that moved meanwhile is left alone."""
    wanted = {task.id: task.version for task in failures.tasks}

    def work(tx: Transaction) -> Run:
        now, mark = ledger.clock.now(), Mark(ledger.actor)
        over = tx.tasks("tasks_of_run_in", run_id=failures.run.id, statuses=json.dumps(sorted(FINAL)))
        again = [task for task in over if wanted.get(task.id) == task.version]
        tx.apply([(decide(task, Ask(_TAKES_BACK[task.status]), now), mark) for task in again])
        if again:
            tx.set_run(failures.run.id, cancelled_at=None)
        tx.settle()
        return tx.settled(failures.run.id)

    return ledger.commit(work)
