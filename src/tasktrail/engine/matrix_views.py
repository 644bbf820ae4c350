"""What is read of matrices, however large they are: how many cells stand where, which may start, the table."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from tasktrail.engine.items import attributes_of, item_in, items_of
from tasktrail.engine.lookup import stale_of
from tasktrail.engine.matrices import cell_in
from tasktrail.model.errors import BadInput
from tasktrail.model.item import Item
from tasktrail.model.matrix import Cell, Grid
from tasktrail.model.reference import cell_name, format_task
from tasktrail.model.run import Run
from tasktrail.model.task import REMOVED, Status, Task
from tasktrail.store.transaction import Row, Transaction

Counts = Counter[Status]
Unmet = tuple[str, Status | None]
"""What is needed, by name, and where it stands; None is nowhere."""
Place = tuple[str, str, str]
"""Where a page ended: group, task type and item."""

_BEFORE_ALL: Final[Place] = ("", "", "")


@dataclass(frozen=True, slots=True)
class ReadyCell:
    """A cell that may start now.

    Args:
        group: The matrix that it is in.
        agent: Who does it, as it says itself.
    """

    group: str
    task: Task
    agent: str | None

    @property
    def place(self) -> Place:
        """Where it stands among all that are ready."""
        return self.group, self.task.key, self.task.item

    @property
    def reference(self) -> str:
        """How people write it; of the last one of a page, the cursor that gets the next page."""
        return format_task(*self.place)


@dataclass(frozen=True, slots=True)
class ReadyPage:
    """Cells that may start now, by group, type and item; the group's own come before those of its items.

    Args:
        total: How many there are on all pages.
        cursor: Gets the next page; None when this is the last one.
    """

    cells: Sequence[ReadyCell]
    total: int
    cursor: str | None


@dataclass(frozen=True, slots=True)
class CellView:
    """A cell as a table shows it.

    Args:
        agent: Who does it, as it says itself.
        stale: Whether it is completed and stands on what is another now.
    """

    task: Task
    agent: str | None
    stale: bool


@dataclass(frozen=True, slots=True)
class ItemRow:
    """An item with its cells by type; types that it has no task of are not in it."""

    item: Item
    cells: Mapping[str, CellView]


@dataclass(frozen=True, slots=True)
class MatrixPage:
    """A page of a matrix: its items that are not removed, in order.

    Args:
        types: The columns: the types of items, in the order of the grid, then others that items have.
        group: The group's own tasks by type; on the first page alone.
        totals: How many cells of each column stand where, on all pages.
        cursor: Gets the next page; None when this is the last one.
    """

    types: Sequence[str]
    rows: Sequence[ItemRow]
    group: Mapping[str, CellView]
    totals: Mapping[str, Counts]
    cursor: str | None


# how many stand where


def counts(tx: Transaction, run: Run, key: str | None = None) -> Counts:
    """Return how many cells stand where; what is removed does not count.

    Args:
        key: Of this type alone; None counts all, the group's own too.
    """
    if key is None:
        found = Counter(tx.run(run.id).counts)
        for one in _out(tx, run, _keys_of_cells(tx, run)).values():
            found.subtract(one)
        return +found
    found = counts_by_type(tx, run, [key])[key]
    found.update(task.status for task, _ in _group_cells(tx, [run], [key]))
    return found


def counts_by_type(tx: Transaction, run: Run, keys: Sequence[str]) -> dict[str, Counts]:
    """Return how many tasks of items stand where, of each of some types."""
    found: dict[str, Counts] = {key: Counter() for key in keys}
    for key, status, n in tx.rows("cell_counts", run_id=run.id, names=json.dumps(keys)):
        found[str(key)][cast(Status, status)] += int(str(n))
    for key, outside in _out(tx, run, keys).items():
        if key in found:
            found[key].subtract(outside)
    return {key: +one for key, one in found.items()}


def _keys_of_cells(tx: Transaction, run: Run) -> list[str]:
    return [str(row[0]) for row in tx.rows("keys_of_cells", run_id=run.id)]


def _out(tx: Transaction, run: Run, keys: Sequence[str]) -> dict[str, Counts]:
    """What counts for nothing: of removed items that is of these types, and all that the document has no more."""
    found: dict[str, Counts] = {}
    for key, status, n in tx.rows("cells_out", run_id=run.id, names=json.dumps(keys)):
        found.setdefault(str(key), Counter())[cast(Status, status)] += int(str(n))
    return found


# which may start


def ready_page(
    tx: Transaction, runs: Sequence[Run], grid: Grid, now: int, limit: int, after: str | None = None,
    agent: str | None = None, key: str | None = None,
) -> ReadyPage:  # fmt: skip
    """Return cells of one or several groups that may start now: pending, their needs met, their time come.

    Nothing starts in a group that is paused.

    Args:
        now: Microseconds UTC.
        after: The cursor of the page before; None begins.
        agent: Of this agent alone; None takes all.
        key: Of this type alone; None takes all.

    Raises:
        BadInput: The cursor is none of ours.
    """
    runs = [run for run in runs if not run.paused]
    place = _place(after) if after is not None else _BEFORE_ALL
    keys = sorted(name for name in grid.by_name if key in (None, name))
    own = [name for name in keys if grid.by_name[name].is_group_level]
    of_groups = [ready for ready in _ready_of_groups(tx, runs, own, now) if agent in (None, ready.agent)]
    of_items = _count_ready(tx, runs, [name for name in keys if name not in own], now, agent)
    cells: list[ReadyCell] = []
    for run in sorted(runs, key=lambda run: run.name):
        for name in keys:
            if len(cells) <= limit and (run.name, name) >= place[:2]:
                cells += [one for one in of_groups if one.place[:2] == (run.name, name) and one.place > place]
                if of_items.get((run.id, name)):
                    item = place[2] if (run.name, name) == place[:2] else ""
                    cells += _ready_of_items(tx, run, name, now, limit + 1 - len(cells), item, agent)
    page = cells[:limit]
    cursor = page[-1].reference if page and len(cells) > limit else None
    return ReadyPage(page, len(of_groups) + sum(of_items.values()), cursor)


def matrices_of(tx: Transaction, grouping: str) -> list[Run]:
    """Return all groups of a grouping, by name."""
    return tx.runs("matrices_of", workflow=grouping)


def pending_items(tx: Transaction, run: Run, key: str) -> list[str]:
    """Return the items whose task of a type is pending and waits for no other, in order."""
    return [str(row[0]) for row in tx.rows("pending_items", run_id=run.id, key=key)]


def _ready_of_groups(tx: Transaction, runs: Sequence[Run], keys: Sequence[str], now: int) -> list[ReadyCell]:
    names = {run.id: run.name for run in runs}
    return [
        ReadyCell(names[task.run_id], task, agent)
        for task, agent in _group_cells(tx, runs, keys)
        if task.status == "pending" and not task.unmet and (task.not_before or 0) <= now
    ]


def _ready_of_items(
    tx: Transaction, run: Run, key: str, now: int, limit: int, after: str, agent: str | None
) -> list[ReadyCell]:
    said = {"now": now, "limit": max(limit, 0), "after": after, "agent": agent}
    rows = tx.rows("ready_cells", run_id=run.id, key=key, **said)
    return [ReadyCell(run.name, *_with_agent(row)) for row in rows]


def _count_ready(
    tx: Transaction, runs: Sequence[Run], keys: Sequence[str], now: int, agent: str | None
) -> dict[tuple[int, str], int]:
    """By row id of the run and by type; of one agent each cell is looked at, of all the index alone."""
    of = {"ids": json.dumps([run.id for run in runs]), "names": json.dumps(keys)}
    if agent is not None:
        return _numbers(tx.rows("count_ready_cells_of", **of, now=now, agent=agent))
    found = _numbers(tx.rows("count_ready_cells", **of))
    for place, n in _numbers(tx.rows("ready_cells_out", **of, now=now)).items():
        if place in found:
            found[place] -= n
    return found


def _numbers(rows: Iterable[Row]) -> dict[tuple[int, str], int]:
    return {(int(str(run_id)), str(key)): int(str(n)) for run_id, key, n in rows}


def _group_cells(tx: Transaction, runs: Sequence[Run], keys: Sequence[str]) -> list[tuple[Task, str | None]]:
    of = {"ids": json.dumps([run.id for run in runs]), "names": json.dumps(keys)}
    found = (_with_agent(row) for row in tx.rows("group_cells", **of))
    return [(task, agent) for task, agent in found if task.reason != REMOVED]


def _with_agent(row: Row) -> tuple[Task, str | None]:
    return Task._make(cast(Any, row[:-1])), cast("str | None", row[-1])


def _place(cursor: str) -> Place:
    """A cursor is the reference of the last cell of the page before; that it is there no more moves nothing."""
    group, colon, name = cursor.partition(":")
    item, _, key = name.rpartition("/")
    if not (colon and group and key):
        raise BadInput("expected the cursor to be the `next` of a page")
    return group, key, item


# one cell


def unmet_of(tx: Transaction, run: Run, grid: Grid, cell: Cell) -> list[Unmet]:
    """Return what a cell needs and that is not done; the cell need not be there itself."""
    task = cell_in(tx, run, cell)
    if task is None:
        return _unmet_of_new(tx, run, grid, cell)
    rows = tx.rows("needs_of_task", task_id=task.id) if task.unmet else ()
    return [(str(name), cast("Status | None", status)) for name, _, _, status, *_ in rows if status not in run.met_by]


def can_start(tx: Transaction, run: Run, grid: Grid, cell: Cell) -> bool:
    """Whether all that a cell needs is done, wherever it stands itself; it need not be there."""
    task = cell_in(tx, run, cell)
    return not task.unmet if task is not None else not _unmet_of_new(tx, run, grid, cell)


def _unmet_of_new(tx: Transaction, run: Run, grid: Grid, cell: Cell) -> list[Unmet]:
    items = {item.name: attributes_of(item) for item in _items_about(tx, run, cell) if item.removed_at is None}
    needed = grid.needs(items, [cell])[cell_name(*cell)]
    types = [name for one in grid.types if one.name == cell[1] for name in one.needs]
    tasks = tx.tasks("cells_of", run_id=run.id, names=json.dumps(types), items=json.dumps(["", *items]))
    statuses = {task.name: task.status for task in tasks if task.reason != REMOVED}
    return [(name, statuses.get(name)) for name in needed if statuses.get(name) not in run.met_by]


def _items_about(tx: Transaction, run: Run, cell: Cell) -> list[Item]:
    if not cell[0]:
        return items_of(tx, run)
    item = item_in(tx, run, cell[0])
    return [item] if item is not None else []


# the table


def matrix_page(tx: Transaction, run: Run, grid: Grid, limit: int, after: str | None = None) -> MatrixPage:
    """Return items of a matrix with their cells, and the totals of all.

    Args:
        after: The cursor of the page before, an item's name; None begins.

    Raises:
        BadInput: The cursor is none of ours.
    """
    types = _types(tx, run, grid)
    rows = tx.rows("items_page", run_id=run.id, after=_position(tx, run, after), limit=limit + 1)
    items = [Item._make(cast(Any, row)) for row in rows[:limit]]
    of = {"names": json.dumps(types), "items": json.dumps([item.name for item in items])}
    tasks = [task for task in tx.tasks("cells_of", run_id=run.id, **of) if task.reason != REMOVED]
    own = [task for task, _ in _group_cells(tx, [run], list(grid.by_name))] if after is None else []
    views = _views(tx, run, [*tasks, *own])
    by_item: dict[str, dict[str, CellView]] = {item.name: {} for item in items}
    for view in views[: len(tasks)]:
        by_item[view.task.item][view.task.key] = view
    return MatrixPage(
        types,
        [ItemRow(item, by_item[item.name]) for item in items],
        {view.task.key: view for view in views[len(tasks) :]},
        counts_by_type(tx, run, types),
        items[-1].name if len(rows) > limit else None,
    )


def _types(tx: Transaction, run: Run, grid: Grid) -> list[str]:
    """The columns: also what a document has that is no type of the grid."""
    known = [one.name for one in grid.types if not one.is_group_level]
    return list(dict.fromkeys([*known, *_keys_of_cells(tx, run)]))


def _position(tx: Transaction, run: Run, after: str | None) -> int:
    if after is None:
        return -1
    item = item_in(tx, run, after)
    if item is None:
        raise BadInput("expected the cursor to be the `next` of a page")
    return item.position


def _views(tx: Transaction, run: Run, tasks: Sequence[Task]) -> list[CellView]:
    """Only what is completed can be stale. A group's own task stands on all, others on little."""
    completed = [task for task in tasks if task.status == "completed"]
    if all(task.item for task in completed):
        rows = tx.rows("stale_among", ids=json.dumps([task.id for task in completed]))
        stale: Collection[object] = {row[0] for row in rows}
    else:
        stale = stale_of(tx, run)
    details = tx.rows("details_of_tasks", ids=json.dumps([task.id for task in tasks]))
    agents = {row[0]: json.loads(str(row[2])).get("agent") for row in details if row[2] is not None}
    return [CellView(task, agents.get(task.id), task.id in stale) for task in tasks]
