"""Task types and what needs what. Source: document 002, Configuration.

`TASK_TYPES`, `DEFAULT_ITEM_TASKS` and `DEFAULT_WEEK_TASKS` may be changed: a tracker that is made afterwards goes by
them, unless it is told its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tasktrail.formats.value_nodes import node_of
from tasktrail.formats.workflow_steps import STEP_KEYS, StepReading
from tasktrail.formats.yaml_load import Node, Source
from tasktrail.model.errors import BadInput
from tasktrail.model.matrix import Grid, TaskType
from tasktrail.model.suggestion import Suggestions
from tasktrail.model.workflow import StepSpec
from tasktrail.model.workflow_check import step_faults
from tasktrail.tracker.exceptions import InvalidTaskTypeError

__all__ = [
    "DEFAULT_ITEM_TASKS", "DEFAULT_WEEK_TASKS", "TASK_TYPES", "TASK_TYPE_BLOG_POST", "TASK_TYPE_CONTENT",
    "TASK_TYPE_RESEARCH", "TaskTypeConfig", "get_task_config", "grid_of", "is_valid_task_type",
]  # fmt: skip

_SAID_OTHERWISE: Final = ("id", "name", "title", "depends_on", "when", "for_each", "critical", "deadline")
EXECUTION_KEYS: Final = tuple(key for key in STEP_KEYS if key not in _SAID_OTHERWISE)
"""What of a workflow file's step says how a type is executed: a type has its own word for the rest, or none."""


@dataclass
class TaskTypeConfig:
    """A task type.

    Attributes:
        depends_on: Types that must be completed before: of the same item; of a week's task those of all items.
        agent: Who executes it.
        output_pattern: Where its result goes; `{sanitized_name}`, `{item}`, `{letter}` and `{year}` are filled in.
        is_week_level: Whether the week has it once, not each item.
        when: A condition over `item.<attribute>`: an item for which it is false has no such task.
        step: How it is executed, in the words of a step of a workflow file: `run` or `call`, `retries`, `timeout` …
    """

    name: str
    depends_on: list[str] = field(default_factory=list)
    agent: str | None = None
    output_pattern: str | None = None
    description: str = ""
    is_week_level: bool = False
    when: str | None = None
    step: dict[str, Any] | None = None


TASK_TYPE_RESEARCH = TaskTypeConfig(
    name="research",
    agent="researcher",
    output_pattern="research/{sanitized_name}.yaml",
    description="Research project details, features, and use cases",
)
TASK_TYPE_CONTENT = TaskTypeConfig(
    name="content",
    depends_on=["research"],
    agent="writer",
    output_pattern="content/{sanitized_name}.md",
    description="Write detailed content for the project",
)
TASK_TYPE_BLOG_POST = TaskTypeConfig(
    name="blog_post",
    depends_on=["content"],
    agent="writer",
    output_pattern="website/content/letters/{year}-{letter}.md",
    description="Write weekly blog post announcing all projects",
    is_week_level=True,
)

TASK_TYPES: dict[str, TaskTypeConfig] = {
    one.name: one for one in (TASK_TYPE_RESEARCH, TASK_TYPE_CONTENT, TASK_TYPE_BLOG_POST)
}
DEFAULT_ITEM_TASKS: list[str] = ["research", "content"]
DEFAULT_WEEK_TASKS: list[str] = ["blog_post"]


def get_task_config(name: str) -> TaskTypeConfig:
    """Return a task type.

    Raises:
        InvalidTaskTypeError: There is none of this name.
    """
    if name not in TASK_TYPES:
        raise unknown_type(name, TASK_TYPES)
    return TASK_TYPES[name]


def is_valid_task_type(name: str) -> bool:
    """Whether there is a task type of this name."""
    return name in TASK_TYPES


def unknown_type(name: object, known: Mapping[str, object]) -> InvalidTaskTypeError:
    """Return the error for a task type that is none."""
    near = Suggestions()(str(name), known)
    return InvalidTaskTypeError(
        f"Invalid task type: {str(name)[:80]!r}{near}", hint=f"task types are {', '.join(known) or 'none'}"
    )


def grid_of(
    name: str,
    types: Mapping[str, TaskTypeConfig] | None = None,
    item_tasks: Sequence[str] | None = None,
    week_tasks: Sequence[str] | None = None,
    *,
    skipped_meets: bool = False,
) -> Grid:
    """Return what the trackers of a grouping are made of, checked; None are those of this module.

    Raises:
        BadInput: Task types need each other in a cycle, or what is no task type, or cannot be executed as they say;
            the details name all faults.
    """
    types = TASK_TYPES if types is None else types
    faults: list[str] = []
    grid = Grid(
        name,
        tuple(_task_type(key, one, faults) for key, one in types.items()),
        tuple(DEFAULT_ITEM_TASKS if item_tasks is None else item_tasks),
        tuple(DEFAULT_WEEK_TASKS if week_tasks is None else week_tasks),
        skipped_meets,
    )
    if faults:
        raise BadInput(f"the task types of {name} cannot be executed", details=faults)
    grid.check()
    return grid


def _task_type(name: str, config: TaskTypeConfig, faults: list[str]) -> TaskType:
    return TaskType(
        name,
        tuple(config.depends_on),
        config.is_week_level,
        config.agent,
        config.description,
        config.output_pattern,
        config.when,
        _step(name, config.step, faults) if config.step is not None else None,
    )


def _step(name: str, said: Mapping[str, Any], faults: list[str]) -> StepSpec | None:
    reading = StepReading(Source("", name))
    node = node_of(said)
    for key in node.members or ():
        if key not in EXECUTION_KEYS:
            reading.unknown_key(node, key, EXECUTION_KEYS)
    step = execution_of(reading, name, node)
    faults += [f"{name}: {fault.what}" for fault in reading.faults]
    return step


def execution_of(reading: StepReading, name: str, node: Node) -> StepSpec | None:
    """Return how a type is executed; what is wrong with it is in the reading's faults."""
    members = node.members or {}
    said = {key: one for key, one in members.items() if key in EXECUTION_KEYS}
    step = reading.step(replace(node, value={"id": node_of(name), **said}), critical=False)
    for fault in step_faults(step) if step is not None else ():
        reading.fault(members.get(str(fault.at[0]), node) if fault.at else node, fault.what)
    return step
