"""What is offered: every tool is there and answers, in few tokens, with all that clients want to know of it."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import Implementation

from tasktrail.mcp.guide import INSTRUCTIONS
from tasktrail.mcp.toolsets import TOOLSETS, Offer
from tasktrail.model.errors import BadInput
from tasktrail.plan import PlanTools
from tests.mcp.clients import call, command, each_era, inside, names, over_stdio, project, told

MOST_DEFAULT_TOKENS = 2_000
MOST_INSTRUCTIONS = 400
DEFAULT = [
    "write_task_list", "read_task_breakdown", "get_next_task", "mark_task_status", "update_task", "finish_task",
    "get_tasks", "explain_task", "tasks_last_failed", "tasks_list", "tasks_by_trace", "errors_top",
]  # fmt: skip
DOCUMENTED = {"tasks_list", "tasks_by_trace", "tasks_last_failed"}


def tokens(value: object) -> int:
    """Count as the models of today do."""
    with warnings.catch_warnings():  # the package reads its vocabulary in a way that Python wants to see no more
        warnings.simplefilter("ignore", DeprecationWarning)
        import bpe_openai
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return len(bpe_openai.get_encoding("o200k_base").encode(text))


async def definitions(*toolsets: str, **options: Any) -> list[dict[str, Any]]:
    """Return the tools as they are on the wire."""
    async with inside(project(*toolsets, **options), "2026-07-28") as client:
        listed = await client.list_tools()
    return [one.model_dump(by_alias=True, exclude_none=True, mode="json") for one in listed.tools]


@each_era
@pytest.mark.requirement("AX-090", "AX-107")
async def test_the_shipped_server_lists_the_documented_tools_and_answers(era: str):
    async with over_stdio(era) as client:
        listed = await client.list_tools()
        answer = await call(client, "tasks_last_failed")

    assert names(listed.tools) == DEFAULT
    assert answer == {"status": "success", "failures": [], "error_patterns": [], "examined": 0}


async def test_the_default_set_costs_few_tokens():
    listed = await definitions("plan", "executions")

    told_to_models = [{name: one[name] for name in ("name", "description", "inputSchema")} for one in listed]
    assert [one["name"] for one in listed] == DEFAULT
    assert tokens(told_to_models) <= MOST_DEFAULT_TOKENS
    whole = [{name: value for name, value in one.items() if name != "outputSchema"} for one in listed]
    assert tokens(whole) <= MOST_DEFAULT_TOKENS, "with titles and annotations, which no model is shown"


async def test_every_tool_has_a_title_and_all_four_annotations():
    listed = await definitions("all")

    assert len(listed) == len({one["name"] for one in listed})
    for one in listed:
        assert one["title"]
        assert one["annotations"].keys() == {"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"}
        assert one["annotations"]["openWorldHint"] is False
        assert not (one["annotations"]["readOnlyHint"] and one["annotations"]["destructiveHint"])
        assert one["inputSchema"]["additionalProperties"] is False
        assert one["description"].endswith((".", "…", "]")), one["name"]
    hints = {one["name"]: one["annotations"] for one in listed}
    assert hints["tasks_list"]["readOnlyHint"]
    assert hints["replace_task_list"]["destructiveHint"]
    assert hints["finish_task"]["idempotentHint"]
    assert {one["name"] for one in listed if "outputSchema" in one} >= DOCUMENTED


async def test_only_a_tool_that_destroys_takes_a_confirmation():
    listed = await definitions("all")

    assert {one["name"] for one in listed if "confirm" in one["inputSchema"]["properties"]} == {
        one["name"] for one in listed if one["annotations"]["destructiveHint"]
    }


async def test_a_server_for_reading_offers_nothing_that_changes():
    listed = await definitions("all", read_only=True)

    assert all(one["annotations"]["readOnlyHint"] for one in listed)
    assert {one["name"] for one in listed} > DOCUMENTED
    async with inside(project("all", read_only=True), "legacy") as client:
        with pytest.raises(MCPError, match="there is no tool write_task_list"):
            await client.call_tool("write_task_list", {"tasks": []})


@each_era
async def test_every_tool_that_is_offered_can_be_called(era: str):
    """An error that says what is missing is an answer; what is no tool is none."""
    async with inside(project("all"), era) as client:
        listed = (await client.list_tools()).tools
        for one in listed:
            answer = told(await client.call_tool(one.name, {}))
            assert answer.get("code") in (None, "bad_input", "not_found", "wrong_state"), (one.name, answer)
            assert answer.get("code") != "internal"


async def test_toolsets_come_from_the_flag_or_the_environment(monkeypatch: pytest.MonkeyPatch):
    async with over_stdio("legacy", "--toolsets", "executions", "--read-only") as client:
        by_flag = names((await client.list_tools()).tools)

    chosen = command(env={"TASKTRAIL_MCP_TOOLSETS": "executions", "TASKTRAIL_MCP_READ_ONLY": "on"})
    async with Client(chosen, mode="legacy") as client:
        by_variable = names((await client.list_tools()).tools)

    assert by_flag == by_variable == ["tasks_last_failed", "tasks_list", "tasks_by_trace", "errors_top"]


def test_a_toolset_that_is_none_is_refused_with_those_that_are():
    with pytest.raises(BadInput, match="there is no toolset 'executoins'; did you mean executions") as refused:
        Offer(("executoins",))

    assert refused.value.hint == ", ".join([*TOOLSETS, "all"])


@each_era
async def test_unknown_arguments_and_tools_are_refused_with_a_suggestion(era: str):
    async with inside(project(), era) as client:
        wrong = await call(client, "tasks_list", stauts="failed")
        with pytest.raises(MCPError) as unknown:
            await client.call_tool("task_list", {})

    assert "tasks_list has no argument stauts; did you mean status?" in wrong["message"]
    assert unknown.value.error.code == -32602
    assert unknown.value.error.message == "there is no tool task_list; did you mean tasks_list?"


@each_era
async def test_the_client_is_who_the_history_names(era: str):
    async with inside(project(), era) as client:
        await call(client, "write_task_list", tasks=[{"id": "T1", "description": "Draw the schema"}])
        await call(client, "get_next_task", claim=True)

    history = PlanTools(Path.cwd(), "main").task_history("T1")["history"]
    assert {one["actor"] for one in history} == {"tester"}


@pytest.mark.parametrize(("told", "actor"), [("ann@host", "ann-host"), ("", "mcp-client"), ("a b\n", "a-b-")])
@each_era
async def test_no_client_can_name_itself_like_a_person(era: str, told: str, actor: str):
    named = Implementation(name=told, version="1.0")
    async with Client(project().build(), mode=era, client_info=named) as client:
        await call(client, "write_task_list", tasks=[{"id": "T1", "description": "Draw the schema"}])
        await call(client, "get_next_task", claim=True)

    assert {one["actor"] for one in PlanTools(Path.cwd(), "main").task_history("T1")["history"]} == {actor}


async def test_an_actor_that_somebody_chose_wins_over_the_client():
    async with inside(project(settings={"actor": "ann"}), "legacy") as client:
        await call(client, "write_task_list", tasks=[{"id": "T1", "description": "Draw the schema"}])
        await call(client, "get_next_task", claim=True)

    assert PlanTools(Path.cwd(), "main").task_history("T1")["history"][0]["actor"] == "ann"


async def test_a_plan_with_a_file_is_the_one_that_is_served():
    workspace = PlanTools.in_workspace(Path.cwd())
    workspace.write_task_list([{"id": "T1", "description": "Draw the schema"}])

    async with inside(project(), "legacy") as client:
        await call(client, "mark_task_status", task_id="T1", status="completed", result="drawn")

    tasks = workspace.read_task_breakdown()["tasks"]
    assert [(one["id"], one["status"], one["result"]) for one in tasks] == [("T1", "completed", "drawn")]


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_what_every_client_is_told_is_short(era: str):
    async with inside(project(), era) as client:
        assert client.instructions == INSTRUCTIONS
        assert client.server_info is not None
        assert (client.server_info.name, client.server_info.title) == ("tasktrail", "Tasktrail")

    assert len(INSTRUCTIONS) <= MOST_INSTRUCTIONS
