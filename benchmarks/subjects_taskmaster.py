"""A plan in Task Master: `next` and two of `set-status`."""

from __future__ import annotations

import json
import os
from pathlib import Path

from commands import output, worked_through
from measuring import Reading
from shapes import plan_tasks

CYCLES = 1
_PRIORITIES = ("high", "high", "medium", "low", "low")
_TIMES = {"created": "2026-01-01T00:00:00Z", "updated": "2026-01-01T00:00:00Z"}


def cycles(n: int, folder: Path) -> Reading:
    tasks = [
        {
            "id": _number(task["id"]), "title": task["description"], "description": task["description"], "details": "",
            "testStrategy": "", "status": "pending", "priority": _PRIORITIES[task["priority"] - 1],
            "dependencies": list(map(_number, dict.fromkeys(task["dependencies"]))), "subtasks": [],
        }
        for task in plan_tasks(n)
    ]  # fmt: skip
    home = folder / ".taskmaster"
    (home / "tasks").mkdir(parents=True)
    listed = {"master": {"tasks": tasks, "metadata": {**_TIMES, "description": "a plan"}}}
    (home / "tasks" / "tasks.json").write_text(json.dumps(listed, indent=2), "utf-8")
    (home / "state.json").write_text('{"currentTag": "master"}', "utf-8")
    (home / "config.json").write_text("{}", "utf-8")
    environment = {**os.environ, "TASKMASTER_SKIP_AUTO_UPDATE": "1", "CI": "1", "NO_COLOR": "1"}

    def find() -> str:
        said = output(folder, ["task-master", "next", "--format", "json"], environment)
        found, _ = json.JSONDecoder().raw_decode(said)  # words follow it
        return str(found["task"]["id"])

    def mark(key: str, word: str) -> None:
        output(folder, ["task-master", "set-status", f"--id={key}", f"--status={word}"], environment)

    return worked_through(CYCLES, find, mark, "in-progress", "done", f"a process per call; {n:,} tasks")


def _number(key: str) -> int:
    return int(key[1:]) + 1


SUBJECTS = {"taskmaster-cycles": cycles}
