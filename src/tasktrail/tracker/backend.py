"""The interface of trackers: three methods to implement, and what all trackers do with them.

Source: document 002, Architecture and Usage.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from tasktrail.engine.cells import CellMove, moved
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.matrices import new_cell, standing_of, sync_differences
from tasktrail.engine.project import current_clock
from tasktrail.formats.picture import Picture, TaskPicture
from tasktrail.formats.tracker_codec import attempts_of
from tasktrail.model.errors import BadInput, Conflict, StoreError, UnmetNeed
from tasktrail.model.matrix import Cell, Grid, Standing, Synced, TaskType, Wanted
from tasktrail.model.reference import cell_name
from tasktrail.model.run import Run
from tasktrail.model.suggestion import Suggestions
from tasktrail.model.task import Value
from tasktrail.tracker.config import grid_of, unknown_type
from tasktrail.tracker.drafts import (
    check_item,
    microseconds,
    moment,
    patched,
    picture_of,
    plain_text,
    record_of,
    word_of,
)
from tasktrail.tracker.exceptions import (
    DependencyNotMetError,
    InvalidTaskTypeError,
    ItemNotFoundError,
    ItemRemovedError,
    TrackerAccessError,
    TrackerError,
    TrackerFileError,
    UnknownFieldError,
    WeekNotFoundError,
)
from tasktrail.tracker.groups import Groups, Letters
from tasktrail.tracker.models import ReadyTask, TaskProgress, TaskRecord, TaskStatus, WeekTracker

__all__ = ["OpenMatrix", "TrackerBackend", "told"]

_TRIES: Final = 50
"""How often a change is decided again on what others made of the same week meanwhile."""

EtlItem = str | Mapping[str, Any]
"""An item of a list: its name, or `{"name": …, "content_hash": …}` with its attributes."""


class OpenMatrix(NamedTuple):
    """A week, or another group, as its ledger has it."""

    ledger: Ledger
    run: Run


class TrackerBackend(ABC):
    """Where everything stands, per week, or group: items × task types.

    A backend of your own implements `tracker_exists`, `load_tracker`, `save_tracker` and `weeks`, and passes
    `tasktrail.testing.TrackerContract`; the rest follows. It raises `Conflict` when somebody else changed what it is to
    save, which `WeekTracker.version` tells: the change is then decided again.

    Args:
        grid: The task types and what needs what; None are those of `tasktrail.tracker.config`.
        groups: How groups are called; None are weeks from A to Z.
    """

    def __init__(self, grid: Grid | None = None, groups: Groups | None = None) -> None:
        self._grid = grid
        self.groups: Groups = groups or Letters()

    @property
    def grid(self) -> Grid:
        """The task types and what needs what."""
        return self._grid or grid_of(f"{self.groups.word}s")

    # to implement

    @abstractmethod
    def tracker_exists(self, week_letter: str) -> bool:
        """Whether there is a tracker of a week; the older list of tasks is none."""

    @abstractmethod
    def load_tracker(self, week_letter: str) -> WeekTracker:
        """Return the tracker of a week.

        Raises:
            WeekNotFoundError: There is none.
            TrackerFileError: It cannot be read.
        """

    @abstractmethod
    def save_tracker(self, week_letter: str, tracker: WeekTracker) -> None:
        """Bring the tracker of a week from what was loaded to what it is now; a new one is made.

        Raises:
            Conflict: Somebody else changed the same meanwhile; the message names it.
        """

    @abstractmethod
    def weeks(self) -> list[str]:
        """Return the weeks that have a tracker, in order."""

    # reading

    def get_pending_items(self, week_letter: str, task_type: str) -> list[str]:
        """Return the items whose task of a type is pending and may start, in order.

        Raises:
            InvalidTaskTypeError: There is no such type, or it is none of items.
            WeekNotFoundError: There is no tracker.
        """
        if self._type(task_type).is_group_level:
            raise InvalidTaskTypeError(f"{task_type} is a task of the {self.groups.word} itself, not of items")
        standing = self._standing(week_letter)
        pending = (cell for cell, status in standing.present.items() if status == "pending" and cell[1] == task_type)
        return [cell[0] for cell in pending if not standing.unmet(cell)]

    def can_start_task(self, week_letter: str, item_name: str | None, task_type: str) -> bool:
        """Return whether all that a task needs is completed, wherever it stands itself; of what is unknown False.

        Args:
            item_name: None for a task of the week itself.

        Raises:
            WeekNotFoundError: There is no tracker.
        """
        standing = self._standing(week_letter)
        task = self.grid.by_name.get(task_type)
        if task is None or (item_name is None and not task.is_group_level):
            return False
        item = "" if task.is_group_level else item_name or ""
        return (not item or item in standing.items) and not standing.unmet((item, task_type))

    def get_progress(self, week_letter: str, task_type: str | None = None) -> TaskProgress:
        """Return how many tasks stand where; removed items do not count.

        Args:
            task_type: Count this type alone; None counts all, those of the week itself too.

        Raises:
            InvalidTaskTypeError: There is no such type.
            WeekNotFoundError: There is no tracker.
        """
        if task_type is not None:
            self._type(task_type)
        counts = self._standing(week_letter).counts(task_type)
        numbers = Counter[str]()
        for status, number in counts.items():
            numbers[word_of(status).value] += number
        return TaskProgress(total=numbers.total(), **numbers)

    def get_ready_tasks(self, limit: int | None = None) -> list[ReadyTask]:
        """Return what may start now in all weeks, by week, type and item.

        Args:
            limit: At most so many; None: all.
        """
        _check_limit(limit)
        found = [one for week in self.weeks() for one in self._ready(week)]
        return found if limit is None else found[:limit]

    def _ready(self, week: str) -> Iterator[ReadyTask]:
        grid = self.grid
        for item, key in self._standing(week).ready():
            yield ReadyTask(week, item or None, key, grid.by_name[key].agent)

    def _standing(self, week_letter: str) -> Standing:
        return standing_of(picture_of(self.load_tracker(week_letter)), self.grid)

    # changing

    def update_task(
        self, week_letter: str, item_name: str | None, task_type: str, status: TaskStatus | str, **metadata: Any
    ) -> None:
        """Let a task stand at a status.

        Times are set: `started_at` once, `completed_at` when it is completed, failed or skipped. Starting again
        clears `completed_at` and `error_message`, and counts in `retry_count`. Only what starts needs that what it
        depends on is completed.

        Args:
            item_name: None for a task of the week itself.
            metadata: Other fields of the record: `output_file`, `error_message`, `agent`, `started_at`, `completed_at`,
                `retry_count`. None takes a text away, and leaves a time to the status.

        Raises:
            InvalidTaskTypeError: There is no such type, or an item's task was asked for without an item.
            UnknownFieldError: A record has no such field, or no such status.
            WeekNotFoundError, ItemNotFoundError: There is none.
            ItemRemovedError: The item was removed.
            DependencyNotMetError: It cannot start; the details say what it waits for.
            Held: A worker executes it.
        """
        cell = self._cell(item_name, task_type)
        record = _record(status, metadata)
        given = frozenset(metadata)
        self._changing(week_letter, lambda tracker: self._updated(week_letter, tracker, cell, record, given))

    def sync_with_etl(self, week_letter: str, items: Sequence[EtlItem]) -> None:
        """Let a week have the items of a list: new ones come with their default tasks, missing ones are marked removed
        and keep their history, and those that are back are as they were. Nothing is saved where nothing is new.

        Args:
            items: Names, or mappings with `name`, `content_hash` and attributes; one that comes twice counts once.
        """
        wanted = _wanted(items)
        week = self.groups.check(week_letter)

        def change(tracker: WeekTracker) -> WeekTracker | None:
            picture = picture_of(tracker)
            _, found = sync_differences(self.grid, picture.items, picture.metadata, wanted, _stamp(wanted))
            return patched(tracker, found) if found else None

        self._changing(week, change, makes=True)

    def _changing(
        self, week_letter: str, change: Callable[[WeekTracker], WeekTracker | None], *, makes: bool = False
    ) -> None:
        """Load, change and save; again where somebody else changed the same meanwhile."""
        for _ in range(_TRIES):
            try:
                tracker = self._loaded_or_new(week_letter) if makes else self.load_tracker(week_letter)
                if (changed := change(tracker)) is not None:
                    self.save_tracker(week_letter, changed)
                return
            except Conflict as conflict:
                last = conflict
        raise last

    def _loaded_or_new(self, week_letter: str) -> WeekTracker:
        try:
            return self.load_tracker(week_letter)
        except WeekNotFoundError:
            return self.new_tracker(week_letter)

    def new_tracker(self, week_letter: str) -> WeekTracker:
        """Return a tracker of a week that has none yet: the week's own tasks, and no items."""
        week, grid, now = self.groups.check(week_letter), self.grid, moment(current_clock().now())
        assert now is not None
        tracker = WeekTracker(metadata={"created_at": now.isoformat(), self.groups.key: week})
        tracker._loaded, tracker.version = Picture("", ""), ""  # what somebody makes meanwhile is not replaced
        for _, key in grid.group_cells():
            tracker.week_tasks[key] = record_of(new_cell(grid, ("", key)))
        return tracker

    def with_items(self, week_letter: str, names: Sequence[str]) -> WeekTracker:
        """Return a new tracker of a week with these items, their default tasks pending."""
        tracker = self.new_tracker(week_letter)
        wanted = _wanted(names)
        metadata = plain_text(tracker.metadata, "metadata")
        _, found = sync_differences(self.grid, (), metadata, wanted, lambda _, metadata: metadata)
        return patched(tracker, found)

    def _updated(
        self, week: str, tracker: WeekTracker, cell: Cell, wanted: TaskRecord, given: frozenset[str]
    ) -> WeekTracker | None:
        item, key = cell
        holder = self._holder(week, tracker, item)
        picture = picture_of(tracker)
        if wanted.status is TaskStatus.IN_PROGRESS:
            self._check_needs(standing_of(picture, self.grid), cell, week)
        was = picture.by_name().get(cell_name(*cell)) or new_cell(self.grid, cell)
        move = _move(was, wanted, given)
        new = moved(was, move, current_clock().now())
        if new == was:
            return None
        holder.tasks[key] = record_of(new)
        tracker._moves = {**tracker._moves, cell: move}
        return tracker

    def _holder(self, week: str, tracker: WeekTracker, item: str) -> Any:
        if not item:
            return tracker.week_tasks
        if item not in tracker.items:
            near = Suggestions()(item, tracker.items)
            raise ItemNotFoundError(
                f"Item {item!r} not found in {self.groups.word} {week}{near}",
                hint=f"sync_with_etl({week!r}, [...]) with {item!r} in the list adds it",
            )
        if tracker.items[item].removed:
            raise ItemRemovedError(
                f"item {item!r} was removed from {self.groups.word} {week}; nothing new is done to it",
                hint=f"sync_with_etl({week!r}, [...]) with {item!r} in the list brings it back",
            )
        return tracker.items[item]

    def _check_needs(self, standing: Standing, cell: Cell, week: str) -> None:
        if unmet := standing.unmet(cell):
            raise self._not_met(cell, week, [(name, standing.status_of(name)) for name in unmet])

    def _not_met(self, cell: Cell, week: str, unmet: Sequence[tuple[str, str | None]]) -> DependencyNotMetError:
        details = [f"{name} is {status or 'not there'}" for name, status in unmet]
        named = ", ".join(name for name, _ in unmet[:5]) + (f" and {len(unmet) - 5} more" if len(unmet) > 5 else "")
        return DependencyNotMetError(
            f"{cell_name(*cell)} of {self.groups.word} {week} cannot start: it depends on {named}",
            details=details,
            hint=f"get_progress({week!r}) shows where everything stands",
        )

    # what is asked for

    def _type(self, name: str) -> TaskType:
        types = self.grid.by_name
        if name not in types:
            raise unknown_type(name, types)
        return types[name]

    def _cell(self, item_name: str | None, task_type: str) -> Cell:
        """Type first: who mistypes it is not told about the item."""
        if self._type(task_type).is_group_level:
            return "", task_type
        if item_name is None:
            raise InvalidTaskTypeError(
                f"{task_type} is a task of an item, and no item was named",
                hint=f"name the item; tasks of the {self.groups.word} itself are "
                + (", ".join(one.name for one in self.grid.types if one.is_group_level) or "none"),
            )
        return item_name, task_type


