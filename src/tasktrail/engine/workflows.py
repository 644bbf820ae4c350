"""Runs of a workflow: begun with what it asks for, and gone on with from the plan that was stored then."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Final

from tasktrail.engine.additions import check_tasks
from tasktrail.engine.changes import Changes
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.values import json_text
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.errors import BadInput, Conflict, NotFound
from tasktrail.model.reference import check_run_id
from tasktrail.model.run import Run
from tasktrail.model.workflow import StepSpec, Workflow, is_of_type
from tasktrail.model.workflow_record import workflow_from_text, workflow_hash, workflow_to_dict
from tasktrail.store.transaction import Transaction

_KIND: Final = "workflow"


def begin(
    ledger: Ledger,
    workflow: Workflow,
    name: str,
    params: Mapping[str, object],
    *,
    versions: Mapping[str, str],
    target: str | None = None,
    pooled: bool = False,
) -> Run:
    """Store a run of a workflow together with the workflow itself; nothing is executed yet.

    Args:
        name: Public id of the run.
        params: What is given; the rest are the defaults.
        versions: What tells the code of a step, by step.
        target: Where its file or code is found again.
        pooled: Whether workers execute it: each step is in its queue.

    Raises:
        BadInput: A param is missing, unknown or of another type; the details name all of them.
        Conflict: The run exists.
    """
    draft = pooled_draft_of if pooled else draft_of
    tasks = tuple(draft(spec, versions.get(spec.id)) for spec in workflow.steps)
    check_run_id(name)
    check_tasks(tasks)
    metadata = json_text({"params": given(workflow, params)}, "the params of the run")

    def work(tx: Transaction) -> Run:
        now = ledger.clock.now()
        definition_id = keep(tx, workflow, now)
        run = RunDraft("dag", name, workflow.name, tasks, target, definition_id, metadata=metadata)
        return ledger.create_in(tx, run, now)

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
    return workflow_from_text(str(row[1])), params


def find(ledger: Ledger, name: str) -> Run | None:
    """Return the run of this name; None when there is none."""
    known = ledger.store.read(lambda tx: tx.runs("runs_by_name", name=name, kind="dag"))
    return known[0] if known else None


def move(ledger: Ledger, run: Run, target: str | None) -> Run:
    """Let a run whose file lies elsewhere now be found again there."""

    def work(tx: Transaction) -> Run:
        at = ledger.clock.now()
        tx.record_run(run.id, "accept", at, ledger.actor, note=f"its file was {run.target}, and is {target}")
        tx.set_run(run.id, target=target, updated_at=at)
        tx.settle()
        return tx.settled(run.id)

    return ledger.commit(work)


def given(workflow: Workflow, params: Mapping[str, object]) -> dict[str, object]:
    """Return the value of every param.

    Raises:
        BadInput: The details name everything that is wrong.
    """
    check_given(workflow, params)
    return {name: params.get(name, param.default) for name, param in workflow.params.items()}


def check_given(
    workflow: Workflow, params: Mapping[str, object], *, begins: bool = True, besides: Sequence[str] = ()
) -> None:
    """Refuse params that the workflow does not have, that are of another type, or missing.

    Args:
        begins: Whether the run begins with them; one that goes on has its own, so that none is missing.
        besides: What else is wrong with them.

    Raises:
        BadInput: The details name everything that is wrong.
    """
    missing = [name for name, param in workflow.params.items() if begins and param.required and name not in params]
    faults = [*besides, *_faults(workflow, params), *(_missing(name, workflow) for name in missing)]
    if faults:
        hint = f"--param NAME=VALUE; {workflow.name} has {', '.join(workflow.params) or 'none'}"
        raise BadInput(faults[0], details=faults[1:], hint=hint)


def _faults(workflow: Workflow, params: Mapping[str, object]) -> Iterator[str]:
    for name, value in params.items():
        param = workflow.params.get(name)
        if param is None:
            yield _unknown(name, workflow)
        elif value is None or not is_of_type(value, param.type):
            yield f"expected param {name} to be of the type {param.type}, got: {value!r:.80}"


def _missing(name: str, workflow: Workflow) -> str:
    return f"param {name} ({workflow.params[name].type}) is missing"


DEFAULT_QUEUE: Final = "default"


def draft_of(spec: StepSpec, code_version: str | None = None) -> TaskDraft:
    """Return the task that is to be stored for a step."""
    return TaskDraft(
        spec.id,
        title=spec.title if spec.for_each is None else None,  # that of its parts, which are not there yet
        needs=spec.needs,
        priority=spec.priority,
        critical=spec.critical,
        max_retries=spec.retry.max_retries,
        retry=spec.retry.to_json(),
        timeout_ms=spec.timeout_ms,
        code_version=code_version,
    )


def pooled_draft_of(spec: StepSpec, code_version: str | None = None) -> TaskDraft:
    """Return the same of a step that workers execute: it is in a queue, and asks for labels."""
    labels = json.dumps(spec.labels, ensure_ascii=False) if spec.labels else None
    return replace(draft_of(spec, code_version), queue=spec.queue or DEFAULT_QUEUE, labels=labels)


def check_accepted(run: Run, changes: Changes) -> None:
    """Refuse to go on by what nobody has accepted.

    Raises:
        Conflict: Something differs; the details say what.
    """
    if changes.words:
        by_call = f"run(run_id={run.name!r}, accept_changes=True)"
        is_other = len(changes.words) > len(changes.params)
        how = f"goes by another state of workflow {changes.now.name}" if is_other else "was begun with other params"
        raise Conflict(
            f"run {run.name} {how}",
            details=changes.words,
            hint=f"tasktrail resume {run.name} --accept-changes" if run.target else by_call,
        )


def other_params(said: Mapping[str, object], given_now: Mapping[str, object]) -> list[str]:
    """Return in words which params are given otherwise than a run has them."""
    return [
        f"param {name}: {said.get(name)!r} -> {value!r}" for name, value in given_now.items() if said.get(name) != value
    ]


def keep(tx: Transaction, workflow: Workflow, now: int) -> int:
    """Store a workflow, once for equal ones, and return its row id."""
    record = workflow_to_dict(workflow)
    named = {"kind": _KIND, "name": workflow.name, "hash": workflow_hash(record)}
    spec = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    tx.execute("add_definition", {**named, "spec": spec, "at": now})
    row = tx.row("definition_by_hash", **named)
    assert row is not None
    return int(str(row[0]))


def _unknown(name: str, workflow: Workflow) -> str:
    close = get_close_matches(name, workflow.params, n=1)
    return f"workflow {workflow.name} has no param {name!r}" + (f"; did you mean {close[0]}?" if close else "")
