"""The interface of trackers: four methods to implement, and what all trackers do with them.

Source: document 002, Architecture and Usage.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.matrices import create_matrix, standing_of
from tasktrail.engine.matrix_views import ready_page
from tasktrail.engine.project import FolderProject
from tasktrail.model.errors import BadInput, StoreError, UnmetNeed
from tasktrail.model.matrix import Cell, Grid, Standing, Synced, TaskType
from tasktrail.model.reference import cell_name
from tasktrail.model.run import Run
from tasktrail.model.suggestion import Suggestions
from tasktrail.model.task import Status
from tasktrail.tracker.config import grid_of, unknown_type
from tasktrail.tracker.exceptions import (
    DependencyNotMetError,
    InvalidTaskTypeError,
    ItemNotFoundError,
    ItemRemovedError,
    TrackerAccessError,
    TrackerError,
    TrackerFileError,
    UnknownFieldError,
)
from tasktrail.tracker.groups import Groups, Letters
from tasktrail.tracker.words import EtlItem, ReadyTask, TaskStatus, word_of

if TYPE_CHECKING:  # pydantic is heavy, and commands that only look need none of its models
    from tasktrail.tracker.models import TaskProgress, WeekTracker

__all__ = [
    "OpenMatrix",
    "TrackerBackend",
    "check_limit",
    "progress_of",
    "ready_in_store",
    "told",
    "unseen",
]

_ALL: Final = 1_000_000_000
_MOST_NAMED: Final = 5


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
        self.check_item_type(task_type)
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
        cell = self.cell_or_none(item_name, task_type)
        return cell is not None and (not cell[0] or cell[0] in standing.items) and not standing.unmet(cell)

    def get_progress(self, week_letter: str, task_type: str | None = None) -> TaskProgress:
        """Return how many tasks stand where; removed items do not count.

        Args:
            task_type: Count this type alone; None counts all, those of the week itself too.

        Raises:
            InvalidTaskTypeError: There is no such type.
            WeekNotFoundError: There is no tracker.
        """
        if task_type is not None:
            self.check_type(task_type)
        return progress_of(self._standing(week_letter).counts(task_type))

    def get_ready_tasks(self, limit: int | None = None) -> list[ReadyTask]:
        """Return what may start now in all weeks, by week, type and item.

        Args:
            limit: At most so many; None: all.
        """
        check_limit(limit)
        found = [one for week in self.weeks() for one in self.ready_of(week, self._standing(week))]
        return found if limit is None else found[:limit]

    def ready_of(self, week: str, standing: Standing) -> Iterator[ReadyTask]:
        """Yield what may start now in one week, by type and item."""
        for item, key in standing.ready():
            yield ReadyTask(week, item or None, key, standing.agent_of((item, key)))

    def opened(self, week_letter: str) -> OpenMatrix:
        """Return the run of a week, for what asks a store; a backend without one gives a copy that nobody else sees."""
        return unseen(self.groups.check(week_letter), self.grid, self.load_tracker(week_letter))

    def stored(self, week_letter: str) -> OpenMatrix:
        """Return the run of a week, for what writes to its store; one is made where there is none yet.

        Raises:
            WeekNotFoundError: There is no tracker.
            TrackerAccessError: The store cannot be written, or the backend has none.
        """
        name = type(self).__name__
        raise TrackerAccessError(
            f"{self.groups.word} {week_letter} cannot be executed: the trackers of {name} are in no store",
            hint="those of get_tracker('yaml'), 'json', 'sqlite:///…' and 'postgresql://…' are",
        )

    def _standing(self, week_letter: str) -> Standing:
        from tasktrail.tracker.drafts import picture_of

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
            WrongState: It would start, and the week is paused.
        """
        from tasktrail.tracker.changing import update

        update(self, week_letter, self.cell_named(item_name, task_type), status, metadata)

    def sync_with_etl(self, week_letter: str, items: Sequence[EtlItem]) -> None:
        """Let a week have the items of a list: new ones come with their default tasks, missing ones are marked removed
        and keep their history, and those that are back are as they were. Nothing is saved where nothing is new.

        Args:
            items: Names, or mappings with `name`, `content_hash` and attributes; one that comes twice counts once.
        """
        self.sync(week_letter, items)

    def sync(self, week_letter: str, items: Sequence[EtlItem]) -> Synced:
        """Do as `sync_with_etl`, and return what that did."""
        from tasktrail.tracker.changing import synchronise

        return synchronise(self, week_letter, items)

    def new_tracker(self, week_letter: str) -> WeekTracker:
        """Return a tracker of a week that has none yet: the week's own tasks, and no items."""
        from tasktrail.tracker.changing import new_tracker

        return new_tracker(self, week_letter)

    def no_item(self, week: str, item: str, known: Collection[str], *, removed: bool) -> ItemNotFoundError:
        """Return the error for an item that is not there, or there no more."""
        by_sync = f"sync_with_etl({week!r}, [...]) with {item!r} in the list"
        if removed:
            message = f"item {item!r} was removed from {self.groups.word} {week}; nothing new is done to it"
            return ItemRemovedError(message, hint=f"{by_sync} brings it back")
        near = Suggestions()(item, known)
        return ItemNotFoundError(
            f"Item {item!r} not found in {self.groups.word} {week}{near}", hint=f"{by_sync} adds it"
        )

    def check_needs(self, cell: Cell, week: str, unmet: Sequence[tuple[str, str | None]]) -> None:
        """Refuse to start what waits for others.

        Args:
            unmet: Their names, and where they stand; None is nowhere.

        Raises:
            DependencyNotMetError: There are some.
        """
        if not unmet:
            return
        named = ", ".join(name for name, _ in unmet[:_MOST_NAMED])
        more = f" and {len(unmet) - _MOST_NAMED:,} more" if len(unmet) > _MOST_NAMED else ""
        raise DependencyNotMetError(
            f"{cell_name(*cell)} of {self.groups.word} {week} cannot start: it depends on {named}{more}",
            details=[f"{name} is {status or 'not there'}" for name, status in unmet],
            hint=f"get_progress({week!r}) shows where everything stands",
        )

    # what is asked for

    def check_type(self, name: object) -> TaskType:
        """Return a task type.

        Raises:
            InvalidTaskTypeError: There is none of this name.
        """
        types = self.grid.by_name
        if not isinstance(name, str) or name not in types:
            raise unknown_type(name, types)
        return types[name]

    def check_item_type(self, name: str) -> None:
        """Refuse a type that items do not have.

        Raises:
            InvalidTaskTypeError: There is none of this name, or the week has it once.
        """
        if self.check_type(name).is_group_level:
            raise InvalidTaskTypeError(f"{name} is a task of the {self.groups.word} itself, not of items")

    def cell_named(self, item_name: str | None, task_type: str) -> Cell:
        """Return which cell is meant; the type is looked at first.

        Raises:
            InvalidTaskTypeError: There is no such type, or an item's task was asked for without an item.
        """
        if self.check_type(task_type).is_group_level:
            return "", task_type
        if not isinstance(item_name, str) or not item_name:
            got = "" if item_name is None else f", got: {item_name!r:.80}"
            raise InvalidTaskTypeError(
                f"{task_type} is a task of an item, and no item was named{got}",
                hint=f"name the item; tasks of the {self.groups.word} itself are "
                + (", ".join(one.name for one in self.grid.types if one.is_group_level) or "none"),
            )
        return item_name, task_type

    def cell_or_none(self, item_name: str | None, task_type: str) -> Cell | None:
        """Return which cell is meant; None where there can be none."""
        try:
            return self.cell_named(item_name, task_type)
        except InvalidTaskTypeError:
            return None


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


