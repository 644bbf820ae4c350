"""A command in a process of its own that is killed with SIGKILL once a step has said that it runs."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

LONGEST_S = 60.0


def killed_once(ready: str, *arguments: str) -> None:
    """Run a command until a file is there; then it is killed, and leaves everything as it stood."""
    command = [sys.executable, "-m", "tasktrail", *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + LONGEST_S
        while not Path(ready).exists():
            assert process.poll() is None, "it ended before it was killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
