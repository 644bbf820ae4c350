"""Runs, tasks, events and errors as JSON records, the same in every face; times are UTC."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from tasktrail.engine.lookup import Event, Found, Outcomes, Overview, run_reference, task_reference
from tasktrail.formats.moment import iso_utc as utc
from tasktrail.model.lifecycle import allowed
from tasktrail.model.reference import format_task
from tasktrail.model.run import OVER, Run
from tasktrail.model.task import Task, elapsed_us

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from tasktrail.engine.errors import KnownError
    from tasktrail.engine.failure_memory import Memory
    from tasktrail.engine.moving import Moved
    from tasktrail.engine.reading import Line
    from tasktrail.engine.task_views import Linked, Listed, TaskDetails
    from tasktrail.model.attempt import Attempt

_TIMES: Final = frozenset({"completed_at", "ignored_at", "not_before", "resolved_at", "started_at"})


def run_record(run: Run, shared: Collection[str] = (), owner: str | None = None) -> dict[str, Any]:
    """Return a run as a record."""
    reference = run_reference(run, shared)
    return {
        "id": reference,
        "run": reference,
        "kind": run.kind,
        "workflow": run.workflow,
        "status": run.status,
        "paused": bool(run.paused),
        "counts": run.counts,
        "n_tasks": run.n_tasks,
        "created_at": utc(run.created_at),
        "started_at": utc(run.started_at),
        "finished_at": utc(run.finished_at),
        "updated_at": utc(run.updated_at),
        "cancelled_at": utc(run.cancelled_at),
        "resumed_at": utc(run.resumed_at),
        "resumes": run.resumes,
        "owner": owner,
        "target": run.target,
        "trace_id": run.trace_id,
        "error": run.declared_error,
        "metadata": json.loads(run.metadata) if run.metadata else {},
    }


def overview_record(overview: Overview, given: Outcomes) -> dict[str, Any]:
    """Return a run with its tasks, their results and attempts."""
    run = overview.run
    record = run_record(run, [run.name] if overview.shared else (), overview.owner)
    tasks = [_overview_task(task, overview, given, record["run"]) for task in overview.tasks]
    return {**record, "tasks": tasks}


def _overview_task(task: Task, overview: Overview, given: Outcomes, reference: str) -> dict[str, Any]:
    return {
        **_task_record(task, overview.run, reference),
        "title": overview.titles.get(task.id),
        "stale": task.id in overview.stale,
        "duration_ms": _ms(overview.worked_us.get(task.id)),
        "result": given.results[task.id],
        "attempt_list": [_attempt(attempt) for attempt in given.attempts.get(task.id, ())],
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "n": attempt.n,
        "outcome": attempt.outcome,
        "actor": attempt.actor,
        "started_at": utc(attempt.started_at),
        "ended_at": utc(attempt.ended_at),
        "duration_ms": _ms(attempt.duration_us),
        "error_type": attempt.error_type,
        "error": attempt.error,
        "stack": attempt.stack,
        "code_version": attempt.code_version,
        "fingerprint": attempt.fingerprint,
    }


def _ms(us: int | None) -> int | None:
    return us // 1000 if us is not None else None


def _task_record(task: Task, run: Run, reference: str) -> dict[str, Any]:
    return {
        "id": task_reference(reference, task),
        "run": reference,
        "key": task.key,
        "item": task.item or None,
        "index": task.map_index if task.map_index >= 0 else None,
        "status": task.status,
        "never_started": task.skip_shown and run.status in OVER,
        "retrying": task.retrying,
        "unreachable": task.unreachable,
        "critical": bool(task.critical),
        "priority": task.priority,
        "attempts": task.attempts,
        "retries": task.retries,
        "max_retries": task.max_retries,
        "losses": task.losses,
        "unmet": task.unmet,
        "not_before": utc(task.not_before),
        "started_at": utc(task.started_at),
        "completed_at": utc(task.completed_at),
        "error_type": task.error_type,
        "error": task.error,
        "reason": task.reason,
    }


def moved_record(moved: Moved, reference: str, memory: Memory | None = None) -> dict[str, Any]:
    """Return a task that was moved by hand, where that leaves its run, and what may be asked of it next.

    Args:
        memory: What is known of its failure.
    """
    run, task = moved.run, moved.task
    said = {"run_status": run.status, "owner": moved.owner, "known_error": memory and memory_record(memory)}
    return {**_task_record(task, run, reference), "allowed": list(allowed(task.status)), **said}


def listed_record(one: Listed) -> dict[str, Any]:
    """Return a task in a list."""
    record = _task_record(one.task, one.run, one.reference)
    return {**record, "kind": one.run.kind, "title": one.title, "needs": list(one.needs), "result": one.task.summary}


def cell_record(task: Task, run: Run, reference: str, agent: str | None) -> dict[str, Any]:
    """Return a cell of a matrix as a record."""
    return {**_task_record(task, run, reference), "agent": agent}


def details_record(seen: TaskDetails) -> dict[str, Any]:
    """Return all that is said of a task."""
    claim = {"owner": seen.claim.owner, "ran_out": seen.claim.ran_out} if seen.claim else None
    return {
        **_task_record(seen.task, seen.run, seen.reference),
        "kind": seen.run.kind, "title": seen.title, "result": seen.result, "summary": seen.task.summary,
        "stale": seen.stale, "duration_ms": _ms(seen.worked_us),
        "elapsed_ms": _ms(elapsed_us(seen.task)), "stack": seen.stack,
        "needs": [_linked(one, seen) for one in seen.needs],
        "needed_by": [_linked(one, seen) for one in seen.needed_by],
        "notes": [{"at": utc(note.at), "note": note.text, "actor": note.actor} for note in seen.notes],
        "attempt_list": [_attempt(attempt) for attempt in seen.attempts],
        "claim": claim,
        "events": [event_record(event, seen.reference) for event in seen.events],
        "extra": dict(seen.extra), "allowed": list(allowed(seen.task.status)),
        "run_status": seen.run.status, "owner": seen.owner,
        "known_error": seen.memory and memory_record(seen.memory),
    }  # fmt: skip


def error_record(error: KnownError) -> dict[str, Any]:
    """Return an error as a record; its id is its fingerprint."""
    return {
        "id": error.fingerprint, "status": error.status, "error_type": error.type, "example": error.example,
        "occurrences": error.occurrences, "first_at": utc(error.first_at), "last_at": utc(error.last_at),
        "resolved_at": utc(error.resolved_at), "ignored_at": utc(error.ignored_at), "note": error.note,
    }  # fmt: skip


def memory_record(memory: Memory) -> dict[str, Any]:
    """Return an error with where it was seen and what succeeded afterwards."""
    mended = [
        {"task": one.task, "attempt": one.attempt, "at": utc(one.at), "actor": one.actor, "notes": list(one.notes)}
        for one in memory.mended
    ]
    return {**error_record(memory.error), "tasks": list(memory.tasks), "mended": mended}


def _linked(one: Linked, seen: TaskDetails) -> dict[str, Any]:
    return {"id": format_task(seen.reference, one.key), "status": one.status}


def event_records(found: Found, events: Sequence[Event], shared: Collection[str]) -> list[dict[str, Any]]:
    """Return events as records."""
    reference = run_reference(found.run, shared)
    return [event_record(event, reference) for event in events]


def event_record(event: Event, run: str | None) -> dict[str, Any]:
    """Return an event, given its run's reference if it is of one, as a record; `id` is made of its place in the log."""
    of_task = run is not None and event.key is not None
    task = format_task(str(run), str(event.key), event.item or "", _index(event)) if of_task else None
    return {
        "id": f"event/{event.seq}",
        "run": run,
        "task": task,
        "seq": event.seq,
        "at": utc(event.at),
        "actor": event.actor,
        "verb": event.verb,
        "from_status": event.from_status,
        "to_status": event.to_status,
        "attempt": event.attempt,
        "changes": _changes(event.changes),
        "note": event.note,
    }


def line_record(line: Line, run: str) -> dict[str, Any]:
    """Return a line that a step printed; without a stream it says how much is missing there."""
    return {
        "id": f"{run}:{line.step}",
        "run": run,
        "attempt": line.attempt,
        "at": utc(line.at),
        "title": line.title,
        "stream": line.stream,
        "text": line.text,
    }


def _index(event: Event) -> int:
    return -1 if event.map_index is None else event.map_index


def _changes(changes: Mapping[str, list[object]]) -> dict[str, list[object]]:
    return {name: [_moment(name, value) for value in values] for name, values in changes.items()}


def _moment(name: str, value: object) -> object:
    return utc(value) if name in _TIMES and isinstance(value, int) else value
