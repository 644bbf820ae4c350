"""A grid as plain JSON: stored with a matrix, so that every face knows its types without their configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tasktrail.model.errors import BadInput
from tasktrail.model.matrix import Grid, TaskType
from tasktrail.model.workflow import StepSpec, Workflow
from tasktrail.model.workflow_record import workflow_from_dict, workflow_to_dict

__all__ = ["SCHEMA", "grid_from_dict", "grid_to_dict", "workflow_of"]

SCHEMA: Final = "tasktrail/grid@1"


def grid_to_dict(grid: Grid) -> dict[str, object]:
    """Return a grid as JSON values; `grid_from_dict` reads it."""
    return {
        "schema": SCHEMA,
        "name": grid.name,
        "types": [_type_to_dict(one) for one in grid.types],
        "item_tasks": list(grid.item_tasks),
        "group_tasks": list(grid.group_tasks),
        "skipped_meets": grid.skipped_meets,
        "workflow": workflow_to_dict(workflow_of(grid)),
    }


def grid_from_dict(data: Mapping[str, Any]) -> Grid:
    """Return the grid that `grid_to_dict` made. Its meaning is not checked again: it was, before it was stored.

    Raises:
        BadInput: A newer Tasktrail wrote it.
    """
    if data.get("schema") != SCHEMA:
        raise BadInput(f"expected a stored grid to be {SCHEMA}, got: {data.get('schema')}", hint="upgrade Tasktrail")
    steps = workflow_from_dict(data["workflow"]).by_id
    return Grid(
        data["name"],
        tuple(_type_from_dict(one, steps.get(one["name"])) for one in data["types"]),
        tuple(data["item_tasks"]),
        tuple(data["group_tasks"]),
        data["skipped_meets"],
    )


def workflow_of(grid: Grid) -> Workflow:
    """Return what a runner goes by: the types that something executes. What needs what, the cells say."""
    steps = tuple(one.step for one in grid.types if one.step is not None)
    return Workflow(grid.name, steps, on_failure="continue")


def _type_to_dict(one: TaskType) -> dict[str, object]:
    return {
        "name": one.name,
        "needs": list(one.needs),
        "is_group_level": one.is_group_level,
        "agent": one.agent,
        "description": one.description,
        "output_pattern": one.output_pattern,
        "when": one.when,
    }


def _type_from_dict(data: Mapping[str, Any], step: StepSpec | None) -> TaskType:
    return TaskType(**{**data, "needs": tuple(data["needs"])}, step=step)