@contextmanager
def told(where: str) -> Iterator[None]:
    """Let what goes wrong below be errors of a tracker.

    Args:
        where: The folder or store, for the message.
    """
    try:
        yield
    except TrackerError:
        raise
    except StoreError as error:
        hint = error.hint or f"ensure that {where} exists and that you may write there"
        raise TrackerAccessError(error.message, hint=hint, details=error.details) from error
    except UnmetNeed as error:
        raise DependencyNotMetError(error.message, hint=error.hint, details=error.details) from error
    except BadInput as error:
        raise TrackerFileError(error.message, hint=error.hint, details=error.details) from error


def _record(status: TaskStatus | str, fields: Mapping[str, Any]) -> TaskRecord:
    known = [name for name in TaskRecord.model_fields if name != "status"]
    if unknown := [name for name in fields if name not in known]:
        near = Suggestions()(unknown[0], known)
        raise UnknownFieldError(
            f"a task record has no field {unknown[0]!r}{near}", hint=f"its fields are {', '.join(known)}"
        )
    try:
        return TaskRecord(status=status, **fields)  # type: ignore[arg-type]  # pydantic says so itself
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise UnknownFieldError(f"this cannot be a task record: {faults[0]}", details=faults[1:]) from None


def _move(was: TaskPicture, record: TaskRecord, given: frozenset[str]) -> CellMove:
    """What was given is what is wanted; the rest follows from the status."""
    times = {name: microseconds(getattr(record, name)) for name in ("started_at", "completed_at")}
    values: dict[str, Value] = {name: at for name, at in times.items() if at is not None}
    if "retry_count" in given:
        _check_retries(was, record.retry_count)
        begun = "started_at" in {**was.values, **values}
        if attempts := attempts_of(record.status.value, record.retry_count, begun=begun):
            values["attempts"] = attempts
    if "error_message" in given and record.error_message is None:
        values["error"] = None
    details: dict[str, object] = {name: getattr(record, name) for name in ("output_file", "agent") if name in given}
    return CellMove(record.status.value, record.error_message, values, details)


