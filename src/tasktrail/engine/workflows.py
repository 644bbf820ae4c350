"""Runs of a workflow: begun with what it asks for, and gone on with from the plan that was stored then."""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final

from tasktrail.engine.additions import check_tasks
from tasktrail.engine.changes import Changes, keep_code
from tasktrail.engine.drafts import TaskEdit, define
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.values import json_text
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.errors import BadInput, Conflict, NotFound
from tasktrail.model.lifecycle import Ask, decide
from tasktrail.model.reference import check_run_id
from tasktrail.model.run import Run
from tasktrail.model.task import Task
from tasktrail.model.workflow import StepSpec, Workflow, is_of_type
from tasktrail.model.workflow_record import workflow_from_dict, workflow_hash, workflow_to_dict
from tasktrail.store.transaction import Mark, Transaction

_KIND: Final = "workflow"


def begin(
    ledger: Ledger,
    workflow: Workflow,
    name: str,
    params: Mapping[str, object],
    *,
    versions: Mapping[str, str],
    target: str | None = None,
) -> Run:
    """Store a run of a workflow together with the workflow itself; nothing is executed yet.

    Args:
        name: Public id of the run.
        params: What is given; the rest are the defaults.
        versions: What tells the code of a step, by step.
        target: Where its file or code is found again.

    Raises:
        BadInput: A param is missing, unknown or of another type; the details name all of them.
        Conflict: The run exists.
    """
    tasks = tuple(draft_of(spec, versions.get(spec.id)) for spec in workflow.steps)
    check_run_id(name)
    check_tasks(tasks)
    metadata = _metadata(given(workflow, params))

    def work(tx: Transaction) -> Run:
        now = ledger.clock.now()
        definition_id = _keep(tx, workflow, now)
        draft = RunDraft("dag", name, workflow.name, tasks, target, definition_id, metadata=metadata)
        return ledger.create_in(tx, draft, now)

    return ledger.commit(work)


def stored(ledger: Ledger, run: Run) -> tuple[Workflow, dict[str, object]]:
    """Return the workflow that a run goes by, and its params.

    Raises:
        NotFound: It goes by none.
    """
    row = ledger.store.read(lambda tx: tx.row("definition_by_id", id=run.definition_id))
    if row is None:
        raise NotFound(f"run {run.name} was not begun from a workflow", hint=f"tasktrail run dag --status {run.name}")
    params = json.loads(run.metadata or "{}").get("params", {})
    return workflow_from_dict(json.loads(str(row[1]))), params


def given(workflow: Workflow, params: Mapping[str, object]) -> dict[str, object]:
    """Return the value of every param.

    Raises:
        BadInput: The details name everything that is wrong.
    """
    faults = [_unknown(name, workflow) for name in params if name not in workflow.params]
    values: dict[str, object] = {}
    for name, param in workflow.params.items():
        if name not in params:
            if param.required:
                faults.append(f"param {name} ({param.type}) is missing")
            values[name] = param.default
            continue
        values[name] = params[name]
        if params[name] is None or not is_of_type(params[name], param.type):
            faults.append(f"expected param {name} to be of the type {param.type}, got: {params[name]!r:.80}")
    if faults:
        raise BadInput(
            faults[0], details=faults[1:], hint=f"--param NAME=VALUE; {workflow.name} has {_names(workflow)}"
        )
    return values


def draft_of(spec: StepSpec, code_version: str | None = None) -> TaskDraft:
    """Return the task that is to be stored for a step."""
    return TaskDraft(
        spec.id,
        title=spec.title if spec.for_each is None else None,  # that of its parts, which are not there yet
        needs=spec.needs,
        priority=spec.priority,
        critical=spec.critical,
        queue=spec.queue,
        max_retries=spec.retry.max_retries,
        retry=spec.retry.to_json(),
        timeout_ms=spec.timeout_ms,
        code_version=code_version,
    )


