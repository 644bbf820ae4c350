"""Plans as lines of JSON, made for version control: one task a line, in the words of `task-breakdown.json`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from tasktrail.formats.imports.records import each_record
from tasktrail.formats.imports.source import Imported, Record, Source
from tasktrail.formats.json_object import JsonObject, encode
from tasktrail.formats.plan_json import read_task, task_words
from tasktrail.model.plan import PlanTask

__all__ = ["SCHEMA", "dump", "is_header", "read"]

SCHEMA: Final = "tasktrail/plan@1"
_OURS: Final = ("position", "extra")
"""What a line says beside the words of `task-breakdown.json`."""
_LAST: Final = 2**63
_PARTS: Final = re.compile(r"[0-9]+|[^0-9]+")


def dump(tasks: Iterable[PlanTask]) -> str:
    """Return tasks as lines, by key, so that the change of one task is the change of one line.

    `position` says where a task stands in the list. What is empty is left out.
    """
    placed = sorted(enumerate(tasks, 1), key=lambda each: _natural(each[1].key))
    lines = ({"schema": SCHEMA}, *(_words(task, place) for place, task in placed))
    return "".join(f"{encode(line)}\n" for line in lines)


def _natural(key: str) -> tuple[list[tuple[int, str]], str]:
    """T2 comes before T10."""
    parts: list[str] = _PARTS.findall(key)
    return [(int(part) if part[0] in "0123456789" else -1, part) for part in parts], key


def _words(task: PlanTask, place: int) -> dict[str, object]:
    words = {"id": task.key, "position": place, **task_words(replace(task, extra={})), "extra": dict(task.extra)}
    return {name: value for name, value in words.items() if value not in (None, [], {})}


def is_header(value: object) -> bool:
    """Whether the first line of a text says that it is one of ours, of whatever version."""
    schema = value.get("schema") if isinstance(value, dict) else None
    return isinstance(schema, str) and schema.startswith("tasktrail/plan@")


def read(text: str, where: str) -> Imported:
    """Return the tasks of a text, by `position`; where it is the same or missing, in the order of the lines.

    Args:
        where: How messages name the file.

    Raises:
        BadInput: The details name all that is wrong, as `where:line:column`.
    """
    source = Source("tasktrail", where, {})
    places: dict[str, int] = {}
    each_record(source, text, lambda record: _take(source, record, places))
    return source.imported(sorted(source.tasks, key=lambda task: places[task.key]))


def _take(source: Source, record: Record, places: dict[str, int]) -> None:
    line = record.members
    if is_header(line.members):
        if line.members["schema"] != SCHEMA:
            line.refuse("schema", f"{SCHEMA}, the version that is known here")
        return
    place, extra = line.number("position"), line.inner("extra")
    said = {name: value for name, value in line.members.items() if name not in _OURS}
    task = read_task(JsonObject(said, line.path, line.faults))
    places.setdefault(task.key, _LAST if place is None else place)
    source.add(replace(task, extra={**task.extra, **extra}), record, "id")
