"""Runs of workflow files whose steps are executed on a cluster, by command line programs of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.ray.conftest import Cluster, until

STEPS = """
import os, pathlib, subprocess, time

def place(folder):
    print("said by the function")
    subprocess.run(["echo", "said by a command"])
    return {"pid": os.getpid(), "gpus": os.environ.get("CUDA_VISIBLE_DEVICES")}

def slow(folder, ctx):
    print("begun", flush=True)
    here = pathlib.Path(folder)
    with open(here / "pids", "a") as file:
        file.write(f"{os.getpid()}\\n")
    while not (here / f"calm-{ctx.step_id}").exists():
        time.sleep(0.01)
    with open(here / "done", "a") as file:
        file.write(f"{ctx.attempt}\\n")
    return ctx.attempt
"""


def flow(*steps: dict[str, Any]) -> str:
    """Write a workflow file, and return its name."""
    Path("ray_steps.py").write_text(STEPS, "utf-8")
    shared = {"call": "ray_steps:slow", "executor": "ray", "with": {"folder": "{run.folder}"}}
    Path("flow.yaml").write_text(json.dumps({"name": "f", "steps": [shared | step for step in steps]}), "utf-8")
    return "flow.yaml"


def tasktrail(cluster: Cluster, *arguments: str) -> subprocess.CompletedProcess[str]:
    return typed(cluster.environment, *arguments)


def typed(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tasktrail", *arguments], env=os.environ | environment, text=True, capture_output=True,
        timeout=120,
    )  # fmt: skip


@contextmanager
def running(cluster: Cluster, *arguments: str, begun: int = 1) -> Iterator[subprocess.Popen[bytes]]:
    """Go on with a run in the background, until so many more functions have begun on the cluster."""
    before = len(pids())
    with subprocess.Popen(
        [sys.executable, "-m", "tasktrail", *arguments], env=os.environ | cluster.environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            until(lambda: len(pids()) >= before + begun)
            yield process
        finally:
            process.kill()


def pids() -> list[int]:
    """Of the processes on the cluster in which `slow` began, in order."""
    return lines("pids")


def lines(file: str) -> list[int]:
    return [int(line) for line in Path(file).read_text("utf-8").split()] if Path(file).exists() else []


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie: what Ray starts is not ours to wait for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def attempts(cluster: Cluster, step: str = "a") -> list[str]:
    """How each attempt of a step ended."""
    document = json.loads(tasktrail(cluster, "run", "dag", "--status", "r1", "--json").stdout)
    (task,) = [one for one in document["data"]["tasks"] if one["key"] == step]
    return [one["outcome"] for one in task["attempt_list"]]
