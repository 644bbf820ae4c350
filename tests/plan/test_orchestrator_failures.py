"""What an orchestrator's executor raises is kept with the task that the model then marks as failed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tasktrail.plan import Architect, Orchestrator, PlanTools
from tasktrail.tools import Words


def fail(task: Words) -> str:
    raise TimeoutError(f"no answer for {task['id']}")


@pytest.mark.requirement("JB-059")
@pytest.mark.parametrize("spelt", [dict, json.dumps])
def test_a_task_marked_as_failed_keeps_the_traceback_of_its_executor(tmp_path: Path, spelt: Any):
    plan = PlanTools.in_workspace(tmp_path)
    plan.write_task_list([{"id": key, "description": key} for key in ("T1", "T2", "T3")])
    architect = Architect(lambda *_: {}, tmp_path)
    orchestrator = Orchestrator(lambda *_: {}, tmp_path, architect=architect, executor=fail)

    for key, error in [("T1", {}), ("T2", {"error": "my own words"})]:
        told = orchestrator.execute_tool("delegate_to_executor", spelt({"task_id": key}))
        assert told["code"] == "executor_failed"
        orchestrator.execute_tool("mark_task_status", spelt({"task_id": key, "status": "failed", **error}))
    orchestrator.execute_tool("mark_task_status", spelt({"task_id": "T3", "status": "failed"}))

    tasks = plan.read_task_breakdown()["tasks"]
    assert [one.get("error") for one in tasks] == ["TimeoutError: no answer for T1", "my own words", None]
    changes = plan.task_history("T1")["history"][-1]["changes"]
    assert "in fail" in changes["stack"][1]
