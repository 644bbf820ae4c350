"""What happened to tasks of a tracker, told to a function. Source: document 002, Future Enhancements."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from tasktrail.engine.notifying import Notice, Notifier
from tasktrail.tracker.drafts import moment
from tasktrail.tracker.words import TaskStatus, word_of

if TYPE_CHECKING:
    from tasktrail.engine.readers import Logged
    from tasktrail.model.task import Status
    from tasktrail.tracker.documents import DocumentTracker
    from tasktrail.tracker.stores import StoreTrackerBackend

__all__ = ["TaskEvent", "tell_events"]

ENDS: Final = ("completed", "failed", "skipped")


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
    on: Collection[str] = ENDS,
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
    """
    told = 0
    known = {tracker.opened(week).run.name: week for week in tracker.weeks()}

    def deliver(one: Logged) -> None:
        nonlocal told
        if one.run in known and one.event.to_status is not None:
            tell(_event(known[one.run], one))
            told += 1

    notifier = Notifier(tracker.ledger, [Notice(deliver, on, types=task_types)], name=name)
    with closing(notifier.reader):
        while notifier.tell():
            pass
    return told


def _event(week: str, one: Logged) -> TaskEvent:
    event, status = one.event, cast("Status", one.event.to_status)
    at = cast(datetime, moment(event.at))
    return TaskEvent(week, event.item or None, str(event.key), word_of(status), at, event.actor)
