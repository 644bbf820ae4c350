"""Taskwarrior's JSON: what `task export` writes, as a list or one task a line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from tasktrail.formats.imports.records import each_record
from tasktrail.formats.imports.source import Imported, Record, Source, Words
from tasktrail.formats.json_object import encode
from tasktrail.model.plan import PlanTask

__all__ = ["PRIORITIES", "WORDS", "read"]

WORDS: Final[Words] = {
    "pending": "pending", "waiting": "pending", "completed": "completed", "deleted": "cancelled",
}  # fmt: skip
PRIORITIES: Final[Mapping[str, int]] = {"h": 2, "m": 3, "l": 4}
_SHORT: Final = 8
"""Characters of a uuid that Taskwarrior shows and takes for the whole."""


def read(text: str, where: str, words: Words | None = None) -> Imported:
    """Return the tasks of an export. Keys are uuids, shortened as Taskwarrior does; what started is in progress.

    Args:
        where: How messages name the file.
        words: What statuses mean that are not Taskwarrior's own.

    Raises:
        BadInput: The details name all that is wrong, as `where:line:column`.
    """
    source = Source("taskwarrior", where, WORDS, words)
    each_record(source, text, lambda record: _add(source, record))
    return source.imported(_shortened(source.tasks))


def _add(source: Source, record: Record) -> None:
    if record.members.members.get("status") == "recurring":
        source.notes.append(f"left out: a template of recurring tasks: {encode(record.members.members)[:500]}")
        return
    key = record.key("uuid")
    record.keep("uuid", key)
    status, reason = record.status("status", source.words)
    started_at = record.moment("start")
    task = PlanTask(
        key=key,
        title=record.named("description"),
        status="in_progress" if status == "pending" and started_at is not None else status,
        priority=record.priority("priority", PRIORITIES),
        needs=_needs(record),
        reason=reason,
        created_at=record.moment("entry"),
        updated_at=record.moment("modified"),
        started_at=started_at,
        completed_at=record.moment("end"),
        notes=tuple(source.note(key, one, text="description", at="entry") for one in record.records("annotations")),
        extra=record.extra(),
    )
    source.add(task, record, "uuid")


def _needs(record: Record) -> tuple[str, ...]:
    """Before 2.6, and where it is told to, Taskwarrior writes them as one text with commas."""
    if isinstance(record.members.members.get("depends"), str):
        return tuple((record.text("depends") or "").split(","))
    return tuple(record.keys("depends"))


def _shortened(tasks: Iterable[PlanTask]) -> list[PlanTask]:
    """Shorten the keys that stay different; what is needed and is not in the file keeps its whole uuid."""
    tasks = list(tasks)
    count = Counter(task.key[:_SHORT] for task in tasks)
    short = {task.key: task.key[:_SHORT] for task in tasks if count[task.key[:_SHORT]] == 1}
    return [
        replace(task, key=short.get(task.key, task.key), needs=tuple(short.get(need, need) for need in task.needs))
        for task in tasks
    ]
