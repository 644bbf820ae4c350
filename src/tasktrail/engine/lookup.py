"""From what people type to records: references, lists, history. It only reads."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tasktrail.model.errors import Ambiguous, BadInput, NotFound, TasktrailError
from tasktrail.model.reference import RUN_ID, Reference, cell_name, format_task, parse_run, readings
from tasktrail.model.run import OVER, Kind, Run, RunStatus
from tasktrail.model.task import REMOVED

if TYPE_CHECKING:
    from tasktrail.engine.ledger import Ledger
    from tasktrail.model.attempt import Attempt
    from tasktrail.model.task import Task
    from tasktrail.store.transaction import Row, Transaction

CANDIDATES_SHOWN: Final = 10
_NAMES_COMPARED: Final = 2_000
_RUNS_OF_WORKFLOW_SHOWN: Final = 5
_NOTHING: Final[Mapping[str, list[object]]] = {}
_shortened: Final = reprlib.Repr()
_shortened.maxstring = _shortened.maxother = 60


@dataclass(frozen=True, slots=True)
class Found:
    """What a reference means: a run, or a task in it."""

    run: Run
    task: Task | None = None


@dataclass(frozen=True, slots=True)
class RunPage:
    """A page of a list of runs, newest first. `cursor` gets the next page; None when this is the last."""

    runs: Sequence[Run]
    cursor: str | None
    shared: Collection[str]
    """Names in it that runs of several kinds have."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the history. `changes` has `[old, new]` by column; without a key it is about the run itself."""

    seq: int
    at: int
    actor: str
    verb: str
    from_status: str | None
    to_status: str | None
    attempt: int | None
    changes: Mapping[str, list[object]]
    note: str | None
    key: str | None
    item: str | None
    map_index: int | None
    title: str | None


@dataclass(frozen=True, slots=True)
class EventPage:
    """A page of a history, oldest first. `cursor` gets the page before it; None when it begins the history."""

    events: Sequence[Event]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Overview:
    """A run and all its tasks, on one snapshot.

    Args:
        worked_us: Microseconds that the attempts of a task took together, by row id; a running one counts up to now,
            unless nobody executes it any more.
        shared: Whether runs of several kinds have its name.
        owner: Who executes it now, in words.
        titles: What parts of mapped steps are called, by row id.
        stale: Row ids of tasks that are stale, as `stale_of` says.
    """

    run: Run
    tasks: Sequence[Task]
    worked_us: Mapping[int, int]
    shared: bool
    owner: str | None
    titles: Mapping[int, str]
    stale: Collection[int]

    @property
    def retrying(self) -> bool:
        """Whether nothing is in progress and something waits for its next try."""
        return self.run.n_in_progress == 0 and any(task.retrying for task in self.tasks)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What the tasks of a run gave, and how each of their attempts ended, by row id; without a result it is None."""

    results: Mapping[int, object]
    attempts: Mapping[int, Sequence[Attempt]]


def run_reference(run: Run, shared: Collection[str] = ()) -> str:
    """Return how a run is written: its id, with its kind in front where several kinds have it."""
    return f"{run.kind}/{run.name}" if run.name in shared else run.name


def task_reference(run: str, task: Task) -> str:
    """Return how a task is written, given its run's reference."""
    return format_task(run, task.key, task.item, task.map_index)


# one record


def find_run(ledger: Ledger, text: str, kind: Kind | None = None) -> Run:
    """Return the run that a reference names.

    Args:
        kind: Of several runs with this id the one that is meant, unless the text itself says a kind.

    Raises:
        NotFound: No run has this id, or it can be none; the hint and details name what was probably meant.
        Ambiguous: Runs of several kinds have it.
    """
    try:
        reference = parse_run(text)
    except BadInput as error:
        raise NotFound(
            f"no run has the id {_shortened.repr(text)}: {error.message}", hint="tasktrail list-runs"
        ) from None
    return ledger.store.read(lambda tx: _the_run(tx, reference, kind))


def find_task(ledger: Ledger, text: str) -> Found:
    """Return the task that a reference names, and its run.

    Raises:
        NotFound: No task has it, or it was taken out of its plan.
        Ambiguous: Several have it; the details list them.
        BadInput: It cannot be a reference.
    """
    tasks = [reading for reading in readings(text) if reading.key is not None]
    if not tasks:
        raise NotFound(f"{text} names no task", hint=f"tasktrail history {text}")
    found = ledger.store.read(lambda tx: _first(tx, tasks, text))
    if found.task is not None and found.task.reason == REMOVED:
        raise NotFound(f"task {text} was taken out of its {found.run.kind}", hint=f"tasktrail history {text}")
    return found


