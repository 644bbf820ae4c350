"""What a cell's code is told: its item, its group, where its output goes, and the results of what it needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tasktrail.engine.gates import Values
from tasktrail.engine.items import attributes_of, item_in
from tasktrail.engine.values import decode
from tasktrail.model.matrix import Grid, TaskType, sanitized
from tasktrail.model.path import Named, Template
from tasktrail.model.task import Task
from tasktrail.store.transaction import Transaction

OF_GROUP: Final = ("group", "letter", "year", "output_file")
"""What every cell knows beside the run and the results; `letter` is the group, as weeks are called."""
OF_ITEM: Final = ("item", "attributes", "sanitized_name")
"""What a cell of an item knows besides."""


def words_of(task_type: TaskType) -> tuple[str, ...]:
    """Return what paths and parameters of a type's code may name, beside the results of what it needs."""
    return OF_GROUP if task_type.is_group_level else (*OF_ITEM, *OF_GROUP)


class CellValues(Values):
    """What words mean for a cell.

    A needed type is the result of the same item's cell, or of the group's; for a group's own task that of a type of
    items is an object of the results by item, without those of removed ones.
    """

    def __init__(self, tx: Transaction, task: Task, grid: Grid, folder: Path) -> None:
        super().__init__(tx, task, folder)
        self._types = grid.by_name

    def __iter__(self) -> Iterator[str]:
        of_item = OF_ITEM if self._task.item else ()
        return iter([*of_item, *OF_GROUP, "run", "params", *(name for name in self._types if name != self._task.key)])

    def results(self) -> dict[str, object]:
        """Return the results of what the cell needs, by type."""
        return {name: self[name] for name in self._types[self._task.key].needs if name in self._types}

    def _find(self, name: str) -> object:
        task = self._task
        if task.item and name == "item":
            return Named(task.item, self._attributes())
        if task.item and name == "attributes":
            return self._attributes()
        if task.item and name == "sanitized_name":
            return sanitized(task.item)
        if name in ("group", "letter"):
            return self._tx.run(task.run_id).name
        if name == "year":
            return datetime.fromtimestamp((task.started_at or task.created_at) / 1_000_000, UTC).year
        if name == "output_file":
            return self._output_file()
        if name == "params":
            return {}
        return self._result(name) if name in self._types else super()._find(name)

    def _attributes(self) -> Mapping[str, object]:
        item = item_in(self._tx, self._tx.run(self._task.run_id), self._task.item)
        return attributes_of(item) if item is not None else {}

    def _output_file(self) -> str | None:
        pattern = self._types[self._task.key].output_pattern
        return None if pattern is None else str(Template.parse(pattern).fill(self))

    def _result(self, name: str) -> object:
        tx, task = self._tx, self._task
        if self._types[name].is_group_level or task.item:
            item = "" if self._types[name].is_group_level else task.item
            found = tx.task("task_by_key", key=name, run_id=task.run_id, item=item, map_index=-1)
            return decode(found.output, tx) if found is not None else None
        cells = tx.tasks("cells_of_type", run_id=task.run_id, key=name)
        return {cell.item: decode(cell.output, tx) for cell in cells}
