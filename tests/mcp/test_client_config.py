"""What is pasted into the settings of clients starts a server that answers."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from tasktrail.mcp.client_config import CLIENTS, snippet
from tests.cli.conftest import Call
from tests.cli.conftest import call as call
from tests.mcp.clients import call as ask


def entry(client: str, text: str) -> dict[str, Any]:
    """Return what a client reads of it."""
    if client == "codex":
        return dict(tomllib.loads(text)["mcp_servers"]["tasktrail"])
    members = json.loads(text)
    return dict(members["servers" if client == "vscode" else "mcpServers"]["tasktrail"])


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.requirement("AX-100")
async def test_what_is_pasted_starts_the_server_of_this_project(client: str, tmp_path: Path, monkeypatch):
    (tmp_path / "a project").mkdir()
    found = entry(client, snippet(client, tmp_path / "a project", {}).text)
    monkeypatch.chdir("/")  # clients start servers anywhere

    async with Client(StdioServerParameters(command=found["command"], args=found["args"]), mode="auto") as connected:
        answer = await ask(connected, "tasks_last_failed")
        await ask(connected, "write_task_list", tasks=[{"id": "T1", "description": "Draw the schema"}])

    assert answer["failures"] == []
    assert (tmp_path / "a project" / ".tasktrail" / "tasktrail.db").exists()


def test_a_store_goes_along_unless_its_url_may_have_a_password():
    plain = entry("codex", snippet("codex", Path("/p"), {"store.url": "postgresql:///tasks"}).text)
    secret = snippet("codex", Path("/p"), {"store.url": "postgresql://ann:hush@db/tasks"}).text

    assert plain["args"] == ["-m", "tasktrail", "-C", "/p", "--store", "postgresql:///tasks", "mcp"]
    assert plain["command"] == sys.executable
    assert "hush" not in secret


def test_options_of_the_server_go_along(call: Call):
    answer = call("mcp", "--toolsets", "all", "--read-only", "--plan", "shop", "config", "codex")

    arguments = tomllib.loads(answer.out)["mcp_servers"]["tasktrail"]["args"]
    assert arguments[-6:] == ["mcp", "--read-only", "--toolsets", "all", "--plan", "shop"]
    assert answer.err == "it goes into ~/.codex/config.toml\n"


def test_a_client_that_nobody_knows_is_refused_with_those_that_are(call: Call):
    answer = call("mcp", "config", "claude-dekstop")

    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        "error: no client is called claude-dekstop; did you mean claude-desktop?\n"
        "hint: there are claude-desktop, claude-code, cursor, vscode, codex\n"
    )


def test_with_json_it_is_a_document(call: Call):
    found = call("--json", "mcp", "config", "cursor").data

    assert (found["id"], found["file"]) == ("cursor", ".cursor/mcp.json in the project's folder")
    assert "tasktrail" in json.loads(found["text"])["mcpServers"]
