"""What the matrices of a store are made of: kept once for equal grids, and what a matrix needs by its own."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Final

from tasktrail.engine.items import attributes_of, items_of
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.needs import recount, write_needs
from tasktrail.model.matrix import Grid
from tasktrail.model.matrix_record import grid_from_dict, grid_to_dict
from tasktrail.model.run import Run
from tasktrail.model.task import REMOVED
from tasktrail.model.workflow_record import workflow_hash
from tasktrail.store.transaction import Transaction

_KIND: Final = "matrix"


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


def goes_by(tx: Transaction, run: Run, grid: Grid) -> bool:
    """Whether a matrix is made of this very grid."""
    row = tx.row("definition_by_hash", **_record(grid)[0])
    return row is not None and row[0] == run.definition_id


def set_grid(tx: Transaction, ledger: Ledger, run: Run, grid: Grid) -> None:
    """Let a matrix be made of this from now on; tasks that it has stay, and need what this says."""
    now = ledger.clock.now()
    definition_id = keep_grid(tx, grid, now)
    if run.definition_id is not None:
        tx.record_run(run.id, "accept", now, ledger.actor, note=f"other task types of {grid.name}")
    tx.set_run(run.id, definition_id=definition_id, workflow=grid.name, skipped_meets=int(grid.skipped_meets))
    regrid(tx, run.id)
    if run.skipped_meets != grid.skipped_meets:
        recount(tx, tx.run(run.id))


def regrid(tx: Transaction, run_id: int) -> None:
    """Let the cells of a matrix need what its grid says, for the items and cells that it has now."""
    tx.settle()
    run = tx.run(run_id)
    grid = grid_in(tx, run)
    if grid is None:
        return
    items = {item.name: attributes_of(item) for item in items_of(tx, run) if item.removed_at is None}
    tasks = tx.tasks("steps_of_run", run_id=run.id)
    write_needs(tx, run, grid.needs(items, [(task.item, task.key) for task in tasks if task.reason != REMOVED]))


def _record(grid: Grid) -> tuple[dict[str, str], str]:
    record = grid_to_dict(grid)
    named = {"kind": _KIND, "name": grid.name, "hash": workflow_hash(record)}
    return named, json.dumps(record, ensure_ascii=False, separators=(",", ":"))


@lru_cache(maxsize=16)
def _grid(spec: str) -> Grid:
    return grid_from_dict(json.loads(spec))
