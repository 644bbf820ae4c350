"""What tests of the command line share: a call in this process, a process of its own, and code to execute."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tasktrail.cli.app import run

FLOW = """
import os
from tasktrail.dag import ParallelStatefulDAGRunner, StatefulDAGRunner

def fetch_data():
    print("fetching")
    return {"rows": [1, 2, 3]}

def process(fetch_data):
    print("processing", len(fetch_data["rows"]))
    if not os.path.exists("mended"):
        raise TimeoutError("no answer, password=hunter2secret")
    return len(fetch_data["rows"])

async def save(process):
    print("saving")
    return {"saved": process}

def etl(**ids):
    runner = StatefulDAGRunner("etl", retry_delay=0.001, **ids)
    runner.register_step("fetch_data", fetch_data)
    runner.register_step("process", process)
    runner.register_step("save", save)
    return runner

def named():
    return etl(dag_run_id="its-own-name")

def partial():
    runner = ParallelStatefulDAGRunner("mixed", retry_delay=0.001)
    runner.register_step("fetch_data", fetch_data)
    runner.register_step("process", process, max_retries=0, critical=False, dependencies=["fetch_data"])
    return runner

def wrong():
    return 42

async def later():
    return 42

def demanding(size):
    return size

runner_less = 7
"""


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        document: dict[str, Any] = json.loads(self.out)
        return document

    @property
    def data(self) -> Any:
        """What it holds."""
        return self.document["data"]


Call = Callable[..., Answer]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Call]:
    """Run a command in this process; what it imports is forgotten afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    known = set(sys.modules)

    def work(*arguments: str) -> Answer:
        code = run(arguments)
        told = capsys.readouterr()
        for name in set(sys.modules) - known:
            if not name.startswith(("tasktrail", "rich")) or name.startswith("tasktrail_target"):
                module = sys.modules[name]
                if Path.cwd() in Path(getattr(module, "__file__", None) or "/").parents:
                    del sys.modules[name]
        return Answer(code, told.out, told.err)

    yield work
    from tasktrail import logs

    logs.silence()


@pytest.fixture
def spawn() -> Call:
    """Run a command in a process of its own, with pipes for its output."""

    def work(*arguments: str, **environ: str) -> Answer:
        command = [sys.executable, "-m", "tasktrail", *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, env=os.environ | environ, timeout=60, check=False
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    return work


@pytest.fixture
def flow() -> Path:
    """A file with runners, `flow.py`."""
    path = Path("flow.py")
    path.write_text(FLOW, encoding="utf-8")
    return path


@pytest.fixture
def failed(flow: Path, call: Call) -> str:
    """A run of the document's sample that failed at its second step."""
    assert call("run", "dag", "flow:etl", "--run-id", "my-dag-123").code == 5
    return "my-dag-123"
