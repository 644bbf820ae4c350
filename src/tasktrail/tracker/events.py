"""What happened to tasks of a tracker, told to a function. Source: document 002, Future Enhancements."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from tasktrail.engine.notifying import Notice, Notifier
from tasktrail.model.task import STATUSES, Status
from tasktrail.tracker.drafts import moment
from tasktrail.tracker.exceptions import UnknownFieldError
from tasktrail.tracker.words import TaskStatus, word_of

if TYPE_CHECKING:
    from tasktrail.engine.readers import Logged
    from tasktrail.tracker.documents import DocumentTracker
    from tasktrail.tracker.stores import StoreTrackerBackend

__all__ = ["TaskEvent", "tell_events"]

ENDS: Final = (TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.SKIPPED)


class TaskEvent(NamedTuple):
    """A task of a tracker came to a status. `item_name` is None for a task of the week itself."""

    week_letter: str
    item_name: str | None
    task_type: str
    status: TaskStatus
    at: datetime
    actor: str


def tell_events(
    tracker: DocumentTracker | StoreTrackerBackend,
    tell: Callable[[TaskEvent], object],
    *,
    on: Collection[TaskStatus | str] = ENDS,
    task_types: Collection[str] = (),
    name: str = "tracker",
) -> int:
    """Tell a function what tasks came to since this was asked last under the same name; return how many it was told.

    The first call tells nothing: it notes where the history ends. Where the function raises, it is told again after one
    second and after five; then the event is passed over, and the log says so. After a crash in between it may be told
    the same again.

    Args:
        on: Statuses; empty: all.
        task_types: Of these types alone; empty: of all.
        name: Each name has a place of its own in the history.

    Raises:
        Held: Another process asks under this name just now.
        InvalidTaskTypeError: There is no such type.
        UnknownFieldError: There is no such status.
    """
    statuses, week_of, told = _statuses(on), _Weeks(tracker), 0
    for one in task_types:
        tracker.check_type(one)

    def deliver(one: Logged) -> None:
        nonlocal told
        week = week_of(one.run_id)
        if week is not None:
            tell(_event(week, one))
            told += 1

    notifier = Notifier(tracker.ledger, [Notice(deliver, statuses, types=task_types)], name=name)
    with closing(notifier.reader):
        while notifier.tell():
            pass
    return told


class _Weeks:
    """Which run is which week; one that is made meanwhile is found too."""

    def __init__(self, tracker: DocumentTracker | StoreTrackerBackend) -> None:
        self._tracker = tracker
        self._known: dict[int, str | None] = {}

    def __call__(self, run_id: int | None) -> str | None:
        if run_id is None:
            return None
        if run_id not in self._known:
            tracker = self._tracker
            if tracker.ledger.store.read(lambda tx: tx.run(run_id)).kind == "matrix":
                opened = {week: tracker.opened(week) for week in tracker.weeks()}
                stored = {week: one.run for week, one in opened.items() if one.ledger is tracker.ledger}
                self._known.update({run.id: week for week, run in stored.items()})
            self._known.setdefault(run_id, None)
        return self._known[run_id]


def _statuses(on: Collection[TaskStatus | str]) -> list[Status]:
    known, wanted = [word.value for word in TaskStatus], [*on]  # a member and its text do not share a hash
    for word in wanted:
        if word not in known:
            raise UnknownFieldError(f"expected on to be of {', '.join(known)}, got: {word!r}")
    return [status for status in STATUSES if not wanted or word_of(status) in wanted]


def _event(week: str, one: Logged) -> TaskEvent:
    event, status = one.event, cast("Status", one.event.to_status)
    at = cast(datetime, moment(event.at))
    return TaskEvent(week, event.item or None, str(event.key), word_of(status), at, event.actor)
