"""Matrices in the store: made, saved, moved and synchronised, whether a document has them too or not."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from tasktrail.engine.adopting import Adopting, drafts
from tasktrail.engine.cells import CellMove, move_in
from tasktrail.engine.grids import grid_in, kept_grid, set_grid
from tasktrail.engine.items import attributes_of
from tasktrail.engine.ledger import Documented, Ledger
from tasktrail.engine.pictures import Pictures
from tasktrail.formats.json_object import encode
from tasktrail.formats.picture import (
    Differences,
    ItemPicture,
    Picture,
    TaskPicture,
    details_of,
    details_text,
    differences,
)
from tasktrail.model.draft import RunDraft
from tasktrail.model.errors import Conflict, NotFound, WrongState
from tasktrail.model.matrix import Cell, Grid, Standing, Synced, Wanted, synced
from tasktrail.model.reference import check_run_id
from tasktrail.model.run import Run
from tasktrail.model.task import REMOVED, Task
from tasktrail.store.transaction import Transaction

DRAFT: Final = "draft"

Moves = Mapping[Cell, CellMove]
Metadata = dict[str, object]
Stamp = Callable[[Synced, Metadata], Metadata]
"""Gives what a matrix says of itself once a list was applied, by what that does and what it says now."""


# finding


def find_matrix(tx: Transaction, name: str) -> Run | None:
    """Return the matrix of a name, None when there is none."""
    return next(iter(tx.runs("runs_by_name", name=name, kind="matrix")), None)


def hold_matrix(tx: Transaction, run_id: int) -> Run:
    """Return a matrix that is about to be changed: it is up to date with its document, and stays so."""
    run = tx.run(run_id)
    if run.document_id is not None and run.document_id not in tx.adopted:
        raise Documented({run.document_id})
    return run


def cell_in(tx: Transaction, run: Run, cell: Cell) -> Task | None:
    """Return a cell's task; None where there is none, or none any more."""
    task = tx.task("task_by_key", key=cell[1], run_id=run.id, item=cell[0], map_index=-1)
    return task if task is not None and task.reason != REMOVED else None


def picture_of(ledger: Ledger, run: Run) -> Picture:
    """Return all that a document would say of a matrix."""
    return ledger.store.read(lambda tx: Pictures(ledger).of(tx, tx.run(run.id)))


def standing_of(picture: Picture, grid: Grid) -> Standing:
    """Return where the cells of a picture stand."""
    items = {item.name: attributes_of(item) for item in picture.items if not item.removed}
    agents = {(task.item, task.key): str(agent) for task in picture.tasks if (agent := details_of(task).get("agent"))}
    return Standing(grid, items, {(task.item, task.key): task.status for task in picture.tasks}, agents)


# making and saving


def draft_of_matrix(name: str, grid: Grid, picture: Picture) -> RunDraft:
    """Return a matrix that is about to be created, with a task for each cell of a picture."""
    return RunDraft("matrix", name, grid.name, drafts(picture, grid), metadata=picture.metadata)


def create_matrix(ledger: Ledger, name: str, grid: Grid, picture: Picture) -> Run:
    """Store a matrix that has no document.

    Raises:
        Conflict: There is one of this name.
    """
    check_run_id(name)
    draft = draft_of_matrix(name, grid, picture)

    def work(tx: Transaction) -> Run:
        run = ledger.create_in(tx, draft, ledger.clock.now())
        set_grid(tx, ledger, run, grid)
        Adopting(ledger, Pictures(ledger)).take_new(tx, run.id, picture)
        tx.settle()
        return tx.settled(run.id)

    return ledger.commit(work)


def use_grid(ledger: Ledger, run: Run, grid: Grid) -> Run:
    """Let a matrix go by a grid, if it goes by another one."""
    if run.definition_id is not None and ledger.store.read(lambda tx: kept_grid(tx, grid)) == run.definition_id:
        return run

    def work(tx: Transaction) -> Run:
        set_grid(tx, ledger, hold_matrix(tx, run.id), grid)
        tx.settle()
        return tx.settled(run.id)

    return ledger.commit(work, documents=run.documents)


def use_grid_in(ledger: Ledger, runs: Mapping[str, Run], grid: Grid) -> dict[str, Run]:
    """Let all of these matrices go by a grid; the store is asked once."""
    definition_id = ledger.store.read(lambda tx: kept_grid(tx, grid))
    return {
        name: run if run.definition_id == definition_id else use_grid(ledger, run, grid) for name, run in runs.items()
    }


def save_matrix(ledger: Ledger, run: Run, loaded: Picture, now: Picture, moves: Moves) -> Run:
    """Bring a matrix from what was loaded of it to what it is to be.

    Args:
        loaded: What the store or the document said then; None of what it does not say is looked at.
        moves: Cells that are moved by verbs; what else differs is taken over as it is.

    Raises:
        Conflict: Somebody changed the same meanwhile; the message names it.
        Held, UnmetNeed: A cell cannot be moved.
    """
    found = differences(loaded, now)
    changed = tuple(change for change in found.changed if (change.new.item, change.new.key) not in moves)
    # An object that was made by hand knows neither the name of its run nor that of the grouping.
    rest = replace(found, changed=changed, run={name: one for name, one in found.run.items() if name == "metadata"})

    def work(tx: Transaction) -> Run:
        current = hold_matrix(tx, run.id)
        _check_unchanged(Pictures(ledger).of(tx, current), loaded, found)
        for cell, move in moves.items():
            _move(tx, ledger, current, cell, move)
        if rest:
            Adopting(ledger, Pictures(ledger)).take(tx, run.id, rest, now, DRAFT)
        tx.settle()
        return tx.settled(run.id)

    return ledger.commit(work, documents=run.documents)


