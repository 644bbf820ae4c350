"""Clients of the MCP SDK that start a server over stdio, in both eras of the protocol, and time its answers."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from mcp import Client, StdioServerParameters
from mcp_types import Implementation
from measuring import peak_of_mb

ERAS: Final = ("legacy", "2026-07-28")
"""The handshake of 2025-11-25 and before; the stateless protocol."""
TASKTRAIL: Final = ("-m", "tasktrail", "mcp")
_CALLS: Final = 200
_NAMED: Final = Implementation(name="bench", version="1")

Question = tuple[str, Callable[[], Mapping[str, Any]]]
"""A tool's name, and what gives the arguments of the next call."""


def client(command: Sequence[str], era: str, folder: Path) -> Client:
    """Return a client that starts a command of Python in a folder."""
    server = StdioServerParameters(command=sys.executable, args=list(command), cwd=folder, env=dict(os.environ))
    return Client(server, mode=era, client_info=_NAMED)


async def call(served: Client, name: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool that must do it, and return what it said."""
    result = await served.call_tool(name, arguments)
    if result.is_error or result.structured_content is None:
        raise AssertionError(f"{name}: {result.content}")
    return dict(result.structured_content)


async def seconds_of(work: Awaitable[Any]) -> float:
    """Await something, and return how long it took."""
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


async def answers(
    command: Sequence[str], folder: Path, questions: Mapping[str, Question], calls: int
) -> tuple[dict[str, float], float]:
    """Return the 95th percentile of each question's seconds, in the slower era; and the server's memory.

    The first call of a question does not count.
    """
    found, peak_mb = dict.fromkeys(questions, 0.0), 0.0
    for era in ERAS:
        async with client(command, era, folder) as served:
            for told, (name, arguments) in questions.items():
                await call(served, name, **arguments())
                seconds = [await seconds_of(call(served, name, **arguments())) for _ in range(calls)]
                found[told] = max(found[told], p95(seconds))
            peak_mb = max(peak_mb, peak_of_server_mb())
    return found, peak_mb


def calls_of(n: int) -> int:
    """Return how often each question is asked of n executions: two hundred times, and fewer of few."""
    return min(_CALLS, n // 20)


def starts_of(n: int) -> int:
    """Return how often a server is started for the best of that: once is enough to see that it works."""
    return 3 if n >= 10_000 else 1


def p95(seconds: Sequence[float]) -> float:
    return sorted(seconds)[len(seconds) * 95 // 100]


def peak_of_server_mb() -> float:
    """Return the largest resident memory of the processes that this one has started and that still run."""
    children = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()
    return max(peak_of_mb(int(child)) for child in children)


def in_words(found: Mapping[str, float]) -> str:
    """Return each question with its milliseconds.

    >>> in_words({"plain": 0.00312, "failed": 0.004})
    'plain 3.1 ms, failed 4.0 ms'
    """
    return ", ".join(f"{told} {seconds * 1000:.1f} ms" for told, seconds in found.items())
