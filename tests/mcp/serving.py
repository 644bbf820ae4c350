"""Our MCP server for tests, in a process of its own: `tasktrail mcp` as a client starts it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.processes import environment

COMMAND: Final = (sys.executable, "-W", "error", "-m", "tasktrail", "mcp")
"""What speaks on stdio. A warning is an error in the server, too."""
_READY: Final = "serving "


@contextmanager
def over_http(*arguments: str) -> Iterator[str]:
    """Give the URL of a server of the working directory's project, on loopback."""
    command = [*COMMAND, "--transport", "http", "--port", "0", *arguments]
    with subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True) as process:
        try:
            yield _url(process)
        finally:
            process.kill()


def _url(process: subprocess.Popen[str]) -> str:
    """Wait until it serves, and let it say more from then on without anybody listening."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        if line.startswith(_READY):
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return line.removeprefix(_READY).strip()
        said.append(line)
    raise AssertionError(f"it ended before it served:\n{''.join(said)}")
