"""What agents stumble over: answers that would mislead one that takes them at their word."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasktrail.engine.project import open_project
from tasktrail.mcp.fitting import MOST_TOKENS
from tasktrail.plan import PlanTools
from tests.mcp.clients import call, each_era, inside, project
from tests.mcp.test_asking import Person
from tests.mcp.test_offer import DEFAULT, tokens


@pytest.fixture
def plan() -> PlanTools:
    """A plan of two tasks; the first failed, then was done."""
    made = PlanTools(Path.cwd(), "main")
    made.write_task_list([{"id": "T1", "description": "a"}, {"id": "T2", "description": "b"}])
    for status, error in (("failed", "KeyError: 'a'"), ("completed", "")):
        made.mark_task_status("T1", "pending")
        token = made.claim_task("T1")["token"]
        made.finish_task("T1", token, status=status, error=error)
    token = made.claim_task("T2")["token"]
    made.finish_task("T2", token, status="failed", error="KeyError: 'b'")
    return made


@each_era
@pytest.mark.requirement("AX-091", "AX-093")
async def test_executions_are_found_by_the_id_that_the_plan_has(plan: PlanTools, era: str):
    async with inside(project(), era) as client:
        listed = await call(client, "tasks_list", task_id="T1")
        failed = await call(client, "tasks_last_failed", task_id="T1")
        nothing = await call(client, "tasks_list", task_id="T9")

    assert [one["status"] for one in listed["executions"]] == ["success", "failed"]
    assert [one["task_id"] for one in failed["failures"]] == ["main:T1"]
    assert nothing["executions"] == []


@pytest.mark.requirement("AX-092")
async def test_a_trace_that_many_tasks_share_tells_of_one_of_them(plan: PlanTools):
    async with inside(project(), "legacy") as client:
        trace_id = (await call(client, "tasks_last_failed"))["failures"][0]["trace_id"]
        by_reference = await call(client, "tasks_by_trace", trace_id=trace_id, task_id="main:T1")
        by_id = await call(client, "tasks_by_trace", trace_id=trace_id, task_id="T2")

    assert (by_reference["retry_count"], by_reference["final_status"]) == (1, "success")
    assert (by_id["retry_count"], by_id["final_status"]) == (0, "failed")


@pytest.mark.parametrize(
    ("stopped", "told"),
    [
        ("paused", "The plan is paused: nothing new starts until a person resumes it"),
        ("cancelled", "The plan is cancelled: nothing new starts"),
    ],
)
async def test_a_plan_that_a_person_stopped_does_not_look_done(stopped: str, told: str):
    PlanTools(Path.cwd(), "main").write_task_list([{"id": "T1", "description": "a"}])
    ledger = open_project()
    (run,) = ledger.store.read(lambda tx: tx.runs("runs_by_name", name="main", kind="plan"))
    _ = ledger.pause_run(run.id) if stopped == "paused" else ledger.cancel_run(run.id)

    async with inside(project(), "legacy") as client:
        answer = await call(client, "get_next_task", claim=True)

    assert (answer["task"], answer["message"]) == (None, told)


async def test_a_plan_in_a_store_that_is_away_is_not_empty():
    away = {"store.url": "postgresql://u@127.0.0.1:9/x"}
    async with inside(project("plan", settings=away), "legacy") as client:
        answers = [await call(client, name) for name in ("get_next_task", "read_task_breakdown", "explain_task")]

    assert [one.get("code") for one in answers] == ["unreachable"] * 3


async def test_nobody_is_asked_about_a_list_that_would_be_refused(plan: PlanTools):
    pairs = (("A", "B"), ("B", "A"))
    cycle = [{"id": one, "description": "x", "dependencies": [other]} for one, other in pairs]
    person = Person()

    async with inside(project("all"), "legacy", elicitation_callback=person) as client:
        written = await call(client, "write_task_list", tasks=cycle)
        replaced = await call(client, "replace_task_list", tasks=cycle)

    assert (written["code"], replaced["code"], person.asked) == ("bad_input", "bad_input", [])
    assert written["errors"] == ["tasks need each other in a cycle: A -> B -> A"]


async def test_undo_takes_spans_and_refuses_numbers_that_no_event_has(plan: PlanTools):
    async with inside(project("all"), "legacy") as client:
        huge = await call(client, "undo", event=10**30, dry_run=True)
        batch = await call(client, "undo", batch=-(10**30), dry_run=True)
        recent = await call(client, "undo", actor="nobody", since="2h", dry_run=True)
        wrong = await call(client, "undo", actor="nobody", since="last week", dry_run=True)

    assert (huge["code"], batch["code"], recent["code"]) == ("not_found", "not_found", "not_found")
    assert wrong["message"].endswith("or 2h, 3d, got: 'last week'")


async def test_a_wrong_kind_is_said_in_words_of_json():
    async with inside(project("all"), "legacy") as client:
        text = await call(client, "write_task_list", tasks="[]")
        listed = await call(client, "update_task", task_id="T1", updates=["x"])
        since = await call(client, "tasks_list", since="yesterday")
        await call(client, "matrix_sync", period="A", items=["Argo"])
        cell = {"period": "A", "task_type": "research", "item": "Argo"}
        status = await call(client, "matrix_update", **cell, status="done")

    assert text["errors"] == ['expected tasks to be a list, got: "[]"']
    assert listed["errors"] == ['expected updates to be an object, got: ["x"]']
    assert "2h" in since["hint"]
    assert status["message"] == "Invalid status: done. Must be: pending, in_progress, completed, failed, skipped"


async def test_a_prompt_is_as_short_as_an_answer():
    plan = PlanTools(Path.cwd(), "main")
    plan.write_task_list([{"id": f"T{n}", "description": "sehr " * 50_000} for n in range(12)])
    for n in range(11):
        token = plan.claim_task(f"T{n}")["token"]
        plan.finish_task(f"T{n}", token, status="failed", error=f"{'ABCDEFGHIJKLM'[n]}Error: {'leider ' * 50_000}")
    async with inside(project(), "legacy") as client:
        for name in ("work-next", "triage-failures"):
            (message,) = (await client.get_prompt(name, {})).messages
            assert tokens(message.content.text) <= MOST_TOKENS, name  # type: ignore[union-attr]  # it is a text


async def test_the_guide_and_the_prompts_name_no_plan_tool_that_is_not_offered():
    more = set(PlanTools(Path.cwd(), "main").tools(_more()).names)
    async with inside(project(), "legacy") as client:
        guide = (await client.read_resource("guide://workflow")).contents[0].text  # type: ignore[union-attr]
        prompt = (await client.get_prompt("work-next", {})).messages[0].content.text  # type: ignore[union-attr]

    assert [name for name in more if f"`{name}`" in guide or f" {name} " in prompt] == []


def _more() -> list[str]:
    from tasktrail.plan.tools import TOOLS

    return [name for name in TOOLS if name not in DEFAULT]
