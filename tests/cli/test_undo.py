"""`undo`: one change, the last of a task, all of an actor, a batch; and what it says where that cannot be."""

from __future__ import annotations

import pytest

from tasktrail.plan import PlanTools
from tests.cli.conftest import Call


@pytest.fixture
def tools() -> PlanTools:
    """The plan main: T1, T2 after T1."""
    tools = PlanTools("sqlite:///.tasktrail/tasktrail.db")
    tools.write_task_list(
        [{"id": "T1", "description": "Draw"}, {"id": "T2", "description": "Build", "dependencies": ["T1"]}]
    )
    return tools


def statuses(tools: PlanTools) -> list[str]:
    return [task["status"] for task in tools.read_task_breakdown()["tasks"]]


def test_the_number_that_history_shows_is_undone(call: Call, tools: PlanTools) -> None:
    tools.mark_task_status("T1", "completed", result="drawn")
    number = call("history", "main:T1").out.splitlines()[1].split()[2]

    dry = call("undo", number, "--dry-run")
    assert (dry.code, dry.out) == (0, f"main:T1  undo of {number}  completed → pending\n")
    assert "nothing was changed" in dry.err
    assert statuses(tools) == ["completed", "pending"]

    answer = call("undo", number, "--json")
    assert answer.document["schema"] == "tasktrail/undone@1"
    assert [(one["task"], one["events"]) for one in answer.data["tasks"]] == [("main:T1", [int(number)])]
    assert statuses(tools) == ["pending", "pending"]
    assert f"“undo of {number}”" in call("history", "main:T1").out


def test_the_last_change_of_a_task_is_undone_and_done_again(call: Call, tools: PlanTools) -> None:
    tools.update_task("T2", {"description": "Build it well"})

    assert call("undo", "T2").out.endswith("title as before\n")
    assert tools.read_task_breakdown()["tasks"][1]["description"] == "Build"
    assert call("undo", "T2").code == 0
    assert tools.read_task_breakdown()["tasks"][1]["description"] == "Build it well"


def test_what_an_actor_did_and_what_really_ran_is_told(call: Call, tools: PlanTools) -> None:
    claim = tools.get_next_task(claim=True, owner="bo")
    tools.finish_task("T1", claim["token"], "drawn")

    answer = call("undo", "--actor", "bo", "--since", "1h")

    assert answer.code == 0, answer.err
    assert "main:T1" in answer.out
    assert answer.err == "attempt 1 of task T1, by bo, really ran: what it did outside stays\n"
    assert statuses(tools) == ["pending", "pending"]


@pytest.mark.requirement("JB-062")
def test_a_batch_is_undone_by_its_number(call: Call, tools: PlanTools) -> None:
    marks = [{"task_id": "T1", "status": "completed"}, {"task_id": "T2", "status": "failed"}]
    batch = tools.mark_tasks(marks)["batch"]

    answer = call("undo", "--batch", str(batch))

    assert [line.split()[0] for line in answer.out.splitlines()] == ["main:T1", "main:T2"]
    assert statuses(tools) == ["pending", "pending"]
    again = answer.err.split()[-1]
    assert call("undo", again).code == 0
    assert statuses(tools) == ["completed", "failed"]


def test_a_refusal_names_the_task_and_the_later_event(call: Call, tools: PlanTools) -> None:
    tools.mark_task_status("T1", "completed")
    tools.mark_task_status("T2", "in_progress")

    answer = call("undo", "T1")

    assert answer.code == 4
    assert "task T1: task T2 needs it and was started since, event" in answer.err
    assert statuses(tools) == ["completed", "in_progress"]


def test_that_an_empty_plan_was_made_cannot_be_undone(call: Call) -> None:
    call("add", "Set up the database")

    answer = call("undo", "1")

    assert (answer.code, answer.err) == (4, "error: there is nothing to take back: no task was added\n")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "name the number of an event"),
        (["--actor", "bo"], 2, "--since belong together"),
        (["T1", "--batch", "3"], 2, "leave the others out"),
        (["--actor", "bo", "--since", "soon"], 2, "expected --since to be"),
        (["main"], 2, "main is a run"),
        (["999"], 3, "there is no event 999"),
        (["--batch", "1"], 3, "event 1 is part of no batch"),
        (["--actor", "nobody", "--since", "1h", "main"], 3, "nobody changed nothing since then"),
    ],
)
def test_what_cannot_be_undone_is_told(
    call: Call, tools: PlanTools, arguments: list[str], code: int, words: str
) -> None:
    before = tools.read_task_breakdown()

    answer = call("undo", *arguments)

    assert (answer.code, answer.out) == (code, "")
    assert words in answer.err
    assert tools.read_task_breakdown() == before
