"""What is configured of trackers: the table `[tracker]` of the project's tasktrail.toml."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar

from tasktrail.config import Table, find_table, load
from tasktrail.engine.project import NO_FLAGS
from tasktrail.formats.value_nodes import node_of
from tasktrail.formats.workflow_steps import StepReading
from tasktrail.formats.yaml_load import Node, Source
from tasktrail.model.errors import BadInput
from tasktrail.model.matrix import Grid
from tasktrail.tracker.config import EXECUTION_KEYS, TaskTypeConfig, execution_of, grid_of
from tasktrail.tracker.groups import Groups, Letters, Named

__all__ = ["DEFAULT_WEEKS_DIR", "KEYS", "TYPE_KEYS", "TrackerSettings", "load_settings"]

DEFAULT_WEEKS_DIR: Final = "data/weeks"
KEYS: Final = ("backend", "weeks_dir", "groups", "word", "skipped_meets", "item_tasks", "week_tasks", "types")
TYPE_KEYS: Final = (
    "depends_on", "agent", "output_pattern", "description", "is_week_level", "when", *EXECUTION_KEYS,
)  # fmt: skip
GROUPS: Final[Mapping[str, Callable[[str], Groups]]] = MappingProxyType({"letters": Letters, "names": Named})
_WORDS: Final = {"letters": "week", "names": "group"}
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """What is configured of trackers.

    Args:
        backend: A word or a URL, as `get_tracker` takes it.
        weeks_dir: The folder with a folder per week.
        grid: The task types and what needs what; None are those of `tasktrail.tracker.config`.
        flags: Settings by name that were given on the command line.
        folder: Of the tasktrail.toml that says so, where commands of task types work; None where there is none.
    """

    backend: str = "yaml"
    weeks_dir: Path = Path(DEFAULT_WEEKS_DIR)
    groups: Groups = field(default_factory=Letters)
    grid: Grid | None = None
    flags: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None


def load_settings(start: Path | None = None, flags: Mapping[str, str] = NO_FLAGS) -> TrackerSettings:
    """Return what flags, environment and the nearest tasktrail.toml say of trackers.

    Args:
        start: Where the search for the file begins; None is the working directory.
        flags: Text by name of the setting, of the flags that were given.

    Raises:
        BadInput: Something cannot be; the details name everything that is wrong in the file.
    """
    backend = load(start, flags).tracker_backend
    table = find_table("tracker", start)
    if table is None:
        return TrackerSettings(backend, flags=flags)
    folder, said = table.path.parent, _said(table)
    return TrackerSettings(backend, folder / folder_of(said.weeks_dir), said.groups, said.grid(table), flags, folder)


def folder_of(weeks_dir: str | Path) -> Path:
    """Return the folder of trackers.

    Raises:
        BadInput: It is a URL, which as a path would name a folder below the working directory.
    """
    if "://" in str(weeks_dir):
        raise BadInput(
            f"expected weeks_dir to be a folder, got: {weeks_dir}",
            hint=f"as the backend: get_tracker({str(weeks_dir)!r})",
        )
    return Path(weeks_dir)


@dataclass(frozen=True, slots=True)
class _Said:
    weeks_dir: str
    groups: Groups
    types: Mapping[str, TaskTypeConfig] | None
    item_tasks: tuple[str, ...] | None
    week_tasks: tuple[str, ...] | None
    skipped_meets: bool

    def grid(self, table: Table) -> Grid | None:
        if (self.types, self.item_tasks, self.week_tasks, self.skipped_meets) == (None, None, None, False):
            return None
        try:
            return grid_of(
                f"{self.groups.word}s",
                self.types,
                self._tasks(self.item_tasks, is_week_level=False),
                self._tasks(self.week_tasks, is_week_level=True),
                skipped_meets=self.skipped_meets,
            )
        except BadInput as error:
            raise BadInput(f"{table.path}: {error.message}", hint=error.hint, details=error.details) from None

    def _tasks(self, said: tuple[str, ...] | None, *, is_week_level: bool) -> tuple[str, ...] | None:
        """Where task types are named and nobody says which of them are begun with, it is all of them."""
        if said is not None or self.types is None:
            return said
        return tuple(name for name, one in self.types.items() if one.is_week_level == is_week_level)


def _said(table: Table) -> _Said:
    source = Source(table.text, str(table.path))
    reading = _Reading(source, node_of({} if table.value is None else table.value, table.lines))
    said = reading.said()
    if reading.faults:
        hint = "tasktrail schema tracker prints what the table may hold"
        raise source.refusal(reading.faults, "says of [tracker] what cannot be", hint)
    return said


class _Reading(StepReading):
    """The table that is read; what is wrong is in `faults`."""

    def __init__(self, source: Source, root: Node) -> None:
        super().__init__(source)
        self._root = root

    def said(self) -> _Said:
        """Return what could be read."""
        root = self._root
        if root.members is None:
            self.unlike(root, "tracker", "a table")
        for key in root.members or ():
            if key not in KEYS:
                self.unknown_key(root, key, KEYS)
        groups = self._of(root, "groups", lambda node, key: self.choice(node, key, tuple(GROUPS))) or "letters"
        return _Said(
            self._of(root, "weeks_dir", self.text) or DEFAULT_WEEKS_DIR,
            GROUPS[groups](self._of(root, "word", self.word) or _WORDS[groups]),
            self._of(root, "types", self._types),
            self._of(root, "item_tasks", self.labels),
            self._of(root, "week_tasks", self.labels),
            self._of(root, "skipped_meets", self.flag) or False,
        )

    @staticmethod
    def _of(table: Node, key: str, read: Callable[[Node, str], T | None]) -> T | None:
        node = (table.members or {}).get(key)
        return None if node is None else read(node, key)

    def _types(self, node: Node, key: str) -> dict[str, TaskTypeConfig] | None:
        if node.members is None:
            self.unlike(node, key, "a table of task types")
            return None
        return {name: self._type(name, one) for name, one in node.members.items()}

    def _type(self, name: str, node: Node) -> TaskTypeConfig:
        if node.members is None:
            self.unlike(node, f"types.{name}", "a table")
            return TaskTypeConfig(name=name)
        for key in node.members:
            if key not in TYPE_KEYS:
                self.unknown_key(node, key, TYPE_KEYS)
        execution = {key: one.to_json() for key, one in node.members.items() if key in EXECUTION_KEYS}
        if execution:
            execution_of(self, name, node)
        return TaskTypeConfig(
            name=name,
            depends_on=list(self._of(node, "depends_on", self._names) or ()),
            agent=self._of(node, "agent", self.name),
            output_pattern=self._of(node, "output_pattern", self.text),
            description=self._of(node, "description", self.text) or "",
            is_week_level=self._of(node, "is_week_level", self.flag) or False,
            when=self._of(node, "when", self.text),
            step=execution or None,
        )

    def _names(self, node: Node, key: str) -> tuple[str, ...] | None:
        """One name, or a list of them."""
        if isinstance(node.value, str):
            return (node.value,)
        return self.labels(node, key)
