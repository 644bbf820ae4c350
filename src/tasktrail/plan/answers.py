"""How the plan tools answer: what went well, and errors as values. Source: document 000."""

from __future__ import annotations

from collections.abc import Callable

from tasktrail.engine.plans import NoPlan, NoTask
from tasktrail.model.errors import TasktrailError
from tasktrail.tools import Words, refusal

NO_PLAN = "No task breakdown file found"


def saying(no_plan: str, no_task: str) -> Callable[[TasktrailError], Words]:
    """Return how errors are told.

    Args:
        no_plan: What it says when there is no plan.
        no_task: What it says when the plan has no such task, whose id stands for `{}`.
    """

    def told(error: TasktrailError) -> Words:
        if isinstance(error, NoPlan):
            return refusal(error, no_plan)
        return refusal(error, no_task.format(error.key) if isinstance(error, NoTask) else None)

    return told
