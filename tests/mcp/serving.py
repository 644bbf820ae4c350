"""The command `tasktrail mcp`, in a process of its own, as a client starts it. A warning is an error in it, too."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.processes import environment

PYTHON: Final = (sys.executable, "-W", "error", "-m", "tasktrail")
COMMAND: Final = (*PYTHON, "mcp")
"""What speaks on stdio."""
PATIENCE_S: Final = 60
_READY: Final = "serving "


@dataclass
class Served:
    """A server that answers.

    Args:
        said: The lines on stderr before it did.
    """

    url: str
    said: list[str]
    process: subprocess.Popen[str]

    def end(self) -> tuple[int, str]:
        """Tell it to end; return its exit code, and what else was on stderr."""
        self.process.send_signal(signal.SIGTERM)
        _, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, err


@contextmanager
def served(*arguments: str, env: Mapping[str, str] | None = None, folder: Path | None = None) -> Iterator[Served]:
    """Serve a folder, the working directory where none is said, by HTTP on a free port of loopback."""
    argv = [*COMMAND, "--transport", "http", "--port", "0", *arguments]
    found = {**environment(), **(env or {})}
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, env=found, cwd=folder) as process:
        try:
            said = _until_ready(process)
            yield Served(said[-1].removeprefix(_READY), said, process)
        finally:
            process.kill()


def _until_ready(process: subprocess.Popen[str]) -> list[str]:
    assert process.stderr is not None
    said: list[str] = []
    for line in process.stderr:
        said.append(line.strip())
        if line.startswith(_READY):
            return said
    raise AssertionError(f"it ended before it served: {said}")
