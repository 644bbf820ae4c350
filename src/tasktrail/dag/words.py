"""Document 003's words as the door's enums, both ways. The table itself lies with the run files, which speak it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tasktrail.dag.states import DAGRunStatus, DAGStepStatus
from tasktrail.formats import run_json
from tasktrail.model.run import OVER, Run, RunStatus
from tasktrail.model.task import Status, Task

STEP_STATUSES: Final[Mapping[DAGStepStatus, Status]] = {
    DAGStepStatus(word): status for word, status in run_json.STEP_WORDS.items()
}
RUN_STATUSES: Final[Mapping[DAGRunStatus, RunStatus]] = {
    DAGRunStatus(word): status for word, status in run_json.RUN_WORDS.items()
}


def step_word(task: Task, run: Run) -> DAGStepStatus:
    """Return a step's word. Of a run that is over, steps that never started are shown as skipped."""
    if task.skip_shown and run.status in OVER:
        return DAGStepStatus.SKIPPED
    return DAGStepStatus(run_json.step_word(task.status, retrying=task.retrying))


def run_word(run: Run, retrying: bool) -> DAGRunStatus:
    """Return a run's word: RETRY when nothing is in progress and something waits for its next try."""
    return DAGRunStatus(run_json.run_word(run.status, retrying=retrying, in_progress=run.n_in_progress > 0))
