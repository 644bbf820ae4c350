"""A run goes on by another state of its workflow: what was done stays, what was not done follows the new state.

Needs are exchanged in two steps, first what falls away, then what is new: what stands in between is part of an acyclic
graph both times.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from tasktrail.engine.additions import check_tasks, distinct
from tasktrail.engine.changes import Changes, keep_code
from tasktrail.engine.drafts import TaskEdit, define
from tasktrail.engine.expansion import SURPLUS
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.needs import own_needs, set_needs
from tasktrail.engine.ownership import check_free, still_free
from tasktrail.engine.values import json_text
from tasktrail.engine.workflows import draft_of, keep, pooled_draft_of
from tasktrail.model.errors import BadInput
from tasktrail.model.graph import Need
from tasktrail.model.lifecycle import Ask, Verb, decide, route
from tasktrail.model.run import Run
from tasktrail.model.task import Task, Value
from tasktrail.model.workflow import StepSpec
from tasktrail.store.records import Mark
from tasktrail.store.transaction import Transaction

_GONE: Final = "no longer in the workflow"
_DEFINED: Final = ("critical", "priority", "max_retries", "retry", "timeout_ms")


def accept(
    ledger: Ledger,
    run: Run,
    changes: Changes,
    params: Mapping[str, object],
    target: str | None = None,
) -> Run:
    """Let a run go by another state of its workflow.

    Steps that are new are added, and unfinished ones that are gone are skipped. Finished ones keep their results, also
    where they need others now; then they may be stale. What is not finished waits for what it needs now.

    Args:
        params: Of the run from here on.
        target: Where the file or code is found from here on; None leaves it.

    Raises:
        BadInput: It is another workflow, or no graph.
        Held: A living process executes the run.
    """
    old, new = changes.stored, changes.now
    if old.name != new.name:
        words = (
            f"run {run.name} is a run of workflow {old.name}, not of {new.name}: its steps are not those that were done"
        )
        raise BadInput(
            words, hint=f"begin a run of {new.name}; or, where only its name changed, call it {old.name} again"
        )
    check_tasks([draft_of(spec) for spec in new.steps])
    check_free(ledger.store, run)
    metadata = json_text({**json.loads(run.metadata or "{}"), "params": params}, "the params of the run")

    def work(tx: Transaction) -> Run:
        current = still_free(tx, run)
        _Acceptance(tx, ledger, current, changes).steps()
        keep_code(tx, changes.code)
        at = ledger.clock.now()
        tx.record_run(run.id, "accept", at, ledger.actor, note="; ".join(changes.words) or None)
        if metadata != current.metadata:
            edited = json.dumps({"metadata": [current.metadata, metadata]}, ensure_ascii=False)
            tx.record_run(run.id, "edit", at, ledger.actor, changes=edited)
        definition_id = keep(tx, new, at)
        tx.set_run(
            run.id, definition_id=definition_id, metadata=metadata, target=target or current.target, updated_at=at
        )
        tx.settle()
        return tx.settled(run.id)

    return ledger.commit(work)


class _Acceptance:
    """What one acceptance does to the steps of a run."""

    def __init__(self, tx: Transaction, ledger: Ledger, run: Run, changes: Changes) -> None:
        self._tx, self._ledger, self._run = tx, ledger, run
        self._old, self._new, self._versions = changes.stored.by_id, changes.now.by_id, changes.versions
        self._at = ledger.clock.now()

    def steps(self) -> None:
        """Bring all steps to what the new state says."""
        tasks = self._tx.tasks("tasks_of_run", run_id=self._run.id)
        had = {task.id: own_needs(self._tx, task) for task in tasks}
        for task in tasks:
            spec = self._new.get(task.key)
            self._set_needs(task.id, [need for need in had[task.id] if spec and need in spec.needs])
        known = {task.key for task in tasks}
        draft = pooled_draft_of if any(task.queue for task in tasks) else draft_of
        if added := [draft(spec, self._versions.get(key)) for key, spec in self._new.items() if key not in known]:
            self._ledger.add_in(self._tx, self._run.id, added, self._at)
        for task in tasks:
            if spec := self._new.get(task.key):
                self._set_needs(task.id, spec.needs)
                self._redefine(task.id, spec, had[task.id])
        for task in tasks:
            self._move(self._current(task.id))

    # what they are, and where they stand

    def _redefine(self, task_id: int, spec: StepSpec, had: Sequence[Need]) -> None:
        task, draft = self._current(task_id), draft_of(spec)
        wanted: dict[str, Value] = {name: getattr(draft, name) for name in _DEFINED}
        changed = {name: value for name, value in wanted.items() if value != getattr(task, name)}
        also = {"needs": [_keys(had), _keys(spec.needs)]} if list(had) != list(distinct(spec.needs)) else {}
        if changed or also:
            define(self._tx, self._ledger, task, TaskEdit(task_id, task.version, definition=changed), self._at, also)

    def _move(self, task: Task) -> None:
        """Skip what is gone, let what came back start, and ask people again where the question changed."""
        old, new = self._old.get(task.key), self._new.get(task.key)
        if new is None:
            self._skip(task, _GONE)
        elif task.map_index >= 0 and new.for_each is None:
            self._skip(task, SURPLUS)
        elif task.status == "skipped" and task.reason == _GONE:
            self._ask(task, "reopen")
        elif task.status == "blocked" and old and old.manual and (task.unmet or old.manual != new.manual):
            self._ask(task, "unblock")

    def _skip(self, task: Task, reason: str) -> None:
        if task.status not in ("completed", "skipped"):
            for verb in route(task.status, "skipped"):
                task = self._ask(task, verb, reason if verb == "skip" else None)

    def _ask(self, task: Task, verb: Verb, reason: str | None = None) -> Task:
        change = decide(task, Ask(verb, reason=reason), self._at)
        self._tx.apply([(change, Mark(self._ledger.actor, note="the workflow was changed"))])
        return self._current(task.id)

    def _set_needs(self, task_id: int, needs: Sequence[Need]) -> None:
        set_needs(self._tx, self._run, self._current(task_id), needs)

    def _current(self, task_id: int) -> Task:
        task = self._tx.task("task_by_id", id=task_id)
        assert task is not None
        return task


def _keys(needs: Sequence[Need]) -> list[str]:
    return [f"{need.key} (optional)" if need.optional else need.key for need in needs]
