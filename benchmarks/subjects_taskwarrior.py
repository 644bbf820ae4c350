"""A plan in Taskwarrior: `ready`, `start` and `done`."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path

from commands import output, worked_through
from measuring import Reading
from shapes import plan_tasks

CYCLES = 5
_SETTINGS = """confirmation=off
verbose=nothing
news.version=2.6.0
report.ready.columns=uuid
report.ready.labels=UUID
"""
_PRIORITIES = "HHMLL"


def cycles(n: int, folder: Path) -> Reading:
    (folder / "rc").write_text(_SETTINGS, "utf-8")
    environment = {**os.environ, "TASKRC": str(folder / "rc"), "TASKDATA": str(folder)}
    tasks = [
        {
            "uuid": _uuid(task["id"]), "description": task["description"], "status": "pending",
            "entry": "20260101T000000Z", "priority": _PRIORITIES[task["priority"] - 1],
            "depends": list(map(_uuid, dict.fromkeys(task["dependencies"]))),
        }
        for task in plan_tasks(n)
    ]  # fmt: skip
    (folder / "plan.json").write_text(json.dumps(tasks), "utf-8")
    output(folder, ["task", "import", "plan.json"], environment)

    def find() -> str:
        return output(folder, ["task", "ready", "limit:1"], environment).split()[-1]

    def mark(key: str, word: str) -> None:
        output(folder, ["task", key, word], environment)

    return worked_through(CYCLES, find, mark, "start", "done", f"a process per call; {n:,} tasks")


def _uuid(key: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, key))


SUBJECTS = {"taskwarrior-cycles": cycles}
