"""Calls and edits by hand in random order: after each, file and store say the same, and nothing typed is lost."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from tasktrail.engine.project import open_project
from tasktrail.engine.verification import verify
from tasktrail.plan import PlanTools

STATUSES: Final = ("pending", "in_progress", "completed", "failed", "blocked", "skipped", "cancelled")
TEXTS: Final = ("plain", "ünï ☃ 𝄞", 'a"b\\c\nline', "", "  x ", "\u2028")
OWN: Final = ("color", "x.y", "module")
VALUES: Final = (1, None, [1, {"a": None}], {"k": 1.5}, 2**70)
LAYOUTS: Final[tuple[Mapping[str, Any], ...]] = (
    {"indent": 2}, {"indent": "\t"}, {"separators": (",", ":")}, {"ensure_ascii": False},
)  # fmt: skip


class Sequence:
    """A random sequence on one file. Tasks need only those with a smaller number, so that there is no cycle."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.tools = PlanTools.in_workspace(folder)
        self.path = folder / "architecture" / "task-breakdown.json"
        self.store = open_project(folder).store
        self.tools.write_task_list([{"id": f"T{n}", "description": f"d{n}"} for n in range(5)])

    def tasks(self) -> dict[str, dict[str, Any]]:
        text = self.path.read_bytes().decode("utf-8-sig")
        return {task["id"]: task for task in json.loads(text)["tasks"]}

    def edit(self) -> None:
        """As somebody with an editor."""
        text = self.path.read_bytes().decode("utf-8-sig")
        document = json.loads(text)
        tasks: list[dict[str, Any]] = document["tasks"]
        task = self.random.choice(tasks)
        number = int(task["id"][1:])
        change = self.random.choice([
            lambda: task.update(status=self.random.choice(STATUSES)),
            lambda: task.update(description=self.random.choice(TEXTS)),
            lambda: task.update(result=self.random.choice([*TEXTS, None])),
            lambda: task.update(completed_at=self.random.choice(["2026-01-02T03:04:05", None])),
            lambda: task.update(dependencies=[f"T{self.random.randrange(number)}"] if number else ["unknown"]),
            lambda: task.update({self.random.choice(OWN): self.random.choice(VALUES)}),
            lambda: task.update(notes=[*(task.get("notes") or ()), {"note": self.random.choice(TEXTS), "who": "me"}]),
            lambda: task.update(notes=(task.get("notes") or [])[1:]),
            lambda: task.pop(self.random.choice([*OWN, "priority", "result", "notes"]), None),
            lambda: tasks.append({"id": f"T{max(int(one['id'][1:]) for one in tasks) + 1}"}),
            lambda: tasks.remove(task) if len(tasks) > 2 else None,
            lambda: self.random.shuffle(tasks),
            lambda: document.update(owner=self.random.choice(VALUES)),
        ])  # fmt: skip
        change()
        written = json.dumps(document, **self.random.choice(LAYOUTS))
        written = written.replace("\n", self.random.choice(["\n", "\r\n"]))
        self.path.write_bytes((self.random.choice(["", "\ufeff"]) + written).encode())

    def call(self) -> None:
        """As an agent: only the tasks that the call is about change, and what people typed stays."""
        before = self.tasks()
        key = self.random.choice([*before])
        answer = self.random.choice([
            lambda: self.tools.mark_task_status(key, self.random.choice(STATUSES[:4]), self.random.choice(TEXTS)),
            lambda: self.tools.update_task(key, {"priority": self.random.randrange(5)}),
            lambda: self.tools.add_note(key, "n"),
            lambda: self.tools.write_task_list([{"id": one, "description": "d"} for one in reversed(before)]),
        ])()  # fmt: skip
        assert answer["status"] == "success", answer
        after = self.tasks()
        assert after.keys() == before.keys()
        for task in before.values():
            kept = {name: task[name] for name in OWN if name in task}
            assert {name: after[task["id"]].get(name) for name in kept} == kept
            notes = task.get("notes") or []
            assert (after[task["id"]].get("notes") or [])[: len(notes)] == notes

    def check(self) -> None:
        """Whoever asks is told what the file says."""
        raw = self.path.read_bytes()
        told = {task["id"]: task for task in self.tools.read_task_breakdown()["tasks"]}
        said = self.tasks()
        assert self.path.read_bytes() == raw
        assert [*told] == [*said]
        for key, task in said.items():
            assert told[key]["status"] == task.get("status", "pending")
            assert told[key]["description"] == (task.get("description") or "")
            assert told[key]["result"] == task.get("result")
            assert told[key]["dependencies"] == (task.get("dependencies") or [])
            assert {name: told[key].get(name, "-") for name in OWN} == {name: task.get(name, "-") for name in OWN}
            notes = [note["note"] for note in task.get("notes") or ()]
            assert sorted(note["note"] for note in told[key]["notes"]) == sorted(notes)
        assert verify(self.store) == []


def run(folder: Path, seed: int, steps: int) -> None:
    sequence = Sequence(folder, seed)
    for _ in range(steps):
        sequence.random.choice([sequence.edit, sequence.call])()
        if sequence.random.random() < 0.7:
            sequence.check()
    sequence.check()


@pytest.mark.requirement("JB-002", "JB-008", "JB-056")
@pytest.mark.parametrize("seed", range(12))
def test_calls_and_edits_in_any_order_leave_file_and_store_alike(tmp_path: Path, seed: int) -> None:
    run(tmp_path, seed, 30)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 400))
def test_300_long_sequences_of_calls_and_edits_do_so_too(tmp_path: Path, seed: int) -> None:
    run(tmp_path, seed, 100)
