"""Before something is taken away a person is asked: in the client where it can, else by a token to confirm with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp_types import CreateMessageResult, ElicitRequestParams, ElicitResult, ErrorData, Implementation, TextContent

from tasktrail.mcp.asking import Asking
from tasktrail.plan import PlanTools
from tests.mcp.clients import call, each_era, inside, project

TASKS = [{"id": "T1", "description": "Draw the schema"}, {"id": "T2", "description": "Write it"}]
ONE = TASKS[:1]
OTHER = Implementation(name="other", version="1.0")


@pytest.fixture
def plan() -> PlanTools:
    """The standing plan, in which T2 was begun."""
    made = PlanTools(Path.cwd(), "main")
    made.write_task_list(TASKS)
    made.mark_task_status("T2", "in_progress")
    return made


def keys(plan: PlanTools) -> list[str]:
    """Return the ids of the tasks."""
    return [one["id"] for one in plan.read_task_breakdown()["tasks"]]


class Person:
    """Answers what a client asks a person."""

    def __init__(self, action: str = "accept", confirm: bool = True) -> None:
        self.asked: list[str] = []
        self.answer = ElicitResult(action=action, content={"confirm": confirm} if action == "accept" else None)  # type: ignore[arg-type]

    async def __call__(self, _: Any, params: ElicitRequestParams) -> ElicitResult:
        self.asked.append(params.message)
        return self.answer


@each_era
async def test_a_client_that_can_asks_the_person(plan: PlanTools, era: str):
    person = Person()

    async with inside(project(), era, elicitation_callback=person) as client:
        answer = await call(client, "write_task_list", tasks=ONE)

    assert person.asked == ["write_task_list: 1 task would be taken out of the plan, 1 of them begun: T2. Go on?"]
    assert answer["changes"]["removed"] == ["T2"]
    assert keys(plan) == ["T1"]


@each_era
@pytest.mark.parametrize("person", [Person("decline"), Person("cancel"), Person("accept", confirm=False)])
async def test_a_person_who_does_not_agree_leaves_all_as_it_is(plan: PlanTools, era: str, person: Person):
    async with inside(project(), era, elicitation_callback=person) as client:
        answer = await call(client, "write_task_list", tasks=ONE)

    assert (answer["status"], answer["code"]) == ("error", "declined")
    assert keys(plan) == ["T1", "T2"]


@each_era
async def test_nobody_is_asked_where_nothing_is_lost(plan: PlanTools, era: str):
    person = Person("decline")

    async with inside(project(), era, elicitation_callback=person) as client:
        answer = await call(client, "write_task_list", tasks=[*TASKS, {"id": "T3", "description": "Check it"}])

    assert (answer["status"], person.asked) == ("success", [])
    assert keys(plan) == ["T1", "T2", "T3"]


@each_era
async def test_a_client_that_cannot_confirms_with_the_token_of_the_refusal(plan: PlanTools, era: str):
    async with inside(project("all"), era) as client:
        refused = await call(client, "replace_task_list", tasks=TASKS)
        wrong = await call(client, "replace_task_list", tasks=TASKS, confirm="0123456789abcdef")
        before = plan.read_task_breakdown()
        done = await call(client, "replace_task_list", tasks=TASKS, confirm=refused["confirm"])

    assert refused["code"] == wrong["code"] == "confirmation_needed"
    assert refused["message"] == "where 1 task stood is forgotten: T2; a person must confirm it first"
    assert refused["hint"].startswith("ask the person; if the answer is yes, call again with confirm=")
    assert before["in_progress_count"] == 1
    assert (done["status"], plan.read_task_breakdown()["in_progress_count"]) == ("success", 0)


async def test_a_token_is_worth_nothing_for_other_arguments_or_other_losses(plan: PlanTools):
    async with inside(project("all"), "legacy") as client:
        token = (await call(client, "write_task_list", tasks=ONE))["confirm"]
        other = await call(client, "write_task_list", tasks=TASKS[1:], confirm=token)
        plan.mark_task_status("T2", "completed")
        plan.write_task_list([*TASKS, {"id": "T3", "description": "Check it"}])
        more = await call(client, "write_task_list", tasks=ONE, confirm=token)

    assert other["code"] == more["code"] == "confirmation_needed"
    assert keys(plan) == ["T1", "T2", "T3"]


@each_era
async def test_a_token_is_good_for_one_call_of_one_client(plan: PlanTools, era: str):
    served = project("all")
    async with inside(served, era) as client:
        token = (await call(client, "replace_task_list", tasks=TASKS))["confirm"]
        async with Client(served.build(), mode=era, client_info=OTHER) as other:
            foreign = await call(other, "replace_task_list", tasks=TASKS, confirm=token)
        first = await call(client, "replace_task_list", tasks=TASKS, confirm=token)
        plan.mark_task_status("T2", "in_progress")
        again = await call(client, "replace_task_list", tasks=TASKS, confirm=token)
        other_token = await call(client, "replace_task_list", tasks=TASKS, confirm=again["confirm"])

    assert foreign["code"] == again["code"] == "confirmation_needed"
    assert (first["status"], other_token["status"]) == ("success", "success")


async def test_undo_says_what_it_would_take_back(plan: PlanTools):
    number = plan.task_history("T2")["history"][-1]["number"]

    async with inside(project("all"), "legacy") as client:
        tried = await call(client, "undo", event=number, dry_run=True)
        refused = await call(client, "undo", event=number)
        done = await call(client, "undo", event=number, confirm=refused["confirm"])

    assert (tried["status"], done["status"]) == ("success", "success")
    assert refused["message"] == "Would undo changes of 1 task; a person must confirm it first"
    assert plan.read_task_breakdown()["pending_count"] == 2


async def test_what_is_wrong_is_said_before_anybody_is_asked(plan: PlanTools):
    person = Person()

    async with inside(project("all"), "legacy", elicitation_callback=person) as client:
        answer = await call(client, "write_task_list", tasks=[{"id": "T1"}])
        number = await call(client, "write_task_list", tasks=ONE, confirm=7)

    assert (answer["code"], number["code"], person.asked) == ("bad_input", "bad_input", [])


def test_a_token_lasts_ten_minutes_at_least_and_twenty_at_most():
    now = [1_000.0]
    asking = Asking(lambda: now[0])
    token = asking._token("about")

    now[0] += 600
    assert asking._is_token(token, "about")
    assert not asking._is_token(token, "something else")
    now[0] += 601
    assert not asking._is_token(token, "about")
    assert not Asking(lambda: 1_000.0)._is_token(token, "about"), "another process has another secret"


@pytest.mark.parametrize("fault", ["an error", "no answer", "no sense"])
async def test_a_client_that_cannot_after_all_gets_the_token(plan: PlanTools, fault: str):
    async def answer(_: Any, __: ElicitRequestParams) -> Any:
        if fault == "no answer":
            await anyio.sleep_forever()
        return (
            ErrorData(code=-1, message="no window")
            if fault == "an error"
            else CreateMessageResult(role="user", content=TextContent(type="text", text="yes"), model="none")
        )

    served = project()
    served.calls.asking = Asking(patience_s=0.05 if fault == "no answer" else 60)
    async with inside(served, "legacy", elicitation_callback=answer) as client:
        refused = await call(client, "write_task_list", tasks=ONE)
        done = await call(client, "write_task_list", tasks=ONE, confirm=refused["confirm"])

    assert refused["code"] == "confirmation_needed"
    assert (done["status"], keys(plan)) == ("success", ["T1"])
