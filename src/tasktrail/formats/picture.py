"""What a document says of its run, in the words of the model: what every codec reads and writes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, field, replace
from typing import Any, Final, NamedTuple, Protocol, cast

from tasktrail.model.item import Item
from tasktrail.model.plan import Move, Note
from tasktrail.model.reference import cell_name
from tasktrail.model.run import Run, RunStatus
from tasktrail.model.task import Status, Task, Value

__all__ = [
    "MAX_TASKS", "Codec", "Differences", "ItemPicture", "Listed", "Picture", "TaskChange", "TaskPicture", "Writing",
    "details_of", "details_text", "differences",
]  # fmt: skip

MAX_TASKS: Final = 20_000
"""A document refuses more: every reader would have to load them all to show one."""

_TASK_COLUMNS: Final = (
    "priority", "critical", "max_retries", "attempts", "tries", "last_outcome", "summary", "error", "reason",
    "started_at", "completed_at",
)  # fmt: skip
_RUN_FIELDS: Final = ("name", "workflow", "status", "error", "metadata", "created_at", "started_at", "finished_at")
_TIMES: Final = frozenset({"created_at", "started_at", "completed_at", "finished_at"})
_encode: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Listed:
    """What a document that lists its tasks says of one, beside where it stands.

    Args:
        title: What is to be done.
        needs: Keys of what must be done before; what they name need not exist.
        notes: The oldest first. They only come.
        history: Its moves, the oldest first. They are told, and make nothing happen.
        updated_at: When title, needs and the like were changed last; microseconds UTC. That is told, too.
    """

    title: str
    needs: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()
    history: tuple[Move, ...] = ()
    updated_at: int | None = None

    @classmethod
    def from_json(cls, said: list[Any]) -> Listed:
        """Return what `TaskPicture.to_json` wrote of it."""
        title, needs, notes, history, updated_at = said
        return cls(
            title, tuple(needs), tuple(Note(*one) for one in notes), tuple(Move(*one) for one in history), updated_at
        )


@dataclass(frozen=True, slots=True)
class TaskPicture:
    """What a document says of one task.

    Args:
        values: Columns of `Task` that the document has words for and that are not empty. `output` is the JSON text
            of the value itself, never a hash. Times are microseconds UTC.
        metadata: JSON text of an object; None when there is none or it is empty.
        listed: None where the format has no words for it.
        item: Of a matrix; empty for what has none.
    """

    key: str
    status: Status
    values: Mapping[str, Value] = field(default_factory=dict)
    metadata: str | None = None
    listed: Listed | None = None
    item: str = ""

    @property
    def name(self) -> str:
        """What tells it from the others of its run."""
        return cell_name(self.item, self.key)

    @classmethod
    def of(cls, task: Task, output: str | None, metadata: str | None, listed: Listed | None = None) -> TaskPicture:
        """Return a task of the store with all its values; a codec leaves out what it has no word for.

        Args:
            output: The JSON text that the task's column holds or its hash stands for.
        """
        values = {name: value for name in _TASK_COLUMNS if (value := getattr(task, name)) is not None}
        if output is not None:
            values["output"] = output
        return cls(task.key, task.status, values, metadata, listed, task.item)

    def to_json(self) -> str:
        """Return its part of what `Picture.to_json` gives."""
        said: list[object] = [self.key, self.status, dict(self.values), self.metadata]
        if self.listed or self.item:
            said.append(astuple(self.listed) if self.listed else None)
        return _encode([*said, self.item] if self.item else said)

    @classmethod
    def from_json(cls, said: list[Any]) -> TaskPicture:
        """Return the picture of which `to_json` wrote this."""
        key, status, values, metadata, *more = said
        listed = Listed.from_json(more[0]) if more and more[0] else None
        return cls(key, status, values, metadata, listed, *more[1:])


@dataclass(frozen=True, slots=True)
class ItemPicture:
    """What a document says of one item of a matrix.

    Args:
        attributes: JSON text of an object; None when it has none.
    """

    name: str
    removed: bool = False
    attributes: str | None = None
    content_hash: str | None = None

    @classmethod
    def of(cls, item: Item) -> ItemPicture:
        """Return an item of the store."""
        return cls(item.name, item.removed_at is not None, item.attributes, item.content_hash)


@dataclass(frozen=True, slots=True)
class Picture:
    """What a document says of its run.

    Args:
        status: Its word for the run as a whole; None when it has none.
        metadata: JSON text of an object; None when there is none or it is empty.
        tasks: In the document's order.
        items: Of a matrix, likewise.
    """

    name: str
    workflow: str
    status: RunStatus | None = None
    error: str | None = None
    metadata: str | None = None
    created_at: int | None = None
    updated_at: int | None = None
    started_at: int | None = None
    finished_at: int | None = None
    tasks: tuple[TaskPicture, ...] = ()
    items: tuple[ItemPicture, ...] = ()

    @classmethod
    def of(
        cls, run: Run, tasks: Iterable[TaskPicture], items: Iterable[ItemPicture] = (), *, error: str | None = None
    ) -> Picture:
        """Return a run of the store.

        Args:
            error: Text for readers; None takes what was declared.
        """
        return cls(
            run.name, run.workflow, run.status, error or run.declared_error, run.metadata,
            run.created_at, run.updated_at, run.started_at, run.finished_at, tuple(tasks), tuple(items),
        )  # fmt: skip

    def by_name(self) -> dict[str, TaskPicture]:
        """Return its tasks by what tells them apart: the key, in a matrix with its item."""
        return {task.name: task for task in self.tasks}

    def item_by_name(self) -> dict[str, ItemPicture]:
        """Return its items by name."""
        return {item.name: item for item in self.items}

    def to_json(self) -> str:
        """Return what `document.written` holds; `from_json` reads it.

        >>> Picture("r1", "nightly", tasks=(TaskPicture("load", "pending"),)).to_json()
        '{"run":["r1","nightly",null,null,null,null,null,null,null],"tasks":[["load","pending",{},null]]}'
        """
        return self.joined(task.to_json() for task in self.tasks)

    def joined(self, tasks: Iterable[str]) -> str:
        """Return the same, its tasks being written already."""
        items = f',"items":{_encode([astuple(item) for item in self.items])}' if self.items else ""
        run = [self.name, self.workflow, self.status, self.error, self.metadata]
        run += [self.created_at, self.updated_at, self.started_at, self.finished_at]  # type: ignore[list-item]
        return f'{{"run":{_encode(run)},"tasks":[{",".join(tasks)}]{items}}}'

    @classmethod
    def from_json(cls, text: str) -> Picture:
        """Return the picture that `to_json` wrote."""
        written = json.loads(text)
        run: Picture = cls(*written["run"])
        tasks = tuple(map(TaskPicture.from_json, written["tasks"]))
        return replace(run, tasks=tasks, items=tuple(ItemPicture(*item) for item in written.get("items", ())))


class Writing(NamedTuple):
    """A document's new text, and what it says now: what `document.written` keeps."""

    text: str
    picture: Picture