def find(ledger: Ledger, text: str) -> Found:
    """Return the run or task that a reference names; the preferred reading that exists.

    Raises:
        NotFound, Ambiguous, BadInput: As for `find_task`.
    """
    return ledger.store.read(lambda tx: _first(tx, readings(text), text))


def check_step(ledger: Ledger, run: Run, key: str, hint: str) -> None:
    """Refuse a key that no task of a run has.

    Args:
        hint: What to type instead, with `{run}` and `{step}`, where a key reads alike.

    Raises:
        NotFound: The message names what was probably meant.
    """
    keys = ledger.store.read(lambda tx: _names_in(tx, run))
    if key not in keys:
        raise _no_key(run, key, keys, hint)


def names_like(ledger: Ledger, prefix: str, limit: int = 50) -> list[str]:
    """Return references of runs whose ids start so, the newest first."""
    rows = ledger.store.read(lambda tx: tx.rows("newest_runs", prefix=prefix, limit=limit))
    return [str(row[1]) for row in rows]


def tasks_like(ledger: Ledger, prefix: str, limit: int = 50) -> list[str]:
    """Return references of steps that start so, in order; the run before the colon must be written out.

    Raises:
        NotFound, Ambiguous: As for `find_run`.
    """
    name, _, key = prefix.partition(":")
    run = find_run(ledger, name)
    names = ledger.store.read(lambda tx: _names_in(tx, run))
    return [f"{name}:{one}" for one in names if one.startswith(key)][:limit]


def _names_in(tx: Transaction, run: Run) -> list[str]:
    """Return what tells the steps of a run, or the cells of a matrix, apart; in order."""
    return [cell_name(str(row[4]), str(row[1])) for row in tx.rows("states_of_run", run_id=run.id)]


def _the_run(tx: Transaction, reference: Reference, kind: Kind | None = None) -> Run:
    runs = _runs(tx, reference)
    if len(runs) > 1 and kind is not None:
        runs = [run for run in runs if run.kind == kind] or runs
    if len(runs) > 1:
        names = [f"{run.kind}/{run.name}" for run in runs]
        raise Ambiguous(f"runs of {len(runs)} kinds have the id {reference.run}", hint=f"say {names[0]}", details=names)
    if not runs:
        raise _no_run(tx, reference)
    return runs[0]


def _runs(tx: Transaction, reference: Reference) -> list[Run]:
    return tx.runs("runs_by_name", name=reference.run, kind=reference.kind)


def _first(tx: Transaction, candidates: Sequence[Reference], text: str) -> Found:
    """The first reading that exists wins, so that each reference that we print leads back to its record."""
    for reading in candidates:
        found = _in_run(tx, reading) if reading.run is not None else _in_all_runs(tx, reading)
        if len(found) == 1:
            return found[0]
        if found:
            raise _several(text, found)
    run = next((reading for reading in candidates if reading.run is not None), None)
    if run is None:
        raise NotFound(f"no task is called {text}", hint="tasktrail list-tasks")
    raise _no_task(tx, run, text) if run.key is not None else _no_run(tx, run)


def _in_run(tx: Transaction, reading: Reference) -> list[Found]:
    runs = _runs(tx, reading)
    if reading.key is None:
        return [Found(run) for run in runs]
    found = ((run, tx.task("task_by_key", run_id=run.id, **_name(reading))) for run in runs)
    return [Found(run, task) for run, task in found if task]


def _in_all_runs(tx: Transaction, reading: Reference) -> list[Found]:
    """In open runs; when none has it, in all; what was taken out of its plan is meant where nothing else can be."""
    tasks = tx.tasks("tasks_named", limit=100, **_name(reading))
    found = [Found(tx.run(task.run_id), task) for task in tasks]
    listed = [one for one, task in zip(found, tasks, strict=True) if task.reason != REMOVED]
    return [one for one in listed if one.run.is_open] or listed or found


def _name(reading: Reference) -> dict[str, object]:
    index = -1 if reading.index is None else reading.index
    return {"key": reading.key, "item": reading.item or "", "map_index": index}


# what is not there, and what was probably meant


def _several(text: str, found: Sequence[Found]) -> Ambiguous:
    names = [_qualified(one) for one in found]
    more = [f"… and {len(names) - CANDIDATES_SHOWN} more"] if len(names) > CANDIDATES_SHOWN else []
    what = "runs" if found[0].task is None else "tasks"
    return Ambiguous(
        f"{text} names {len(names)} {what}", hint=f"say {names[0]}", details=[*names[:CANDIDATES_SHOWN], *more]
    )