def _check_retries(was: TaskPicture, retry_count: int) -> None:
    attempts = was.values.get("attempts")
    if isinstance(attempts, int) and retry_count < attempts - 1:
        raise UnknownFieldError(
            f"expected retry_count of {was.name} to be at least {attempts - 1}, got: {retry_count}",
            hint="every start counts; none is forgotten",
        )


def _wanted(items: Sequence[EtlItem] | object) -> list[Wanted]:
    if isinstance(items, str) or not isinstance(items, Iterable):
        raise UnknownFieldError(f"expected a list of items, got: {items!r:.80}")
    found, faults = list[Wanted](), list[str]()
    for item in items:
        try:
            found.append(_one_wanted(item))
        except UnknownFieldError as error:
            faults.append(error.message)
    if len(faults) > 1:
        raise UnknownFieldError(f"{len(faults)} items of the list cannot be items", details=faults[:20])
    if faults:
        raise UnknownFieldError(faults[0])
    return found


def _one_wanted(item: object) -> Wanted:
    if isinstance(item, str):
        return Wanted(check_item(item))
    if not isinstance(item, Mapping) or not isinstance(item.get("name"), str):
        raise UnknownFieldError(f"expected an item to be a name or a mapping with a name, got: {item!r:.80}")
    attributes = {key: value for key, value in item.items() if key not in ("name", "content_hash")}
    if taken := attributes.keys() & ("tasks", "removed"):
        raise UnknownFieldError(f"an attribute of item {item['name']!r} cannot be called {min(taken)}")
    content_hash, attributes = item.get("content_hash"), json.loads(plain_text(attributes, item["name"]))
    return Wanted(check_item(item["name"]), attributes or None, None if content_hash is None else str(content_hash))


def _stamp(wanted: Sequence[Wanted]) -> Callable[[Synced, dict[str, object]], dict[str, object]]:
    """When the list was applied last, and how many items it had; that alone is no reason to write."""
    number = len({one.name for one in wanted})

    def stamp(done: Synced, metadata: dict[str, object]) -> dict[str, object]:
        if not done and metadata.get("last_synced") is not None and metadata.get("etl_item_count") == number:
            return metadata
        now = moment(current_clock().now())
        assert isinstance(now, datetime)
        return {**metadata, "last_synced": now.isoformat(), "etl_item_count": number}

    return stamp


def _check_limit(limit: int | None) -> None:
    if limit is not None and (type(limit) is not int or limit < 0):
        raise UnknownFieldError(f"expected limit to be a whole number of at least 0, got: {limit!r}")
