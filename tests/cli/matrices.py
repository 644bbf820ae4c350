"""Matrices that tests of the command line begin with."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tasktrail.config import find_store, load
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.matrices import create_matrix
from tasktrail.engine.matrix_run import pool_matrix
from tasktrail.engine.project import ledger_of
from tasktrail.formats.picture import ItemPicture, Picture, TaskPicture
from tasktrail.model.matrix import Grid, TaskType
from tasktrail.model.run import Run
from tasktrail.model.workflow import StepSpec

BY_HAND = (TaskType("research"), TaskType("content", ("research",)), TaskType("post", ("content",), True))


def begin(items: Sequence[str], types: Sequence[TaskType] = BY_HAND) -> tuple[Ledger, Run]:
    """Store a matrix called A in the store that the settings name."""
    ledger = ledger_of(find_store(), load())
    own = [one.name for one in types if one.is_group_level]
    grid = Grid("weeks", tuple(types), tuple(one.name for one in types if one.name not in own), tuple(own))
    cells = [cell for item in items for cell in grid.cells_of(item)] + grid.group_cells()
    tasks = tuple(TaskPicture(key, "pending", item=item) for item, key in cells)
    picture = Picture("A", "weeks", tasks=tasks, items=tuple(map(ItemPicture, items)))
    return ledger, create_matrix(ledger, "A", grid, picture)


def begin_pooled(items: Sequence[str], *calls: str) -> None:
    """Leave a matrix to workers whose types call functions of `own.py`, each after the one before."""
    names = [call.partition(":")[0] for call in calls]
    types = [
        TaskType(name, tuple(names[:place][-1:]), name == "post", step=StepSpec(name, call=call.partition(":")[2]))
        for place, (name, call) in enumerate(zip(names, calls, strict=True))
    ]
    ledger, run = begin(items, types)
    try:
        pool_matrix(ledger, run, Path.cwd())
    finally:
        sys.modules.pop("own", None)  # the next test has another one