def _check_unchanged(current: Picture, loaded: Picture, found: Differences) -> None:
    """What is changed must be what it was when it was loaded; what is new must still not be there."""
    cells, cells_then = current.by_name(), loaded.by_name()
    items, items_then = current.item_by_name(), loaded.item_by_name()
    names = [*(change.name for change in found.changed), *(task.name for task in (*found.added, *found.removed))]
    others = [name for name in names if not _is_same(cells.get(name), cells_then.get(name))]
    item_names = [item.name for item in (*found.items_added, *found.items_dropped)]
    item_names += [new.name for _, new in found.items_changed]
    others += [name for name in item_names if items.get(name) != items_then.get(name)]
    if "metadata" in found.run and current.metadata != loaded.metadata:
        others.append("metadata")
    if others:
        raise Conflict(f"{', '.join(others[:5])}: changed by somebody else since it was loaded", hint="load it again")


def _is_same(current: TaskPicture | None, then: TaskPicture | None) -> bool:
    """Whether a cell says what it said; what the document that it was loaded from left out may be there."""
    if current is None or then is None:
        return current is then
    said = {name: value for name, value in current.values.items() if name in then.values}
    return (current.status, said, current.metadata) == (then.status, dict(then.values), then.metadata)


# moving


def move_cell(ledger: Ledger, run: Run, cell: Cell, move: CellMove) -> bool:
    """Move one cell; return whether anything of it is another.

    Raises:
        NotFound: There is no such cell, and its type is none that it could have.
        Held, UnmetNeed: It cannot be moved.
    """
    return move_cell_as(ledger, run, cell, lambda _, __: move)


def move_cell_as(ledger: Ledger, run: Run, cell: Cell, move: Callable[[Transaction, Run], CellMove]) -> bool:
    """Move one cell as is decided in the same transaction; see `move_cell`."""

    def work(tx: Transaction) -> bool:
        current = hold_matrix(tx, run.id)
        return _move(tx, ledger, current, cell, move(tx, current))

    return ledger.commit(work, documents=run.documents)


def _move(tx: Transaction, ledger: Ledger, run: Run, cell: Cell, move: CellMove) -> bool:
    task = cell_in(tx, run, cell)
    if task is None:
        task = _added(tx, ledger, run, cell)
    if run.paused and move.status == "in_progress" != task.status:
        raise WrongState(f"{run.name} is paused, nothing new starts", hint=f"tasktrail resume {run.name}")
    row = tx.row("details_of_task", id=task.id)
    return move_in(tx, ledger, task, move, str(row[2]) if row and row[2] is not None else None)


def _added(tx: Transaction, ledger: Ledger, run: Run, cell: Cell) -> Task:
    """Add a cell that an item does not have yet; its type may have come later."""
    grid = grid_in(tx, run)
    found = Differences(added=(new_cell(grid, cell) if grid else TaskPicture(cell[1], "pending", item=cell[0]),))
    Adopting(ledger, Pictures(ledger)).take(tx, run.id, found, Picture("", ""), DRAFT)
    task = cell_in(tx, run, cell)
    if task is None:
        raise NotFound(f"there is no task {cell[1]} of {cell[0] or run.name}")
    return task


def new_cell(grid: Grid, cell: Cell) -> TaskPicture:
    """Return a new cell: pending, for its type's agent."""
    task_type = grid.by_name.get(cell[1])
    details = {"agent": task_type.agent if task_type else None}
    return TaskPicture(cell[1], "pending", metadata=details_text(details), item=cell[0])


# synchronising


def with_list(grid: Grid, picture: Picture, wanted: Sequence[Wanted], stamp: Stamp) -> tuple[Synced, Picture]:
    """Return what a list of items does to a matrix, by name, and what the matrix says then.

    Args:
        picture: What it says now.
        stamp: What it says of itself then.
    """
    by_name, items = {one.name: one for one in wanted}, picture.item_by_name()
    done = synced({name: (one.removed, attributes_of(one), one.content_hash) for name, one in items.items()}, wanted)
    items.update({name: replace(items[name], removed=True) for name in done.removed})
    there = dict.fromkeys((*done.added, *done.restored, *done.changed))
    items.update({name: _item(by_name[name], items.get(name)) for name in there})
    cells = [cell for name in done.added for cell in grid.cells_of(name, attributes_of(items[name]))]
    before: Metadata = json.loads(picture.metadata) if picture.metadata else {}
    after = stamp(done, dict(before))
    return done, replace(
        picture,
        items=tuple(items.values()),
        tasks=(*picture.tasks, *(new_cell(grid, cell) for cell in cells)),
        metadata=picture.metadata if after == before else encode(after),
    )


def _item(wanted: Wanted, known: ItemPicture | None) -> ItemPicture:
    attributes = {**(attributes_of(known) if known else {}), **(wanted.attributes or {})}
    content_hash = wanted.content_hash
    if content_hash is None and known is not None:
        content_hash = known.content_hash
    return ItemPicture(wanted.name, False, encode(attributes) if attributes else None, content_hash)