def _qualified(found: Found) -> str:
    run = f"{found.run.kind}/{found.run.name}"
    return run if found.task is None else task_reference(run, found.task)


def _no_run(tx: Transaction, reference: Reference) -> NotFound:
    name = str(reference.run)
    instances = tx.runs("runs_of_workflow", workflow=name, limit=_RUNS_OF_WORKFLOW_SHOWN)
    if instances:
        newest = instances[0].name
        return NotFound(
            f"no run has the id {name}; it is the name of a workflow, whose newest runs are",
            hint=_run_hint(newest),
            details=[f"{run.name} ({run.status})" for run in instances],
        )
    close = _close_names(tx, name)
    return NotFound(
        f"no run has the id {reference}" + (f"; did you mean {' or '.join(close)}?" if close else ""),
        hint=_run_hint(close[0]) if close else "tasktrail list-runs",
    )


def _close_names(tx: Transaction, name: str) -> list[str]:
    from difflib import get_close_matches

    longer = [str(row[1]) for row in tx.rows("newest_runs", prefix=name, limit=3)]
    if longer:
        return longer
    return get_close_matches(name, [str(row[1]) for row in tx.rows("newest_runs", prefix="", limit=_NAMES_COMPARED)])


def _no_task(tx: Transaction, reading: Reference, text: str) -> TasktrailError:
    """The run may be missing, or the task in it."""
    run = _the_run(tx, Reference(reading.run, reading.kind))
    return _no_key(run, text.partition(":")[2], _names_in(tx, run), "tasktrail history {run}:{step}")


def _no_key(run: Run, key: str, keys: Sequence[str], hint: str) -> NotFound:
    from difflib import get_close_matches

    of_type = [one for one in keys if one.endswith(f"/{key}")][:3]
    close = of_type or get_close_matches(key, keys) or [one for one in keys if one.startswith(key)][:3]
    return NotFound(
        f"run {run.name} has no task {key}" + (f"; did you mean {' or '.join(close)}?" if close else ""),
        hint=hint.format(run=run.name, step=close[0]) if close else _run_hint(run.name),
    )


def _run_hint(name: str) -> str:
    return f"tasktrail run dag --status {name}" if RUN_ID.fullmatch(name) else "tasktrail list-runs"


# lists


def list_runs(
    ledger: Ledger,
    *,
    kind: Kind | None = None,
    status: RunStatus | None = None,
    workflow: str | None = None,
    limit: int = 20,
    cursor: str | None = None,
) -> RunPage:
    """Return a page of the runs that all filters let through, the newest first.

    Args:
        cursor: What the page before said; None begins.

    Raises:
        BadInput: The cursor is none of ours, or its run is gone.
    """

    def work(tx: Transaction) -> RunPage:
        before = _place(tx, cursor) if cursor is not None else None
        filters = {"kind": kind, "status": status, "workflow": workflow}
        runs = tx.runs("runs_page", before=before, limit=limit + 1, **filters)
        page = runs[:limit]
        return RunPage(page, f"{page[-1].kind}/{page[-1].name}" if len(runs) > limit else None, shared_names(tx, page))

    return ledger.store.read(work)


def _place(tx: Transaction, cursor: str) -> int:
    """A cursor is the last run of the page before, so that runs which begin meanwhile move nothing."""
    try:
        runs = _runs(tx, parse_run(cursor))
    except BadInput:
        runs = []
    if len(runs) != 1:
        raise BadInput(f"expected the cursor to be the `next` of a page, got: {_shortened.repr(cursor)}")
    return runs[0].id


def shared_names(tx: Transaction, runs: Iterable[Run]) -> frozenset[str]:
    """Return the names that runs of several kinds have."""
    names = json.dumps([run.name for run in runs])
    return frozenset(str(row[0]) for row in tx.rows("shared_names", names=names))


def overview(ledger: Ledger, run: Run) -> Overview:
    """Return a run with all its tasks as they stand now."""
    owner = owners(ledger, [run]).get(run.id)
    now = ledger.clock.now()

    def work(tx: Transaction) -> Overview:
        current = tx.run(run.id)
        worked_us = {int(str(row[0])): int(str(row[1])) * 1000 for row in tx.rows("durations_of_run", run_id=run.id)}
        for task in tx.tasks("active_of_run", run_id=run.id) if owner else ():
            began = tx.attempts("attempts_of_task", task_id=task.id)[-1].started_at
            worked_us[task.id] = worked_us.get(task.id, 0) + max(0, now - began)
        tasks = tx.tasks("tasks_of_run", run_id=run.id)
        stale, titles = stale_of(tx, run), titles_in(tx, run.id)
        return Overview(current, tasks, worked_us, bool(shared_names(tx, [current])), owner, titles, stale)

    return ledger.store.read(work)


