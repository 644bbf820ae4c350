"""What the protocol itself costs: the SDK's server over stdio that answers each tool with a constant.

The constant is what Tasktrail answers, as long and in the same shape. In a process of its own this file is that server.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio
import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from measuring import Reading

ANSWERS: Final = "answers.json"


def asked(kind: str, n: int, folder: Path) -> Reading:
    """As of Tasktrail, but the answers are the same each time."""
    from subjects_mcp import questions
    from talking import answers, calls_of, in_words

    wanted = questions(kind, n)
    anyio.run(_keep_answers, folder, dict(reversed(wanted.values())))
    found, peak_mb = anyio.run(answers, _server(folder), folder, wanted, calls_of(n))
    return Reading(1, max(found.values()), peak_mb, f"p95 of {calls_of(n)} in the slower era: {in_words(found)}")


def start(n: int, folder: Path) -> Reading:
    """From the start of the process to the first answer."""
    from subjects_mcp import questions, started
    from talking import starts_of

    anyio.run(_keep_answers, folder, dict(reversed(questions("lastfailed", n).values())))
    seconds, peak_mb = anyio.run(started, _server(folder), folder, starts_of(n))
    return Reading(1, seconds, peak_mb, f"best of {starts_of(n)} in the slower era")


async def _keep_answers(folder: Path, arguments: dict[str, Any]) -> None:
    """Of several questions to one tool the answer to the first."""
    from subjects_tasktrail import use_store
    from talking import ERAS, TASKTRAIL, call, client

    use_store(folder)
    async with client(TASKTRAIL, ERAS[0], folder) as served:
        told = {name: await call(served, name, **given()) for name, given in arguments.items()}
    (folder / ANSWERS).write_text(json.dumps(told), "utf-8")


def _server(folder: Path) -> tuple[str, ...]:
    return (__file__, str(folder / ANSWERS))


async def serve(told: dict[str, Any]) -> None:
    """Serve tools that take anything, until the client leaves."""

    async def list_tools(_: Any, __: Any) -> types.ListToolsResult:
        schema = {"type": "object"}
        return types.ListToolsResult(tools=[types.Tool(name=name, input_schema=schema) for name in told])

    async def call_tool(_: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        words = told[params.name]
        text = json.dumps(words, ensure_ascii=False, separators=(",", ":"))
        return types.CallToolResult(content=[types.TextContent(type="text", text=text)], structured_content=words)

    server = Server("bare", on_list_tools=list_tools, on_call_tool=call_tool)
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


SUBJECTS = {
    "mcpbare-list": partial(asked, "list"),
    "mcpbare-trace": partial(asked, "trace"),
    "mcpbare-lastfailed": partial(asked, "lastfailed"),
    "mcpbare-errors": partial(asked, "errors"),
    "mcpbare-start": start,
}

if __name__ == "__main__":
    anyio.run(serve, json.loads(Path(sys.argv[1]).read_text("utf-8")))
