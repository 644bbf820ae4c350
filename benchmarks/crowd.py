"""Several processes that begin at the same time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from measuring import timed


class Crowd:
    """Processes of Python; those that still run at the end of the block are killed."""

    def __init__(self, commands: Iterable[Sequence[str]]) -> None:
        pipe = subprocess.PIPE
        self.members = [
            subprocess.Popen([sys.executable, *command], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
            for command in commands
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for member in self.members:
            member.kill()
            member.communicate()


def together(crowd: Crowd) -> float:
    """Begin when all have said that they are ready; return the seconds until the last has ended."""
    for member in crowd.members:
        assert member.stdout is not None
        assert member.stdout.readline() == "ready\n", "a process did not start"
    with timed() as watch:
        for member in crowd.members:
            assert member.stdin is not None
            member.stdin.write("go\n")
            member.stdin.flush()
        codes = [member.wait() for member in crowd.members]
    assert not any(codes), f"a process ended with {max(codes, key=abs)}"
    return watch.seconds


def await_start() -> None:
    """In a process of the crowd: say that it is ready, and wait until all are."""
    print("ready", flush=True)
    sys.stdin.readline()