class Codec(Protocol):
    """A format: how a document of it becomes a picture, and a picture a document."""

    @property
    def name(self) -> str:
        """What `document.codec` holds: the format and its version, `run-json@1`."""

    def load(self, text: str, where: str) -> Picture:
        """Return what the text says.

        Raises:
            BadInput: It cannot be read; every message begins with `where:line:column`.
        """

    def standing(self, picture: Picture) -> Picture:
        """Return where the run stands by what a document says: a word may be there for readers alone."""

    def write(
        self, text: str | None, picture: Picture, where: str = "the document", said: Picture | None = None
    ) -> Writing:
        """Bring a text to what the picture says.

        Args:
            text: None makes a new document; otherwise only what differs from what it says now is changed, and it is
                the same object when nothing does.
            said: What the text says, where that is known: then it is not read. Tasks that the picture has from there,
                the very same objects, are left as they stand.

        Raises:
            BadInput: The text cannot be read, or the picture has more tasks than a document holds.
        """


def details_text(details: Mapping[str, object]) -> str | None:
    """Return what no column has as it is stored: in one order, so that equal things are equal texts."""
    kept = {name: details[name] for name in sorted(details) if details[name] is not None}
    return _encode(kept) if kept else None


def details_of(task: TaskPicture) -> dict[str, object]:
    """Return what is said of a task that no column has, by name."""
    return json.loads(task.metadata) if task.metadata else {}


