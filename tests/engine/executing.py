"""Runs that tests of the engine execute: a store, a clock that is set, and code for the steps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.plan import Plan
from tasktrail.engine.runner import Runner
from tasktrail.engine.steps import step
from tasktrail.model.attempt import Attempt
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.run import Run
from tasktrail.model.task import Task
from tasktrail.testing import FakeClock

SOON_S = 5
"""What takes longer than this hangs."""


@dataclass
class Engine:
    """A store, and runs of it that are executed with this or that code."""

    ledger: Ledger
    clock: FakeClock

    def new(self, *drafts: TaskDraft) -> int:
        """Store a run and return its row id."""
        return self.ledger.create_run(RunDraft("dag", f"run-{len(self.rows('run_ids'))}", "etl", drafts)).id

    async def execute(self, run_id: int, functions: dict[str, Callable[..., Any]], **options: Any) -> Run:
        """Execute a run, one step after another unless `order` is None."""
        options.setdefault("order", list(functions))
        steps = {key: step(key, function, functions) for key, function in functions.items()}
        plan = Plan(steps, **options)
        return await asyncio.wait_for(Runner(self.ledger, run_id, plan).execute(), SOON_S)

    async def execute_one(self, function: Callable[..., Any], **options: Any) -> Task:
        """Execute a run of one step without retries, and return how the step stands."""
        run_id = self.new(TaskDraft("a", max_retries=0, **options))
        await self.execute(run_id, {"a": function})
        return self.task(run_id, "a")

    def rows(self, query: str, **parameters: object) -> list[tuple[object, ...]]:
        """Return the rows of a query."""
        return self.ledger.store.read(lambda tx: tx.rows(query, **parameters))

    def task(self, run_id: int, key: str) -> Task:
        """Return a task."""
        found = self.ledger.store.read(lambda tx: tx.task("task_by_key", key=key, run_id=run_id, item="", map_index=-1))
        assert found is not None
        return found

    def attempts(self, run_id: int, key: str) -> list[Attempt]:
        """Return the attempts of a task."""
        task_id = self.task(run_id, key).id
        return self.ledger.store.read(lambda tx: tx.attempts("attempts_of_task", task_id=task_id))

    def verbs(self, run_id: int) -> list[object]:
        """Return the verbs of the run's history."""
        return [row[3] for row in self.rows("fold_events", run_id=run_id)]

    def run(self, run_id: int) -> Run:
        """Return a run."""
        return self.ledger.store.read(lambda tx: tx.run(run_id))


async def one() -> int:
    """A step."""
    return 1


async def until(condition: Callable[[], bool], longest_s: float = SOON_S) -> None:
    """Let the loop go on until something holds, or never will."""
    deadline = time.monotonic() + longest_s
    while not condition() and time.monotonic() < deadline:  # noqa: ASYNC110  # threads and processes set no asyncio.Event
        await asyncio.sleep(0.001)  # threads and processes set no asyncio.Event
