"""Tasks as people look at them: pages of the tasks of many runs, and all that is said of one."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tasktrail.engine.failure_memory import Memory, remembered_in
from tasktrail.engine.leases import Holding, holdings
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import (
    Event,
    Found,
    event_of,
    find_task,
    owners,
    run_reference,
    shared_names,
    stale_of,
    task_reference,
)
from tasktrail.engine.plans import having, said_of
from tasktrail.engine.values import decode
from tasktrail.model.attempt import Attempt
from tasktrail.model.errors import BadInput
from tasktrail.model.plan import Note
from tasktrail.model.run import STOPPING_KINDS, Kind, Run
from tasktrail.model.task import REMOVED, Status, Task
from tasktrail.store.transaction import Transaction

_MOST_RUNS: Final = 10_000
_LAST_EVENTS: Final = 10


@dataclass(frozen=True, slots=True)
class Listed:
    """A task in a list, with its run's reference."""

    run: Run
    reference: str
    task: Task
    title: str
    needs: Sequence[str]


@dataclass(frozen=True, slots=True)
class TaskList:
    """A page of tasks. `cursor` gets the next page; None when this is the last.

    Args:
        counts: How many tasks of all these runs stand at each status, whatever the page shows.
    """

    tasks: Sequence[Listed]
    cursor: str | None
    counts: Mapping[Status, int]

    @property
    def n_tasks(self) -> int:
        """How many tasks these runs have."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Linked:
    """A task that needs another, or is needed: its name, and where it stands; None where it does not exist."""

    key: str
    status: Status | None


@dataclass(frozen=True, slots=True)
class TaskDetails:
    """All that is said of one task.

    Args:
        claim: Who has claimed it.
        events: The last ones, oldest first.
        extra: What else is said of it, by name.
        memory: What is known of its failure.
    """

    run: Run
    reference: str
    task: Task
    title: str
    result: object
    needs: Sequence[Linked]
    needed_by: Sequence[Linked]
    notes: Sequence[Note]
    attempts: Sequence[Attempt]
    claim: Holding | None
    events: Sequence[Event]
    extra: Mapping[str, object]
    owner: str | None
    stale: bool
    memory: Memory | None
    now: int

    @property
    def worked_us(self) -> int | None:
        """How long its attempts took together; one that runs counts up to now. None when there was none."""
        spans = [lasted_us(attempt, self.now) for attempt in self.attempts]
        return sum(spans) if spans else None

    @property
    def stack(self) -> str | None:
        """The stack of its failure where that ended no attempt, from its last events."""
        stacks = [event.changes["stack"][1] for event in self.events if "stack" in event.changes]
        return str(stacks[-1]) if stacks and self.task.status == "failed" else None


def lasted_us(attempt: Attempt, now: int) -> int:
    """Return how long an attempt took; one that runs counts up to now, of one that was lost nobody knows more."""
    if attempt.duration_us is not None:
        return attempt.duration_us
    return max(0, (attempt.ended_at or now) - attempt.started_at)


# lists


def open_runs(ledger: Ledger, kinds: Collection[Kind], *, over: bool = False) -> list[Run]:
    """Return the runs of these kinds in which something is still to be done, the oldest first.

    Args:
        over: Whether also those in which nothing is.
    """

    def work(tx: Transaction) -> list[Run]:
        found = (run for kind in kinds for run in _newest(tx, kind, over))
        return sorted(run for run in found if over or run.is_open)

    return ledger.store.read(work)


def _newest(tx: Transaction, kind: Kind, over: bool) -> Iterable[Run]:
    """Where code executes them, the database knows which are over: there may be very many."""
    statuses = ("created", "running") if kind in STOPPING_KINDS and not over else (None,)
    for status in statuses:
        yield from tx.runs("runs_page", kind=kind, workflow=None, status=status, before=None, limit=_MOST_RUNS)


def list_tasks(
    ledger: Ledger,
    runs: Sequence[Run],
    *,
    status: Status | None = None,
    words: str | None = None,
    limit: int = 20,
    cursor: str | None = None,
) -> TaskList:
    """Return a page of the tasks of runs that all filters let through, run by run.

    Args:
        words: What the id, the title or the result has in it, in lower or upper case.
        cursor: What the page before said; None begins.

    Raises:
        BadInput: The cursor is none of ours.
    """
    after = _place(ledger, cursor) if cursor is not None else (0, -1, -1)
    place = dict(zip(("run_id", "position", "map_index"), after, strict=True))
    filters = {**place, "status": status, "pattern": having(words), "removed": REMOVED, "limit": limit + 1}
    ids = json.dumps([run.id for run in runs])

    def work(tx: Transaction) -> TaskList:
        tasks = tx.tasks("page_of_tasks", ids=ids, **filters)
        listed = _listed(tx, {run.id: run for run in runs}, tasks[:limit])
        more = f"{listed[-1].run.kind}/{_written(listed[-1])}" if len(tasks) > limit else None
        counts = {_status(row[0]): int(str(row[1])) for row in tx.rows("counts_of_runs", ids=ids, removed=REMOVED)}
        return TaskList(listed, more, counts)

    return ledger.store.read(work)


def _place(ledger: Ledger, cursor: str) -> tuple[int, int, int]:
    try:
        task = find_task(ledger, cursor).task
    except (BadInput, LookupError):
        raise BadInput(f"expected the cursor to be the `next` of a page, got: {cursor[:60]!r}") from None
    assert task is not None
    return task.run_id, task.position, task.map_index


def _written(one: Listed) -> str:
    return task_reference(one.run.name, one.task)


def _listed(tx: Transaction, runs: Mapping[int, Run], tasks: Sequence[Task]) -> list[Listed]:
    ids = json.dumps([task.id for task in tasks])
    titles = {row[0]: str(row[1] or "") for row in tx.rows("details_of_tasks", ids=ids)}
    needs: dict[object, list[str]] = {}
    for task_id, key in tx.rows("needs_of_tasks", ids=ids):
        needs.setdefault(task_id, []).append(str(key))
    shared = shared_names(tx, runs.values())
    names = {row_id: run_reference(run, shared) for row_id, run in runs.items()}
    return [
        Listed(runs[task.run_id], names[task.run_id], task, titles[task.id], needs.get(task.id, ())) for task in tasks
    ]


# one


def details(ledger: Ledger, found: Found) -> TaskDetails:
    """Return all that is said of a task."""
    seen, owner, now = found.task, owners(ledger, [found.run]).get(found.run.id), ledger.clock.now()
    assert seen is not None

    def work(tx: Transaction) -> TaskDetails:
        run, task = tx.run(found.run.id), tx.task("task_by_id", id=seen.id) or seen
        said = said_of(tx, run, [task])[0]
        claims = holdings(tx, ledger, run) if task.lease_token else ()
        events = tx.rows("latest_events_of_task", id=task.id, before=None, limit=_LAST_EVENTS)
        return TaskDetails(
            run, run_reference(run, shared_names(tx, [run])), task, said.title,
            task.summary if task.output is None else decode(task.output, tx),
            _needs(tx, task), _needed_by(tx, task), said.notes, tx.attempts("attempts_of_task", task_id=task.id),
            next((one for one in claims if one.key == task.name), None),
            [event_of(row) for row in reversed(events)], said.extra, owner, task.id in stale_of(tx, run),
            remembered_in(tx, task), now,
        )  # fmt: skip

    return ledger.store.read(work)


def _needs(tx: Transaction, task: Task) -> list[Linked]:
    rows = tx.rows("needs_of_task", task_id=task.id)
    return [Linked(str(row[0]), _status(row[3]) if row[3] else None) for row in rows]


def _needed_by(tx: Transaction, task: Task) -> list[Linked]:
    found = (tx.task("task_by_id", id=row[0]) for row in tx.rows("dependants", id=task.id))
    return [Linked(one.name, one.status) for one in found if one and one.reason != REMOVED]


def _status(word: object) -> Status:
    return word  # type: ignore[return-value]  # the column's CHECK allows nothing else
