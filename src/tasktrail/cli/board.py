"""What a watcher sees of a run: every step as a row, kept up to date from the history alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Final, Literal

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import Event, titles_in
from tasktrail.model.reference import format_task
from tasktrail.model.run import Run
from tasktrail.model.task import Status, Task

Standing = Literal["running", "retrying", "blocked", "failed", "waiting", "done"]
SHOWN_FIRST: Final[tuple[Standing, ...]] = ("running", "retrying", "blocked", "failed")
_NO_TITLES: Final[Mapping[int, str]] = {}
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
    title: str | None = None


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
        return self.counts["completed"] + self.counts["skipped"] - self.is_done

    @property
    def is_done(self) -> bool:
        """Whether the step itself needs no more work."""
        step = self.members.get(-1)
        return step is not None and step.status in ("completed", "skipped")

    @property
    def progress(self) -> float:
        """How much of the step is done, from 0 to 1: to expand it changes nothing."""
        return 1.0 if self.is_done else self.n_done / max(1, self.n_parts)

    @property
    def lasted_us(self) -> int | None:
        """How long what ended of it took together."""
        spans = [member.lasted_us for member in self.members.values() if member.lasted_us is not None]
        return sum(spans) if spans else None

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

    Attributes:
        n_steps, n_steps_done: Steps alone: there never come more of them when one is expanded.
        n_parts, n_parts_done: Parts of mapped steps.
        progress: How many steps are done, a mapped one by its parts.
    """

    def __init__(self, tasks: Iterable[Task], titles: Mapping[int, str] = _NO_TITLES) -> None:
        self.reload(tasks, titles)

    @classmethod
    def of(cls, ledger: Ledger, run: Run) -> Board:
        """Return the board of a run as it stands."""
        return cls(*_look(ledger, run))

    def look(self, ledger: Ledger, run: Run) -> None:
        """Take all tasks anew, as some were added."""
        self.reload(*_look(ledger, run))

    def reload(self, tasks: Iterable[Task], titles: Mapping[int, str] = _NO_TITLES) -> None:
        """Take all tasks as they stand now: at first, and when some were added."""
        self.n_steps_done = self.n_parts = self.n_parts_done = 0
        self.progress = 0.0
        self._rows: dict[tuple[str, str], Row] = {}
        self._filed: dict[Standing, dict[tuple[str, str], Row]] = {standing: {} for standing in SHOWN_FIRST}
        self._recent: dict[tuple[str, str], Row] = {}
        for task in tasks:
            row = self._row(task.key, task.item)
            member = Member(_name(task.key, task.item, task.map_index), task.status, task.started_at)
            member.attempt, member.due, member.title = task.attempts, task.not_before, titles.get(task.id)
            member.words = (task.error if task.status in ("failed", "pending") else task.reason) or ""
            if task.started_at is not None and task.completed_at is not None:
                member.lasted_us = task.completed_at - task.started_at
            row.members[task.map_index] = member
            row.counts[task.status] += 1
            row.n_due += task.not_before is not None
        self.n_steps = len(self._rows)
        for key, row in self._rows.items():
            self.n_parts += row.n_parts
            self._count(row, 1)
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
        self._count(row, -1)
        row.counts[member.status] -= 1
        row.n_due -= member.due is not None
        _take_over(member, event)
        row.counts[member.status] += 1
        row.n_due += member.due is not None
        self._count(row, 1)
        self._file(key, row)

    def _count(self, row: Row, times: int) -> None:
        self.n_steps_done += times * row.is_done
        self.n_parts_done += times * row.n_done
        self.progress += times * row.progress

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


def _look(ledger: Ledger, run: Run) -> tuple[list[Task], dict[int, str]]:
    return ledger.store.read(lambda tx: (tx.tasks("tasks_of_run", run_id=run.id), titles_in(tx, run.id)))


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
