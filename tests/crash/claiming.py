"""One of several agents that work through one plan: `python claiming.py URL OWNER`.

It says `ready`, waits for a line, claims and finishes tasks until none is left, and prints which as a JSON list.
"""

from __future__ import annotations

import json
import sys
import time

from tasktrail.plan import PlanTools

LONGEST_S = 60


def main() -> None:
    """Work until the plan is done."""
    url, owner = sys.argv[1:]
    tools = PlanTools(url)
    print("ready", flush=True)
    sys.stdin.readline()
    finished, end = [], time.monotonic() + LONGEST_S
    while time.monotonic() < end:
        found = tools.get_next_task(claim=True, owner=owner)
        assert found["status"] == "success", found
        if found["task"] is not None:
            key = found["task"]["id"]
            answer = tools.finish_task(key, found["token"], f"by {owner}")
            assert answer["status"] == "success", answer
            finished.append(key)
        elif tools.read_task_breakdown()["completed_count"] == tools.read_task_breakdown()["total_tasks"]:
            break
        else:
            time.sleep(0.002)
    print(json.dumps(finished), flush=True)


if __name__ == "__main__":
    main()