# ------------------------------------------------------------------------------------------------------------ comparing


@dataclass(frozen=True, slots=True)
class TaskChange:
    """A task that both pictures have.

    Args:
        values: The columns that differ, as they are now; None is no longer there.
    """

    old: TaskPicture
    new: TaskPicture
    values: Mapping[str, Value]

    @property
    def name(self) -> str:
        """What tells the task from others."""
        return self.new.name

    @property
    def moved(self) -> bool:
        """Whether its status is another one."""
        return self.old.status != self.new.status

    @property
    def metadata_changed(self) -> bool:
        """Whether its metadata are others."""
        return self.old.metadata != self.new.metadata

    @property
    def listed_changed(self) -> bool:
        """Whether its title, its needs or its notes are others; the rest that is listed is only told."""
        old, new = self.old.listed, self.new.listed
        return old != new and _meant(old) != _meant(new)


@dataclass(frozen=True, slots=True)
class Differences:
    """What changed between two pictures of a document; false when nothing did.

    Args:
        run: Fields of the picture itself that differ, as they are now.
        reordered: Whether a document that lists its tasks has them in another order.
        items_changed: As they were and as they are.
    """

    added: tuple[TaskPicture, ...] = ()
    removed: tuple[TaskPicture, ...] = ()
    changed: tuple[TaskChange, ...] = ()
    run: Mapping[str, Value] = field(default_factory=dict)
    reordered: bool = False
    items_added: tuple[ItemPicture, ...] = ()
    items_dropped: tuple[ItemPicture, ...] = ()
    items_changed: tuple[tuple[ItemPicture, ItemPicture], ...] = ()

    def __bool__(self) -> bool:
        """Whether anything changed."""
        return self.moves_cells or bool(self.changed or self.run or self.reordered)

    @property
    def moves_items(self) -> bool:
        """Whether items are others."""
        return bool(self.items_added or self.items_dropped or self.items_changed)

    @property
    def moves_cells(self) -> bool:
        """Whether there are other tasks or items than before."""
        return self.moves_items or bool(self.added or self.removed)


def differences(old: Picture, new: Picture) -> Differences:
    """Compare two pictures by key: what somebody changed in a document since it was last read or written.

    A time that is no longer there is no fact: the store keeps the one it has. Nor is `updated_at`.
    """
    before, after = old.by_name(), new.by_name()
    items_before, items_after = old.item_by_name(), new.item_by_name()
    listed = [key for key, task in after.items() if key in before and task.listed]
    return Differences(
        added=tuple(task for key, task in after.items() if key not in before),
        removed=tuple(task for key, task in before.items() if key not in after),
        changed=tuple(
            change for key, task in after.items() if key in before and (change := _change(before[key], task))
        ),
        run=_changed_fields(old, new),
        reordered=listed != [key for key in before if key in after and after[key].listed],
        items_added=tuple(item for name, item in items_after.items() if name not in items_before),
        items_dropped=tuple(item for name, item in items_before.items() if name not in items_after),
        items_changed=tuple(
            (items_before[name], item)
            for name, item in items_after.items()
            if name in items_before and items_before[name] != item
        ),
    )


def _change(old: TaskPicture, new: TaskPicture) -> TaskChange | None:
    if old == new:
        return None
    values = {name: value for name, value in new.values.items() if old.values.get(name) != value}
    values.update({name: None for name in old.values if name not in new.values and name not in _TIMES})
    change = TaskChange(old, new, values)
    return change if values or change.moved or change.metadata_changed or change.listed_changed else None


def _meant(listed: Listed | None) -> tuple[object, ...]:
    return () if listed is None else (listed.title, listed.needs, listed.notes)


def _changed_fields(old: Picture, new: Picture) -> dict[str, Value]:
    changed = [name for name in _RUN_FIELDS if getattr(old, name) != getattr(new, name)]
    values = {name: cast(Value, getattr(new, name)) for name in changed}
    return {name: value for name, value in values.items() if value is not None or name not in _TIMES}