def kept(run: Run, workflow: Workflow, said: Mapping[str, object], params: Mapping[str, object]) -> dict[str, object]:
    """Return the params by which a run goes on: those that it has, and those that the workflow got since.

    Args:
        said: What the run has.
        params: What is given now; of what the run has it may only say the same.

    Raises:
        Conflict: It says something else.
        BadInput: The workflow asks for what neither has.
    """
    others = [
        f"param {name}: {said[name]!r} -> {value!r}"
        for name, value in params.items()
        if name in said and said[name] != value
    ]
    if others:
        words = f"run {run.name} was begun with other params, and keeps them"
        raise Conflict(words, details=others, hint="leave them out; or begin another run")
    return given(workflow, {**params, **{name: said[name] for name in said if name in workflow.params}})


def check_accepted(run: Run, changes: Changes) -> None:
    """Refuse to go on by what nobody has accepted.

    Raises:
        Conflict: Something differs; the details say what.
    """
    if changes.words:
        by_call = f"run(run_id={run.name!r}, accept_changes=True)"
        raise Conflict(
            f"run {run.name} goes by another state of workflow {changes.now.name}",
            details=changes.words,
            hint=f"tasktrail resume {run.name} --accept-changes" if run.target else by_call,
        )


def accept(ledger: Ledger, run: Run, changes: Changes, params: Mapping[str, object]) -> Run:
    """Let a run go by another state of its workflow: new steps are added; pending ones that are gone are skipped.

    Args:
        params: All that it has from here on.

    Raises:
        BadInput: A step needs others now; that cannot be changed under a run.
    """
    old, new, metadata = changes.stored.by_id, changes.now.by_id, _metadata(params)
    rewired = [key for key in old.keys() & new.keys() if set(old[key].needs) != set(new[key].needs)]
    if rewired:
        raise BadInput(f"step {rewired[0]} needs other steps now; a run keeps its needs", hint="begin a new run")
    added = [draft_of(new[key], changes.versions.get(key)) for key in new if key not in old]

    def work(tx: Transaction) -> Run:
        at = ledger.clock.now()
        if added:
            ledger.add_in(tx, run.id, added, at)
        for task in tx.tasks("tasks_of_run", run_id=run.id):
            if task.key not in new and task.status == "pending":
                change = decide(task, Ask("skip", reason="no longer in the workflow"), at)
                tx.apply([(change, Mark(ledger.actor))])
            elif task.key in new:
                _redefine(tx, ledger, task, new[task.key], at)
        keep_code(tx, changes.code)
        tx.record_run(run.id, "accept", at, ledger.actor, note="; ".join(changes.words))
        tx.set_run(run.id, definition_id=_keep(tx, changes.now, at), metadata=metadata, updated_at=at)
        tx.settle()
        return tx.settled(run.id)

    return ledger.commit(work)


def _redefine(tx: Transaction, ledger: Ledger, task: Task, spec: StepSpec, at: int) -> None:
    draft = draft_of(spec)
    wanted = {name: getattr(draft, name) for name in ("critical", "priority", "max_retries", "retry", "timeout_ms")}
    changed = {name: value for name, value in wanted.items() if value != getattr(task, name)}
    if changed:
        define(tx, ledger, task, TaskEdit(task.id, task.version, definition=changed), at)


def _metadata(params: Mapping[str, object]) -> str:
    return json_text({"params": params}, "the params of the run")


def _keep(tx: Transaction, workflow: Workflow, now: int) -> int:
    named = {"kind": _KIND, "name": workflow.name, "hash": workflow_hash(workflow)}
    spec = json.dumps(workflow_to_dict(workflow), ensure_ascii=False, separators=(",", ":"))
    tx.execute("add_definition", {**named, "spec": spec, "at": now})
    row = tx.row("definition_by_hash", **named)
    assert row is not None
    return int(str(row[0]))


def _unknown(name: str, workflow: Workflow) -> str:
    close = get_close_matches(name, workflow.params, n=1)
    return f"workflow {workflow.name} has no param {name!r}" + (f"; did you mean {close[0]}?" if close else "")


def _names(workflow: Workflow) -> str:
    return ", ".join(workflow.params) or "none"
