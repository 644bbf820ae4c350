"""A matrix: items × task types, what needs what in it, and what a list of items does to it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from tasktrail.model.condition import Condition
from tasktrail.model.errors import BadInput
from tasktrail.model.graph import Need, check_graph
from tasktrail.model.reference import cell_name
from tasktrail.model.suggestion import Suggestions
from tasktrail.model.workflow import StepSpec

__all__ = ["ITEM_REMOVED", "NO_ITEM", "Cell", "Grid", "Synced", "TaskType", "Wanted", "sanitized"]

TYPE_NAME: Final = r"[A-Za-z_][A-Za-z0-9_.-]{0,63}"
"""Without `/`, so that a cell is told from a group's own task by its name."""
NO_ITEM: Final = "*"
"""Stands for the item in what a group's task needs of all items where there is none."""
ITEM_REMOVED: Final = "its item was removed"
"""The reason of a skipped task whose item the list has no more; it comes back with the item."""

Cell = tuple[str, str]
"""An item's name, empty for the group's own, and a task type."""

_NO_ATTRIBUTES: Final[Mapping[str, object]] = MappingProxyType({})
_TYPE_NAME: Final = re.compile(TYPE_NAME)


@dataclass(frozen=True, slots=True)
class TaskType:
    """A task type: a column of the matrix, or a task of the group itself.

    Args:
        needs: Names of types: of the same item, of the group; of a group's task those of all items.
        is_group_level: Whether the group has it once.
        agent: Who does it.
        output_pattern: Where its result goes; `{sanitized_name}` and the like stand for the item.
        when: A condition over `item.<attribute>`; an item for which it is false has no such task.
        step: What executes it; None: whoever says so.
    """

    name: str
    needs: tuple[str, ...] = ()
    is_group_level: bool = False
    agent: str | None = None
    description: str = ""
    output_pattern: str | None = None
    when: str | None = None
    step: StepSpec | None = None

    def applies_to(self, attributes: Mapping[str, object]) -> bool:
        """Whether an item of these attributes has such a task; what it does not have is null."""
        if self.when is None:
            return True
        condition = Condition.parse(self.when)
        known: dict[str, object] = {path.parts[1]: None for path in condition.paths if len(path.parts) > 1}
        return condition.holds({"item": {**known, **attributes}})


