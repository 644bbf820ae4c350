"""Four clients at once on one SQLite file, each with a server of its own: no error, and nothing is lost."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from tasktrail.engine.project import open_project
from tasktrail.engine.verification import verify
from tasktrail.plan import PlanTools
from tests.crash.processes import LONGEST_S, child
from tests.mcp.clients import ERAS
from tests.mcp.one_of_many import CALLS_A_ROUND, NOTED, note

pytestmark = pytest.mark.crash

CLIENTS, CALLS = 4, 500
ROUNDS = CALLS // CALLS_A_ROUND


def together(folder: Path) -> list[list[str]]:
    """Let four clients begin at the same time; return the tasks that each finished."""
    script = Path(__file__).with_name("one_of_many.py")
    with ExitStack() as stack:
        clients = [
            stack.enter_context(child(str(script), number, ERAS[number % len(ERAS)], ROUNDS, cwd=folder))
            for number in range(CLIENTS)
        ]
        for client in clients:
            assert client.stdout is not None
            assert client.stdout.readline() == "ready\n", client.communicate()[1]
        for client in clients:
            assert client.stdin is not None
            client.stdin.write("go\n")
            client.stdin.flush()
        said = [client.communicate(timeout=LONGEST_S) for client in clients]
    assert [complaints for _, complaints in said if complaints] == []
    return [json.loads(out) for out, _ in said]


def test_of_four_clients_that_work_at_once_nothing_is_lost(tmp_path: Path):
    tools, keys = PlanTools(tmp_path, "main"), [f"T{index}" for index in range(CLIENTS * ROUNDS)]
    last = {"id": NOTED, "description": "Has the notes", "priority": 9}
    tools.write_task_list([*({"id": key, "description": f"Do {key}"} for key in keys), last])

    finished = together(tmp_path)

    tasks = {task["id"]: task for task in tools.read_task_breakdown()["tasks"]}
    notes = Counter(one["note"] for one in tasks.pop(NOTED)["notes"])
    done = {key: ("completed", 1, f"by {number}") for number, mine in enumerate(finished) for key in mine}
    assert Counter(key for mine in finished for key in mine) == Counter(keys)
    assert {key: (one["status"], one["attempts"], one["result"]) for key, one in tasks.items()} == done
    assert notes == Counter(note(number, round_) for number in range(CLIENTS) for round_ in range(ROUNDS))
    assert verify(open_project(tmp_path).store) == []
