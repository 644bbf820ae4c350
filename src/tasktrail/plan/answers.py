"""How the plan tools answer: what went well, and errors as values. Source: document 000."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from tasktrail.engine.plans import NoPlan, NoTask
from tasktrail.model.errors import TasktrailError
from tasktrail.tools import Words, refusal

NO_PLAN = "No task breakdown file found"

P = ParamSpec("P")


def answering(no_plan: str, no_task: str) -> Callable[[Callable[P, Words]], Callable[P, Words]]:
    """Let a method answer with an error instead of raising it.

    Args:
        no_plan: What it says when there is no plan.
        no_task: What it says when the plan has no such task, whose id stands for `{}`.
    """

    def decorate(method: Callable[P, Words]) -> Callable[P, Words]:
        @wraps(method)
        def answer(*args: P.args, **named: P.kwargs) -> Words:
            try:
                return method(*args, **named)
            except NoPlan as error:
                return refusal(error, no_plan)
            except NoTask as error:
                return refusal(error, no_task.format(error.key))
            except TasktrailError as error:
                return refusal(error)

        return answer

    return decorate
