"""What a change writes: the move of its task, the attempt that it begins or ends, its event."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Final

from tasktrail.model.lifecycle import Change
from tasktrail.model.task import Task, Value

UNRECORDED: Final = frozenset({"worker_id", "lease_token", "lease_until", "open_attempt"})
"""Columns of a lease: they end with it and are no history."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What a change carries that the state machine does not decide.

    Args:
        actor: Who asked for it.
        span_id: Of the attempt that it opens.
        duration_us: Of the attempt that it closes, by a monotonic clock; None lets the store subtract times.
        note: Text for the event beside the task's own reason.
        also: What else changed with it, for the history: old and new by name.
        held: The change finishes a claim: its fence guards it, whatever was edited meanwhile.
    """

    actor: str
    span_id: str | None = None
    duration_us: int | None = None
    note: str | None = None
    held: bool = False
    code_version: str | None = None
    also: Mapping[str, Sequence[object]] | None = None


def opening(change: Change, mark: Mark, trace_id: str) -> Mapping[str, object]:
    """Return the attempt that a change begins."""
    return {
        "task_id": change.task.id,
        "n": change.values["attempts"],
        "fence": change.values["fence"],
        "worker_id": change.values["worker_id"],
        "actor": mark.actor,
        "trace_id": trace_id,
        "span_id": mark.span_id,
        "at": change.at,
        "code_version": mark.code_version,
    }


def moving(change: Change, mark: Mark) -> Mapping[str, object]:
    """Return what `move_task` asks for; it gives what may have changed since a claim, nothing if the guard fails."""
    task = change.task
    params: dict[str, object] = task._asdict()
    params.update(change.values)
    params.update(
        status=change.status, was_fence=task.fence, was_status=task.status, was_version=task.version, held=mark.held
    )
    return params


def event(change: Change, mark: Mark, fingerprint: str | None) -> Mapping[str, object]:
    """Return the event of a change."""
    task = change.task
    return {
        "at": change.at,
        "actor": mark.actor,
        "run_id": task.run_id,
        "task_id": task.id,
        "verb": change.verb,
        "from_status": task.status,
        "to_status": change.status,
        "attempt": change.values.get("open_attempt") or task.open_attempt,
        "changes": _changes_text(task, change.values, _also(change, mark, fingerprint)),
        "note": mark.note,
    }


def _also(change: Change, mark: Mark, fingerprint: str | None) -> Mapping[str, Sequence[object]] | None:
    """A failure says which error it is; one that ends no attempt has its stack in the history alone."""
    if fingerprint is None:
        return mark.also
    failure = change.ask.failure if change.ask else None
    stack = {"stack": [None, failure.stack]} if failure and failure.stack and change.closes is None else {}
    return {**(mark.also or {}), **stack, "fingerprint": [None, fingerprint]}


def closing(change: Change, mark: Mark, fingerprint: str | None) -> Mapping[str, object]:
    """Return how the attempt ends that a change closes."""
    failure = change.ask.failure if change.ask else None
    return {
        "task_id": change.task.id,
        "n": change.task.open_attempt,
        "at": change.at,
        "duration_us": mark.duration_us,
        "outcome": change.closes,
        "error_type": (failure.type or None) if failure else None,
        "error": failure.message if failure else None,
        "stack": failure.stack if failure else None,
        "output": change.values.get("output") if change.status == "completed" else None,
        "fingerprint": fingerprint,
    }


def _changes_text(task: Task, values: Mapping[str, Value], also: Mapping[str, Sequence[object]] | None) -> str | None:
    """Return {column: [old, new]} as JSON text; by hand, since every step pays for it twice."""
    parts = []
    for name, value in values.items():
        old = getattr(task, name)
        if value != old and name not in UNRECORDED:
            parts.append(f'"{name}":[{_json(old)},{_json(value)}]')
    if also:
        parts.append(json.dumps(also, ensure_ascii=False)[1:-1])
    return "{" + ",".join(parts) + "}" if parts else None


def _json(value: Value) -> str:
    if value is None:
        return "null"
    return encode_basestring(value) if isinstance(value, str) else str(value)
