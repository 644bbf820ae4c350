"""Tasks of a plan in the words of the document, as dictionaries. Source: document 000, Enhanced Schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final, Literal, get_args

from tasktrail.engine.explaining import Reason
from tasktrail.engine.failure_memory import Memory
from tasktrail.engine.leases import Holding
from tasktrail.engine.lookup import Event
from tasktrail.engine.plan_lists import PlanTaskEdit, check_list
from tasktrail.formats.json_object import Fault, JsonObject, dotted, shown
from tasktrail.formats.moment import format_moment
from tasktrail.formats.plan_json import DERIVED, read_task, task_words
from tasktrail.model.attempt import Attempt
from tasktrail.model.errors import BadInput
from tasktrail.model.graph import path_text
from tasktrail.model.plan import PlanTask
from tasktrail.model.task import Spanned, elapsed_us
from tasktrail.tools import Shape, Words

Mark = Literal["pending", "in_progress", "completed", "failed"]
MARKS: Final[tuple[Mark, ...]] = get_args(Mark)
"""The statuses that the document has; the others come from people and their commands."""
_STANDING: Final = ("status", "started_at", "completed_at", "result", "error", "reason")
_OURS: Final = frozenset(
    {"id", *_STANDING, *DERIVED, "attempts", "notes", "history", "status_updated_at", "created_at", "updated_at"}
)
"""Keys that say where a task stands: they change with its status alone."""
_WHAT: Final = ("description", "priority", "dependencies")
OURS: Final = _OURS.union(_WHAT, ("history",))
"""Keys that have a meaning of their own, so that nobody else gives them another."""
_TOLD: Final = frozenset({"summary", "error", "stack", "reason", "priority", "title", "needs", "metadata"})
"""Columns whose change the history of a task tells; the event itself says the others."""

_TEXT: Final = {"type": "string"}
_OWN: Final = {"description": "keys of your own"}
_ABOUT: Final[Mapping[str, Any]] = {
    "description": _TEXT,
    "priority": {"type": "integer", "description": "smaller is more urgent"},
    "dependencies": {"type": "array", "items": _TEXT, "description": "ids of tasks that must be done before"},
    "module": _TEXT,
    "estimated_complexity": {"type": "string", "enum": ["low", "medium", "high"]},
}
_TASK: Final = {
    "type": "object",
    "properties": {"id": _TEXT, **_ABOUT},
    "required": ["id", "description"],
    "additionalProperties": _OWN,
}
TASK_LIST: Final = Shape({"type": "array", "items": _TASK})
_MARK: Final = {
    "type": "object",
    "properties": {
        "task_id": _TEXT,
        "status": {"type": "string", "enum": list(MARKS)},
        "notes": _TEXT,
        "result": _TEXT,
        "error": _TEXT,
    },
    "required": ["task_id", "status"],
    "additionalProperties": False,
}
MARK_LIST: Final = Shape({"type": "array", "items": _MARK})
UPDATES: Final = Shape({"type": "object", "properties": _ABOUT, "additionalProperties": _OWN})


# out


def words_of(task: PlanTask, claim: Holding | None = None) -> Words:
    """Return a task in the words of the document, how long it took and who has claimed it; moves are in its history."""
    words: Words = {name: value for name, value in task_words(task).items() if name != "history"}
    words.update(elapsed_words(task))
    if claim is not None:
        words.update(claimed_by=claim.owner, lease_expired=claim.ran_out)
    return words


def elapsed_words(task: Spanned) -> Words:
    """Return how many seconds a task took from its first start to its end; nothing while it has not both."""
    return _seconds(elapsed_us(task))


def _seconds(us: int | None) -> Words:
    return {} if us is None else {"elapsed_seconds": round(us / 1_000_000, 3)}


def brief_words(task: PlanTask) -> Words:
    """Return what a list says of a task: enough to choose one; what is empty is left out."""
    words: Words = {"id": task.key, "description": task.title, "priority": task.priority, "status": task.status}
    return {**words, "dependencies": list(task.needs)} if task.needs else words


def event_words(event: Event) -> Words:
    """Return one line of a task's history; what is empty is left out."""
    words: Words = {"number": event.seq, "timestamp": format_moment(event.at), "actor": event.actor}
    words["event"] = event.verb
    changes = {name: list(values) for name, values in event.changes.items() if name in _TOLD}
    others = {"from": event.from_status, "to": event.to_status, "attempt": event.attempt, "note": event.note}
    words.update({key: value for key, value in others.items() if value is not None})
    return {**words, "changes": changes} if changes else words