@dataclass(frozen=True, slots=True)
class Grid:
    """What the matrices of one kind are made of.

    Args:
        name: Of the grouping: `weeks`, `sprints`.
        types: In order.
        item_tasks: Which of them a new item has.
        group_tasks: Which of them a new group has.
        skipped_meets: Whether what is skipped meets needs, as what is completed does.
    """

    name: str
    types: tuple[TaskType, ...]
    item_tasks: tuple[str, ...] = ()
    group_tasks: tuple[str, ...] = ()
    skipped_meets: bool = False

    @property
    def by_name(self) -> dict[str, TaskType]:
        """The types by name, in order."""
        return {one.name: one for one in self.types}

    def check(self) -> None:
        """Refuse types that cannot be a matrix.

        Raises:
            BadInput: The details name everything that is wrong.
        """
        faults = [*self._faults(), *check_graph([one.name for one in self.types], self._graph())]
        if faults:
            raise BadInput(f"the task types of {self.name} cannot be a matrix", details=faults)

    def _graph(self) -> dict[str, list[Need]]:
        return {one.name: [Need(name) for name in one.needs] for one in self.types}

    def _faults(self) -> Iterator[str]:
        suggest, known = Suggestions(), self.by_name
        for one in self.types:
            if not _TYPE_NAME.fullmatch(one.name):
                yield f"expected the name of a task type to be letters, digits, _, - and ., got: {one.name[:80]!r}"
            if one.when is not None:
                yield from _condition_faults(one)
        for names, is_group_level in ((self.item_tasks, False), (self.group_tasks, True)):
            level = "a group" if is_group_level else "an item"
            for name in names:
                if name not in known:
                    yield f"{level} is to have {name}, which is no task type{suggest(name, known)}"
                elif known[name].is_group_level != is_group_level:
                    yield f"{level} is to have {name}, which is a task of {'an item' if is_group_level else 'a group'}"

    # cells

    def cells_of(self, item: str, attributes: Mapping[str, object] = _NO_ATTRIBUTES) -> list[Cell]:
        """Return the cells that a new item has."""
        types = self.by_name
        return [(item, name) for name in self.item_tasks if types[name].applies_to(attributes)]

    def group_cells(self) -> list[Cell]:
        """Return the cells that a new group has of its own."""
        return [("", name) for name in self.group_tasks]

    def needs(self, items: Mapping[str, Mapping[str, object]], cells: Collection[Cell]) -> dict[str, tuple[str, ...]]:
        """Return what each cell needs, by their names. What is needed need not be there; then it is never met.

        Args:
            items: Attributes by name, of those that are not removed.
            cells: Those that there are.

        >>> grid = Grid("weeks", (TaskType("research"), TaskType("post", ("research",), is_group_level=True)))
        >>> grid.needs({"x": {}}, [("x", "research"), ("", "post")])
        {'x/research': (), 'post': ('x/research',)}
        """
        types, of_all = self.by_name, dict[str, tuple[str, ...]]()
        found: dict[str, tuple[str, ...]] = {}
        for item, key in cells:
            task_type = types.get(key)
            needed = task_type.needs if task_type else ()
            names: list[str] = []
            for name in needed:
                if name not in types or types[name].is_group_level:
                    names.append(name)
                elif item:
                    names += [cell_name(item, name)] if self._has(types[name], items.get(item)) else ()
                else:
                    if name not in of_all:
                        of_all[name] = tuple(self._of_all(types[name], items))
                    names += of_all[name]
            found[cell_name(item, key)] = tuple(names)
        return found

    def _of_all(self, task_type: TaskType, items: Mapping[str, Mapping[str, object]]) -> Iterable[str]:
        """The cells of all items that have such a task; where none has, one that is not there."""
        having = [name for name, attributes in items.items() if task_type.applies_to(attributes)]
        return [cell_name(item, task_type.name) for item in having or [NO_ITEM]]

    @staticmethod
    def _has(task_type: TaskType, attributes: Mapping[str, object] | None) -> bool:
        return attributes is None or task_type.applies_to(attributes)


def _condition_faults(task_type: TaskType) -> Iterator[str]:
    try:
        paths = Condition.parse(task_type.when or "").paths
    except BadInput as error:
        yield f"when of {task_type.name}: {error.message}"
        return
    for path in paths:
        if path.root != "item":
            yield f"when of {task_type.name}: expected item.<attribute>, got: {path}"


_UNDERSCORES: Final = str.maketrans(" /.", "___")
_DROPPED: Final = re.compile("[,'\"]")


def sanitized(name: str) -> str:
    """Return a name as it may stand in a path of an output pattern.

    >>> sanitized("Foo & Bar, Inc. (A/B)")
    'foo_and_bar_inc__(a_b)'
    """
    return _DROPPED.sub("", name.lower().replace("&", "and")).translate(_UNDERSCORES)


# ----------------------------------------------------------------------------------------------------- synchronisation


@dataclass(frozen=True, slots=True)
class Wanted:
    """An item as a list has it.

    Args:
        attributes: Put beside those that it has; None says nothing of them.
        content_hash: None says nothing of it.
    """

    name: str
    attributes: Mapping[str, object] | None = None
    content_hash: str | None = None


@dataclass(frozen=True, slots=True)
class Synced:
    """What a list of items does to a matrix; names, in the order of the list.

    Args:
        changed: Those whose attributes or content hash are others.
    """

    added: Sequence[str] = ()
    removed: Sequence[str] = ()
    restored: Sequence[str] = ()
    changed: Sequence[str] = field(default=())

    def __bool__(self) -> bool:
        """Whether it does anything."""
        return bool(self.added or self.removed or self.restored or self.changed)
