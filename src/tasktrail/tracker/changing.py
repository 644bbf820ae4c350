"""What is done to a tracker that was loaded: a task moved, a list of items applied; and trackers made anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from tasktrail.engine.cells import moved
from tasktrail.engine.matrices import new_cell, standing_of, with_list
from tasktrail.engine.project import current_clock
from tasktrail.formats.picture import Picture
from tasktrail.formats.tracker_codec import moment_text
from tasktrail.model.errors import BadInput, Conflict
from tasktrail.model.matrix import Cell, Synced
from tasktrail.model.reference import cell_name
from tasktrail.tracker.asking import Asked, asked_of, stamp_of, wanted_of
from tasktrail.tracker.drafts import picture_of, record_of, redrawn
from tasktrail.tracker.exceptions import UnknownFieldError, WeekNotFoundError
from tasktrail.tracker.models import ItemTasks, WeekTasks, WeekTracker
from tasktrail.tracker.words import EtlItem, TaskStatus

if TYPE_CHECKING:
    from tasktrail.tracker.backend import TrackerBackend

__all__ = ["new_tracker", "synchronise", "update", "with_items"]

_TRIES: Final = 50
"""How often a change is decided again on what others made of the same week meanwhile."""

Change = Callable[[WeekTracker], WeekTracker | None]
"""Gives what is to be saved; None where nothing is another."""


def update(backend: TrackerBackend, week: str, cell: Cell, status: TaskStatus | str, fields: Mapping[str, Any]) -> None:
    """Let a task stand at a status. See `TrackerBackend.update_task`."""
    asked = asked_of(status, fields)
    _change(backend, week, backend.load_tracker, lambda tracker: _updated(backend, week, tracker, cell, asked))


def synchronise(backend: TrackerBackend, week: str, items: Sequence[EtlItem]) -> Synced:
    """Let a week have the items of a list, and return what that did. See `TrackerBackend.sync_with_etl`."""
    wanted, week, done = wanted_of(items), backend.groups.check(week), Synced()

    def load(week: str) -> WeekTracker:
        try:
            return backend.load_tracker(week)
        except WeekNotFoundError:
            return backend.new_tracker(week)

    def change(tracker: WeekTracker) -> WeekTracker | None:
        nonlocal done
        picture = picture_of(tracker)
        try:
            done, now = with_list(backend.grid, picture, wanted, stamp_of(wanted))
        except BadInput as error:
            raise UnknownFieldError(error.message, hint=error.hint) from None
        return redrawn(tracker, now) if now != picture else None

    _change(backend, week, load, change)
    return done


def _change(backend: TrackerBackend, week: str, load: Callable[[str], WeekTracker], change: Change) -> None:
    """Load, change and save; again where somebody else changed the same meanwhile."""
    for _ in range(_TRIES):
        try:
            if (changed := change(load(week))) is not None:
                backend.save_tracker(week, changed)
            return
        except Conflict as conflict:
            last = conflict
    raise last


def new_tracker(backend: TrackerBackend, week: str) -> WeekTracker:
    """Return a tracker of a week that has none yet: the week's own tasks, and no items."""
    week, grid, now = backend.groups.check(week), backend.grid, moment_text(current_clock().now())
    tracker = WeekTracker(metadata={"created_at": now, backend.groups.key: week})
    tracker._loaded, tracker.version = Picture("", ""), ""  # what somebody makes meanwhile is not replaced
    for _, key in grid.group_cells():
        tracker.week_tasks[key] = record_of(new_cell(grid, ("", key)))
    return tracker


def with_items(backend: TrackerBackend, week: str, names: Sequence[str]) -> WeekTracker:
    """Return a new tracker of a week with these items, their default tasks pending."""
    tracker = backend.new_tracker(week)
    _, now = with_list(backend.grid, picture_of(tracker), wanted_of(names), lambda _, metadata: metadata)
    return redrawn(tracker, now)


def _updated(backend: TrackerBackend, week: str, tracker: WeekTracker, cell: Cell, asked: Asked) -> WeekTracker | None:
    holder, picture = _holder(backend, week, tracker, cell[0]), picture_of(tracker)
    if asked.status == "in_progress":
        standing = standing_of(picture, backend.grid)
        backend.check_needs(cell, week, [(name, standing.status_of(name)) for name in standing.unmet(cell)])
    was = picture.by_name().get(cell_name(*cell)) or new_cell(backend.grid, cell)
    attempts = was.values.get("attempts")
    known = attempts if isinstance(attempts, int) else 0
    move = asked.move(was.name, known, begun="started_at" in was.values)
    new = moved(was, move, current_clock().now())
    if new == was:
        return None
    holder.tasks[cell[1]] = record_of(new)
    tracker._moves = {**tracker._moves, cell: move}
    return tracker


def _holder(backend: TrackerBackend, week: str, tracker: WeekTracker, item: str) -> ItemTasks | WeekTasks:
    if not item:
        return tracker.week_tasks
    holder = tracker.items.get(item)
    if holder is None or holder.removed:
        raise backend.no_item(week, item, tracker.items, removed=holder is not None)
    return holder
