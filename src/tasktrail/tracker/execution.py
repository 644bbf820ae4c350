"""What may start of a week, executed: by functions of the caller, or as the task types say."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasktrail.engine.matrix_run import execute_matrix
from tasktrail.engine.workflow_code import Functions

if TYPE_CHECKING:
    from tasktrail.tracker.backend import TrackerBackend
    from tasktrail.tracker.models import TaskProgress

__all__ = ["execute_tasks", "run_tasks"]


async def execute_tasks(
    tracker: TrackerBackend,
    week_letter: str,
    functions: Functions | None = None,
    *,
    task_types: Collection[str] | None = None,
    items: Collection[str] | None = None,
    limit: int | None = None,
    max_parallel: int | None = None,
    folder: str | Path = ".",
) -> TaskProgress:
    """Execute what may start of a week, and what becomes so thereby, several tasks at a time.

    What nobody says how to execute is left alone. A failure is tried again as its task type says; what is completed is
    not done again, also after a kill.

    Args:
        functions: By task type; a function, sync or async, is given what its parameters name: `item`, `attributes`,
            `group`, `output_file`, `ctx`, and the results of the types it needs. The others are executed as their
            types say.
        task_types: These alone; None: all.
        items: Tasks of these items alone; None: of all.
        limit: Of those the first so many that have something to do.
        max_parallel: How many run at the same time; None is eight.
        folder: Where commands work, and where results are looked for.

    Returns:
        Where the tasks of the week stand then.

    Raises:
        WeekNotFoundError: There is no tracker.
        TrackerAccessError: The store cannot be written, or the backend has none.
        BadInput: A task type, an item or a function cannot be.
        Held: Another process executes the week.
    """
    ledger, run = tracker.stored(week_letter)
    await execute_matrix(
        ledger, run, functions, Path(folder), max_parallel=max_parallel, types=task_types, items=items, limit=limit
    )
    return tracker.get_progress(week_letter)


def run_tasks(
    tracker: TrackerBackend, week_letter: str, functions: Functions | None = None, **options: Any
) -> TaskProgress:
    """Do as `execute_tasks`, where no event loop runs.

    Args:
        options: As in `execute_tasks`.
    """
    return asyncio.run(execute_tasks(tracker, week_letter, functions, **options))
