"""What the shapes are made of that every subject executes."""

from __future__ import annotations

from typing import Any, Final

AT_ONCE: Final = 8
"""How many steps of a fan-out run at the same time."""
STEPS_PER_RUN: Final = 5
CONNECTIONS: Final = 4
"""How many processes claim and finish in batches, each on one connection."""
BATCH: Final = 10
CYCLES: Final = 1_000
"""How many tasks of a plan are gone through: next, start, complete."""


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
