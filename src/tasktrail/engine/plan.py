"""What a runner goes by: the code of the steps, their order, and what is asked before one starts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tasktrail.engine.drafts import RunEdit
from tasktrail.engine.steps import Step
from tasktrail.model.run import Run
from tasktrail.model.task import Task
from tasktrail.store.transaction import Transaction

Verdict = Literal["start", "hold", "moved"]
"""Start it; leave it and all of its key for now; or it was moved just now: skipped, blocked, expanded."""
Judge = Callable[[Task], Verdict]
Gate = Callable[[Transaction], Judge]
"""Gives what judges the tasks of one transaction that could start: it counts what it lets start."""
Values = Callable[[Transaction, Task, Collection[str]], dict[str, object]]
Details = Callable[[Task, object], Mapping[str, object]]


@dataclass(slots=True)
class Plan:
    """What the runner goes by.

    Args:
        steps: The code of every task, by key.
        order: Keys in the order in which they go one after another; None when needs alone decide.
        only: Whether tasks that are not in `order` are skipped.
        edit: What a draft says of the run, tasks that it does not have yet among it; stored with the first claim.
        max_parallel: How many steps run at the same time when needs decide.
        grace_s: How long steps in threads may go on after an interruption before they are abandoned.
        gate: Asked of each task before it starts when needs decide; None starts all.
        values: Gives a step what its parameters are named after; None gives the results of what it needs.
        results: Gives what `ctx.results` is; None gives the results by what is needed.
        details: Gives what else is recorded of a task that returned this, by name.
        items: Of a matrix the only items whose tasks are started, '' for the group's own; None starts those of all.
        definition_id: Of what it was made from: a run that goes by another one meanwhile is left to another plan.
        once: Keys of steps that must not run twice: one that ran when its process died waits for a person.
        waits: Whether to wait for what only others can move: steps that a person must complete, or a limit.
        watch: Told of the run after every commit.
        say: Told of each line that a step prints, as it comes, scrubbed.
    """

    steps: Mapping[str, Step]
    order: Sequence[str] | None = None
    only: bool = False
    edit: RunEdit | None = None
    max_parallel: int = 8
    grace_s: float = 5.0
    gate: Gate | None = None
    values: Values | None = None
    results: Callable[[Transaction, Task], dict[str, object]] | None = None
    details: Details | None = None
    items: Collection[str] | None = None
    definition_id: int | None = None
    once: Collection[str] = ()
    waits: bool = False
    watch: Callable[[Run], None] | None = None
    say: Callable[[Task, str], None] | None = None
