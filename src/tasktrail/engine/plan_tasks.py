"""One task of a plan: added behind the others, and taken out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import count

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.plan_lists import PlanTaskEdit, check_title, draft_of, edit_in
from tasktrail.engine.plans import find_plan, move_in, note_in, plan_in, said_of, task_in
from tasktrail.model.draft import RunDraft
from tasktrail.model.errors import BadInput, Conflict
from tasktrail.model.lifecycle import Ask
from tasktrail.model.plan import PlanTask
from tasktrail.model.reference import check_key
from tasktrail.model.run import Run
from tasktrail.model.task import REMOVED, Task, Value
from tasktrail.store.transaction import Transaction


def add_task(ledger: Ledger, name: str, task: PlanTask, note: str = "") -> PlanTask:
    """Add a task behind the others of a plan, and return it; where there is no such plan, it is created.

    Args:
        task: Without a key it gets the next free one of T1, T2 …
        note: The first of its notes.

    Raises:
        BadInput: It cannot be a task, or needs what the plan does not have.
        Conflict: The plan has a task of this key, or had one.
    """
    check_title(task.title)
    if task.key:
        check_key(task.key, "id")
    said = ledger.clean_text(note)

    def work(tx: Transaction) -> PlanTask:
        run = _held_plan(tx, ledger, name)
        new = replace(task, key=task.key or _free_key(tx, run))
        _check_new(tx, run, new)
        ledger.add_in(tx, run.id, [draft_of(new)], ledger.clock.now())
        if run.cancelled_at is not None:
            tx.set_run(run.id, cancelled_at=None)
        row = task_in(tx, run, new.key)
        if said:
            note_in(tx, ledger, row, said)
        tx.settle()
        return said_of(tx, run, [row])[0]

    return ledger.commit(work)


def _held_plan(tx: Transaction, ledger: Ledger, name: str) -> Run:
    if find_plan(tx, name) is None:
        tx.row("last_ids")  # in PostgreSQL whoever creates a run waits here; the plan may be there afterwards
        if find_plan(tx, name) is None:
            ledger.create_in(tx, RunDraft("plan", name, name), ledger.clock.now())
    return plan_in(tx, name)


def _free_key(tx: Transaction, run: Run) -> str:
    last = tx.task("last_task", run_id=run.id)
    number = re.fullmatch(r"T([0-9]{1,9})", last.key) if last else None
    keys = (f"T{n}" for n in count(int(number[1]) + 1 if number else 1))
    return next(key for key in keys if _task(tx, run, key) is None)


def _check_new(tx: Transaction, run: Run, task: PlanTask) -> None:
    if old := _task(tx, run, task.key):
        was = "was taken out of it" if old.reason == REMOVED else f"is {old.status}"
        raise Conflict(
            f"plan {run.name} has a task {task.key} already, which {was}",
            hint=f"tasktrail history {run.name}:{old.key}",
        )
    unknown = [key for key in task.needs if (needed := _task(tx, run, key)) is None or needed.reason == REMOVED]
    if unknown:
        raise BadInput(
            f"plan {run.name} has no task {', '.join(unknown)}", hint=f"tasktrail list-tasks --plan {run.name}"
        )


def _task(tx: Transaction, run: Run, key: str) -> Task | None:
    """Also one that was taken out."""
    return tx.task("task_by_key", run_id=run.id, key=key, item="", map_index=-1)


def remove_task(ledger: Ledger, name: str, key: str, *, unlink: bool = False) -> Sequence[str]:
    """Take a task out of its plan, whoever has it; its history stays. Return the keys of those that needed it.

    Args:
        unlink: Whether those that need it then need it no more; else they are in the way.

    Raises:
        NoPlan, NoTask: There is none.
        Conflict: Others need it; the message names them.
    """

    def work(tx: Transaction) -> list[str]:
        run = plan_in(tx, name)
        task = task_in(tx, run, key)
        needing = _needing(tx, task)
        keys = [one.key for one in needing]
        if needing and not unlink:
            needs = f"{', '.join(keys)} {'needs' if len(keys) == 1 else 'need'} it"
            raise Conflict(f"task {key} cannot be taken out: {needs}", hint=f"tasktrail rm {name}:{key} --force")
        for one in needing:
            edit_in(tx, ledger, run, one, PlanTaskEdit(no_longer=(key,)))
        _take_out(tx, ledger, task_in(tx, run, key))
        tx.settle()
        return keys

    return ledger.commit(work)


def _needing(tx: Transaction, task: Task) -> list[Task]:
    found = (tx.task("task_by_id", id=row[0]) for row in tx.rows("dependants", id=task.id))
    return [one for one in found if one is not None and one.reason != REMOVED]


def _take_out(tx: Transaction, ledger: Ledger, task: Task) -> None:
    values: dict[str, Value] = {"reason": REMOVED, "completed_at": ledger.clock.now()}
    move_in(tx, ledger, task, Ask("adopt", target="skipped", values=values))
