"""A real client over each transport, in both eras: it calls every tool so that it succeeds, and reads all there is."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp_types import ElicitResult

from tasktrail.executions import RawStore
from tests.executions.told import told as executed
from tests.mcp.clients import NAMED, call, command
from tests.mcp.serving import served

FLOW = """\
name: report
steps:
  - id: fetch
    run: ["echo", "rows"]
  - id: check
    run: test -e checked
    shell: true
    depends_on: fetch
"""
TASKS = [
    {"id": "T1", "description": "Draw the schema"},
    {"id": "T2", "description": "Write it", "dependencies": ["T1"]},
    {"id": "T3", "description": "Check it"},
    {"id": "T4", "description": "Tell the others"},
]


FURTHER = ("task://main%3AT1", "task://A%3AAnn/research", "execution://dag/by-model%3Afetch%401")
WANTED = {"plan-from-prd": {"document": "A shop."}, "post-mortem": {"run": "by-model"}}


async def _agrees(context: Any, params: Any) -> ElicitResult:
    """A person who says yes."""
    return ElicitResult(action="accept", content={"confirm": True})


@asynccontextmanager
async def connected(transport: str, era: str) -> AsyncIterator[Client]:
    """A client of the command, with all that it offers."""
    options: dict[str, Any] = {"mode": era, "client_info": NAMED, "elicitation_callback": _agrees}
    if transport == "stdio":
        async with Client(command("--toolsets", "all"), **options) as client:
            yield client
        return
    with served("--toolsets", "all") as server:
        async with Client(server.url, **options) as client:
            yield client


class Caller:
    """Calls tools that must go well, and knows which were called."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.called: set[str] = set()

    async def __call__(self, name: str, **arguments: Any) -> dict[str, Any]:
        answer = await call(self._client, name, **arguments)
        assert answer["status"] == "success", (name, answer)
        self.called.add(name)
        return answer


async def plan(ask: Caller) -> None:
    """Work through a plan."""
    await ask("write_task_list", tasks=TASKS)
    first = await ask("get_next_task", claim=True)
    await ask("heartbeat", task_id="T1", token=first["token"])
    await ask("add_note", task_id="T1", note="two tables", token=first["token"])
    await ask("finish_task", task_id="T1", token=first["token"], result="drawn")
    second = await ask("claim_task", task_id="T3")
    await ask("release_task", task_id="T3", token=second["token"])
    await ask("update_task", task_id="T4", updates={"priority": 1})
    await ask("mark_task_status", task_id="T4", status="failed", error="nobody there")
    marked = await ask("mark_tasks", updates=[{"task_id": key, "status": "completed"} for key in ("T2", "T3")])
    await ask("undo", batch=marked["batch"])
    assert (await ask("get_tasks", status="pending"))["tasks"][0]["id"] == "T2"
    assert [one["id"] for one in (await ask("search_tasks", query="OTHERS"))["tasks"]] == ["T4"]
    await ask("explain_task", task_id="T4")
    assert (await ask("task_history", task_id="T1"))["attempts"]
    assert (await ask("read_task_breakdown"))["completed_count"] == 1
    await ask("replace_task_list", tasks=TASKS[:3])


async def executions(ask: Caller) -> None:
    """Look at what was executed."""
    failed = (await ask("tasks_last_failed", since="1h"))["failures"][0]
    assert failed["task_id"] == "by-hand:check"
    assert (await ask("tasks_by_trace", trace_id=failed["trace_id"]))["executions"]
    assert (await ask("tasks_list", task_id="daily"))["total"] == 1
    assert {one["count"] for one in (await ask("errors_top"))["errors"]} == {1}


async def matrix(ask: Caller) -> None:
    """Begin a week."""
    await ask("matrix_sync", period="A", items=["Ann", "Bob"])
    await ask("matrix_update", period="A", item="Ann", task_type="research", status="completed")
    assert (await ask("matrix_progress", period="A"))["periods"][0]["counts"]["completed"] == 1
    assert (await ask("matrix_ready", period="A"))["total"] == 2
    await ask("matrix_sync", period="A", items=["Ann"])


async def runs(ask: Caller) -> None:
    """Begin a run that fails, do it again, and call another one off."""
    await ask("run_start", workflow="report", run_id="by-model")
    seen = await ask("run_status", run="by-model", wait_s=25)
    assert seen["run"]["status"] in ("failed", "partial"), seen
    await ask("run_retry", run="by-model")
    await ask("run_status", run="by-model", wait_s=25)
    await ask("run_cancel", run="main", reason="enough")


@pytest.fixture
def used() -> None:
    """A project in which somebody has run a workflow and recorded an execution."""
    Path("report.yaml").write_text(FLOW, encoding="utf-8")
    by_hand = [sys.executable, "-m", "tasktrail", "run", "dag", "report.yaml", "--run-id", "by-hand"]
    assert subprocess.run(by_hand, capture_output=True, timeout=60, check=False).returncode == 5
    RawStore().append_experience(executed())


@pytest.mark.parametrize("era", ["legacy", "auto"])
@pytest.mark.parametrize("transport", ["stdio", "http"])
@pytest.mark.requirement("AX-090", "AX-107")
async def test_every_tool_resource_and_prompt(used: None, transport: str, era: str):
    async with connected(transport, era) as client:
        ask = Caller(client)
        for work in (plan, executions, matrix, runs):
            await work(ask)
        offered = {one.name for one in (await client.list_tools()).tools}
        listed = (await client.list_resources()).resources
        uris = [*(one.uri for one in listed), *FURTHER]
        resources = [(await client.read_resource(uri)).contents for uri in uris]
        prompts = [one.name for one in (await client.list_prompts()).prompts]
        messages = [(await client.get_prompt(name, WANTED.get(name, {}))).messages for name in prompts]

    assert ask.called == offered
    assert {one.uri for one in listed} == {
        "guide://workflow", "plan://main", "run://A", "run://by-model", "run://by-hand",
    }  # fmt: skip
    assert len(prompts) == 4
    assert all(content.text for (content,) in resources)  # type: ignore[union-attr]  # each is a text
    assert all(message.content.text for (message,) in messages)  # type: ignore[union-attr]
