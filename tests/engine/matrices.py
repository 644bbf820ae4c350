"""Matrices for tests: the document's weeks, made in the store."""

from __future__ import annotations

from typing import Final

from tasktrail.engine.grids import grid_in
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.matrices import create_matrix, new_cell, picture_of, save_matrix, with_list
from tasktrail.formats.picture import Picture
from tasktrail.model.matrix import Cell, Grid, TaskType, Wanted
from tasktrail.model.run import Run
from tasktrail.model.task import Task

WEEKS: Final = Grid(
    "weeks",
    (
        TaskType("research", agent="researcher"),
        TaskType("content", ("research",), agent="writer"),
        TaskType("blog_post", ("content",), is_group_level=True, agent="writer"),
    ),
    ("research", "content"),
    ("blog_post",),
)


def week(ledger: Ledger, name: str, *items: str | Wanted, grid: Grid = WEEKS) -> Run:
    """Make a matrix of new items."""
    own = tuple(new_cell(grid, cell) for cell in grid.group_cells())
    run = create_matrix(ledger, name, grid, Picture(name, grid.name, tasks=own))
    sync(ledger, run, *items)
    return run


def sync(ledger: Ledger, run: Run, *items: str | Wanted) -> None:
    """Let a matrix have these items."""
    wanted = [item if isinstance(item, Wanted) else Wanted(item) for item in items]
    now = ledger.store.read(lambda tx: tx.run(run.id))
    grid, picture = ledger.store.read(lambda tx: grid_in(tx, now)), picture_of(ledger, now)
    assert grid is not None
    save_matrix(ledger, now, picture, with_list(grid, picture, wanted, lambda _, metadata: metadata)[1], {})


def cell_of(ledger: Ledger, run: Run, cell: Cell) -> Task:
    """Return a cell as it stands."""
    of = {"run_id": run.id, "key": cell[1], "item": cell[0], "map_index": -1}
    task = ledger.store.read(lambda tx: tx.task("task_by_key", **of))
    assert task is not None
    return task
