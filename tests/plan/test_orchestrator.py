"""The orchestrator and the architect of document 000, over any model: seven steps, the context, the tools, a kill."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tasktrail import plan
from tasktrail.model.errors import BadInput, WrongState
from tasktrail.plan import Agent, Architect, Orchestrator, PlanTools, TaskManagementEnhancement
from tests.plan.models import architect, call, orchestrator

HAND_MADE = json.dumps({
    "tasks": [
        {"id": "T1", "description": "Setup DB", "status": "completed"},
        {"id": "T2", "description": "Create models", "status": "in_progress", "dependencies": ["T1"]},
        {"id": "T3", "description": "Serve\nthem \u202e\x1b[31m", "dependencies": ["T1"], "module": "web"},
        {"id": "T4", "description": "Ship", "dependencies": ["T3", "T9"]},
    ]
})  # fmt: skip
DOCUMENTED = ["read_task_breakdown", "get_next_task", "mark_task_status", "update_task"]


def by_hand(folder: Path, text: str = HAND_MADE) -> None:
    (folder / "architecture").mkdir(exist_ok=True)
    (folder / "architecture" / "task-breakdown.json").write_text(text)


def silent(messages: list[Any], tools: list[Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": "done"}


def agent(folder: Path) -> Orchestrator:
    def execute(task: dict[str, Any]) -> str:
        return f"did {task['id']}"

    return Orchestrator(orchestrator, folder, architect=Architect(architect, folder), executor=execute)


def names(agent: Agent) -> list[str]:
    return [schema["function"]["name"] for schema in agent.get_tools()]


# ---------------------------------------------------------------------------------------------------------- seven steps


@pytest.mark.requirement("JB-053", "JB-046", "JB-048")
def test_the_seven_steps_of_the_document_from_a_request_to_the_last_task(tmp_path: Path):
    worker = agent(tmp_path)

    said = worker.run("Build it.")

    calls = [one["tool_calls"][0]["function"]["name"] for one in worker.messages if one.get("tool_calls")]
    tasks = PlanTools(tmp_path).read_task_breakdown()["tasks"]
    assert calls == [
        "consult_architect",
        *["get_next_task", "mark_task_status", "delegate_to_executor", "mark_task_status"] * 3,
        "get_next_task",
    ]
    assert [(task["id"], task["status"], task["result"], task["attempts"]) for task in tasks] == [
        ("T1", "completed", "did T1", 1), ("T2", "completed", "did T2", 1), ("T3", "completed", "did T3", 1),
    ]  # fmt: skip
    assert said == "No pending tasks (all completed, failed, or blocked by dependencies)"


def test_a_consulted_architect_answers_with_the_tasks_and_adds_the_tools(tmp_path: Path):
    worker = agent(tmp_path)

    answer = worker.execute_orchestrator_tool("consult_architect", {"request": "plan"})

    assert [task["id"] for task in answer["tasks"]] == ["T1", "T2", "T3"]
    assert names(worker) == ["consult_architect", "delegate_to_executor", *DOCUMENTED]


def test_an_architect_who_plans_nothing_is_an_error(tmp_path: Path):
    worker = Orchestrator(silent, tmp_path, architect=Architect(silent, tmp_path), executor=str)

    answer = worker.execute_orchestrator_tool("consult_architect", {"request": "plan"})

    assert (answer["status"], answer["message"]) == ("error", "the architect wrote no task list: done")


@pytest.mark.requirement("JB-059")
def test_a_failing_executor_is_an_answer_with_its_traceback(tmp_path: Path):
    def execute(task: dict[str, Any]) -> str:
        raise ValueError(f"cannot {task['id']}")

    worker = Orchestrator(orchestrator, tmp_path, architect=Architect(architect, tmp_path), executor=execute)
    worker.execute_orchestrator_tool("consult_architect", {"request": "plan"})

    answer = worker.execute_orchestrator_tool("delegate_to_executor", {"task_id": "T1"})
    unknown = worker.execute_orchestrator_tool("delegate_to_executor", {"task_id": "T7"})

    assert (answer["status"], answer["message"]) == ("error", "ValueError: cannot T1")
    assert "in execute" in answer["error"]
    assert unknown["message"] == "Task T7 not found in breakdown"


@pytest.mark.requirement("JB-059")
def test_what_an_executor_raises_is_scrubbed_before_a_model_sees_it(tmp_path: Path):
    def execute(task: dict[str, Any]) -> str:
        raise ValueError("password=hunter2hunter2")

    worker = Orchestrator(orchestrator, tmp_path, architect=Architect(architect, tmp_path), executor=execute)
    worker.run("Build it.")

    assert "ValueError" in json.dumps(worker.messages)
    assert "hunter2" not in json.dumps(worker.messages)


def test_a_broken_plan_is_neither_delegated_nor_resumed(tmp_path: Path):
    worker = agent(tmp_path)
    by_hand(tmp_path, '{"tasks": [}')

    answer = worker.execute_orchestrator_tool("delegate_to_executor", {"task_id": "T1"})

    assert "task-breakdown.json:1:12" in answer["message"]
    with pytest.raises(BadInput, match=r"task-breakdown\.json:1:12"):
        worker.resume()


def test_a_model_that_comes_to_no_end_is_stopped(tmp_path: Path):
    worker = Orchestrator(
        lambda messages, tools: call("get_next_task"), tmp_path, architect=Architect(architect, tmp_path), executor=str
    )

    with pytest.raises(WrongState, match="no end in 3 turns"):
        worker.run("Go.", max_turns=3)


# ---------------------------------------------------------------------------------------------------------- the context


@pytest.mark.requirement("JB-047", "JB-049", "JB-051", "JB-052", "JB-039")
@pytest.mark.parametrize("role", ["orchestrator", "architect"])
def test_a_plan_that_is_there_is_found_once_and_told_behind_the_first_message(tmp_path: Path, role: str):
    worker: Agent = agent(tmp_path) if role == "orchestrator" else Architect(architect, tmp_path)
    before = worker.build_context()
    assert (len(worker.enhancements), len(before)) == (0, 1)
    by_hand(tmp_path)

    context = [worker.build_context() for _ in range(2)][-1]

    assert len(worker.enhancements) == 1
    assert [message["role"] for message in context] == ["system", "user"]
    text = context[1]["content"]
    for expected in (
        "=" * 70, "TASK BREAKDOWN STATUS", "Total Tasks: 4", "  Pending:     2\n", "  In Progress: 1\n",
        "  Completed:   1\n", "  Failed:      0\n", "NEXT PENDING TASK:", "  ID: T3\n", "  Module: web\n",
        "  Complexity: unknown\n", "  Dependencies: T1 (completed)\n", "TASK LIST (first 5):", "✓ T1: Setup DB",
        "⟳ T2: Create models (deps: T1)", "○ T3: Serve them [31m (deps: T1)", "○ T4: Ship (deps: T3, T9)",
    ):  # fmt: skip
        assert expected in text
    assert {*DOCUMENTED} <= {*names(worker)}
    assert worker.enhancements[0].get_name() == "task_management"


@pytest.mark.requirement("JB-050")
def test_every_build_tells_what_the_file_says_then(tmp_path: Path):
    worker = agent(tmp_path)
    by_hand(tmp_path)
    worker.build_context()
    by_hand(tmp_path, HAND_MADE.replace('"in_progress"', '"failed"'))

    text = worker.build_context()[1]["content"]

    assert "  Failed:      1\n" in text
    assert "✗ T2" in text


@pytest.mark.requirement("JB-051")
def test_more_than_five_tasks_are_counted(tmp_path: Path):
    by_hand(tmp_path, json.dumps({"tasks": [{"id": f"T{n}", "description": "d"} for n in range(8)]}))

    text = agent(tmp_path).build_context()[1]["content"]

    assert "  ... and 3 more tasks" in text
    assert "○ T5" not in text


def test_a_plan_without_tasks_is_not_told_and_a_broken_one_is(tmp_path: Path):
    worker = agent(tmp_path)
    by_hand(tmp_path, '{"tasks": []}')
    assert len(worker.build_context()) == 1

    by_hand(tmp_path, '{"tasks": [}')

    assert "cannot be read" in worker.build_context()[1]["content"]
    assert "task-breakdown.json:1:12" in worker.build_context()[1]["content"]


@pytest.mark.requirement("JB-046")
def test_task_management_is_added_once_per_workspace(tmp_path: Path):
    worker = agent(tmp_path)

    first = worker.add_task_management(tmp_path)
    second = worker.add_task_management(SimpleNamespace(workspace_dir=str(tmp_path)))

    assert first is second
    assert worker.enhancements == [first]
    assert len(worker.build_context()) == 1


# ------------------------------------------------------------------------------------------------------------ the tools


@pytest.mark.requirement("JB-043", "JB-044")
def test_every_offered_tool_is_really_callable(tmp_path: Path):
    worker = agent(tmp_path)
    by_hand(tmp_path)
    worker.build_context()
    arguments: dict[str, dict[str, Any]] = {
        "consult_architect": {"request": "plan"}, "delegate_to_executor": {"task_id": "T1"},
        "mark_task_status": {"task_id": "T1", "status": "completed"},
        "update_task": {"task_id": "T1", "updates": {"priority": 1}},
    }  # fmt: skip

    for name in names(worker):
        assert worker.execute_orchestrator_tool(name, arguments.get(name, {}))["status"] == "success", name


@pytest.mark.requirement("JB-043", "JB-045")
def test_the_dispatcher_works_on_the_workspace_that_was_set(tmp_path: Path):
    by_hand(tmp_path)
    assert plan.execute_orchestrator_tool("get_next_task", {})["status"] == "error"
    plan.set_workspace(tmp_path)
    try:
        found = plan.execute_orchestrator_tool("get_next_task", '{"skip_dependencies": false}')
        unknown = plan.execute_orchestrator_tool("get_next_tasks", {})
        wrong = plan.execute_orchestrator_tool("mark_task_status", {"task_id": "T1", "state": "completed"})
    finally:
        plan.set_workspace(None)

    assert found["task"]["id"] == "T3"
    assert (unknown["status"], unknown["hint"]) == ("error", "did you mean get_next_task?")
    assert wrong["status"] == "error"
    assert "no argument state; did you mean status?" in wrong["message"]


# --------------------------------------------------------------------------------------------------------------- a kill


@pytest.mark.requirement("JB-054", "JB-055")
def test_a_killed_orchestrator_goes_on_with_the_task_that_it_had(tmp_path: Path):
    command = [sys.executable, "-m", "tests.plan.orchestrating", str(tmp_path), "T2"]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2]) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "ready").exists():
            assert process.poll() is None, "it ended before it was killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    worker = agent(tmp_path)

    reset = worker.resume()
    worker.run("Go on.")

    tasks = {task["id"]: task for task in PlanTools(tmp_path).read_task_breakdown()["tasks"]}
    assert reset == ["T2"]
    assert {key: (task["status"], task["attempts"]) for key, task in tasks.items()} == {
        "T1": ("completed", 1), "T2": ("completed", 2), "T3": ("completed", 1),
    }  # fmt: skip
    assert [note["note"] for note in tasks["T2"]["notes"]] == ["begins", "Reset after interruption", "begins"]
    assert worker.resume() == []


@pytest.mark.requirement("JB-055")
def test_what_is_claimed_is_not_reset(tmp_path: Path):
    by_hand(tmp_path, '{"tasks": [{"id": "a"}, {"id": "b", "status": "in_progress"}]}')
    PlanTools.in_workspace(tmp_path).get_next_task(claim=True)

    assert agent(tmp_path).resume() == ["b"]


def test_an_object_that_is_no_workspace_is_refused(tmp_path: Path):
    with pytest.raises(BadInput, match="workspace_dir"):
        TaskManagementEnhancement(SimpleNamespace(folder=tmp_path))
