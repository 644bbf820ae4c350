"""Result files that earlier schedulers left: one JSON file for each execution, read as experiences."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tasktrail.executions.factory import create_task_execution_experience
from tasktrail.executions.records import Experience
from tasktrail.formats.json_load import load
from tasktrail.formats.json_object import MAX_COUNT, Fault, JsonObject, encode, refusal
from tasktrail.formats.moment import moment
from tasktrail.model.errors import BadInput
from tasktrail.model.plain import storable

MAX_BYTES: Final = 16 * 1024 * 1024
_TYPES: Final[Mapping[str, str]] = {
    "daily_reflection": "self_reflection",
    "idea_generation": "capability_exploration",
    **{name: name for name in (
        "self_reflection", "goal_assessment", "memory_consolidation", "capability_exploration",
        "emotional_reconciliation",
    )},
}  # fmt: skip
"""Types of the tasks that document 001's scheduler had, by slug."""
_FLAGS: Final = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""A pipe that is called like a result must not stop everything until somebody writes into it."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A file, or a folder, that brings no execution.

    Args:
        file: Its name, from the folder on.
        reason: With the name, and where it has lines with the line.
        is_error: Whether it should have been a result; what never was one is skipped.
    """

    file: str
    reason: str
    is_error: bool


def names_in(folder: Path) -> Iterator[str | Unread]:
    """Yield the names of the JSON files in a folder and the folders below it, in an order that is always the same.

    Links to folders are not followed, so nothing is read twice and no circle has an end to be looked for.
    """
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        try:
            with os.scandir(folder / inside) as entries:
                found = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
        except OSError as error:
            yield _unread(inside or ".", _cannot(error), is_error=True)
            continue
        waiting += [f"{inside}{name}/" for name, is_folder in reversed(found) if is_folder]
        for name, is_folder in found:
            if reason := _no_result(folder, inside + name, is_folder):
                yield _unread(inside + name, reason, is_error=False)
            elif not is_folder:
                yield inside + name


def _no_result(folder: Path, name: str, is_folder: bool) -> str | None:
    if is_folder:
        return "is a folder; what is in it is read" if _is_json(name) else None
    if _is_json(name):
        return None
    return "is a link to a folder, and not followed" if (folder / name).is_dir() else "is no .json file"


def _is_json(name: str) -> bool:
    return name[-5:].lower() == ".json"


def read_result(folder: Path, name: str) -> Experience | Unread:
    """Return the execution that a file tells; whatever is wrong with the file is said, and nothing raises."""
    shown = storable(name)
    try:
        return _read(_bytes(folder, name).decode("utf-8"), shown)
    except OSError as error:
        return _unread(name, _cannot(error), is_error=True)
    except UnicodeDecodeError as error:
        return _unread(name, f"is no UTF-8 text at byte {error.start}", is_error=True)
    except BadInput as error:
        return Unread(shown, "; ".join([error.message, *error.details]), is_error=True)


def _bytes(folder: Path, name: str) -> bytes:
    with os.fdopen(os.open(f"{folder}/{name}", _FLAGS), "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise BadInput(f"{storable(name)} is no ordinary file")
        if about.st_size > MAX_BYTES:
            raise BadInput(f"{storable(name)}: expected at most {MAX_BYTES:,} bytes, got: {about.st_size:,}")
        return file.read(about.st_size + 1)  # whole, also if the end was moved meanwhile: then it is no JSON


def _read(text: str, name: str) -> Experience | Unread:
    faults: list[Fault] = []
    told = JsonObject.of(load(text, name), (), faults)
    missing = [key for key in ("started_at", "completed_at") if not faults and told.members.get(key) in (None, "")]
    if missing:
        return Unread(name, f"{name} has no {' and no '.join(missing)}", is_error=False)
    experience = None if faults else _experience(told, name)
    if experience is None:
        raise refusal(text, name, faults, "a result")
    return experience


def _experience(told: JsonObject, name: str) -> Experience | None:
    """Return the execution; None when a member of it cannot be used, which is then among the faults."""
    task_id, task_name, success = told.text("task_id"), told.text("task_name"), told.flag("success")
    started_at, completed_at = told.moment("started_at"), told.moment("completed_at")
    told.require("success")
    if task_id is None or not task_id.strip():
        told.fault("expected task_id to be given")
    if told.faults or task_id is None or started_at is None or completed_at is None:
        return None
    metadata = told.members.get("metadata")
    attempt = metadata.get("attempt") if isinstance(metadata, dict) else None
    return create_task_execution_experience(
        task_id, task_id, task_name or task_id, _TYPES.get(task_id, "custom"), "scheduled",
        moment(started_at), moment(completed_at), "success" if success else "failed",
        _words(told.members.get("response")), _error(told.members.get("error")),
        retrieval_metadata={"backfilled": True},
        attempt=attempt if type(attempt) is int and 1 <= attempt <= MAX_COUNT else 1,
        more={"backfilled": True, "legacy_result_file": name, **({"metadata": metadata} if metadata else {})},
    )  # fmt: skip


def _words(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else encode(value)


def _error(value: object) -> Mapping[str, object] | None:
    """Return an error as the factory takes it; one of another form is all in the message."""
    if value is None or value == "":
        return None
    if isinstance(value, dict) and not value.keys().isdisjoint(("type", "message", "stack_trace")):
        return value
    return {"message": _words(value)}


def _unread(name: str, reason: str, *, is_error: bool) -> Unread:
    shown = storable(name)
    return Unread(shown, f"{shown} {reason}", is_error)


def _cannot(error: OSError) -> str:
    return f"cannot be read: {error.strerror}"
