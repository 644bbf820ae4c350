"""What happens rarely in the server: many clients, many questions, large runs, faults inside, odd words."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import ResourcesListChanged, ResourceUpdated
from mcp_types import ResourceTemplateReference, SubscribeRequestParams

from tasktrail.engine.project import open_project
from tasktrail.executions import RawStore
from tasktrail.mcp.asking import Asking
from tasktrail.mcp.hints import hint_for
from tasktrail.mcp.prompts import PROMPTS
from tasktrail.mcp.resources import MOST_TOKENS, TEMPLATES, uri_of
from tasktrail.mcp.toolsets import Offer
from tasktrail.mcp.updates import Updates, _events
from tasktrail.plan import PlanTools
from tasktrail.tools import Tool
from tests.executions.told import told as executed
from tests.mcp.clients import call, each_era, inside, names, project
from tests.mcp.test_offer import tokens

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_the_tools_of_clients_that_were_here_long_ago_are_forgotten():
    offer = Offer(("executions",))
    first = offer.tools("client-0")

    assert offer.tools("client-0") is first
    for n in range(1, 40):
        offer.tools(f"client-{n}")
    assert offer.tools("client-0") is not first


def test_what_was_confirmed_long_ago_is_forgotten():
    asking = Asking()
    token = asking._token("about 0")

    for n in range(1_001):
        asking._use_up(f"about {n}")
    assert len(asking._used) == 1_000
    assert asking._is_token(token, "about 0")
    assert not asking._is_token(asking._token("about 1000", before=2), "about 1000")


@each_era
async def test_templates_and_prompts_are_listed(era: str):
    async with inside(project(), era) as client:
        templates = (await client.list_resource_templates()).resource_templates
        prompts = (await client.list_prompts()).prompts

    assert [one.uri_template for one in templates] == [one.uri_template for one in TEMPLATES]
    assert prompts == list(PROMPTS)


async def text_of(client: Any, name: str, **arguments: str) -> str:
    """Return what a prompt says."""
    (message,) = (await client.get_prompt(name, arguments)).messages
    text: str = message.content.text
    return text


async def test_prompts_tell_of_a_run_of_a_trace_and_of_a_document():
    plan = PlanTools(Path.cwd(), "main")
    plan.write_task_list([{"id": "T1", "description": "Draw the schema"}])
    plan.mark_task_status("T1", "in_progress")
    plan.mark_task_status("T1", "failed", error="no paper")

    async with inside(project(), "legacy") as client:
        failed = (await call(client, "tasks_last_failed"))["failures"][0]
        of_run = await text_of(client, "post-mortem", run="main")
        of_trace = await text_of(client, "post-mortem", trace_id=failed["trace_id"])
        of_document = await text_of(client, "plan-from-prd", document="A shop.")

    assert '"failed":1' in of_run
    assert "Read run://main for all of it." in of_run
    assert "no paper" in of_trace
    assert of_document.endswith('BEGIN DATA\n"A shop."\nEND DATA')


async def test_a_run_that_is_too_large_to_be_read_says_what_is_left_out():
    tasks = [{"id": f"T{n}", "description": "Draw the schema " * 4} for n in range(1_000)]
    PlanTools(Path.cwd(), "main").write_task_list(tasks)

    async with inside(project(), "legacy") as client:
        (content,) = (await client.read_resource(uri_of("run", "main"))).contents

    text = content.text  # type: ignore[union-attr]  # it is a text
    assert tokens(text) <= MOST_TOKENS
    assert '"truncated":true,"original_count":1000' in text


async def test_an_execution_that_is_too_large_to_be_read_is_cut():
    told = executed(response_text="a word " * 100_000)
    public_id = RawStore().append_experience(told)

    async with inside(project(), "legacy") as client:
        (content,) = (await client.read_resource(uri_of("execution", public_id))).contents

    assert tokens(content.text) <= MOST_TOKENS  # type: ignore[union-attr]  # it is a text


async def test_an_execution_cannot_be_guessed():
    async with inside(project(), "legacy") as client:
        found = await client.complete(ResourceTemplateReference(uri="execution://{id}"), {"name": "id", "value": "a"})

    assert found.completion.values == []


@each_era
async def test_a_fault_inside_of_what_is_read_is_told_without_its_words(monkeypatch: pytest.MonkeyPatch, era: str):
    made = project()

    def stumble(*_: object) -> None:
        raise ZeroDivisionError("password=hunter2secret")

    monkeypatch.setattr(type(made._resources), "read", stumble)
    async with inside(made, era) as client:
        with pytest.raises(MCPError) as refused:
            await client.read_resource("plan://main")

    assert refused.value.error.message.startswith("it failed inside: ZeroDivisionError")


async def test_what_is_read_for_too_long_is_told_so(monkeypatch: pytest.MonkeyPatch):
    made = project(timeout_s=0.05)
    gone = anyio.Event()

    async def wait(*_: object, **__: object) -> None:
        await gone.wait()

    monkeypatch.setattr(made.calls, "in_thread", wait)
    async with inside(made, "legacy") as client:
        with pytest.raises(MCPError, match=r"it took longer than 0\.05 s"):
            await client.read_resource("plan://main")


@each_era
async def test_a_trace_that_a_client_brings_is_that_of_what_it_begins(era: str):
    meta: Any = {"traceparent": f"00-{TRACE_ID}-00f067aa0ba902b7-01"}
    unread: Any = {"traceparent": "nonsense"}

    async with inside(project(), era) as client:
        await client.call_tool("write_task_list", {"tasks": [{"id": "T1", "description": "Draw"}]}, meta=meta)
        await client.call_tool("get_next_task", {"claim": True}, meta=unread)
        found = await call(client, "tasks_by_trace", trace_id=TRACE_ID)

    assert [one["task_id"] for one in found["executions"]] == ["main:T1"]


async def test_arguments_that_are_nested_without_end_are_refused(monkeypatch: pytest.MonkeyPatch):
    """No client of Python can send them: its own serializer gives up before."""

    def give_up(*_: object) -> None:
        raise RecursionError("maximum recursion depth exceeded")

    monkeypatch.setattr(Tool, "check", give_up)
    async with inside(project("executions"), "legacy") as client:
        answer = await call(client, "tasks_list")

    assert answer["message"] == "tasks_list cannot take such arguments: maximum recursion depth exceeded"


async def test_work_that_was_given_up_before_it_began_is_not_done(monkeypatch: pytest.MonkeyPatch):
    late: list[Any] = []

    async def never(work: Any, **_: object) -> None:
        late.append(work)
        raise TimeoutError

    calls = project("executions").calls
    monkeypatch.setattr("anyio.to_thread.run_sync", never)
    for _ in range(40):  # more than there are places
        with pytest.raises(TimeoutError):
            await calls.in_thread(lambda: pytest.fail("it was done"))

    with pytest.raises(TimeoutError):
        late[0]()


class Told:
    """A connection of the older protocol, and what it was told."""

    def __init__(self, *, reads: bool = True) -> None:
        self.client_params = object()
        self.heard: list[Any] = []
        self._reads = reads

    async def send_resource_updated(self, uri: str) -> None:
        """Hear of a resource."""
        if not self._reads:
            await anyio.sleep_forever()
        self.heard.append(uri)

    async def send_notification(self, notification: Any) -> None:
        """Hear of the list."""
        self.heard.append(notification.method)


async def subscribed(updates: Updates, session: Told, uri: str) -> None:
    """Let a connection hear of a resource."""
    ctx: Any = SimpleNamespace(session=session)
    await updates.subscribe_resource(ctx, SubscribeRequestParams(uri=uri))


async def test_a_client_that_does_not_read_keeps_the_news_from_nobody(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tasktrail.mcp.updates._PATIENCE_S", 0.01)
    updates, deaf, other = Updates(lambda: None), Told(reads=False), Told()
    for session in (deaf, other):
        await subscribed(updates, session, "plan://main")

    await updates._tell(ResourceUpdated("plan://main"))
    await updates._tell(ResourcesListChanged())

    assert other.heard == ["plan://main", "notifications/resources/list_changed"]
    assert deaf.heard == []


async def test_connections_that_were_here_long_ago_are_forgotten():
    updates = Updates(lambda: None)
    sessions = [Told() for _ in range(300)]
    for session in sessions:
        await subscribed(updates, session, "plan://main")

    await updates._tell(ResourceUpdated("plan://main"))

    assert [len(one.heard) for one in sessions] == [0] * 44 + [1] * 256


def test_nothing_new_is_read_once():
    ledger = open_project()
    updates = Updates(lambda: ledger)
    reader = updates._begun()
    assert reader is not None
    plan = PlanTools(Path.cwd(), "main")
    plan.write_task_list([{"id": "T1", "description": "Draw the schema"}])

    created = list(_events(updates._news(reader)))
    plan.add_note("T1", "begun")
    noted = list(_events(updates._news(reader)))

    about = [ResourceUpdated("run://main"), ResourceUpdated("plan://main")]
    assert created == [*about, ResourcesListChanged()]
    assert noted == [*about, ResourceUpdated("task://main%3AT1")]
    assert updates._news(reader) == []


async def test_the_fixtures_of_the_conformance_suite_are_there_only_when_asked_for():
    made = project("executions")
    made.has_fixtures = True

    async with inside(made, "legacy") as client:
        with_them = names((await client.list_tools()).tools)
        plain = PlanTools(Path.cwd(), "main")
        plain.write_task_list([{"id": "T1", "description": "Draw the schema"}])
        (content,) = (await client.read_resource("plan://main")).contents
    async with inside(project("executions"), "legacy") as client:
        without = names((await client.list_tools()).tools)

    assert "test_simple_text" in with_them
    assert "test_simple_text" not in without
    assert "T1: Draw the schema" in content.text  # type: ignore[union-attr]  # it is a text


@pytest.mark.parametrize(
    ("hint", "told"),
    [
        ("tasktrail cancel r1:T1", "on a command line: tasktrail cancel r1:T1"),
        ("tasktrail search 'half a quote", "search_tasks"),
        ("tasktrail list-tasks", "get_tasks"),
    ],
)
def test_hints_with_odd_words_are_still_told(hint: str, told: str):
    assert hint_for(hint, "", ["run_cancel", "search_tasks", "get_tasks"]).startswith(told)


async def test_every_tool_is_known_by_its_name():
    made = project()

    async with inside(made, "legacy") as client:
        offered = names((await client.list_tools()).tools)

    assert all(made._input_schema(name) for name in offered)
    assert made._input_schema("no_such_tool") is None
