"""A plan in Backlog.md, a file per task: `task list --ready` and two of `task edit`."""

from __future__ import annotations

import json
import re
from pathlib import Path

from commands import output, worked_through
from measuring import Reading
from shapes import plan_tasks

CYCLES = 1
_PRIORITIES = ("high", "high", "medium", "low", "low")


def cycles(n: int, folder: Path) -> Reading:
    output(folder, ["git", "init", "--quiet"])
    output(folder, ["backlog", "init", "plan", "--defaults"])
    for task in plan_tasks(n):
        number = _number(task["id"])
        said = {
            "id": f"TASK-{number}", "title": task["description"], "status": "To Do", "assignee": [],
            "created_date": "2026-01-01 00:00", "labels": [], "priority": _PRIORITIES[task["priority"] - 1],
            "dependencies": [f"TASK-{_number(key)}" for key in dict.fromkeys(task["dependencies"])],
        }  # fmt: skip
        lines = ["---", *(f"{name}: {json.dumps(value)}" for name, value in said.items()), "---", ""]
        file = folder / "backlog" / "tasks" / f"task-{number} - {task['description'].replace(' ', '-')}.md"
        file.write_text("\n".join(lines), "utf-8")

    def find() -> str:
        found = re.search(r"TASK-(\d+)", output(folder, ["backlog", "task", "list", "--ready", "--plain"]))
        assert found is not None
        return found[1]

    def mark(key: str, word: str) -> None:
        output(folder, ["backlog", "task", "edit", key, "-s", word])

    return worked_through(CYCLES, find, mark, "In Progress", "Done", f"a process per call; {n:,} tasks")


def _number(key: str) -> int:
    return int(key[1:]) + 1


SUBJECTS = {"backlog-cycles": cycles}
