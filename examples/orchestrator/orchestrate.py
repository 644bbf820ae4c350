"""An orchestrator and an architect work through a plan: a report on a table of cities, a section per continent.

The models here are rules, so that the example runs anywhere. A language model's client fits in their place: it gets the
same messages and definitions of tools, and returns a message with `tool_calls`.

    python examples/orchestrator/orchestrate.py [FOLDER]

The plan is FOLDER/architecture/task-breakdown.json. Kill the program and start it again: it goes on where it stood.
"""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from tasktrail.plan import Architect, Orchestrator

TABLE = Path(__file__).resolve().parents[1] / "csv-cleanup" / "timezones.csv"
Message = dict[str, Any]


def areas() -> dict[str, Counter[str]]:
    """How many cities each country has in the table, by area. What has no area cannot be counted."""
    counted: dict[str, Counter[str]] = {}
    with TABLE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if area := row["area"].strip().capitalize():
                counted.setdefault(area, Counter())[row["country"].strip().upper()] += 1
    return counted


def call(name: str, **arguments: object) -> Message:
    """A message that asks for one tool."""
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"role": "assistant", "tool_calls": [{"id": name, "type": "function", "function": function}]}


def architect(messages: list[Message], tools: list[dict[str, Any]]) -> Message:
    """Plans one section per area, and the report that needs all of them."""
    if messages[-1]["role"] == "tool":
        return {"role": "assistant", "content": json.loads(messages[-1]["content"])["message"]}
    sections = [
        {"id": f"S{n}", "description": f"Section on {area}", "module": area, "priority": 2, "dependencies": []}
        for n, area in enumerate(sorted(areas()), 1)
    ]
    report = {"id": "R", "description": "Put the report together", "dependencies": [one["id"] for one in sections]}
    return call("write_task_list", tasks=[*sections, report])


def orchestrator(messages: list[Message], tools: list[dict[str, Any]]) -> Message:
    """Consults the architect, then takes one task after another: begins it, delegates it, says what came of it."""
    if messages[-1]["role"] != "tool":
        has_plan = any("TASK BREAKDOWN STATUS" in str(one.get("content")) for one in messages)
        return call("get_next_task") if has_plan else call("consult_architect", request=messages[-1]["content"])
    name, answer = messages[-1]["tool_call_id"], json.loads(messages[-1]["content"])
    if name == "get_next_task":
        if answer["task"] is None:
            return {"role": "assistant", "content": answer["message"]}
        return call("mark_task_status", task_id=answer["task"]["id"], status="in_progress")
    if name == "mark_task_status" and answer["new_status"] == "in_progress":
        return call("delegate_to_executor", task_id=answer["task_id"])
    if name == "delegate_to_executor":
        done = answer["status"] == "success"
        came = answer["result"] if done else answer["message"]
        status = "completed" if done else "failed"
        return call("mark_task_status", task_id=answer["task_id"], status=status, result=came)
    return call("get_next_task")


def executor(folder: Path) -> Any:
    """Return what does a task: it writes a section, or the report."""

    def execute(task: dict[str, Any]) -> str:
        if task["id"] == "R":
            parts = [(folder / f"{key}.md").read_text(encoding="utf-8") for key in task["dependencies"]]
            (folder / "report.md").write_text("\n".join(parts), encoding="utf-8")
            return f"report.md has {len(parts)} sections"
        countries = areas()[task["module"]]
        lines = [f"## {task['module']}", "", *(f"- {code}: {n}" for code, n in sorted(countries.items())), ""]
        (folder / f"{task['id']}.md").write_text("\n".join(lines), encoding="utf-8")
        return f"{sum(countries.values())} cities in {len(countries)} countries"

    return execute


def main(folder: Path) -> None:
    """Work until no task is left."""
    folder.mkdir(parents=True, exist_ok=True)
    planner = Architect(architect, folder)
    worker = Orchestrator(orchestrator, folder, architect=planner, executor=executor(folder))
    for key in worker.resume():
        sys.stdout.write(f"{key} was interrupted, again\n")
    sys.stdout.write(f"{worker.run('A report on the cities of the table.')}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "example-out/orchestrator"))
