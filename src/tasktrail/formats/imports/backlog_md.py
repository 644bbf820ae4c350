"""Backlog.md's folder: a Markdown file for each task, with YAML between two lines of dashes at its top."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from tasktrail.formats import json_edit
from tasktrail.formats.imports.source import PRIORITIES, Imported, Record, Source, Words
from tasktrail.formats.json_object import Fault
from tasktrail.formats.moment import parse_moment
from tasktrail.formats.yaml_load import Fault as YamlFault
from tasktrail.formats.yaml_load import Node, load_node
from tasktrail.formats.yaml_load import Source as YamlSource
from tasktrail.model.plan import Note, PlanTask

__all__ = ["WORDS", "read"]

WORDS: Final[Words] = {
    "to do": "pending", "in progress": "in_progress", "done": "completed", "draft": "blocked",
}  # fmt: skip
_TASK_FOLDERS: Final = ("tasks/", "completed/", "drafts/", "archive/tasks/", "archive/drafts/")
_FRONT: Final = re.compile(r"\ufeff?---[ \t]*\r?\n(?P<yaml>.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_NUMBERS: Final = re.compile(r"[0-9]{1,18}")
_COMMENT: Final = re.compile(
    r"(?:author: (?P<author>[^\n]*)\n)?created: (?P<created>[^\n]*)\n---\n(?P<text>.*?)\n---(?:\n\s*|\Z)", re.DOTALL
)


def read(files: Mapping[str, str], where: str, words: Words | None = None) -> Imported:
    """Return the tasks, drafts and archived tasks of a folder.

    Args:
        files: Texts by their path in the folder, with `/`.
        where: How messages name the folder.
        words: What statuses mean that are not those of a new project.

    Raises:
        BadInput: The details name all that is wrong, as `where/file:line:column`.
    """
    source = Source("backlog", where, WORDS, words)
    for path, text in sorted(files.items()):
        if path.startswith(_TASK_FOLDERS) and path.endswith(".md"):
            _add(source, path, text)
        else:
            source.notes.append(f"left out: {path}, which is no task")
    return source.imported(_matched(source.tasks))


def _add(source: Source, path: str, text: str) -> None:
    where = f"{source.where}/{path}"
    front = _FRONT.match(text)
    if front is None:
        source.refuse(f"{where}:1:1: expected a line of three dashes, YAML, and a line of three dashes")
        return
    # The first line is kept empty, so that lines have the numbers that they have in the file.
    yaml = YamlSource("\n" + front["yaml"], where)
    broken: list[YamlFault] = []
    root = load_node(yaml, broken)
    if root is None or broken:
        source.refuse(*(f"{where}:{fault.line + 1}:{fault.column + 1}: {fault.what}" for fault in broken))
        return
    faults: list[Fault] = []
    record = source.record(root.to_json(), (), faults)
    _add_task(source, record, path, text[front.end() :])
    source.place(faults, lambda at: _place(root, at), where)


def _place(root: Node, path: json_edit.Path) -> str:
    node = root
    for name in path:
        inner = node.items[name] if isinstance(name, int) and node.items else (node.members or {}).get(str(name))
        node = inner or node
    return f"{node.line + 1}:{node.column + 1}"


def _add_task(source: Source, record: Record, path: str, body: str) -> None:
    status, reason = record.status("status", source.words)
    if path.startswith("archive/"):
        record.keep("archived", True)
        status, reason = (status, reason) if status == "completed" else ("cancelled", "archived")
    body, result = _taken(body, "Final Summary", "SECTION:FINAL_SUMMARY")
    body, description = _taken(body, "Description", "SECTION:DESCRIPTION")
    body, notes = _with_notes(body)
    for name, value in (("description", description), ("body", body.strip())):
        if value:
            record.keep(name, value)
    parent = record.text("parent_task_id")
    if parent:
        record.keep("parent", parent)
    task = PlanTask(
        key=record.key("id"),
        title=record.named("title"),
        status=status,
        priority=record.priority("priority", PRIORITIES),
        needs=tuple(record.keys("dependencies")),
        result=result,
        reason=reason,
        created_at=record.moment("created_date"),
        updated_at=record.moment("updated_date"),
        notes=notes,
        extra=record.extra(),
    )
    source.add(task, record, "id")


def _taken(body: str, heading: str, mark: str) -> tuple[str, str | None]:
    """Return the body without a section, and what the section says; None when there is none."""
    begin, end = re.escape(f"<!-- {mark}:BEGIN -->"), re.escape(f"<!-- {mark}:END -->")
    found = re.search(rf"^## {heading}\s*\n\s*{begin}\n(.*?)\n?{end}\s*", body, re.DOTALL | re.MULTILINE)
    if found is None:
        return body, None
    return body[: found.start()] + body[found.end() :], found[1] or None


def _with_notes(body: str) -> tuple[str, tuple[Note, ...]]:
    """Return the body without its comments, and these; where they are written otherwise, they stay in the body."""
    rest, said = _taken(body, "Comments", "COMMENTS")
    if said is None:
        return rest, ()
    found = list(_COMMENT.finditer(said))
    if "".join(one[0] for one in found).strip() != said.strip():
        return body, ()
    notes = [Note(one["text"], parse_moment(one["created"]), one["author"]) for one in found]
    return (rest, tuple(notes)) if all(note.at is not None for note in notes) else (body, ())


def _matched(tasks: tuple[PlanTask, ...]) -> list[PlanTask]:
    """Spell needs as the keys are spelled (for Backlog.md `task-1` is TASK-1), and put the tasks in its order."""
    spelled = {task.key.lower(): task.key for task in tasks}
    matched = [replace(task, needs=tuple(spelled.get(need.lower(), need) for need in task.needs)) for task in tasks]
    return sorted(matched, key=_order)


def _order(task: PlanTask) -> tuple[float, list[int]]:
    ordinal = task.extra.get("ordinal")
    return ordinal if isinstance(ordinal, int | float) else math.inf, [int(part) for part in _NUMBERS.findall(task.key)]
