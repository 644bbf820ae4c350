"""The command with its HTTP transport, in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

PATIENCE_S = 60


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
def served(*arguments: str, options: tuple[str, ...] = (), env: Mapping[str, str] | None = None) -> Iterator[Served]:
    """Serve the working directory on a free port."""
    argv = [sys.executable, "-m", "tasktrail", *options, "mcp", "--transport", "http", "--port", "0", *arguments]
    environment = {**os.environ, **(env or {})}
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stderr is not None
            said: list[str] = []
            while not said or not said[-1].startswith("serving "):
                line = process.stderr.readline()
                assert line, f"it did not start: {said}"
                said.append(line.strip())
            yield Served(said[-1].removeprefix("serving "), said, process)
        finally:
            process.kill()
