"""Between stored rows and drafts: loads a run's objects, and turns what was assigned to them into edits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tasktrail.dag.states import DAGRun, DAGRunStatus, DAGStepState, DAGStepStatus
from tasktrail.dag.words import RUN_STATUSES, STEP_STATUSES, run_word, step_word
from tasktrail.engine.drafts import RunEdit, TaskEdit, save
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import task_reference
from tasktrail.engine.values import decode, encode, json_text
from tasktrail.formats.moment import moment
from tasktrail.model.attempt import Attempt
from tasktrail.model.draft import TaskDraft
from tasktrail.model.errors import NotFound
from tasktrail.model.reference import RUN_ID
from tasktrail.model.run import Run
from tasktrail.model.task import FINAL, Task, Value
from tasktrail.store.transaction import Transaction

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_OWN_RUN_KEYS: Final = frozenset({"step_failures", "failure_reason", "errors", "resumed_at", "resume_count", "skipped"})
_OWN_STEP_KEYS: Final = frozenset({"critical", "skip_reason", "error_history", "stack_trace", "attempts"})
"""Metadata that is derived from the rows; everything else is the user's and stored as it is."""


def when(at: int | None) -> datetime | None:
    """Return a stored time as a datetime in UTC."""
    return moment(at) if at is not None else None


def stored(moment: datetime | None) -> int | None:
    """Return a datetime as it is stored."""
    return None if moment is None else (moment.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)


@dataclass(slots=True)
class _Loaded:
    """What a draft said when it was loaded: a difference from this is an assignment."""

    task: Task
    said: tuple[Any, ...]


class StoredSteps:
    """The steps of one stored run."""

    def __init__(self, ledger: Ledger, run_id: int) -> None:
        self._ledger = ledger
        self._run_id = run_id
        self.loaded: dict[str, _Loaded] = {}

    def keys(self) -> list[str]:
        """Return the ids in order."""
        return self._ledger.store.read(
            lambda tx: [str(row[1]) for row in tx.rows("states_of_run", run_id=self._run_id)]
        )

    def load(self, keys: list[str] | None) -> dict[str, DAGStepState]:
        """Return the steps of these ids, or of all."""
        return self._ledger.store.read(lambda tx: self._load_in(tx, keys))

    def _load_in(self, tx: Transaction, keys: list[str] | None) -> dict[str, DAGStepState]:
        run = tx.run(self._run_id)
        if keys is None or len(keys) > 100:
            tasks = tx.tasks("steps_of_run", run_id=run.id)
            details = tx.rows("details_of_run", run_id=run.id)
            attempts = _by_task(tx.attempts("attempts_of_run", run_id=run.id))
        else:
            found = [tx.task("task_by_key", key=key, run_id=run.id, item="", map_index=-1) for key in keys]
            tasks = [task for task in found if task]
            details = [row for task in tasks for row in tx.rows("details_of_task", id=task.id)]
            attempts = {task.id: tx.attempts("attempts_of_task", task_id=task.id) for task in tasks}
        metadata = {row[0]: row[2] for row in details if row[2]}
        steps = {}
        for task in tasks:
            step = _step(tx, task, run, attempts.get(task.id, ()), metadata.get(task.id))
            self.loaded[task.key] = _Loaded(task, _said(step))
            steps[task.key] = step
        return steps


def _by_task(attempts: Sequence[Attempt]) -> dict[int, list[Attempt]]:
    by_task: dict[int, list[Attempt]] = {}
    for attempt in attempts:
        by_task.setdefault(attempt.task_id, []).append(attempt)
    return by_task


def _step(tx: Transaction, task: Task, run: Run, attempts: Sequence[Attempt], metadata: object) -> DAGStepState:
    step = DAGStepState(task.key, task.max_retries)
    step.status = step_word(task, run)
    step.start_time, step.end_time = when(task.started_at), when(task.completed_at)
    step.retry_count, step.error = task.retries, task.error
    step.result = decode(task.output, tx)
    ended = [attempt.duration_us for attempt in attempts if attempt.duration_us is not None]
    step.worked_s = sum(ended) / 1_000_000 if ended else None
    step.metadata = {**(json.loads(str(metadata)) if metadata else {}), "critical": bool(task.critical)}
    failed = [attempt for attempt in attempts if attempt.outcome in ("error", "timeout")]
    if failed:
        step.metadata["error_history"] = [_error(attempt) for attempt in failed]
        step.metadata["stack_trace"] = failed[-1].stack
    if step.status is DAGStepStatus.SKIPPED:
        step.metadata["skip_reason"] = task.reason or _why_not_started(run)
    if task.attempts:
        step.metadata["attempts"] = task.attempts
    return step


def _error(attempt: Attempt) -> dict[str, Any]:
    at = when(attempt.ended_at)
    return {
        "timestamp": at.isoformat() if at else None,
        "attempt": attempt.n,
        "error": attempt.error,
        "error_type": attempt.error_type,
    }


