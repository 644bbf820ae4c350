"""A matrix: items × task types, what needs what in it, and what a list of items does to it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Final

from tasktrail.model.condition import Condition
from tasktrail.model.errors import BadInput
from tasktrail.model.graph import MET_BY, MET_BY_COMPLETED, Need, check_graph
from tasktrail.model.reference import cell_name
from tasktrail.model.suggestion import Suggestions
from tasktrail.model.task import Status
from tasktrail.model.workflow import StepSpec

__all__ = [
    "TYPE_NAME", "Cell", "Grid", "Standing", "Synced", "TaskType", "Wanted", "is_type_name",
    "sanitized", "synced",
]  # fmt: skip

TYPE_NAME: Final = r"[A-Za-z_][A-Za-z0-9_.-]{0,63}"
"""Without `/`, so that a cell is told from a group's own task by its name."""
_NO_ITEM: Final = "* "
"""Stands for the item in what a group's task needs of all items where there is none. No item is called so: a blank at
the end is refused."""

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

    def applies_to(self, item: str, attributes: Mapping[str, object]) -> bool:
        """Whether an item of these attributes has such a task; what it does not have is null.

        Raises:
            BadInput: The condition compares what cannot be compared.
        """
        if self.when is None:
            return True
        condition = _condition(self.when)
        known: dict[str, object] = {path.parts[1]: None for path in condition.paths if len(path.parts) > 1}
        try:
            return condition.holds({"item": {**known, **attributes}})
        except BadInput as error:
            hint = "ask first whether the item has that, as in: item.size and item.size > 3"
            raise BadInput(f"when of {self.name}, for item {item}: {error.message}", hint=hint) from None


@lru_cache(maxsize=64)
def _condition(text: str) -> Condition:
    return Condition.parse(text)


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

    @property
    def met_by(self) -> frozenset[Status]:
        """The statuses that meet a need."""
        return MET_BY if self.skipped_meets else MET_BY_COMPLETED

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
            if not is_type_name(one.name):
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
        return [(item, name) for name in self.item_tasks if types[name].applies_to(item, attributes)]

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
                    names += [cell_name(item, name)] if self._has(types[name], item, items.get(item)) else ()
                else:
                    if name not in of_all:
                        of_all[name] = tuple(self._of_all(types[name], items))
                    names += of_all[name]
            found[cell_name(item, key)] = tuple(names)
        return found

    def _of_all(self, task_type: TaskType, items: Mapping[str, Mapping[str, object]]) -> Iterable[str]:
        """The cells of all items that have such a task; where none has, one that is not there."""
        having = [name for name, attributes in items.items() if task_type.applies_to(name, attributes)]
        return [cell_name(item, task_type.name) for item in having or [_NO_ITEM]]

    @staticmethod
    def _has(task_type: TaskType, item: str, attributes: Mapping[str, object] | None) -> bool:
        return attributes is None or task_type.applies_to(item, attributes)


def _condition_faults(task_type: TaskType) -> Iterator[str]:
    try:
        paths = Condition.parse(task_type.when or "").paths
    except BadInput as error:
        yield f"when of {task_type.name}: {error.message}"
        return
    for path in paths:
        if path.root != "item":
            yield f"when of {task_type.name}: expected item.<attribute>, got: {path}"


def is_type_name(name: object) -> bool:
    """Whether a task type may be called so."""
    return isinstance(name, str) and _TYPE_NAME.fullmatch(name) is not None


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
    changed: Sequence[str] = ()

    def __bool__(self) -> bool:
        """Whether it does anything."""
        return bool(self.added or self.removed or self.restored or self.changed)


def synced(known: Mapping[str, tuple[bool, Mapping[str, object], str | None]], wanted: Sequence[Wanted]) -> Synced:
    """Return what a list of items does to those that are known; one that comes twice counts once.

    Args:
        known: By name whether it is removed, its attributes and its content hash.

    >>> synced({"a": (False, {}, None), "b": (True, {}, None)}, [Wanted("b"), Wanted("c"), Wanted("c")])
    Synced(added=('c',), removed=('a',), restored=('b',), changed=())
    """
    by_name = {one.name: one for one in wanted}
    return Synced(
        added=tuple(name for name in by_name if name not in known),
        removed=tuple(name for name, (removed, *_) in known.items() if name not in by_name and not removed),
        restored=tuple(name for name in by_name if name in known and known[name][0]),
        changed=tuple(name for name, one in by_name.items() if name in known and _is_other(one, *known[name][1:])),
    )


def _is_other(wanted: Wanted, attributes: Mapping[str, object], content_hash: str | None) -> bool:
    if wanted.attributes is not None and {**attributes, **wanted.attributes} != attributes:
        return True
    return wanted.content_hash is not None and wanted.content_hash != content_hash


# ------------------------------------------------------------------------------------------------------------- standing


@dataclass(frozen=True)
class Standing:
    """Where the cells of one matrix stand, as a document or a store says; the questions that need all of them.

    Args:
        items: Attributes by name, of those that are not removed.
        statuses: By cell, those of removed items too.
        agents: By cell, who is said to do it.
    """

    grid: Grid
    items: Mapping[str, Mapping[str, object]]
    statuses: Mapping[Cell, Status]
    agents: Mapping[Cell, str] = field(default_factory=dict)

    @cached_property
    def present(self) -> dict[Cell, Status]:
        """The cells that count: those of the group and of items that are not removed."""
        return {cell: status for cell, status in self.statuses.items() if not cell[0] or cell[0] in self.items}

    @cached_property
    def _by_name(self) -> dict[str, Status]:
        return {cell_name(*cell): status for cell, status in self.present.items()}

    def unmet(self, cell: Cell) -> list[str]:
        """Return the names of what a cell needs and that is not done; it need not be there itself."""
        return self._unmet(self.grid.needs(self.items, [cell])[cell_name(*cell)])

    def _unmet(self, needed: Iterable[str]) -> list[str]:
        return [name for name in needed if self._by_name.get(name) not in self.grid.met_by]

    def status_of(self, name: str) -> Status | None:
        """Return where a cell stands, by its name; None where there is none."""
        return self._by_name.get(name)

    def agent_of(self, cell: Cell) -> str | None:
        """Return who does a cell, or its type."""
        task_type = self.grid.by_name.get(cell[1])
        return self.agents.get(cell) or (task_type.agent if task_type else None)

    def ready(self) -> list[Cell]:
        """Return the pending cells whose needs are met, by type and item."""
        needs = self.grid.needs(self.items, self.present)
        own = {one.name: one.is_group_level for one in self.grid.types}
        pending = (
            cell for cell, status in self.present.items() if status == "pending" and own.get(cell[1]) is (not cell[0])
        )
        return sorted(
            (cell for cell in pending if not self._unmet(needs[cell_name(*cell)])), key=lambda cell: (cell[1], cell[0])
        )

    def counts(self, key: str | None = None) -> Counter[Status]:
        """Return how many cells stand where.

        Args:
            key: Of this type alone; None counts all.
        """
        return Counter(status for cell, status in self.present.items() if key in (None, cell[1]))
