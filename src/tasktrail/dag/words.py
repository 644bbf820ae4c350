"""Document 003's words for DESIGN's statuses, both ways; the one table of this door."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tasktrail.dag.states import DAGRunStatus, DAGStepStatus
from tasktrail.model.run import OVER, Run, RunStatus
from tasktrail.model.task import Status, Task

STEP_WORDS: Final[Mapping[Status, DAGStepStatus]] = {
    "pending": DAGStepStatus.PENDING,
    "in_progress": DAGStepStatus.RUNNING,
    "completed": DAGStepStatus.SUCCESS,
    "failed": DAGStepStatus.FAILED,
    "blocked": DAGStepStatus.PENDING,
    "skipped": DAGStepStatus.SKIPPED,
    "cancelled": DAGStepStatus.CANCELLED,
}
STEP_STATUSES: Final[Mapping[DAGStepStatus, Status]] = {
    DAGStepStatus.RETRY: "pending",
    **{word: status for status, word in STEP_WORDS.items() if status != "blocked"},
}
RUN_WORDS: Final[Mapping[RunStatus, DAGRunStatus]] = {
    "created": DAGRunStatus.CREATED,
    "running": DAGRunStatus.RUNNING,
    "completed": DAGRunStatus.SUCCESS,
    "failed": DAGRunStatus.FAILED,
    "cancelled": DAGRunStatus.CANCELLED,
    "partial": DAGRunStatus.PARTIAL_SUCCESS,
}
RUN_STATUSES: Final[Mapping[DAGRunStatus, RunStatus]] = {
    DAGRunStatus.RETRY: "running",
    **{word: status for status, word in RUN_WORDS.items()},
}


def step_word(task: Task, run: Run) -> DAGStepStatus:
    """Return a step's word. Of a run that is over, steps that never started are shown as skipped."""
    if task.retrying:
        return DAGStepStatus.RETRY
    if task.skip_shown and run.status in OVER:
        return DAGStepStatus.SKIPPED
    return STEP_WORDS[task.status]


def run_word(run: Run, retrying: bool) -> DAGRunStatus:
    """Return a run's word: RETRY when nothing is in progress and something waits for its next try."""
    if run.status == "running" and retrying and not run.n_in_progress:
        return DAGRunStatus.RETRY
    return RUN_WORDS[run.status]
