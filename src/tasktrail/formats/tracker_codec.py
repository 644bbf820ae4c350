"""The codecs of `tracker.yaml` and `tracker.json`: one matrix, items × task types, in the words of document 002."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from tasktrail.formats import TRACKER_JSON_CODEC, TRACKER_YAML_CODEC, json_edit, json_object
from tasktrail.formats.changes import REMOVE, Change, Path, difference
from tasktrail.formats.json_object import MAX_COUNT, Fault, JsonObject, encode
from tasktrail.formats.picture import MAX_TASKS, ItemPicture, Picture, TaskPicture, Writing, details_of, details_text
from tasktrail.model.errors import BadInput
from tasktrail.model.matrix import TYPE_NAME, is_type_name
from tasktrail.model.reference import check_key
from tasktrail.model.task import FINAL, Status, Value

__all__ = [
    "DETAILS", "TRACKER_JSON", "TRACKER_YAML", "WORDS", "attempts_of", "moment_text", "retries_of", "task_said",
]  # fmt: skip

_MAX_CHARS: Final = 32 * 1024 * 1024
"""Of a text: 20,000 tasks with all that is said of each."""

WORDS: Final[Mapping[Status, Status]] = {
    "pending": "pending", "in_progress": "in_progress", "completed": "completed", "failed": "failed",
    "skipped": "skipped", "blocked": "pending", "cancelled": "skipped",
}  # fmt: skip
"""How a tracker writes each status: it has no word for some."""
_STATUSES: Final[Mapping[str, Status]] = {word: word for word in WORDS.values()}
_RECORD: Final = (
    "status", "started_at", "completed_at", "output_file", "error_message", "retry_count", "agent",
)  # fmt: skip
_TIMES: Final = ("started_at", "completed_at")
DETAILS: Final = ("output_file", "agent")
"""What of a record no column has."""
_ITEM: Final = ("tasks", "removed", "content_hash")
_BEGUN: Final[frozenset[Status]] = frozenset({"in_progress", "completed", "failed"})
"""What stands there was started at least once."""
_EPOCH: Final = datetime(1970, 1, 1)
_Words = dict[str, object]


class _Text(Protocol):
    """How a tree of values is written."""

    def load(self, text: str, where: str) -> object:
        """Return the tree."""

    def dump(self, value: object) -> str:
        """Return a new text."""

    def edit(self, text: str, changes: Sequence[Change], where: str) -> str:
        """Return the text with these changes and no other."""

    def refusal(self, text: str, where: str, faults: Sequence[Fault]) -> BadInput:
        """Return the error for a text that has faults, each with its place."""


@dataclass(frozen=True, slots=True)
class TrackerCodec:
    """A codec of trackers. Its tasks have the values attempts, error, started_at and completed_at, and as metadata
    agent, output file and what else is said of them; its items have what else is said of them as attributes.

    Args:
        name: What `document.codec` holds.
        words: How the text is written.
    """

    name: str
    words: _Text

    def load(self, text: str, where: str) -> Picture:
        """Return what the text says. See `Codec.load`."""
        faults: list[Fault] = []
        document = self.words.load(text, where)
        picture = _picture(JsonObject.of({} if document is None else document, (), faults))
        if faults:
            raise self.words.refusal(text, where, faults)
        return picture

    def standing(self, picture: Picture) -> Picture:
        """Return where the matrix stands: every word of the file is meant."""
        return picture

    def write(
        self, text: str | None, picture: Picture, where: str = "the tracker", said: Picture | None = None
    ) -> Writing:
        """Bring a text to what the picture says. See `Codec.write`.

        What the text leaves out stays out where it is at its default, and a time unless the status moves with it.
        """
        if len(picture.tasks) > MAX_TASKS:
            raise BadInput(f"{where}: expected at most {MAX_TASKS:,} tasks, got: {len(picture.tasks):,}")
        if text is None:
            text = self.words.dump(_document(picture))
            return Writing(text, self.load(text, where))
        old = self.load(text, where) if said is None else said
        editing = _Editing(old, picture)
        changes = editing.changes()
        if not changes:
            return Writing(text, old)
        return Writing(self.words.edit(text, changes, where), editing.said)


# -------------------------------------------------------------------------------------------------------------- reading


def _picture(tracker: JsonObject) -> Picture:
    items, tasks = [], list[TaskPicture]()
    for name, value in _inner(tracker, "items").items():
        item = JsonObject.of({} if value is None else value, ("items", name), tracker.faults)
        _check_name(item, name)
        items.append(_item(item, name))
        tasks += _tasks(item, name)
    week = JsonObject.of(_inner(tracker, "week_tasks"), ("week_tasks",), tracker.faults)
    tasks += _tasks(week, "")
    if len(tasks) > MAX_TASKS:
        tracker.fault(f"expected at most {MAX_TASKS:,} tasks, got: {len(tasks):,}", "items")
    metadata = _inner(tracker, "metadata")
    return Picture("", "", metadata=encode(metadata) if metadata else None, tasks=tuple(tasks), items=tuple(items))


def _inner(of: JsonObject, name: str) -> dict[str, object]:
    """A mapping; what is left empty is one without members."""
    return {} if of.members.get(name) is None else of.inner(name)


def _check_name(item: JsonObject, name: str) -> None:
    try:
        check_key(name, "item")
    except BadInput as error:
        item.fault(error.message)


def _item(item: JsonObject, name: str) -> ItemPicture:
    attributes = {key: value for key, value in item.members.items() if key not in _ITEM}
    return ItemPicture(
        name, bool(item.flag("removed")), encode(attributes) if attributes else None, item.text("content_hash")
    )


def _tasks(of: JsonObject, item: str) -> Iterator[TaskPicture]:
    for key, value in _inner(of, "tasks").items():
        record = JsonObject.of({} if value is None else value, (*of.path, "tasks", key), of.faults)
        if not is_type_name(key):
            record.fault(f"expected a task type to be like {TYPE_NAME}, got: {key[:80]!r}")
        yield _task(record, key, item)


def _task(record: JsonObject, key: str, item: str) -> TaskPicture:
    status = record.word("status", _STATUSES) or "pending"
    return task_said(
        key,
        item,
        status,
        retries=record.count("retry_count") or 0,
        error=record.text("error_message"),
        started_at=record.moment("started_at"),
        completed_at=record.moment("completed_at"),
        details={
            **{name: value for name, value in record.members.items() if name not in _RECORD},
            **{name: record.text(name) for name in DETAILS},
        },
    )


def task_said(
    key: str,
    item: str,
    status: Status,
    *,
    retries: int,
    error: str | None,
    started_at: int | None,
    completed_at: int | None,
    details: Mapping[str, object],
) -> TaskPicture:
    """Return what a record says of a task. Only what is over has an end.

    Args:
        details: What no column has, by name.
    """
    said: dict[str, Value] = {
        "attempts": attempts_of(status, retries, begun=started_at is not None),
        "error": error,
        "started_at": started_at,
        "completed_at": completed_at if status in FINAL else None,
    }
    values = {name: value for name, value in said.items() if value is not None}
    return TaskPicture(key, status, values, details_text(details), item=item)


def attempts_of(status: Status, retries: int, *, begun: bool) -> int | None:
    """Return how often a task was started by what its record says; None where nothing says that it was.

    >>> [attempts_of(*one, begun=False) for one in (("failed", 0), ("pending", 0), ("pending", 1))]
    [1, None, 2]
    """
    return retries + 1 if retries or begun or status in _BEGUN else None


def retries_of(attempts: Value) -> int:
    """Return how often a task was started again, no more than a record can say.

    >>> [retries_of(one) for one in (None, 0, 1, 3, 9_000_000_000)]
    [0, 0, 0, 2, 2147483647]
    """
    return min(max(attempts - 1, 0), MAX_COUNT) if isinstance(attempts, int) else 0


# -------------------------------------------------------------------------------------------------------------- writing


def moment_text(at: int) -> str:
    """Return microseconds UTC as the document writes times.

    >>> moment_text(1_769_940_000_000_000)
    '2026-02-01T10:00:00'
    """
    return (_EPOCH + timedelta(microseconds=at)).isoformat()


def _document(picture: Picture) -> _Words:
    tasks: dict[str, _Words] = {"": {}, **{item.name: {} for item in picture.items}}
    for task in picture.tasks:
        tasks.setdefault(task.item, {})[task.key] = _words(task)
    return {
        "items": {item.name: _item_words(item, tasks[item.name]) for item in picture.items},
        "week_tasks": {"tasks": tasks[""]},
        "metadata": json.loads(picture.metadata) if picture.metadata else {},
    }


def _item_words(item: ItemPicture, tasks: Mapping[str, object]) -> _Words:
    words: _Words = {"tasks": dict(tasks), "removed": item.removed}
    if item.content_hash is not None:
        words["content_hash"] = item.content_hash
    return {**words, **_attributes(item)}


def _attributes(item: ItemPicture) -> _Words:
    return json.loads(item.attributes) if item.attributes else {}


def _words(task: TaskPicture) -> _Words:
    """A record with all its fields; those that nothing is said of are null."""
    values, details = task.values, details_of(task)
    started_at, completed_at = (values.get(name) for name in _TIMES)
    return {
        "status": WORDS[task.status],
        "started_at": moment_text(started_at) if isinstance(started_at, int) else None,
        "completed_at": moment_text(completed_at) if isinstance(completed_at, int) else None,
        "output_file": details.pop("output_file", None),
        "error_message": values.get("error"),
        "retry_count": retries_of(values.get("attempts")),
        "agent": details.pop("agent", None),
        **details,
    }


class _Editing:
    """What has to change in a text so that it says something else, and what it says then."""

    def __init__(self, old: Picture, new: Picture) -> None:
        self._old, self._new = old, new
        self._changes: list[Change] = []
        self.said = old

    def changes(self) -> list[Change]:
        """Return the changes; afterwards `said` is what the text will say."""
        before, known = self._old.by_name(), self._old.item_by_name()
        self._add([item for item in self._new.items if item.name not in known])
        items = tuple(self._item(known.get(item.name), item) for item in self._new.items)
        gone = known.keys() - self._new.item_by_name().keys()
        self._changes += [(("items", name), REMOVE) for name in known if name in gone]
        tasks = tuple(self._task(before.get(task.name), task, task.item in known) for task in self._new.tasks)
        left = {task.name for task in tasks}
        lost = [task for task in self._old.tasks if task.name not in left and task.item not in gone]
        self._changes += [(_path(task), REMOVE) for task in lost]
        was, now = (json.loads(one.metadata) if one.metadata else {} for one in (self._old, self._new))
        self._changes += difference(was, now, ("metadata",))
        self.said = replace(self._old, tasks=tasks, items=items, metadata=self._new.metadata)
        return self._changes

    def _add(self, items: Sequence[ItemPicture]) -> None:
        tasks: dict[str, dict[str, object]] = {item.name: {} for item in items}
        for task in self._new.tasks:
            if task.item in tasks:
                tasks[task.item][task.key] = _words(task)
        self._changes += [(("items", item.name), _item_words(item, tasks[item.name])) for item in items]

    def _item(self, old: ItemPicture | None, item: ItemPicture) -> ItemPicture:
        path = ("items", item.name)
        if old is None or old == item:
            return item
        if old.removed != item.removed:
            self._changes.append(((*path, "removed"), item.removed))
        if old.content_hash != item.content_hash:
            self._changes.append(((*path, "content_hash"), item.content_hash))
        self._changes += difference(_attributes(old), _attributes(item), path)
        return item

    def _task(self, old: TaskPicture | None, new: TaskPicture, item_is_known: bool) -> TaskPicture:
        if old is None:
            words = _words(new)
            if item_is_known or not new.item:
                self._changes.append((_path(new), words))
            return _said(new, words)
        if old is new:
            return old
        was, now = _words(old), _words(new)
        silent = [name for name in _TIMES if old.status == new.status and was[name] is None]
        found = {name: now.get(name, REMOVE) for name in (*now, *was) if was.get(name) != now.get(name)}
        found = {name: value for name, value in found.items() if name not in silent}
        self._changes += [((*_path(new), name), value) for name, value in found.items()]
        if not found:
            return old
        return _said(new, {name: value for name, value in {**was, **found}.items() if value is not REMOVE})


def _said(task: TaskPicture, words: _Words) -> TaskPicture:
    """What a record says once it is read again."""
    return _task(JsonObject(words, (), []), task.key, task.item)


def _path(task: TaskPicture) -> Path:
    return ("items", task.item, "tasks", task.key) if task.item else ("week_tasks", "tasks", task.key)


# ------------------------------------------------------------------------------------------------------------ two texts


class _Yaml:
    """A tracker as YAML."""  # PyYAML is heavy, and needed only when there is a file to read

    def load(self, text: str, where: str) -> object:
        from tasktrail.formats.yaml_load import load

        return load(text, where, max_chars=_MAX_CHARS)

    def dump(self, value: object) -> str:
        from tasktrail.formats.yaml_edit import dump

        return dump(value)

    def edit(self, text: str, changes: Sequence[Change], where: str) -> str:
        from tasktrail.formats.yaml_edit import edit

        return edit(text, changes, where)

    def refusal(self, text: str, where: str, faults: Sequence[Fault]) -> BadInput:
        from tasktrail.formats.yaml_load import refusal

        return refusal(text, where, faults, "cannot be read as a tracker")


class _Json:
    """A tracker as JSON."""

    def load(self, text: str, where: str) -> object:
        return json_edit.load(text, where)

    def edit(self, text: str, changes: Sequence[Change], where: str) -> str:
        return json_edit.edit(text, changes, where)

    def dump(self, value: object) -> str:
        return json_edit.dump(value) + "\n"

    def refusal(self, text: str, where: str, faults: Sequence[Fault]) -> BadInput:
        return json_object.refusal(text, where, faults, "a tracker")


TRACKER_YAML: Final = TrackerCodec(TRACKER_YAML_CODEC, _Yaml())
TRACKER_JSON: Final = TrackerCodec(TRACKER_JSON_CODEC, _Json())
