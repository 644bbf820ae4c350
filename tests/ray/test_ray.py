"""The executor `ray` works at all: a function on a real cluster, its value, its output."""

from __future__ import annotations

import json

from tests.ray.conftest import Cluster
from tests.ray.runs import attempts, flow, tasktrail


def test_a_function_is_executed_on_the_cluster_and_heard(cluster: Cluster) -> None:
    file = flow({"id": "a", "call": "ray_steps:place", "resources": {"num_cpus": 1, "num_gpus": 1}})

    done = tasktrail(cluster, "run", "dag", file, "--run-id", "r1", "--no-wait")

    assert done.returncode == 0, done.stderr
    assert attempts(cluster) == ["ok"]
    (task,) = json.loads(tasktrail(cluster, "run", "dag", "--status", "r1", "--json").stdout)["data"]["tasks"]
    assert task["result"]["gpus"] == "0"
    assert tasktrail(cluster, "logs", "r1:a").stdout.splitlines()[-2:] == ["said by the function", "said by a command"]
