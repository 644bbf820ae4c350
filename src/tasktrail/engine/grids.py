"""What the matrices of a store are made of: kept once for equal grids, and what a matrix needs by its own."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Final

from tasktrail.engine.drafts import TaskEdit, define
from tasktrail.engine.items import attributes_of, items_of
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.needs import recount, write_needs
from tasktrail.engine.ownership import is_pooled_in
from tasktrail.model.draft import TaskDraft
from tasktrail.model.errors import BadInput
from tasktrail.model.matrix import Grid
from tasktrail.model.matrix_record import grid_from_dict, grid_to_dict
from tasktrail.model.run import Run
from tasktrail.model.task import DEFINITION, REMOVED, Task, Value
from tasktrail.model.workflow_record import workflow_hash
from tasktrail.store.transaction import Transaction

_KIND: Final = "matrix"
_ANY: Final = TaskDraft("")
"""What a cell is of which nothing is said."""

ByType = Mapping[str, TaskDraft]


def keep_grid(tx: Transaction, grid: Grid, now: int) -> int:
    """Store a grid, once for equal ones, and return its row id."""
    named, spec = _record(grid)
    row = tx.row("definition_by_hash", **named)
    if row is None:
        tx.execute("add_definition", {**named, "spec": spec, "at": now})
        row = tx.row("definition_by_hash", **named)
    assert row is not None
    return int(str(row[0]))


def grid_in(tx: Transaction, run: Run) -> Grid | None:
    """Return what a matrix is made of; None where nobody said."""
    row = tx.row("definition_by_id", id=run.definition_id) if run.definition_id is not None else None
    return _grid(str(row[1])) if row is not None else None


def kept_grid(tx: Transaction, grid: Grid) -> int | None:
    """Return the row id of a grid that is stored, None where it is not."""
    row = tx.row("definition_by_hash", **_record(grid)[0])
    return int(str(row[0])) if row is not None else None


def set_grid(tx: Transaction, ledger: Ledger, run: Run, grid: Grid) -> None:
    """Let a matrix be made of this from now on; tasks that it has stay, and need what this says.

    How often they are tried, how long they may take and the like follow their type, but where one differs by itself.
    """
    now, before = ledger.clock.now(), cells_by_type(tx, run)
    definition_id = keep_grid(tx, grid, now)
    if run.definition_id is not None:
        tx.record_run(run.id, "accept", now, ledger.actor, note=f"other task types of {grid.name}")
    tx.set_run(run.id, definition_id=definition_id, workflow=grid.name, skipped_meets=int(grid.skipped_meets))
    _redefine(tx, ledger, run, before, drafts_of(grid, pooled=is_pooled_in(tx, run)))
    regrid(tx, run.id)
    if run.skipped_meets != grid.skipped_meets:
        recount(tx, tx.run(run.id))


def cells_by_type(tx: Transaction, run: Run) -> ByType:
    """Return what the new cells of a matrix are, by type; tasks of other runs are as any."""
    grid = grid_in(tx, run) if run.kind == "matrix" else None
    return drafts_of(grid, pooled=is_pooled_in(tx, run)) if grid is not None else {}


def drafts_of(grid: Grid, *, pooled: bool = False) -> ByType:
    """Return what cells are, by type, whatever their items: those that something executes are as its step says."""
    from tasktrail.engine.workflows import draft_of, pooled_draft_of  # plans have no use for it

    draft = pooled_draft_of if pooled else draft_of
    return {one.name: draft(one.step) for one in grid.types if one.step is not None}


def put_in_queues(
    tx: Transaction, ledger: Ledger, run: Run, keys: Collection[str], items: Collection[str] | None
) -> None:
    """Let workers execute the cells of some types.

    Args:
        items: Of these items alone, '' for the group's own; None: of all.
    """
    grid = grid_in(tx, run)
    pooled = drafts_of(grid, pooled=True) if grid is not None else {}
    for task in tx.tasks("steps_of_run", run_id=run.id):
        if task.key in keys and task.key in pooled and (items is None or task.item in items):
            draft = pooled[task.key]
            _define(tx, ledger, task, {"queue": draft.queue, "labels": draft.labels})


def _redefine(tx: Transaction, ledger: Ledger, run: Run, before: ByType, after: ByType) -> None:
    if before == after:
        return
    for task in tx.tasks("steps_of_run", run_id=run.id):
        was, now = before.get(task.key, _ANY), after.get(task.key, _ANY)
        as_its_type = [name for name in DEFINITION if getattr(task, name) == getattr(was, name)]
        _define(tx, ledger, task, {name: getattr(now, name) for name in as_its_type})


def _define(tx: Transaction, ledger: Ledger, task: Task, said: Mapping[str, Value]) -> None:
    values = {name: int(value) if isinstance(value, bool) else value for name, value in said.items()}
    changed = {name: value for name, value in values.items() if value != getattr(task, name)}
    if changed:
        define(tx, ledger, task, TaskEdit(task.id, task.version, definition=changed), ledger.clock.now())


def regrid(tx: Transaction, run_id: int) -> None:
    """Let the cells of a matrix need what its grid says, for the items and cells that it has now."""
    tx.settle()
    run = tx.run(run_id)
    grid = grid_in(tx, run)
    if grid is None:
        return
    items = {item.name: attributes_of(item) for item in items_of(tx, run) if item.removed_at is None}
    tasks = tx.tasks("steps_of_run", run_id=run.id)
    try:
        needs = grid.needs(items, [(task.item, task.key) for task in tasks if task.reason != REMOVED])
    except BadInput as error:
        raise BadInput(f"{run.kind} {run.name}: {error.message}", hint=error.hint) from None
    write_needs(tx, run, needs)


def _record(grid: Grid) -> tuple[dict[str, str], str]:
    record = grid_to_dict(grid)
    named = {"kind": _KIND, "name": grid.name, "hash": workflow_hash(record)}
    return named, json.dumps(record, ensure_ascii=False, separators=(",", ":"))


@lru_cache(maxsize=16)
def _grid(spec: str) -> Grid:
    return grid_from_dict(json.loads(spec))
