"""Other processes for tests: started with a script, spoken to line by line, and gone when the test is over."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tasktrail

SOURCES = Path(tasktrail.__path__[0]).parent


def arguments(script: str, *args: object) -> list[str]:
    """Return the command that runs a script; its arguments are in `sys.argv[1:]`."""
    return [sys.executable, "-W", "error", "-c", script, *map(str, args)]


def environment() -> dict[str, str]:
    """Return an environment in which the script finds this package."""
    return {**os.environ, "PYTHONPATH": str(SOURCES), "PYTHONUNBUFFERED": "1"}


def run(script: str, *args: object) -> str:
    """Run a script to its end and return what it printed; an error in it fails the test with its stack."""
    found = subprocess.run(arguments(script, *args), env=environment(), capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stderr
    return found.stdout


@contextmanager
def started(script: str, *args: object) -> Iterator[subprocess.Popen[str]]:
    """Start a script and kill it at the end; speak to it by `say` and `hear`."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(arguments(script, *args), env=environment(), text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.kill()


def say(process: subprocess.Popen[str], line: str = "go") -> None:
    """Send a line."""
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[str]) -> str:
    """Wait for a line; empty when the process has ended."""
    assert process.stdout is not None
    return process.stdout.readline().strip()
