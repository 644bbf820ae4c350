"""Gives the tasks of a new plan the history that a file says they have."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.plans import STARTED_AGAIN, task_in
from tasktrail.model.lifecycle import Ask, Change, decide
from tasktrail.model.plain import storable
from tasktrail.model.plan import Move, PlanTask
from tasktrail.model.run import Run
from tasktrail.model.task import FINAL, Task, Value
from tasktrail.store.records import Mark
from tasktrail.store.transaction import Transaction

FROM_LIST: Final = "adopted from a task list"


def replay(tx: Transaction, ledger: Ledger, run: Run, said: Collection[PlanTask]) -> None:
    """Adopt each move that a list tells of the tasks of a new plan, in the order in which they happened.

    Its event has the time and the actor of the list, and says that it was adopted. It begins no attempt: how many there
    were is part of the last move.
    """
    moves = sorted(((move.at, task.key, place) for task in said for place, move in enumerate(task.history)), key=_time)
    told = {task.key: task for task in said if task.history or task.updated_at is not None}
    tasks = {key: task_in(tx, run, key) for key in told}
    for _, key, place in moves:
        tasks[key] = _adopt(tx, ledger, tasks[key], told[key], place)
    if moves:
        tx.set_run(run.id, started_at=moves[0][0])
    for key, task in tasks.items():
        if (at := told[key].updated_at) is not None:
            tx.apply([(Change(task, task.status, at, {}), Mark(ledger.actor, note=FROM_LIST))])


def _time(move: tuple[int, str, int]) -> int:
    return move[0]


def _adopt(tx: Transaction, ledger: Ledger, task: Task, said: PlanTask, place: int) -> Task:
    move = said.history[place]
    is_last = place == len(said.history) - 1 and move.to_status == said.status
    values: dict[str, Value] = {"started_at": task.started_at or _start(move)}
    if is_last:
        values.update(_standing(said, move))
    change = decide(task, ledger.clean(Ask("adopt", target=move.to_status, values=values)), move.at)
    note = STARTED_AGAIN if task.status == move.to_status == "in_progress" else FROM_LIST
    tx.apply([(change, Mark(storable(move.actor) if move.actor else ledger.actor, note=note))])
    return change.after


def _start(move: Move) -> int | None:
    return move.at if move.to_status == "in_progress" else None


def _standing(said: PlanTask, move: Move) -> dict[str, Value]:
    """What a task has once it stands where the list says."""
    values: dict[str, Value] = {"summary": said.result, "error": said.error, "reason": said.reason}
    values["attempts"] = said.attempts
    if said.started_at is not None:
        values["started_at"] = said.started_at
    if said.status in FINAL:
        values["completed_at"] = move.at if said.completed_at is None else said.completed_at
    return values
