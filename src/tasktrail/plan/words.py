"""Tasks of a plan in the words of the document, as dictionaries. Source: document 000, Enhanced Schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, cast, get_args

from tasktrail.engine.leases import Holding
from tasktrail.engine.lookup import Event
from tasktrail.engine.plan_lists import PlanTaskEdit, check_list
from tasktrail.model.errors import BadInput
from tasktrail.model.plan import Note, PlanTask
from tasktrail.model.task import STATUSES, Status

Words = dict[str, Any]

Mark = Literal["pending", "in_progress", "completed", "failed"]
MARKS: Final[tuple[Mark, ...]] = get_args(Mark)
"""The statuses that the document has; the others come from people and their commands."""
_STANDING: Final = ("status", "started_at", "completed_at", "result", "error", "reason")
_OURS: Final = frozenset(
    {"id", *_STANDING, "attempts", "notes", "status_updated_at", "updated_at", "claimed_by", "lease_expired"}
)
"""Keys that say where a task stands: they change with its status alone."""
_WHAT: Final = ("description", "priority", "dependencies")
_TOLD: Final = frozenset({"summary", "error", "reason", "priority", "title", "needs", "metadata"})
"""Columns whose change the history of a task tells; the event itself says the others."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


# out


def words_of(task: PlanTask, claim: Holding | None = None) -> Words:
    """Return a task in the words of the document, with what else is said of it, and who has claimed it."""
    words: Words = {"id": task.key, "description": task.title, "priority": task.priority}
    words.update(dependencies=list(task.needs), **{key: value for key, value in task.extra.items() if key not in words})
    words.update(status=task.status, started_at=moment(task.started_at), completed_at=moment(task.completed_at))
    words.update(result=task.result, attempts=task.attempts)
    words["notes"] = [{"timestamp": moment(note.at), "note": note.text} for note in task.notes]
    if task.history:
        words["status_updated_at"] = moment(task.history[-1].at)
    others = {"updated_at": moment(task.updated_at), "error": task.error, "reason": task.reason}
    words.update({key: value for key, value in others.items() if value is not None})
    if claim is not None:
        words.update(claimed_by=claim.owner, lease_expired=claim.ran_out)
    return words


def event_words(event: Event) -> Words:
    """Return one line of a task's history; what is empty is left out."""
    words: Words = {"number": event.seq, "timestamp": moment(event.at), "actor": event.actor, "event": event.verb}
    changes = {name: list(values) for name, values in event.changes.items() if name in _TOLD}
    others = {"from": event.from_status, "to": event.to_status, "attempt": event.attempt, "note": event.note}
    words.update({key: value for key, value in others.items() if value is not None})
    return {**words, "changes": changes} if changes else words


def moment(at: int | None) -> str | None:
    """Return a moment in microseconds UTC as ISO 8601.

    >>> moment(1_767_225_600_000_000)
    '2026-01-01T00:00:00+00:00'
    """
    return None if at is None else (_EPOCH + at * _MICROSECOND).isoformat()


# in


def tasks_of(listed: object) -> tuple[list[PlanTask], set[str]]:
    """Return the tasks of a list, and the keys of those of which it says where they stand.

    Raises:
        BadInput: The list cannot be a plan; the details name all that is wrong.
    """
    if not isinstance(listed, Sequence) or isinstance(listed, str | bytes):
        raise BadInput(f"expected tasks to be a list, got: {_kind(listed)}")
    readings = [_Reading(one, f"tasks[{index}]") for index, one in enumerate(listed)]
    tasks = [task for task in (reading.task() for reading in readings) if task]
    if faults := [fault for reading in readings for fault in reading.faults]:
        check_list(tasks, faults)
    return tasks, {reading.key for reading in readings if any(name in reading.said for name in _STANDING)}


