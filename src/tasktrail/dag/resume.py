"""Which runs can go on, and what is left of them. Source: document 003, TASK-161FC."""

from __future__ import annotations

from typing import Any

from tasktrail.dag.records import Record, missing, run_statuses
from tasktrail.dag.runner import StatefulDAGRunner
from tasktrail.dag.states import DAGRunStatus, DAGStepStatus
from tasktrail.dag.store import DAGRunStore, Found, ProjectRuns, Runs
from tasktrail.engine.ownership import owner_of
from tasktrail.engine.project import open_project
from tasktrail.model.run import OVER

_LEFT = (DAGStepStatus.PENDING, DAGStepStatus.RETRY, DAGStepStatus.RUNNING)


class DAGResumeManager:
    """Answers what a resume would do.

    Args:
        store: A `DAGRunStore`; None means the project's store.
    """

    def __init__(self, store: DAGRunStore | None = None) -> None:
        self._store = store

    def can_resume(self, run_id: str) -> tuple[bool, str]:
        """Return whether a run can go on, and why or why not."""
        found = self._runs().look(run_id)
        return _verdict(found, _word(found)) if found else (False, f"DAGRun {run_id} not found")

    def get_resume_state(self, run_id: str) -> dict[str, Any]:
        """Return ids and status of a run, and which steps are completed, failed, skipped and still to do.

        Raises:
            ValueError: There is no such run.
        """
        found = self._found(run_id)
        draft = Record(found.ledger, found.run, found.name).draft
        steps = draft.steps.items()
        by_status = {status: [key for key, one in steps if one.status is status] for status in DAGStepStatus}
        return {
            "run_id": draft.run_id,
            "dag_id": draft.dag_id,
            "status": draft.status.value,
            "completed_steps": by_status[DAGStepStatus.SUCCESS],
            "failed_steps": by_status[DAGStepStatus.FAILED],
            "skipped_steps": by_status[DAGStepStatus.SKIPPED],
            "remaining_steps": [key for key, one in steps if one.status in _LEFT],
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
        runs = self._runs().newest_first()
        words = run_statuses(runs[0].ledger, [one.run for one in runs]) if runs else {}
        candidates = [one for one in runs if _verdict(one, words[one.run.id])[0]]
        return {
            "total_runs": len(runs),
            "resumable_runs": len(candidates),
            "failed_runs": sum(one.run.status in ("failed", "partial") for one in runs),
            "resume_candidates": [_candidate(one, words[one.run.id]) for one in candidates],
        }

    def _runs(self) -> Runs:
        """Looked for anew each time: the project's store may have been made meanwhile."""
        return self._store if self._store is not None else ProjectRuns(open_project(create=False))

    def _found(self, run_id: str) -> Found:
        found = self._runs().look(run_id)
        if found is None:
            raise missing(run_id)
        return found


def _word(found: Found) -> DAGRunStatus:
    return run_statuses(found.ledger, [found.run])[found.run.id]


def _verdict(found: Found, word: DAGRunStatus) -> tuple[bool, str]:
    run, owner = found.run, owner_of(found.ledger.store, found.run)
    if run.status == "completed":
        return False, "already completed successfully"
    if owner:
        return False, f"is being executed by {owner}"
    if run.status in OVER:
        return True, f"{word.value}: {run.n_failed} failed and {run.n_pending + run.n_cancelled} unfinished steps"
    return True, f"{word.value}: {run.n_tasks - run.n_completed} of {run.n_tasks} steps are left"


def _candidate(found: Found, word: DAGRunStatus) -> dict[str, Any]:
    run = found.run
    return {
        "run_id": found.name,
        "dag_id": run.workflow,
        "status": word.value,
        "completed_steps": run.n_completed,
        "total_steps": run.n_tasks,
    }
