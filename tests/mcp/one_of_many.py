"""One of several clients with a server each, on one store: `python one_of_many.py NUMBER ERA ROUNDS`.

It says `ready`, waits for a line, and prints the tasks that it finished. A call that fails ends it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters
from mcp_types import Implementation

NOTED = "noted"
"""The task that all of them write notes on."""
CALLS_A_ROUND = 5


def note(number: int, round_: int) -> str:
    """Return what a client notes in a round."""
    return f"client {number}, round {round_}"


async def call(client: Client, name: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool that must do it."""
    result = await client.call_tool(name, arguments)
    if result.is_error or result.structured_content is None:
        raise AssertionError(f"{name} {arguments}: {result.content}")
    return dict(result.structured_content)


async def work(client: Client, number: int, rounds: int) -> list[str]:
    """Claim, note, finish and look; return what was finished."""
    finished = []
    for round_ in range(rounds):
        claimed = await call(client, "get_next_task", claim=True)
        key, token = claimed["task"]["id"], claimed["token"]
        await call(client, "add_note", task_id=NOTED, note=note(number, round_))
        await call(client, "finish_task", task_id=key, token=token, result=f"by {number}")
        await call(client, "get_tasks", status="completed")
        await call(client, "tasks_list", status="failed")
        finished.append(key)
    return finished


async def main(number: int, era: str, rounds: int) -> None:
    """Be one client."""
    command = ["-m", "tasktrail", "mcp", "--toolsets", "all"]
    server = StdioServerParameters(command=sys.executable, args=command, cwd=Path.cwd(), env=dict(os.environ))
    async with Client(server, mode=era, client_info=Implementation(name=f"client-{number}", version="1")) as client:
        await client.list_tools()
        print("ready", flush=True)
        sys.stdin.readline()
        print(json.dumps(await work(client, number, rounds)), flush=True)


if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
