"""What the shapes are made of that every subject executes."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

AT_ONCE: Final = 8
"""How many steps of a fan-out run at the same time."""
STEPS_PER_RUN: Final = 5
CONNECTIONS: Final = 4
"""How many processes claim and finish in batches, each on one connection."""
BATCH: Final = 10
CYCLES: Final = 1_000
"""How many tasks of a plan are gone through: next, start, complete."""

MCP_CLIENTS: Final = 4
"""How many clients of the MCP server work at once, each with a server of its own."""
EXECUTIONS_AT_ONCE: Final = 500
"""How many recorded executions share a commit."""
EXECUTIONS_FAIL: Final = 20
"""Every so many of them fails."""


def execution_text(number: int) -> str:
    """Return 300 bytes that an execution answers with, in which nothing is private."""
    text = f"Loaded {number % 9_973:,} rows from orders-{number % 31}.csv in 3.2 s; 17 were skipped: no price. "
    return (text * 4)[:300]


def tracker_text(n: int) -> str:
    """Return a week's tracker as people keep it, with n items, nothing of which has begun."""
    items = "".join(
        f"  Project{index}:  # the owner of {index} knows more\n    tasks:\n"
        "      research:\n        status: pending\n        agent: researcher\n"
        "      content:\n        status: pending\n        agent: writer\n"
        "    removed: false\n"
        for index in range(n)
    )
    return (
        f"# What is to be written this week\nitems:\n{items}\n"
        "week_tasks:\n  tasks:\n    blog_post:\n      status: pending\n      agent: writer\n\n"
        'metadata:\n  created_at: "2026-02-01T09:00:00"\n  week_letter: A\n'
    )


def write_results(n: int, folder: Path) -> Path:
    """Write n result files of about 300 bytes, of two tasks, a tenth of which failed; return their folder."""
    results = folder / "results"
    results.mkdir()
    for number in range(n):
        failed = number % 10 == 0
        began = datetime(2025, 1, 1) + timedelta(seconds=37 * number)
        told = {
            "task_id": ("daily_reflection", "idea_generation")[number % 2],
            "task_name": ("Daily Reflection", "Idea Generation")[number % 2],
            "started_at": began.isoformat(),
            "completed_at": (began + timedelta(seconds=3)).isoformat(),
            "success": not failed,
            "response": None if failed else f"Looked at {number % 97} notes: three things went well, one did not.",
            "error": "TimeoutError: no answer within 30 s" if failed else None,
            "metadata": {"model": "small", "tokens": number % 1000},
        }
        (results / f"{told['task_id']}_{began:%Y%m%d_%H%M%S}.json").write_text(json.dumps(told), "utf-8")
    return results


def plan_tasks(n: int) -> list[dict[str, Any]]:
    """Return a plan of n tasks in five priorities, of which each but the first four needs two before it."""
    return [
        {
            "id": f"T{index}",
            "description": f"Do what task {index} says",
            "priority": index % 5 + 1,
            "dependencies": [f"T{index // 2}", f"T{index // 3}"] if index > 3 else [],
        }
        for index in range(n)
    ]
