"""A plan in a JSON file, as it is mostly kept: each call reads it, two of three change it and replace it, durably."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from measuring import Reading, peak_rss_mb, timed
from shapes import plan_tasks

FILE_CYCLES = 10


def cycles(n: int, folder: Path) -> Reading:
    file = folder / "tasks.json"
    _write(file, [task | {"status": "pending"} for task in plan_tasks(n)])
    with timed() as watch:
        for _ in range(FILE_CYCLES):
            key = _next(file)
            _mark(file, key, "in_progress")
            _mark(file, key, "completed")
    assert sum(task["status"] == "completed" for task in _read(file)) == FILE_CYCLES
    return Reading(FILE_CYCLES, watch.seconds, peak_rss_mb(), f"file and folder synced; {n:,} tasks")


def _next(file: Path) -> str:
    tasks = _read(file)
    done = {task["id"] for task in tasks if task["status"] == "completed"}
    ready = (task for task in tasks if task["status"] == "pending" and done.issuperset(task["dependencies"]))
    return str(min(ready, key=lambda task: task["priority"])["id"])


def _mark(file: Path, key: str, status: str) -> None:
    tasks = _read(file)
    next(task for task in tasks if task["id"] == key)["status"] = status
    _write(file, tasks)


def _read(file: Path) -> list[dict[str, Any]]:
    tasks: list[dict[str, Any]] = json.loads(file.read_text("utf-8"))["tasks"]
    return tasks


def _write(file: Path, tasks: list[dict[str, Any]]) -> None:
    replace_durably(file, json.dumps({"tasks": tasks}, indent=2))


def replace_durably(file: Path, text: str) -> None:
    """Put a text in the place of what a file has, so that a power loss leaves the one or the other."""
    part = file.with_suffix(".part")
    with part.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


SUBJECTS = {"planfile-cycles": cycles}
