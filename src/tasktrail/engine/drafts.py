"""Saving what people assigned to a draft: each difference becomes an `adopt` or an edit, guarded by what was loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, cast

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.values import NOTHING, Encoded
from tasktrail.model.draft import TaskDraft
from tasktrail.model.errors import Conflict
from tasktrail.model.lifecycle import Ask, decide
from tasktrail.model.run import Run, RunStatus
from tasktrail.model.task import DEFINITION, Status, Task, Value
from tasktrail.store.records import Mark
from tasktrail.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class TaskEdit:
    """What a draft says of one task, where it differs from what was loaded.

    Args:
        version: Of the task when it was loaded; another one now is a conflict.
        status: Where it is said to stand; None leaves it.
        values: Columns that go with the status.
        definition: What the task is: critical, max_retries and so on.
        metadata: JSON text; None leaves it.
        title: What people read; None leaves it.
        also: What else of it changes, for the history: old and new by name.
    """

    task_id: int
    version: int
    status: Status | None = None
    values: Mapping[str, Value] = field(default_factory=dict)
    definition: Mapping[str, Value] = field(default_factory=dict)
    metadata: str | None = None
    payload: Encoded = NOTHING
    title: str | None = None
    also: Mapping[str, Sequence[object]] = field(default_factory=dict)


Addition = tuple[TaskDraft, TaskEdit | None]


@dataclass(frozen=True, slots=True)
class RunEdit:
    """What a draft says of its run.

    Args:
        added: New tasks, each with what is said of it beside; its `task_id` and `version` do not count.
        declared: The status and error that its tasks do not explain.
        metadata: JSON text; None leaves it.
        workflow: Another name of what is executed; None leaves it.
        loaded: The run as it was when the draft was loaded: another status, error or metadata now is a conflict. None
            does not look.
    """

    run_id: int
    tasks: Sequence[TaskEdit] = ()
    added: Sequence[Addition] = ()
    declared: tuple[RunStatus, str | None] | None = None
    metadata: str | None = None
    workflow: str | None = None
    loaded: Run | None = None
    source: str = "draft"


def save(ledger: Ledger, edit: RunEdit) -> Run:
    """Save all of a draft in one transaction.

    Raises:
        Conflict: Somebody changed one of the tasks since it was loaded; nothing is saved.
        BadInput: The added tasks cannot be a graph.
    """

    def work(tx: Transaction) -> Run:
        save_in(tx, ledger, edit, ledger.clock.now())
        tx.settle()
        return tx.settled(edit.run_id)

    return ledger.commit(work, documents=edit.loaded.documents if edit.loaded else ())


def save_in(tx: Transaction, ledger: Ledger, edit: RunEdit, now: int) -> None:
    """Save a draft inside a transaction that does more. What it declares is compared with what the tasks come to."""
    mark = Mark(ledger.actor, note=f"adopted from a {edit.source}")
    _check_run(tx.run(edit.run_id), edit)
    added = _not_there_yet(tx, edit)
    if added:
        ledger.add_in(tx, edit.run_id, [draft for draft, _ in added], now)
    for one in [*edit.tasks, *_said_of_added(tx, edit.run_id, added)]:
        task = _loaded(tx, one)
        one.payload.keep(tx, now)
        if one.definition or one.metadata is not None or one.also:
            task = define(tx, ledger, task, one, now, one.also)
        if one.status is not None:
            ask = ledger.clean(Ask("adopt", target=one.status, values=one.values))
            tx.apply([(decide(task, ask, now), mark)])
    _define_run(tx, ledger, edit, now)
    tx.settle()
    if edit.declared and tx.run(edit.run_id).status != edit.declared[0]:
        ledger.declare_in(tx, edit.run_id, *edit.declared, now)


def _not_there_yet(tx: Transaction, edit: RunEdit) -> list[Addition]:
    """Another process may have added the same steps just now; they keep what it said."""
    if not edit.added or not tx.run(edit.run_id).n_tasks:
        return list(edit.added)
    return [addition for addition in edit.added if _stored(tx, edit.run_id, addition[0]) is None]


def _said_of_added(tx: Transaction, run_id: int, added: Sequence[Addition]) -> list[TaskEdit]:
    said = []
    for draft, one in added:
        if one is not None and (task := _stored(tx, run_id, draft)):
            said.append(replace(one, task_id=task.id, version=task.version))
    return said


def _stored(tx: Transaction, run_id: int, draft: TaskDraft) -> Task | None:
    return tx.task("task_by_key", key=draft.key, run_id=run_id, item=draft.item, map_index=draft.map_index)


def _check_run(run: Run, edit: RunEdit) -> None:
    """What a draft says of the run itself stands on what it was loaded with."""
    loaded = edit.loaded
    if loaded is None:
        return
    own = (run.status, run.declared_error) == (loaded.status, loaded.declared_error)
    if (edit.declared and not own) or (edit.metadata is not None and run.metadata != loaded.metadata):
        raise Conflict(f"run {run.name} was changed by somebody else since it was loaded", hint="load it again")


def _define_run(tx: Transaction, ledger: Ledger, edit: RunEdit, now: int) -> None:
    run = tx.run(edit.run_id)
    said = {"metadata": edit.metadata, "workflow": edit.workflow}
    values = {name: value for name, value in said.items() if value is not None and value != getattr(run, name)}
    if values:
        changes = {name: [getattr(run, name), value] for name, value in values.items()}
        tx.record_run(edit.run_id, "edit", now, ledger.actor, changes=json.dumps(changes, ensure_ascii=False))
        tx.set_run(edit.run_id, updated_at=now, **values)


def _loaded(tx: Transaction, edit: TaskEdit) -> Task:
    task = tx.task("task_by_id", id=edit.task_id)
    if task is None or task.version != edit.version:
        name = task.name if task else edit.task_id
        raise Conflict(f"task {name} was changed by somebody else since it was loaded", hint="load it again")
    return task


def define(
    tx: Transaction,
    ledger: Ledger,
    task: Task,
    edit: TaskEdit,
    now: int,
    also: Mapping[str, Sequence[object]] = MappingProxyType({}),
) -> Task:
    """Change what a task is, not where it stands; return it as it then is.

    Args:
        also: What else changed, for the history: old and new by name.
    """
    params: dict[str, Any] = {name: edit.definition.get(name, getattr(task, name)) for name in DEFINITION}
    said = {"title": edit.title, "metadata": edit.metadata}
    before = tx.row("details_of_task", id=task.id) if edit.metadata is not None else None
    tx.execute("edit_task", {**params, **said, "id": task.id, "was_version": task.version})
    changes: dict[str, Sequence[object]] = {
        name: [getattr(task, name), value] for name, value in edit.definition.items()
    }
    changes.update(also)
    if edit.metadata is not None:
        changes["metadata"] = [cast(Value, before[2]) if before else None, edit.metadata]
    details: dict[str, Any] = {"task_id": task.id, "changes": json.dumps(changes, ensure_ascii=False)}
    tx.record_run(task.run_id, "edit", now, ledger.actor, **details)
    tx.set_run(task.run_id, updated_at=now)
    if params["critical"] != task.critical and task.status == "failed":
        tx.count(task.run_id, n_stopping=1 if params["critical"] else -1)
    edited = tx.task("task_by_id", id=task.id)
    assert edited is not None
    return edited
