"""Which runs can go on, and what is left of them. Source: document 003, TASK-161FC."""

from __future__ import annotations

from typing import Any

from tasktrail.dag.records import Record, missing
from tasktrail.dag.runner import StatefulDAGRunner
from tasktrail.dag.states import DAGStepStatus
from tasktrail.dag.store import DAGRunStore, runs_of
from tasktrail.engine.execution import owner_of
from tasktrail.engine.project import open_project
from tasktrail.model.run import OVER, Run

_LEFT = (DAGStepStatus.PENDING, DAGStepStatus.RETRY, DAGStepStatus.RUNNING)


class DAGResumeManager:
    """Answers what a resume would do.

    Args:
        store: A `DAGRunStore`; None means the project's store.
    """

    def __init__(self, store: DAGRunStore | None = None) -> None:
        self._store = store
        self._ledger = store.ledger if store else open_project()
        self._runs = runs_of(store, self._ledger)

    def can_resume(self, run_id: str) -> tuple[bool, str]:
        """Return whether a run can go on, and why or why not."""
        run = self._runs.find(run_id)
        return _verdict(run, owner_of(self._ledger.store, run)) if run else (False, f"DAGRun {run_id} not found")

    def get_resume_state(self, run_id: str) -> dict[str, Any]:
        """Return ids and status of a run, and which steps are completed, failed, skipped and still to do.

        Raises:
            ValueError: There is no such run.
        """
        draft = Record(self._ledger, self._found(run_id)).draft
        by_status = {status: [key for key, one in draft.steps.items() if one.status is status] for status in DAGStepStatus}
        return {
            "run_id": draft.run_id,
            "dag_id": draft.dag_id,
            "status": draft.status.value,
            "completed_steps": by_status[DAGStepStatus.SUCCESS],
            "failed_steps": by_status[DAGStepStatus.FAILED],
            "skipped_steps": by_status[DAGStepStatus.SKIPPED],
            "remaining_steps": [key for status in _LEFT for key in by_status[status]],
            "resume_count": draft.metadata.get("resume_count", 0),
        }

    def resume_runner(self, run_id: str) -> StatefulDAGRunner:
        """Return a runner for a run that can go on; register its steps again, then execute it.

        Raises:
            ValueError: There is no such run.
        """
        self._found(run_id)
        return StatefulDAGRunner(store=self._store, run_id=run_id)

    def get_resume_statistics(self) -> dict[str, Any]:
        """Return how many runs there are, can go on and failed, and which could be resumed."""
        runs = self._runs.newest_first()
        candidates = [run for run in runs if _verdict(run, owner_of(self._ledger.store, run))[0]]
        return {
            "total_runs": len(runs),
            "resumable_runs": len(candidates),
            "failed_runs": sum(run.status in ("failed", "partial") for run in runs),
            "resume_candidates": [_candidate(run) for run in candidates],
        }

    def _found(self, run_id: str) -> Run:
        run = self._runs.find(run_id)
        if run is None:
            raise missing(run_id)
        return run


def _verdict(run: Run, owner: str | None) -> tuple[bool, str]:
    if run.status == "completed":
        return False, "already completed successfully"
    if owner:
        return False, f"is being executed by {owner}"
    if run.status in OVER:
        return True, f"{run.status}: {run.n_failed} failed and {run.n_pending + run.n_cancelled} unfinished steps"
    return True, f"{run.status}: {run.n_tasks - run.n_completed} of {run.n_tasks} steps are left"


def _candidate(run: Run) -> dict[str, Any]:
    return {
        "run_id": run.name,
        "dag_id": run.workflow,
        "status": run.status,
        "completed_steps": run.n_completed,
        "total_steps": run.n_tasks,
    }
