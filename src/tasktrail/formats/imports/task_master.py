"""Task Master's `tasks.json`: lists of tasks by tag, with subtasks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tasktrail.formats import json_edit
from tasktrail.formats.imports.source import PRIORITIES, Imported, Record, Source, Words
from tasktrail.formats.json_object import Fault, encode
from tasktrail.model.plan import PlanTask

__all__ = ["WORDS", "read"]

WORDS: Final[Words] = {
    "pending": "pending", "in-progress": "in_progress", "done": "completed", "completed": "completed",
    "blocked": "blocked", "review": "blocked", "deferred": "blocked", "cancelled": "cancelled",
}  # fmt: skip
_MAIN: Final = "master"
"""The tag that is always there: its tasks keep their numbers as keys."""


def read(text: str, where: str, words: Words | None = None) -> Imported:
    """Return the tasks of all tags. A subtask's key is `2.1`; in other tags than master, `tag/2.1`.

    Args:
        where: How messages name the file.
        words: What statuses mean that are not Task Master's own.

    Raises:
        BadInput: The details name all that is wrong, as `where:line:column`.
    """
    source = Source("task_master", where, WORDS, words)
    faults: list[Fault] = []
    for tag, path, members in _lists(source, source.read_json(text), faults):
        tasks = members.pop("tasks", None)
        _note_rest(source, tag, members)
        if not isinstance(tasks, list):
            faults.append(((*path, "tasks"), f"expected tasks to be a list, got: {encode(tasks)[:60]}"))
            continue
        for at, value in enumerate(tasks):
            _add(source, source.record(value, (*path, "tasks", at), faults), tag)
    source.place_in_json(faults, text)
    return source.imported()


def _lists(
    source: Source, document: object, faults: list[Fault]
) -> Iterator[tuple[str, json_edit.Path, dict[str, object]]]:
    """Each tag's object: files of older versions have one list, which is master's."""
    if document is None:
        return
    root = source.record(document, (), faults).members.members
    if isinstance(root.get("tasks"), list):
        yield _MAIN, (), dict(root)
        return
    if not root:
        faults.append(((), "expected lists of tasks by tag, got: none"))
    for tag, value in root.items():
        yield tag, (tag,), dict(source.record(value, (tag,), faults).members.members)


def _note_rest(source: Source, tag: str, rest: dict[str, object]) -> None:
    for name, value in rest.items():
        source.notes.append(f"left out: {name} of tag {tag}: {encode(value)[:500]}")


def _add(source: Source, record: Record, tag: str) -> None:
    prefix = "" if tag == _MAIN else f"{tag}/"
    if prefix:
        record.keep("tag", tag)
    needs = tuple(f"{prefix}{need}" for need in record.keys("dependencies"))
    _add_task(source, record, record.key("id", prefix), needs, 3)


def _add_task(source: Source, record: Record, key: str, needs: tuple[str, ...], priority: int) -> None:
    subtasks = record.records("subtasks")
    status, reason = record.status("status", source.words)
    task = PlanTask(
        key=key,
        title=record.named("title"),
        status=status,
        priority=record.priority("priority", PRIORITIES, priority),
        needs=needs,
        reason=reason,
        created_at=record.moment("createdAt"),
        updated_at=record.moment("updatedAt"),
        extra=record.extra(),
    )
    source.add(task, record, "id")
    for subtask in subtasks:
        _add_subtask(source, subtask, task)


def _add_subtask(source: Source, record: Record, parent: PlanTask) -> None:
    """In its dependencies a number without a dot is a sibling's, as `task-master next` takes it."""
    record.keep("parent", parent.key)
    tag, slash, _ = parent.key.rpartition("/")
    whole = ((need, f"{tag}{slash}{need}") for need in record.keys("dependencies"))
    needs = tuple(there if "." in need else f"{parent.key}.{need}" for need, there in whole)
    _add_task(source, record, record.key("id", f"{parent.key}."), needs, parent.priority)
