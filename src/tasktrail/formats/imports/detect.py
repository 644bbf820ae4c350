"""Which tool a file or folder is from, and reading it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

from tasktrail.formats import json_edit, plan_json, plan_jsonl, plan_markdown
from tasktrail.formats.imports import backlog_md, beads, plan_csv, task_master, taskwarrior
from tasktrail.formats.imports.source import Imported, Words
from tasktrail.formats.json_load import MAX_CHARS
from tasktrail.model.errors import BadInput, NotFound

__all__ = ["Found", "Tool", "detect", "read", "text_of"]

Tool = Literal["backlog.md", "beads", "csv", "json", "jsonl", "markdown", "task-master", "taskwarrior"]
"""Another tool, or a format of ours, or that anybody writes."""

_READERS: Final[Mapping[Tool, Callable[[str, str, Words | None], Imported]]] = MappingProxyType({
    "beads": beads.read, "csv": plan_csv.read, "task-master": task_master.read, "taskwarrior": taskwarrior.read,
    "json": lambda text, where, _: Imported(plan_json.load(text, where).tasks),
    "jsonl": lambda text, where, _: plan_jsonl.read(text, where), "markdown": plan_markdown.read,
})  # fmt: skip
_BY_NAME: Final[Mapping[str, Tool]] = MappingProxyType({".csv": "csv", ".md": "markdown", ".markdown": "markdown"})
_IN_FOLDERS: Final[tuple[tuple[Tool, str], ...]] = (
    ("task-master", ".taskmaster/tasks/tasks.json"), ("task-master", "tasks/tasks.json"), ("task-master", "tasks.json"),
    ("beads", ".beads/issues.jsonl"), ("beads", "issues.jsonl"),
)  # fmt: skip
_BACKLOG_FOLDERS: Final = ("backlog", ".backlog", ".")
_KNOWN: Final = (
    "task-breakdown.json, what `tasktrail export` writes, Task Master's tasks.json, a folder of Backlog.md, "
    "issues.jsonl of beads, the JSON of `task export`, CSV, or a check list in Markdown"
)


@dataclass(frozen=True, slots=True)
class Found:
    """A plan of a tool, and where it lies."""

    tool: Tool
    path: Path


def read(path: Path, words: Words | None = None) -> tuple[Found, Imported]:
    """Return which tool wrote a file or folder, and what it holds.

    Args:
        words: What statuses mean that the tool has no word for by itself.

    Raises:
        NotFound: There is nothing at this path.
        BadInput: It is of no tool that we know, or something in it is wrong.
    """
    found = detect(path)
    if found.tool == "backlog.md":
        files = {one.relative_to(found.path).as_posix(): text_of(one) for one in _markdown(found.path)}
        return found, backlog_md.read(files, str(found.path), words)
    return found, _READERS[found.tool](text_of(found.path), str(found.path), words)


def detect(path: Path) -> Found:
    """Return which tool a file, its folder or the project around its folder is from.

    Raises:
        NotFound: There is nothing at this path.
        BadInput: It is of no tool that we know, or of several.
    """
    if path.is_dir():
        return _of_folder(path)
    if not path.exists():
        raise NotFound(f"{path} does not exist")
    return Found(_BY_NAME.get(path.suffix.lower()) or _of_text(text_of(path), str(path)), path)


def _of_folder(folder: Path) -> Found:
    found = [Found(tool, folder / inner) for tool, inner in _IN_FOLDERS if (folder / inner).is_file()]
    found += [Found("backlog.md", folder / inner) for inner in _BACKLOG_FOLDERS if _is_backlog(folder / inner)]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(str(one.path) for one in found)
        raise BadInput(f"{folder} has plans of several tools: {names}", hint="name the one to import")
    raise BadInput(f"{folder} has no plan that can be imported", hint=f"expected {_KNOWN}")


def _is_backlog(folder: Path) -> bool:
    tasks = folder / "tasks"
    return tasks.is_dir() and ((folder / "config.yml").is_file() or any(tasks.glob("* - *.md")))


def _of_text(text: str, where: str) -> Tool:
    start = text.lstrip("\ufeff \t\r\n")
    if start[:1] not in ("{", "["):
        raise BadInput(f"{where} is no plan that can be imported", hint=f"expected {_KNOWN}")
    line = start.partition("\n")[0]
    document = json_edit.load(line if _is_record(line) else text, where)
    first = document[0] if isinstance(document, list) and document else document
    tool = _of_value(first) if isinstance(first, dict) else None
    if tool is None:
        raise BadInput(f"{where} is JSON, but of no tool that is known here", hint=f"expected {_KNOWN}")
    return tool


def _is_record(line: str) -> bool:
    """Whether the first line is a whole object: then each line is one."""
    try:
        return isinstance(json_edit.load(line, ""), dict)
    except BadInput:
        return False


def _of_value(value: Mapping[str, object]) -> Tool | None:
    if plan_jsonl.is_header(value):
        return "jsonl"
    if "uuid" in value and "description" in value:
        return "taskwarrior"
    if (
        "_type" in value
        or {"id", "title", "issue_type"} <= value.keys()
        or {"id", "title", "created_at"} <= value.keys()
    ):
        return "beads"
    if any(_is_task_list(one) for one in (value, *value.values())):
        return "task-master"
    return "json" if "tasks" in value else None


def _is_task_list(value: object) -> bool:
    """Task Master's tasks have titles; those of our own plan files have descriptions alone."""
    tasks = value.get("tasks") if isinstance(value, dict) else None
    return isinstance(tasks, list) and bool(tasks) and all(isinstance(task, dict) and "title" in task for task in tasks)


def _markdown(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.suffix in (".md", ".yml") and path.is_file())


def text_of(path: Path) -> str:
    """Return the text of a file.

    Raises:
        BadInput: It cannot be read, is too large, or is no UTF-8.
    """
    try:
        if path.stat().st_size > 4 * MAX_CHARS:
            raise BadInput(f"{path}: expected at most {4 * MAX_CHARS:,} bytes")
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: expected UTF-8, got: byte {error.start + 1} is none") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
