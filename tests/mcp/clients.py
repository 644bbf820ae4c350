"""Real clients of the official SDK: of a server in this process, or of the command in a process of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp_types import CallToolResult, Implementation

from tasktrail.mcp.calls import Limits
from tasktrail.mcp.server import ProjectServer
from tasktrail.mcp.toolsets import Offer
from tests.processes import environment

ERAS = ("legacy", "2026-07-28")
"""The handshake of 2025-11-25 and before; the stateless protocol."""
each_era = pytest.mark.parametrize("era", ERAS)
NAMED = Implementation(name="tester", version="1.0")


def project(
    *toolsets: str,
    read_only: bool = False,
    plan: str | None = None,
    settings: Mapping[str, str] | None = None,
    **limits: float,
) -> ProjectServer:
    """Return the server of the working directory's project."""
    offer = Offer(toolsets or ("all",), read_only, Path.cwd(), plan, dict(settings or {}))
    return ProjectServer(offer, Limits(**limits))


def inside(served: ProjectServer, era: str, **options: Any) -> Client:
    """Return a client of a server in this process."""
    return Client(served.build(), mode=era, client_info=NAMED, **options)


def over_stdio(era: str, *arguments: str, **options: Any) -> Client:
    """Return a client that starts the command in the working directory."""
    return Client(command(*arguments), mode=era, client_info=NAMED, **options)


def command(*arguments: str, env: Mapping[str, str] | None = None) -> StdioServerParameters:
    """Return how the command is started."""
    argv = ["-m", "tasktrail", "mcp", *arguments]
    return StdioServerParameters(
        command=sys.executable,
        args=argv,
        cwd=Path.cwd(),
        env={"PYTHONPATH": environment()["PYTHONPATH"], **(env or {})},
    )


def told(result: Any) -> dict[str, Any]:
    """Return what a call said; an answer that went well says it twice, the same."""
    assert isinstance(result, CallToolResult)
    (content,) = result.content
    words: dict[str, Any] = json.loads(content.text)  # type: ignore[union-attr]  # it is a text
    assert result.structured_content == (None if result.is_error else words)
    assert result.is_error == (words["status"] == "error")
    return words


async def call(client: Client, name: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool, and return what it said."""
    return told(await client.call_tool(name, arguments))


def names(listed: Sequence[Any]) -> list[str]:
    """Return what is called how."""
    return [one.name for one in listed]