def unseen(name: str, grid: Grid, tracker: WeekTracker) -> OpenMatrix:
    """Return a run that says what a tracker does, in a store that nobody else sees."""
    from tasktrail.tracker.drafts import picture_of

    ledger = FolderProject(Path()).unsaved()
    return OpenMatrix(ledger, create_matrix(ledger, name, grid, picture_of(tracker)))


def ready_in_store(ledger: Ledger, runs: Mapping[str, Run], grid: Grid, limit: int | None) -> list[ReadyTask]:
    """Return what may start now in some weeks, asked of their store: by week, type and item."""
    weeks, now = {run.name: week for week, run in runs.items()}, ledger.clock.now()
    most = _ALL if limit is None else min(limit, _ALL)
    page = ledger.store.read(lambda tx: ready_page(tx, [*runs.values()], grid, now, most))
    agents = {name: one.agent for name, one in grid.by_name.items()}
    return [
        ReadyTask(weeks[one.group], one.task.item or None, one.task.key, one.agent or agents[one.task.key])
        for one in page.cells
    ]


def progress_of(counts: Mapping[Status, int]) -> TaskProgress:
    """Return how many tasks stand where, in the words of a tracker."""
    from tasktrail.tracker.models import TaskProgress

    numbers = Counter[str]()
    for status, number in counts.items():
        numbers[word_of(status).value] += number
    return TaskProgress(total=numbers.total(), **numbers)


def check_limit(limit: int | None) -> None:
    """Refuse what is no number of results."""
    if limit is not None and (type(limit) is not int or limit < 0):
        raise UnknownFieldError(f"expected limit to be a whole number of at least 0, got: {limit!r}")
