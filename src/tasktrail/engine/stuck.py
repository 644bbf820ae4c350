"""Pending tasks of a plan that wait for what cannot happen, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tasktrail.model.graph import Need, cycle_text, find_cycle, in_cycles
from tasktrail.model.run import Run
from tasktrail.model.task import WAITING
from tasktrail.store.transaction import Row, Transaction


@dataclass(frozen=True, slots=True)
class Blocked:
    """A task that cannot start as things stand, and why not."""

    key: str
    reason: str


def blocked_in(tx: Transaction, run: Run, most: int | None = None) -> tuple[list[Blocked], int]:
    """Return the pending tasks that wait for what cannot happen, and how many there are; those in a cycle last.

    Cycles come with files alone, and to look for them takes all pending tasks: in other plans that is done only where
    nobody works on a task, so that whoever asks while others do is answered at once.

    Args:
        most: No more are named; None names all.
    """
    rows = tx.rows("stuck_of_plan", run_id=run.id, n_unreachable=run.n_unreachable)
    stuck = [Blocked(str(row[1]), _why_stuck(tx, row[0])) for row in rows[:most]]
    if len(rows) >= run.n_pending or (run.n_in_progress and run.document_id is None):
        return stuck, len(rows)
    graph = _cyclic(tx, run)
    for row in rows:
        graph.pop(str(row[1]), None)  # it was named for another reason
    keys = list(graph)[: None if most is None else most - len(stuck)]
    return [*stuck, *_entangled(graph, keys)], len(rows) + len(graph)


def _cyclic(tx: Transaction, run: Run) -> dict[str, list[Need]]:
    """Return what those tasks need of each other that are in a cycle."""
    needs: dict[str, list[str]] = {}
    for key, needed in tx.rows("entangled_of_plan", run_id=run.id):
        needs.setdefault(str(key), []).append(str(needed))
    return {key: [Need(one) for one in needs[key]] for key in in_cycles(needs)}


def _entangled(graph: dict[str, list[Need]], keys: list[str]) -> Iterator[Blocked]:
    for key in keys:
        if cycle := find_cycle(graph, key):
            yield Blocked(key, cycle_text(cycle))


def _why_stuck(tx: Transaction, task_id: object) -> str:
    """Say what cannot happen that a task waits for: something failed, was cancelled, or does not exist."""
    return "; ".join(words for row in tx.rows("needs_of_task", task_id=task_id) if (words := _why_dead(row)))


def _why_dead(need: Row) -> str | None:
    key, _, _, status, _, dead_needs = need
    if status is None:
        return f"needs {key}, which does not exist"
    if status in ("failed", "cancelled"):
        return f"needs {key}, which is {status}"
    return f"needs {key}, which can no longer start" if status in WAITING and dead_needs else None
