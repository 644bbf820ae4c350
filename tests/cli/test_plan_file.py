"""Commands over a plan that has a file: they know what people changed in it, and write what they change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasktrail import plan
from tests.cli.conftest import Call

FILE = Path("architecture", "task-breakdown.json")


@pytest.fixture(autouse=True)
def folder(call: Call) -> Iterator[Path]:
    """A workspace with a plan of two tasks, which is the working directory."""
    here = Path.cwd()
    plan.set_workspace(here)
    plan.write_task_list([
        {"id": "T1", "description": "Setup DB"}, {"id": "T2", "description": "Models", "dependencies": ["T1"]},
    ])  # fmt: skip
    yield here
    plan.set_workspace(None)


def tasks() -> dict[str, Any]:
    return {task["id"]: task for task in json.loads(FILE.read_text())["tasks"]}


def by_hand(old: str, new: str) -> None:
    text = FILE.read_text()
    assert old in text
    FILE.write_text(text.replace(old, new, 1))


def test_a_command_writes_the_file(call: Call, folder: Path):
    assert call("complete", "T1", "--result", "up").code == 0
    assert call("add", "Ship", "--plan", folder.name, "--after", "T2").code == 0
    assert call("edit", "T2", "--title", "Data models").code == 0
    assert call("note", "T2", "soon").code == 0

    assert (tasks()["T1"]["status"], tasks()["T1"]["result"]) == ("completed", "up")
    assert tasks()["T3"]["dependencies"] == ["T2"]
    assert tasks()["T2"]["description"] == "Data models"
    assert [note["note"] for note in tasks()["T2"]["notes"]] == ["soon"]


@pytest.mark.parametrize("command", [("list-tasks",), ("show", "T2"), ("next",), ("search", "renamed"), ("prime",)])
def test_a_command_knows_what_people_changed(call: Call, folder: Path, command: tuple[str, ...]):
    by_hand('"Models"', '"Renamed"')
    by_hand('"pending"', '"completed"')
    named = ("--plan", folder.name) if command[0] in ("next", "prime") else ()

    done = call(*command, *named)

    assert done.code == 0, done.err
    assert "Renamed" in done.out


def test_a_broken_file_is_a_warning_and_stays(call: Call):
    by_hand('"Models"', '"Mod')
    broken = FILE.read_text()

    listed, changed = call("list-tasks"), call("complete", "T1")

    assert listed.code == 0
    assert "Models" in listed.out
    assert listed.err.count(f"warning: {FILE.absolute()}:") == 1
    assert (changed.code, FILE.read_text()) == (2, broken)


def test_removing_and_undoing_reach_the_file(call: Call):
    assert call("rm", "T2").code == 0
    assert list(tasks()) == ["T1"]

    assert call("undo", "T2").code == 0

    assert tasks()["T2"]["dependencies"] == ["T1"]
