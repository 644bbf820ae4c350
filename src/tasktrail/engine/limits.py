"""Limits that are full: which they are, how large, and who holds their places, in whatever run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import owners, run_reference, shared_names, task_reference
from tasktrail.model.run import Run
from tasktrail.model.task import Task
from tasktrail.model.workflow import StepSpec
from tasktrail.model.workflow_record import workflow_from_text
from tasktrail.store.transaction import Transaction

_HOLDERS_NAMED: Final = 5
_READY_SEEN: Final = 50
"""Whoever follows a run is told of the first that wait; the runner itself starts those first."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A task that has a place of a limit.

    Args:
        command: What frees the place, where the process that had it is dead.
    """

    reference: str
    is_dead: bool = False
    command: str | None = None


@dataclass(frozen=True, slots=True)
class FullLimit:
    """A limit of which no place is free for a step that asks for one."""

    name: str
    size: int
    holders: Sequence[Holder]

    @property
    def words(self) -> str:
        """Say what somebody waits for."""
        ended = " (its process has ended)"
        named = [f"{one.reference}{ended if one.is_dead else ''}" for one in self.holders[:_HOLDERS_NAMED]]
        more = len(self.holders) - len(named)
        return f"limit {self.name} ({self.size} at a time), held by {', '.join(named)}" + (
            f" and {more:,} more" if more else ""
        )

    @property
    def command(self) -> str | None:
        """What to type to free a place; None when it becomes free by itself."""
        return next((one.command for one in self.holders if one.command), None)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the steps of a run ask for, and who has it now.

    Args:
        specs: Of the steps that name limits, by key.
        holders: By the name of a limit.
    """

    specs: Mapping[str, StepSpec] = field(default_factory=dict)
    holders: Mapping[str, Sequence[Holder]] = field(default_factory=dict)

    def full_for(self, task: Task) -> FullLimit | None:
        """Return what keeps a task that is ready from starting; a mapped step itself takes no place, its parts do."""
        spec = self.specs.get(task.key)
        if spec is None or spec.manual is not None or (spec.for_each is not None and task.map_index < 0):
            return None
        full = (
            FullLimit(name, size, holders)
            for name, size in spec.limits.items()
            if len(holders := self.holders.get(name, ())) >= size
        )
        return next(full, None)


def limited_steps(ledger: Ledger, run: Run) -> dict[str, StepSpec]:
    """Return the steps of a run that name limits, by key."""
    row = ledger.store.read(lambda tx: tx.row("definition_by_id", id=run.definition_id))
    if row is None or '"limits"' not in str(row[1]):
        return {}
    return {key: spec for key, spec in workflow_from_text(str(row[1])).by_id.items() if spec.limits}


def limits_now(ledger: Ledger, specs: Mapping[str, StepSpec]) -> Limits:
    """Return who has the places that these steps ask for."""
    names = {name for spec in specs.values() for name in spec.limits}

    def work(tx: Transaction) -> tuple[dict[str, list[Task]], dict[int, Run], frozenset[str]]:
        found = {name: tx.tasks("holders_of_limit", name=name) for name in names}
        runs = {task.run_id: tx.run(task.run_id) for tasks in found.values() for task in tasks}
        return found, runs, shared_names(tx, runs.values())

    if not names:
        return Limits()
    found, runs, shared = ledger.store.read(work)
    alive = owners(ledger, runs.values())
    return Limits(
        specs,
        {name: [_holder(task, runs[task.run_id], shared, alive) for task in tasks] for name, tasks in found.items()},
    )


def _holder(task: Task, run: Run, shared: frozenset[str], alive: Mapping[int, str]) -> Holder:
    name = run_reference(run, shared)
    reference = task_reference(name, task)
    if run.id in alive or task.worker_id is None:
        return Holder(reference)
    return Holder(reference, True, f"tasktrail {'resume' if run.target else 'explain'} {name}")


def held_back(ledger: Ledger, run: Run, specs: Mapping[str, StepSpec]) -> Iterator[tuple[Task, FullLimit]]:
    """Yield of each step the first task that waits for a limit just now."""
    if not specs or not run.accepts_starts:
        return
    ready = ledger.store.read(lambda tx: tx.tasks("ready_tasks", run_id=run.id, without=None, limit=_READY_SEEN))
    waiting = {task.key: task for task in reversed(ready) if task.key in specs}
    limits = limits_now(ledger, specs) if waiting else Limits()
    for task in reversed(waiting.values()):
        if full := limits.full_for(task):
            yield task, full