def attempt_words(attempt: Attempt) -> Words:
    """Return an attempt; what is empty is left out. Nobody knows how long one took that was lost."""
    told = {"attempt": attempt.n, "outcome": attempt.outcome, "actor": attempt.actor}
    words: Words = {**told, "started_at": format_moment(attempt.started_at), **_seconds(attempt.duration_us)}
    words.update(error=attempt.error, stack=attempt.stack)
    return {name: value for name, value in words.items() if value is not None}


def memory_words(memory: Memory | None) -> Words:
    """Return what is known of a failure; nothing where nothing is."""
    if memory is None:
        return {}
    error = memory.error
    words: Words = {"fingerprint": error.fingerprint, "status": error.status, "seen": error.occurrences}
    words.update(last_seen=format_moment(error.last_at), tasks=list(memory.tasks))
    words["mended"] = [{"task": one.task, "attempt": one.attempt, "notes": list(one.notes)} for one in memory.mended]
    return {"known_error": {name: value for name, value in words.items() if value}}


def reason_words(reason: Reason) -> Words:
    """Return why something stands where it stands; what is empty is left out."""
    words: Words = {"cause": reason.cause, "text": reason.text}
    if reason.since is not None:
        words["since"] = format_moment(reason.since)
    if reason.chain:
        words["chain"] = path_text([one.partition(":")[2] for one in reason.chain])
    return {**words, "unblocking": asdict(reason.unblocking)} if reason.unblocking else words


# in


def tasks_of(listed: object) -> tuple[list[PlanTask], set[str]]:
    """Return the tasks of a list, and the keys of those of which it says where they stand.

    Raises:
        BadInput: The list cannot be a plan; the details name all that is wrong.
    """
    if not isinstance(listed, Sequence) or isinstance(listed, str | bytes):
        raise BadInput(f"expected tasks to be a list, got: {shown(listed)}")
    faults: list[Fault] = []
    given = [dict(one) if isinstance(one, Mapping) else one for one in listed]
    objects = JsonObject({"tasks": given}, (), faults).objects("tasks")
    tasks = [_read(one) for one in objects]
    if faults:
        names = {one.path[1]: task.key for one, task in zip(objects, tasks, strict=True) if task.key}
        check_list([task for task in tasks if task.key], _sentences(faults, names))
    said = {task.key for task, one in zip(tasks, objects, strict=True) if one.members.get("status") is not None}
    return tasks, said


def edit_of(updates: object) -> tuple[PlanTaskEdit, list[str]]:
    """Return what updates change about a task, and the keys among them that no update changes.

    Raises:
        BadInput: A value cannot be; the details name all that is wrong.
    """
    if not isinstance(updates, Mapping):
        raise BadInput(f"expected updates to be an object, got: {shown(updates)}")
    ignored = [str(key) for key in updates if key in _OURS]
    given = {name: value for name, value in updates.items() if name not in _OURS}
    given = {name: value for name, value in given.items() if value is not None or name not in _WHAT}
    if not given:
        hint = "mark_task_status changes the status" if "status" in ignored else None
        raise BadInput(f"nothing to update: {', '.join(ignored) or 'no key is given'}", hint=hint)
    faults: list[Fault] = []
    said = _read(JsonObject({"description": "-", **given, "id": "-"}, ("updates",), faults))
    if faults:
        raise BadInput("these updates cannot be made", details=[message for _, message in faults])
    edit = PlanTaskEdit(
        said.title if "description" in given else None,
        said.priority if "priority" in given else None,
        said.needs if "dependencies" in given else None,
        said.extra,
    )
    return edit, ignored


def _read(said: JsonObject) -> PlanTask:
    text = said.members.get("description")
    if text is None or (isinstance(text, str) and not text.strip()):
        said.fault(f"expected {dotted((*said.path, 'description'))} to be given")
    return read_task(said)


def _sentences(faults: Sequence[Fault], names: Mapping[str | int, str]) -> list[str]:
    """Sentences by place in the list, each with the task's id where that is known."""
    ordered = sorted(faults, key=lambda fault: fault[0][1])
    return [f"{names[path[1]]}: {message}" if path[1] in names else message for path, message in ordered]
