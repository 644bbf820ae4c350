"""A real Ray cluster for tests. Where Ray is not installed they are not collected."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes import SOURCES

SOON_S = 60.0
"""Longer than Ray takes to start a process, or to notice that a machine is gone."""


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Cluster:
    """Nodes on loopback; each is a process with processes of its own."""

    def __init__(self) -> None:
        # Not the test's own folder: Ray makes sockets in it, whose paths must be short.
        self.folder = Path(tempfile.mkdtemp(prefix="ray"))
        self.environment = {
            "RAY_TMPDIR": str(self.folder), "RAY_USAGE_STATS_ENABLED": "0",
            # So called, it makes Ray listen on loopback alone, on every system.
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "PYTHONPATH": str(SOURCES),
        }  # fmt: skip
        with (self.folder / "stderr").open("w") as errors:
            self._nodes = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("nodes.py"))], env=os.environ | self.environment,
                text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            )  # fmt: skip
        self.environment["RAY_ADDRESS"] = self._heard()

    def add(self, *, cpus: int, gpus: int = 0) -> int:
        """Add a node and return the pid of what stands for it: with that process the node is gone."""
        assert self._nodes.stdin is not None
        self._nodes.stdin.write(f"{cpus} {gpus}\n")
        self._nodes.stdin.flush()
        pid: int = self._heard()
        return pid

    def processes(self) -> list[int]:
        """All that knows the cluster's folder: its nodes, their workers, those who are connected."""
        mark = f"RAY_TMPDIR={self.folder}".encode()
        there = [int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit()]
        return [pid for pid in there if mark in environ_of(pid)]

    def close(self) -> None:
        """End it, and fail if anything of it is left."""
        self._nodes.communicate(timeout=SOON_S)
        until(lambda: set(self.processes()) <= {os.getpid()})
        shutil.rmtree(self.folder)

    def _heard(self) -> Any:
        assert self._nodes.stdout is not None
        line = self._nodes.stdout.readline()
        assert line, (self.folder / "stderr").read_text()
        return json.loads(line)


def environ_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A cluster with one node, two processors and one that counts as a GPU."""
    cluster = Cluster()
    try:
        cluster.add(cpus=2, gpus=1)
        yield cluster
    finally:
        cluster.close()
