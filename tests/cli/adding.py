"""Processes that add tasks to a plan at the same time."""

from __future__ import annotations

import subprocess
import sys


def added_at_once(number: int) -> list[str]:
    """Return what as many commands printed, each in a process of its own."""
    command = [sys.executable, "-m", "tasktrail", "add"]
    adding = [subprocess.Popen([*command, f"Task {n}"], stdout=subprocess.PIPE, text=True) for n in range(number)]
    return [process.communicate(timeout=60)[0].strip() for process in adding]
