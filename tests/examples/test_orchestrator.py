"""The example `orchestrator`, as a program of its own: done once, and once more where somebody reopened a task."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Call

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "orchestrator" / "orchestrate.py"
OUT = Path("example-out", "orchestrator")

pytestmark = pytest.mark.requirement("JB-053")


def orchestrate() -> str:
    return subprocess.run([sys.executable, str(EXAMPLE)], check=True, capture_output=True, text=True).stdout


def attempts() -> dict[str, int]:
    tasks = json.loads((OUT / "architecture" / "task-breakdown.json").read_text("utf-8"))["tasks"]
    assert {task["status"] for task in tasks} == {"completed"}
    return {task["id"]: task["attempts"] for task in tasks}


def test_the_report_is_written_once_and_what_is_reopened_again(spawn: Call, tmp_path: Path) -> None:
    first = orchestrate()
    report = (OUT / "report.md").read_text("utf-8")
    assert spawn("-C", str(OUT), "reopen", "S1").code == 0
    orchestrate()

    assert first == "No pending tasks (all completed, failed, or blocked by dependencies)\n"
    assert report.startswith("## Africa\n")
    assert report.count("## ") == len(attempts()) - 1
    assert attempts() == {key: 1 + (key == "S1") for key in attempts()}
    assert (OUT / "report.md").read_text("utf-8") == report
    assert spawn("-C", str(OUT), "doctor", "--verify").code == 0
