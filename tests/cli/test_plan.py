"""`write-tasks` and `next`: a plan from a file of ours or of another tool, and what comes next of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tasktrail.plan import PlanTools
from tests.cli.conftest import Call

THEIRS = Path(__file__).parents[1] / "formats" / "imports" / "files" / "task-master-0.43.1.json"
TASKS = [
    {"id": "T1", "description": "Set up the database", "priority": 1, "dependencies": []},
    {"id": "T2", "description": "Create the models", "priority": 1, "dependencies": ["T1"], "module": "models"},
    {"id": "T3", "description": "Write the page", "priority": 2, "dependencies": []},
]


@pytest.fixture
def tools() -> PlanTools:
    return PlanTools("sqlite:///.tasktrail/tasktrail.db")


def written(tasks: list[dict[str, object]]) -> str:
    path = Path("task-breakdown.json")
    path.write_text(json.dumps({"tasks": tasks}), "utf-8")
    return str(path)


def test_a_plan_is_written_and_worked_through(call: Call, tools: PlanTools) -> None:
    answer = call("write-tasks", written(TASKS))
    assert (answer.code, answer.out) == (0, "main\n"), answer.err
    assert answer.err == "3 tasks: 3 added\n"

    seen = []
    while (coming := call("next")).code == 0:
        key = coming.out.split()[0]
        seen.append(key)
        assert tools.mark_task_status(key, "completed")["status"] == "success"

    assert seen == ["T1", "T2", "T3"]
    assert (coming.code, coming.out) == (3, "")
    assert "nothing of plan main can start now" in coming.err


def test_a_plan_that_is_written_again_keeps_what_was_done(call: Call, tools: PlanTools) -> None:
    call("write-tasks", written(TASKS))
    tools.mark_task_status("T1", "completed", result="It runs")

    again = call("write-tasks", written([*TASKS[:2], {"id": "T4", "description": "Say so", "dependencies": ["T2"]}]))

    assert again.err == "3 tasks: 1 added, 1 removed\n"
    first = tools.read_task_breakdown()["tasks"][0]
    assert (first["status"], first["result"]) == ("completed", "It runs")
    assert call("next", "--json").data["key"] == "T2"


def test_what_stands_in_the_way_is_said(call: Call, tools: PlanTools) -> None:
    call("write-tasks", written(TASKS[:2]))
    tools.mark_task_status("T1", "failed")

    answer = call("next")

    assert answer.code == 3
    assert "T2 needs T1, which is failed" in answer.err


def test_a_file_that_cannot_be_a_plan_changes_nothing(call: Call) -> None:
    call("write-tasks", written(TASKS))
    text = Path(written([{"id": "T1", "description": "a", "dependencies": ["T1", "T9"]}])).read_text()

    refused = call("write-tasks", written(json.loads(text)["tasks"]))
    broken = Path("broken.json")
    broken.write_text(text[:-5], "utf-8")
    torn = call("write-tasks", str(broken))
    Path("latin.json").write_bytes(b'\xff{"tasks": []}')
    strange = call("write-tasks", "latin.json")
    Path("folder.json").mkdir()
    folder = call("write-tasks", "folder.json")

    assert (refused.code, torn.code, strange.code, folder.code) == (2, 2, 2, 2), strange.err + folder.err
    assert "latin.json" in strange.err
    assert "folder.json" in folder.err
    assert "T9" in refused.err
    assert "broken.json:1:" in torn.err
    assert call("next", "--json").data["title"] == "Set up the database"


def test_a_plan_of_another_tool_is_taken_over(call: Call) -> None:
    shutil.copy(THEIRS, "tasks.json")

    answer = call("write-tasks", "tasks.json", "--plan", "theirs", "--json")

    assert (answer.code, answer.data["tasks"]) == (0, 8), answer.err
    assert any("printing" in note for note in answer.data["notes"])
    assert "nothing of plan theirs can start now" in call("next", "--plan", "theirs").err
    assert "there is no plan main" in call("next").err
    assert "waits for a person: review" in call("explain", "plan/theirs").out