def _why_not_started(run: Run) -> str:
    if run.stopped:
        return "not started: a critical step failed"
    return "not started: a step it needs did not succeed" if run.cancelled_at is None else "not started: cancelled"


def fill_run(draft: DAGRun, ledger: Ledger, run: Run) -> None:
    """Bring a draft up to date with its row; `draft.steps` looks after itself."""
    failures = _failures(ledger, run) if run.n_failed else []
    draft.run_id, draft.dag_id = run.name, run.workflow
    draft.status = run_word(run, _waits_for_retry(ledger, run))
    draft.created_at, draft.updated_at = when(run.created_at), when(run.updated_at)  # type: ignore[assignment]
    draft.start_time = when(run.started_at if run.started_at is not None else run.declared_at)
    draft.end_time = when(run.finished_at)
    draft.metadata = {**(json.loads(run.metadata) if run.metadata else {}), **_run_metadata(run, failures)}
    draft.error = run.declared_error or draft.metadata.get("failure_reason") or _failed_words(run)


def _failed_words(run: Run) -> str | None:
    return f"{run.n_failed} step(s) failed" if run.n_failed and run.status in ("failed", "partial") else None


def _run_metadata(run: Run, failures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    if failures:
        metadata["step_failures"] = list(failures)
    critical = [failure for failure in failures if failure["critical"]]
    if critical and run.stopped:
        metadata["failure_reason"] = f"Critical step '{critical[0]['step_id']}' failed: {critical[0]['final_error']}"
    if run.resumes:
        at = when(run.resumed_at)
        metadata.update(resume_count=run.resumes, resumed_at=at.isoformat() if at else None)
    if run.declared_error and run.declared_status == "failed":
        metadata["errors"] = [_engine_error(run)]
    return metadata


def _engine_error(run: Run) -> dict[str, Any]:
    kind, _, words = (run.declared_error or "").partition(": ")
    at = when(run.declared_at)
    return {
        "type": "dag_execution_error",
        "error": words or kind,
        "error_type": kind,
        "timestamp": at.isoformat() if at else None,
    }


def _failures(ledger: Ledger, run: Run) -> list[dict[str, Any]]:
    failed = ledger.store.read(lambda tx: tx.tasks("tasks_of_run_in", run_id=run.id, statuses='["failed"]'))
    return [
        {
            "step_id": task_reference("", task)[1:],
            "timestamp": at.isoformat() if (at := when(task.completed_at)) else None,
            "attempts": task.attempts,
            "final_error": task.error,
            "critical": bool(task.critical),
        }
        for task in failed
    ]


def run_statuses(ledger: Ledger, runs: Sequence[Run]) -> dict[int, DAGRunStatus]:
    """Return the runs' words by row id."""
    return {run.id: run_word(run, _waits_for_retry(ledger, run)) for run in runs}


def _waits_for_retry(ledger: Ledger, run: Run) -> bool:
    if run.status != "running" or run.n_in_progress or not run.n_pending:
        return False
    budgets = ledger.store.read(lambda tx: tx.tasks("used_budgets_of_run", run_id=run.id))
    return any(task.retrying for task in budgets)


def find_run(ledger: Ledger, name: str) -> Run | None:
    """Return the DAG run of a public id; None when there is none."""
    if not RUN_ID.fullmatch(name):
        return None
    runs = ledger.store.read(lambda tx: tx.runs("runs_by_name", name=name, kind="dag"))
    return runs[0] if runs else None


class Record:
    """A draft and the stored run behind it: loads, refreshes and saves.

    Args:
        name: The run's id as its document has it; None is the store's.
        draft: An object that is to stand for this run from now on; None makes one.
    """

    def __init__(self, ledger: Ledger, run: Run, name: str | None = None, draft: DAGRun | None = None) -> None:
        self.ledger = ledger
        self.row_id = run.id
        self.draft = draft or DAGRun(run.workflow, run.name)
        self._name = name
        self._steps = StoredSteps(ledger, run.id)
        if draft is None:
            self.draft.steps.attach(self._steps)
        self._fill(run)
        self.draft.record = self

    def _fill(self, run: Run) -> None:
        fill_run(self.draft, self.ledger, run)
        self._run = run
        self.draft.run_id = self._name or run.name
        self._said = (self.draft.status, self.draft.error, _user_metadata(self.draft.metadata, _OWN_RUN_KEYS))

    def refresh(self, run: Run | None = None) -> DAGRun:
        """Bring the draft up to date with the store and return it."""
        run = run or self.ledger.store.read(lambda tx: tx.run(self.row_id))
        self.draft.steps.attach(self._steps)
        self._fill(run)
        return self.draft

    def save(self, added: Sequence[TaskDraft] = (), *, declare: bool = True) -> Run | None:
        """Store what was assigned since the draft was loaded, and the added steps; None when there is nothing.

        Args:
            declare: Whether a status assigned to the run is declared; an execution ends that anyway.
        """
        edit = self.edit(added, declare=declare)
        if edit is None:
            return None
        run = save(self.ledger, edit)
        self.refresh(run)
        return run

    def edit(self, added: Sequence[TaskDraft] = (), *, declare: bool = True) -> RunEdit | None:
        """Return what `save` would store."""
        new = {draft.key for draft in added}
        made = self.draft.steps.made
        edits = [edit for key, step in made.items() if key not in new and (edit := self._edit(key, step))]
        beside = [(draft, _beside(made[draft.key], draft) if draft.key in made else None) for draft in added]
        declared = self._declared() if declare else None
        metadata = _user_metadata(self.draft.metadata, _OWN_RUN_KEYS)
        changed = json_text(metadata, "the metadata of the run") if metadata != self._said[2] else None
        if not edits and not added and declared is None and changed is None:
            return None
        return RunEdit(self.row_id, edits, beside, declared, changed, loaded=self._run)

    def save_expected(self) -> Run | None:
        """Store what was assigned, and the steps that were added to the draft."""
        steps = self.draft.steps
        return self.save([TaskDraft(key, max_retries=steps[key].max_retries) for key in steps.expected()])

    def _declared(self) -> tuple[Any, str | None] | None:
        status, error = self.draft.status, self.draft.error
        if (status, error) == self._said[:2]:
            return None
        return RUN_STATUSES[DAGRunStatus(status)], error

    def _edit(self, key: str, step: DAGStepState) -> TaskEdit | None:
        known = self._steps.loaded[key]
        said = _said(step)
        if said == known.said:
            return None
        was_status, was_count, was_error, was_result, was_max, was_critical, was_metadata = known.said
        definition: dict[str, Value] = {}
        if step.max_retries != was_max:
            definition["max_retries"] = step.max_retries
        if (critical := said[5]) != was_critical:
            definition["critical"] = int(critical)
        task, moved = known.task, said[:4] != (was_status, was_count, was_error, was_result)
        output = encode(step.result, f"the result of step {key!r}")
        return TaskEdit(
            task.id,
            task.version,
            STEP_STATUSES[DAGStepStatus(step.status)] if moved else None,
            _moved_values(step, task, output.column) if moved else {},
            definition,
            json_text(said[6], f"the metadata of step {key!r}") if said[6] != was_metadata else None,
            output,
        )


def _beside(step: DAGStepState, draft: TaskDraft) -> TaskEdit | None:
    """Return what is said of a step that is added, beside what its draft says."""
    output = encode(step.result, f"the result of step {draft.key!r}")
    metadata = step_metadata(step)
    critical = bool(step.metadata.get("critical", draft.critical))
    moved = step.status is not DAGStepStatus.PENDING or step.retry_count or step.error or step.result is not None
    return TaskEdit(
        0,
        0,
        STEP_STATUSES[step.status] if moved else None,
        _moved_values(step, None, output.column) if moved else {},
        {"critical": int(critical), "max_retries": step.max_retries},
        json_text(metadata, f"the metadata of step {draft.key!r}") if metadata else None,
        output,
    )


def _moved_values(step: DAGStepState, task: Task | None, output: str | None) -> dict[str, Value]:
    status = STEP_STATUSES[step.status]
    started = stored(step.start_time)
    values: dict[str, Value] = {"tries": step.retry_count, "error": step.error, "output": output}
    values["last_outcome"] = "error" if step.status is DAGStepStatus.RETRY else None
    values["started_at"] = started if started is not None or task is None else task.started_at
    values["reason"] = step.metadata.get("skip_reason")
    if status in FINAL and step.end_time is not None:
        values["completed_at"] = stored(step.end_time)
    return values


def _said(step: DAGStepState) -> tuple[Any, ...]:
    """What a person may assign, as values that do not change with the object."""
    metadata = step_metadata(step)
    critical = bool(step.metadata.get("critical", True))
    return step.status, step.retry_count, step.error, step.result, step.max_retries, critical, metadata


def step_metadata(step: DAGStepState) -> dict[str, Any]:
    """Return what a person said of a step, without what its row and its history tell."""
    return _user_metadata(step.metadata, _OWN_STEP_KEYS)


def _user_metadata(metadata: Mapping[str, Any], own: frozenset[str]) -> dict[str, Any]:
    return {key: value for key, value in metadata.items() if key not in own}


def missing(name: str) -> NotFound:
    """Return the error for a run that does not exist."""
    return RunNotFound(f"DAGRun {name} not found", hint="tasktrail list-runs")


class RunNotFound(NotFound, ValueError):
    """No DAG run has this id."""
