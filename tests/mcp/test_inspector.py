"""The official Inspector, a client that we did not write, gets along with our server."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.mcp import node, serving
from tests.processes import environment

Ask = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def inspector() -> list[str]:
    return node.program("@modelcontextprotocol/inspector/clients/cli/build/index.js")


@pytest.fixture(params=["stdio", "http"])
def ask(request: pytest.FixtureRequest, inspector: list[str]) -> Iterator[Ask]:
    """What asks a server of our own by the Inspector, and returns the result that it prints."""
    if request.param == "stdio":
        yield partial(asked, inspector, ["-e", f"PYTHONPATH={environment()['PYTHONPATH']}", "--", *serving.COMMAND])
        return
    with serving.served() as server:
        url = server.url
        yield partial(asked, inspector, ["--", url])


def asked(inspector: list[str], server: list[str], method: str, *more: str, era: str = "auto") -> dict[str, Any]:
    command = [*inspector, "--protocol-era", era, "--method", method, *more, *server]
    own_home = {**os.environ, "HOME": str(Path.cwd())}  # where it would keep what it is told of servers
    done = subprocess.run(command, env=own_home, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert isinstance(result, dict)
    return result


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector_calls_tools_in_both_eras_of_the_protocol(ask: Ask, era: str):
    tasks = {"tasks": [{"id": "T1", "description": "Draw the schema"}]}
    written = ask("tools/call", "--tool-name", "write_task_list", "--tool-args-json", json.dumps(tasks), era=era)
    following = ask("tools/call", "--tool-name", "get_next_task", era=era)

    assert written["isError"] is False
    assert following["structuredContent"]["task"]["description"] == "Draw the schema"


@pytest.mark.parametrize("ask", ["stdio"], indirect=True)
@pytest.mark.parametrize(
    ("method", "field", "name"),
    [
        ("tools/list", "tools", "get_next_task"),
        ("resources/list", "resources", "workflow"),
        ("resources/templates/list", "resourceTemplates", "task"),
        ("prompts/list", "prompts", "work-next"),
    ],
)
def test_the_inspector_lists_what_there_is(ask: Ask, method: str, field: str, name: str):
    assert name in [item["name"] for item in ask(method)[field]]


def test_the_inspector_gets_a_prompt_and_reads_a_resource(ask: Ask):
    prompt = ask("prompts/get", "--prompt-name", "plan-from-prd", "--prompt-args", "document=Build a bridge.")
    resource = ask("resources/read", "--uri", "guide://workflow")

    assert "Build a bridge." in prompt["messages"][-1]["content"]["text"]
    assert resource["contents"][0]["mimeType"] == "text/markdown"


def test_the_inspector_finds_no_fault_with_the_schemas_of_our_tools(ask: Ask):
    ask("tools/list", "--strict")  # it ends with 6 where one could not be used by some client
