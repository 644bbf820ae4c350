"""Python processes that tests start, talk to and kill. None outlives its test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tasktrail

HERE = Path(__file__).parent
LONGEST_S = 60.0
"""No wait in these tests takes so long, unless something hangs."""


def environment() -> dict[str, str]:
    """Return the environment in which a child finds the same package and the same tests as this process."""
    package = Path(str(tasktrail.__file__)).parents[1]
    paths = os.pathsep.join([str(package), str(HERE.parents[1])])
    return {**os.environ, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"}


@contextmanager
def child(script: str, *arguments: object, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a script of this folder; kill it at the end if it is still there."""
    command = [sys.executable, str(HERE / script), *map(str, arguments)]
    process = subprocess.Popen(
        command, cwd=cwd, env=environment(), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
