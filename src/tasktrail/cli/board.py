"""What a watcher sees of a run: every step as a row, kept up to date from the history alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Final, Literal

from tasktrail.engine.lookup import Event
from tasktrail.model.reference import format_task
from tasktrail.model.task import Status, Task

Standing = Literal["running", "retrying", "blocked", "failed", "waiting", "done"]
SHOWN_FIRST: Final[tuple[Standing, ...]] = ("running", "retrying", "blocked", "failed")
_RECENT: Final = 200
"""As many rows that ended are remembered as the tallest terminal shows."""


@dataclass(slots=True)
class Member:
    """A task as it is shown: `since` is when its attempt began; once that is over, `lasted_us` is how long it took."""

    name: str
    status: Status
    since: int | None = None
    lasted_us: int | None = None
    attempt: int = 0
    due: int | None = None
    words: str = ""


@dataclass(slots=True)
class Row:
    """A step with its parts."""

    name: str
    members: dict[int, Member] = field(default_factory=dict)
    counts: Counter[Status] = field(default_factory=Counter)
    n_due: int = 0

    @property
    def n_parts(self) -> int:
        """How many parts it was mapped to."""
        return len(self.members) - (-1 in self.members)

    @property
    def n_done(self) -> int:
        """How many parts need no more work."""
        step = self.members.get(-1)
        own = step is not None and step.status in ("completed", "skipped")
        return self.counts["completed"] + self.counts["skipped"] - own

    @property
    def standing(self) -> Standing:
        """Where it stands, for the order of the rows."""
        if self.counts["in_progress"]:
            return "running"
        if self.n_due:
            return "retrying"
        if self.counts["blocked"]:
            return "blocked"
        if self.counts["failed"]:
            return "failed"
        return "waiting" if self.counts["pending"] else "done"

    def first(self, status: Status) -> Member | None:
        """Return the first member that stands so."""
        return next((member for member in self.members.values() if member.status == status), None)

    def next_due(self) -> Member | None:
        """Return the member whose next try comes first."""
        waiting = (member for member in self.members.values() if member.due is not None)
        return min(waiting, key=lambda member: member.due or 0, default=None)


class Board:
    """All rows of a run, and in which order they are worth looking at.

    Every change costs the same, however many steps there are: rows are filed by how they stand, and only those that
    are shown are looked at.
    """

    def __init__(self, tasks: Iterable[Task]) -> None:
        self.reload(tasks)

    def reload(self, tasks: Iterable[Task]) -> None:
        """Take all tasks as they stand now: at first, and when some were added."""
        self._rows: dict[tuple[str, str], Row] = {}
        self._filed: dict[Standing, dict[tuple[str, str], Row]] = {standing: {} for standing in SHOWN_FIRST}
        self._recent: dict[tuple[str, str], Row] = {}
        for task in tasks:
            row = self._row(task.key, task.item)
            member = Member(_name(task.key, task.item, task.map_index), task.status, task.started_at)
            member.attempt, member.due = task.attempts, task.not_before
            member.words = (task.error if task.status in ("failed", "pending") else task.reason) or ""
            if task.started_at is not None and task.completed_at is not None:
                member.lasted_us = task.completed_at - task.started_at
            row.members[task.map_index] = member
            row.counts[task.status] += 1
            row.n_due += task.not_before is not None
        for key, row in self._rows.items():
            self._file(key, row)

    def changed(self, event: Event) -> None:
        """Take over what happened to a task; unknown ones come with the next `reload`."""
        if event.key is None or event.to_status is None:
            return
        key = (event.key, event.item or "")
        row = self._rows.get(key)
        member = row.members.get(-1 if event.map_index is None else event.map_index) if row else None
        if row is None or member is None:
            return
        row.counts[member.status] -= 1
        row.n_due -= member.due is not None
        _take_over(member, event)
        row.counts[member.status] += 1
        row.n_due += member.due is not None
        self._file(key, row)

    def shown(self, most: int) -> Iterator[Row]:
        """Yield at most so many rows: what runs, what is tried again, blocked, failed, and what ended last."""
        moving = chain.from_iterable(self._filed[standing].values() for standing in SHOWN_FIRST)
        return islice(chain(moving, reversed(self._recent.values())), most)

    def n_filed(self) -> int:
        """How many rows want to be looked at."""
        return sum(map(len, self._filed.values()))

    def _row(self, key: str, item: str) -> Row:
        row = self._rows.get((key, item))
        if row is None:
            row = self._rows[key, item] = Row(_name(key, item, -1))
        return row

    def _file(self, key: tuple[str, str], row: Row) -> None:
        for rows in (*self._filed.values(), self._recent):
            if rows.get(key) is row and rows is not self._filed.get(row.standing):
                del rows[key]
        if row.standing == "done":
            self._recent[key] = row
            if len(self._recent) > _RECENT:
                del self._recent[next(iter(self._recent))]
        elif row.standing in self._filed:
            self._filed[row.standing].setdefault(key, row)


def _take_over(member: Member, event: Event) -> None:
    status: Status = event.to_status  # type: ignore[assignment]  # the history has the model's words
    member.status = status
    due = event.changes.get("not_before", (None, None))[1]
    member.due = due if isinstance(due, int) and status == "pending" else None
    if event.verb in ("start", "restart"):
        member.since, member.lasted_us, member.attempt, member.words = event.at, None, event.attempt or 0, ""
        return
    if member.since is not None and member.lasted_us is None:
        member.lasted_us = max(0, event.at - member.since)
    column = "error" if event.verb in ("fail", "retry") else "reason"
    member.words = str(event.changes.get(column, (None, None))[1] or "")


def _name(key: str, item: str, index: int) -> str:
    return format_task("", key, item, index)[1:]
