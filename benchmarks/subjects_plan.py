"""Plans of agents, as `PlanTools` and the command line offer them: creating, cycles of calls, the slowest calls.

A cycle is what an agent does with a task: `get_next_task`, `mark_task_status` to in_progress, and to completed.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measuring import Reading, peak_of_children_mb, peak_rss_mb, timed
from shapes import CYCLES, plan_tasks
from subjects_tasktrail import SETTINGS, seconds_of, use_store

PLAN = "bench"
FILE_MARKS = 100


def create(n: int, folder: Path) -> Reading:
    tools, tasks = _tools(folder), plan_tasks(n)
    with timed() as watch:
        _done(tools.write_task_list(tasks))
    return Reading(n, watch.seconds, peak_rss_mb(), SETTINGS)


def cycles(n: int, folder: Path) -> Reading:
    """Rate of cycles in a plan of n tasks."""
    tools, most = _opened(folder), min(CYCLES, n // 2)
    with timed() as watch:
        for _ in range(most):
            for call in _cycle(tools):
                call()
    return Reading(most, watch.seconds, peak_rss_mb(), _settings(n))


def slowest_calls(n: int, folder: Path) -> Reading:
    """The 99th percentile of each of the three calls, the largest of them."""
    tools, most = _opened(folder), min(CYCLES, n // 2)
    seconds: list[list[float]] = [[], [], []]
    for _ in range(most):
        for kind, call in zip(seconds, _cycle(tools), strict=True):
            started = time.perf_counter()
            call()
            kind.append(time.perf_counter() - started)
    slowest = max(sorted(kind)[int(len(kind) * 0.99)] for kind in seconds)
    return Reading(1, slowest, peak_rss_mb(), _settings(n))


def next_command(n: int, folder: Path) -> Reading:
    """The whole command in a new process."""
    use_store(folder)
    seconds = seconds_of("-m", "tasktrail", "next", "--plan", PLAN)
    return Reading(1, seconds, peak_of_children_mb(), _settings(n))


def mark_in_file(n: int, folder: Path) -> Reading:
    """One mark in a JSON file of n tasks: the median of those that begin and complete some, each of them durable."""
    use_store(folder)
    from tasktrail import plan

    plan.set_workspace(folder)
    _done(plan.write_task_list(plan_tasks(n)))
    seconds = []
    for index in range(min(n, FILE_MARKS // 2)):
        for status in ("in_progress", "completed"):
            with timed() as watch:
                _done(plan.mark_task_status(f"T{index}", status))
            seconds.append(watch.seconds)
    return Reading(1, statistics.median(seconds), peak_rss_mb(), f"{SETTINGS}, file and folder synced; {n:,} tasks")


def _cycle(tools: Any) -> tuple[Callable[[], Any], ...]:
    """The calls of one cycle; the first finds the task of the others."""
    found: dict[str, Any] = {}
    return (
        lambda: found.update(_done(tools.get_next_task())["task"]),
        lambda: _done(tools.mark_task_status(found["id"], "in_progress")),
        lambda: _done(tools.mark_task_status(found["id"], "completed", result="done")),
    )


def _opened(folder: Path) -> Any:
    """The plan with all connections open, which is not timed."""
    tools = _tools(folder)
    for call in _cycle(tools):
        call()
    return tools


def _tools(folder: Path) -> Any:
    use_store(folder)
    from tasktrail.plan import PlanTools

    return PlanTools(f"sqlite:///{folder.absolute() / 'tasktrail.db'}", PLAN)


def _done(answer: dict[str, Any]) -> dict[str, Any]:
    if answer["status"] != "success":
        raise AssertionError(answer["message"])
    return answer


def _settings(n: int) -> str:
    return f"{SETTINGS}; {n:,} tasks"


SUBJECTS = {
    "plan-call": slowest_calls,
    "plan-call-large": slowest_calls,
    "plan-create": create,
    "plan-create-large": create,
    "plan-cycles": cycles,
    "plan-cycles-large": cycles,
    "plan-mark-file": mark_in_file,
    "plan-next": next_command,
}