def titles_in(tx: Transaction, run_id: int) -> dict[int, str]:
    """Return what parts of mapped steps are called, by row id."""
    return {int(str(row_id)): str(title) for row_id, title in tx.rows("titles_of_parts", run_id=run_id)}


def outcomes(ledger: Ledger, seen: Overview) -> Outcomes:
    """Return results and attempts of the tasks of a run; results may be large, and all of them are read."""
    from tasktrail.engine.values import decode

    def work(tx: Transaction) -> Outcomes:
        attempts: dict[int, list[Attempt]] = {}
        for attempt in tx.attempts("attempts_of_run", run_id=seen.run.id):
            attempts.setdefault(attempt.task_id, []).append(attempt)
        return Outcomes({task.id: decode(task.output, tx) for task in seen.tasks}, attempts)

    return ledger.store.read(work)


def stale_of(tx: Transaction, run: Run) -> frozenset[int]:
    """Return the row ids of a run's stale tasks.

    They are completed, and need what is not done, or was done after them. In a matrix also those whose item is another
    one since they were begun, and what stands on them.
    """
    if not run.n_needs and run.kind != "matrix":
        return frozenset()
    name = "stale_with_what_stands_on_it" if run.kind == "matrix" else "stale_of_run"
    return frozenset(int(str(row[0])) for row in tx.rows(name, run_id=run.id))


# history


def history(ledger: Ledger, found: Found, *, limit: int = 100, cursor: str | None = None) -> EventPage:
    """Return the newest events of a run or a task, oldest first.

    Args:
        cursor: What a later page said; None begins with the newest.

    Raises:
        BadInput: The cursor is none of ours.
    """
    before = _event_number(cursor) if cursor is not None else None
    name, row_id = (
        ("latest_events_of_run", found.run.id) if found.task is None else ("latest_events_of_task", found.task.id)
    )
    rows = ledger.store.read(lambda tx: tx.rows(name, id=row_id, before=before, limit=limit + 1))
    events = [event_of(row) for row in reversed(rows[:limit])]
    return EventPage(events, str(events[0].seq) if len(rows) > limit else None)


def attempts_of(ledger: Ledger, found: Found) -> list[Attempt]:
    """Return the attempts of a task, the oldest first."""
    assert found.task is not None, "a run has none of its own"
    task_id = found.task.id
    return ledger.store.read(lambda tx: tx.attempts("attempts_of_task", task_id=task_id))


def events_after(ledger: Ledger, run: Run, seq: int, limit: int = 1000) -> list[Event]:
    """Return what happened in a run after an event, oldest first."""
    rows = ledger.store.read(lambda tx: tx.rows("newer_events_of_run", run_id=run.id, after=seq, limit=limit))
    return [event_of(row) for row in rows]


def event_of(row: Row) -> Event:
    """Return an event from a row with the columns of one."""
    changes = json.loads(str(row[7])) if row[7] is not None else _NOTHING
    values: tuple[Any, ...] = (*row[:7], changes, *row[8:])  # the query's columns are the fields
    return Event(*values)


def _event_number(cursor: str) -> int:
    if cursor.isascii() and cursor.isdigit() and len(cursor) <= 18:
        return int(cursor)
    raise BadInput(f"expected the cursor to be the `next` of a page, got: {_shortened.repr(cursor)}")


# who executes it


def owners(ledger: Ledger, runs: Iterable[Run]) -> dict[int, str]:
    """Return who executes each of these runs now, in words, by row id; runs that nobody executes are not in it."""
    owned, free = [], []
    for run in runs:
        if run.worker_id is not None:
            owned.append(run)
        elif run.status not in OVER and run.definition_id is not None:
            free.append(run)
    if not (owned or free):
        return {}
    from tasktrail.engine.ownership import owner_of
    from tasktrail.engine.workers import pools

    words = {run.id: owner_of(ledger.store, run) for run in owned} | (pools(ledger, free) if free else {})
    return {row_id: owner for row_id, owner in words.items() if owner}


def lasted_us(run: Run, owner: str | None, now: int) -> int | None:
    """Return how long a run took so far; one that nobody executes stands still since its last change."""
    if run.started_at is None:
        return None
    end = run.finished_at or (now if owner else run.updated_at)
    return max(0, end - run.started_at)


def is_abandoned(run: Run, owner: str | None) -> bool:
    """Whether a run is under way and nobody executes it: its process died, was stopped, or waits to be resumed."""
    return run.status == "running" and owner is None and run.kind in ("dag", "job")
