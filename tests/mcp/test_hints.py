"""Hints of errors: an agent without a shell is told the calls that it can make."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import tasktrail
from tasktrail.mcp.hints import hint_for
from tasktrail.mcp.toolsets import Offer
from tests.mcp.clients import call, each_era, inside, project

DEFAULT = Offer().definitions.names
ALL = Offer(("all",)).definitions.names


@pytest.mark.parametrize(
    ("hint", "told"),
    [
        ("tasktrail list-runs", "run_status"),
        ("tasktrail list-tasks", "get_tasks"),
        ("tasktrail list-tasks --plan main", "on a command line: tasktrail list-tasks --plan main"),
        ("tasktrail list-errors", "errors_top"),
        ("tasktrail list-executions", "tasks_list"),
        ("tasktrail next --claim", "get_next_task(claim=true)"),
        ("tasktrail run dag --status r1", 'run_status(run="r1")'),
        ("tasktrail explain r1:parse", 'run_status(run="r1")'),
        ("tasktrail retry r1; or: tasktrail skip r1", 'run_retry(run="r1"); or on a command line: tasktrail skip r1'),
        ("wait for it, or: tasktrail cancel r1", 'wait for it, or: run_cancel(run="r1")'),
        ("tasktrail history RUN shows their numbers", "task_history shows their numbers"),
        ("tasktrail history main:T1", 'task_history(task_id="T1")'),
        ("tasktrail undo 7", "undo(event=7)"),
        ("tasktrail reopen main:T7", 'mark_task_status(task_id="T7", status="pending")'),
        ("tasktrail resume r1 --accept-changes", "on a command line: tasktrail resume r1 --accept-changes"),
        ("a person lifts that: tasktrail resume r1", "a person lifts that on a command line: tasktrail resume r1"),
        ("tasktrail --store FILE", "on a command line: tasktrail --store FILE"),
        ("pass the claim's token, or use --force", "pass the claim's token"),
        ("finish what it needs, or use force", "finish what it needs"),
        ("possible now: complete, retry, skip, cancel", "possible now: mark_task_status with completed or pending"),
        ("possible now: unblock, skip, cancel", "a person has to act"),
        ("--param NAME=VALUE; report has day", "params are given by name; report has day"),
        ("did you mean status?", "did you mean status?"),
    ],
)
def test_a_command_becomes_the_call_that_does_the_same(hint: str, told: str):
    assert hint_for(hint, "run_retry", ALL) == told


def test_a_task_of_the_plan_is_explained_by_its_id():
    hint = "tasktrail explain main:T3; or: tasktrail start main:T3 --force"

    assert hint_for(hint, "mark_task_status", ALL) == 'explain_task(task_id="T3")'


def test_a_tool_that_is_not_offered_is_not_named():
    assert hint_for("tasktrail list-runs", "tasks_list", DEFAULT) == "on a command line: tasktrail list-runs"


def test_no_hint_of_the_sources_is_told_as_a_bare_command():
    sources = sorted(Path(tasktrail.__file__).parent.rglob("*.py"))
    found = {hint for source in sources for hint in _hints(source) if "tasktrail " in hint}

    assert len(found) > 50
    for hint in found:
        told = hint_for(hint, "get_tasks", ALL)
        assert "tasktrail " not in told.replace("on a command line: tasktrail ", ""), (hint, told)


def _hints(source: Path) -> list[str]:
    """Return what is said as `hint`, with X for what is put in."""
    tree = ast.parse(source.read_text("utf-8"))
    given = [one.value for one in ast.walk(tree) if isinstance(one, ast.keyword) and one.arg == "hint"]
    return ["".join(map(_said, one.values)) if isinstance(one, ast.JoinedStr) else _said(one) for one in given]


def _said(node: ast.expr) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else "x"


@each_era
async def test_a_refusal_over_the_protocol_names_calls(era: str):
    async with inside(project("all"), era) as client:
        await call(client, "write_task_list", tasks=[{"id": "T1", "description": "x"}])
        no_run = await call(client, "run_status", run="nope")
        await call(client, "get_next_task", claim=True)
        held = await call(client, "mark_task_status", task_id="T1", status="completed")

    assert no_run["hint"] == "run_status"
    assert held["hint"] == "pass the claim's token"