def edit_of(updates: object) -> tuple[PlanTaskEdit, list[str]]:
    """Return what updates change about a task, and the keys among them that no update changes.

    Raises:
        BadInput: A value cannot be; the details name all that is wrong.
    """
    if not isinstance(updates, Mapping):
        raise BadInput(f"expected updates to be an object, got: {_kind(updates)}")
    reading = _Reading({key: value for key, value in updates.items() if key not in _OURS}, "updates")
    given = reading.said
    edit = PlanTaskEdit(
        reading.text("description") if "description" in given else None,
        reading.priority() if "priority" in given else None,
        reading.needs() if "dependencies" in given else None,
        reading.extra(),
    )
    if reading.faults:
        raise BadInput("these updates cannot be made", details=reading.faults)
    ignored = [str(key) for key in updates if key in _OURS]
    if not given:
        hint = "mark_task_status changes the status" if "status" in ignored else None
        raise BadInput(f"nothing to update: {', '.join(ignored) or 'no key is given'}", hint=hint)
    return edit, ignored


class _Reading:
    """One task as it was given, and what is wrong with it."""

    def __init__(self, given: object, place: str) -> None:
        self.faults: list[str] = []
        self._place = place
        self.said: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
        if not isinstance(given, Mapping):
            self._wrong("a task to be an object", given)
        self.key = str(self.said.get("id", ""))

    def task(self) -> PlanTask | None:
        """Return the task, as far as it can be read; None without an id that could be named."""
        key, title = self._required("id"), self._required("description")
        self._place = f"{self._place} ({key})" if key else self._place
        status = self._status()
        task = PlanTask(
            key or "", title or "", status, self.priority(), self.needs(), self._optional("result"),
            self._optional("error"), self._optional("reason"), started_at=self._moment("started_at"),
            completed_at=self._moment("completed_at"), notes=self._notes(), extra=self.extra(),
        )  # fmt: skip
        return task if key else None

    def text(self, name: str) -> str | None:
        """Return a text that is there."""
        value = self.said.get(name)
        if isinstance(value, str) and value.strip():
            return value
        self._wrong(f"{name} to be a text", value)
        return None

    def priority(self) -> int:
        """Return the priority; smaller is more urgent."""
        value = self.said.get("priority", 3)
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31:
            return value
        self._wrong("priority to be a whole number", value)
        return 3

    def needs(self) -> tuple[str, ...]:
        """Return the ids of what it depends on."""
        value = self.said.get("dependencies")
        if value is None:
            return ()
        if isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(one, str) for one in value):
            return tuple(value)
        self._wrong("dependencies to be a list of ids", value)
        return ()

    def extra(self) -> dict[str, object]:
        """Return what else is said of it."""
        return {name: value for name, value in self.said.items() if name not in _OURS and name not in _WHAT}

    def _required(self, name: str) -> str | None:
        if name in self.said:
            return self.text(name)
        if self.said or not self.faults:
            self.faults.append(f"{self._place} has no {name}")
        return None

    def _optional(self, name: str) -> str | None:
        return self.text(name) if self.said.get(name) else None

    def _status(self) -> Status:
        value = self.said.get("status", "pending")
        if value in STATUSES:
            return cast(Status, value)
        self._wrong(f"status to be one of {', '.join(STATUSES)}", value)
        return "pending"

    def _moment(self, name: str, said: Mapping[str, Any] | None = None) -> int | None:
        value = (self.said if said is None else said).get(name)
        if value is None:
            return None
        try:
            at = datetime.fromisoformat(value)
            return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND
        except (TypeError, ValueError, OverflowError):
            self._wrong(f"{name} to be a time as in 2026-01-31T12:00:00+00:00", value)
            return None

    def _notes(self) -> tuple[Note, ...]:
        listed = self.said.get("notes") or []
        if not isinstance(listed, list) or not all(
            isinstance(one, Mapping) and isinstance(one.get("note"), str) for one in listed
        ):
            self._wrong("notes to be a list of {timestamp, note}", listed)
            return ()
        return tuple(Note(one["note"], self._moment("timestamp", one)) for one in listed)

    def _wrong(self, expected: str, value: object) -> None:
        self.faults.append(f"{self._place}: expected {expected}, got: {_kind(value)}")


def _kind(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
