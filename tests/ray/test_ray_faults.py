"""What goes wrong on a cluster, and to those who wait for it: the store alone says what became of a step."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasktrail.executors import Executor
from tasktrail.testing import ExecutorContract
from tests.ray.conftest import SOON_S, Cluster, until
from tests.ray.runs import attempts, flow, is_running, lines, pids, running, tasktrail, typed

pytestmark = pytest.mark.soak

BEGIN = ("run", "dag", "flow.yaml", "--run-id", "r1")


class TestRay(ExecutorContract):
    @pytest.fixture
    def executor(self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Executor]:
        for name, value in cluster.environment.items():
            monkeypatch.setenv(name, value)
        import ray

        from tasktrail.ray import OnRay

        yield OnRay()
        ray.shutdown()


def test_a_process_that_is_killed_is_a_loss_and_the_step_starts_again(cluster: Cluster) -> None:
    flow({"id": "a"})
    with running(cluster, *BEGIN) as runner:
        os.kill(pids()[0], signal.SIGKILL)
        Path("calm-a").touch()
        assert runner.wait(SOON_S) == 0

    assert attempts(cluster) == ["lost", "ok"]
    assert lines("done") == [2]


def test_a_machine_that_is_gone_is_a_loss_and_the_step_goes_elsewhere(cluster: Cluster) -> None:
    """The machine joins when the run has begun: Ray connects the run by a node of its own machine, and all are here."""
    flow({"id": "first"}, {"id": "a", "resources": {"num_gpus": 2}})
    with running(cluster, *BEGIN) as runner:
        node = cluster.add(cpus=1, gpus=2)
        until(lambda: len(pids()) == 2)
        for pid in (node, pids()[1]):  # what a machine takes with it; a function outlives its raylet alone
            os.kill(pid, signal.SIGKILL)
        until(lambda: attempts(cluster)[0] == "lost")
        for name in ("calm-first", "calm-a"):
            Path(name).touch()
        other = cluster.add(cpus=1, gpus=2)
        assert runner.wait(SOON_S) == 0

    assert (attempts(cluster), attempts(cluster, "first")) == (["lost", "ok"], ["ok"])
    os.kill(other, signal.SIGKILL)


def test_a_step_that_ends_its_process_each_time_is_lost_three_times(cluster: Cluster) -> None:
    flow({"id": "a", "retries": 9})
    with running(cluster, *BEGIN) as runner:
        for number in range(3):
            until(lambda: len(pids()) > number)  # noqa: B023 - called at once
            os.kill(pids()[number], signal.SIGKILL)
        assert runner.wait(SOON_S) == 5

    assert attempts(cluster) == ["lost", "lost", "lost"]


def test_a_run_goes_on_from_the_store_alone_and_nobody_hears_the_first_placement(cluster: Cluster) -> None:
    flow({"id": "a"})
    with running(cluster, *BEGIN) as runner:
        runner.kill()
        runner.wait()
    (orphan,) = pids()
    until(lambda: not is_running(orphan))

    with running(cluster, "resume", "r1") as runner:
        Path("calm-a").touch()
        assert runner.wait(SOON_S) == 0

    assert attempts(cluster) == ["lost", "ok"]
    assert lines("done") == [2], "the first placement never came to its end"
    assert tasktrail(cluster, "doctor", "--verify").returncode == 0


@pytest.mark.parametrize("pending", [False, True])
def test_a_cancel_ends_what_runs_on_the_cluster_and_what_waits_there(cluster: Cluster, pending: bool) -> None:
    steps = [{"id": "a", "resources": {"num_cpus": 2}}, {"id": "b", "resources": {"num_cpus": 2}}][: 1 + pending]
    flow(*steps)
    with running(cluster, *BEGIN) as runner:
        assert tasktrail(cluster, "cancel", "r1").returncode == 0
        runner.wait(SOON_S)

    assert [attempts(cluster, str(step["id"])) for step in steps] == [["cancelled"]] * len(steps)
    until(lambda: not any(map(is_running, pids())))
    assert len(pids()) == 1


def test_a_time_out_ends_what_runs_on_the_cluster(cluster: Cluster) -> None:
    """While the run goes on: with its process Ray would end everything anyway."""
    flow({"id": "a", "timeout": "3s", "critical": False}, {"id": "b"})
    with running(cluster, *BEGIN, begun=2) as runner:
        until(lambda: attempts(cluster) == ["timeout"])
        until(lambda: sum(map(is_running, pids())) == 1)
        assert runner.poll() is None
        Path("calm-b").touch()
        runner.wait(SOON_S)

    assert attempts(cluster, "b") == ["ok"]


def test_output_is_there_while_the_function_still_runs(cluster: Cluster) -> None:
    flow({"id": "a"})
    with running(cluster, *BEGIN) as runner:
        until(lambda: "begun" in tasktrail(cluster, "logs", "r1:a").stdout)
        assert not lines("done")
        Path("calm-a").touch()
        runner.wait(SOON_S)


def test_steps_share_what_the_cluster_has(cluster: Cluster) -> None:
    """Both take the one node as a whole, so the second begins when the first is done."""
    flow({"id": "a", "resources": {"num_cpus": 2}}, {"id": "b", "resources": {"num_cpus": 2}})
    with running(cluster, *BEGIN) as runner:
        until(lambda: status(cluster) == {"a": "in_progress", "b": "in_progress"})
        assert len(pids()) == 1
        for name in "ab":
            Path(f"calm-{name}").touch()
        assert runner.wait(SOON_S) == 0

    assert len(pids()) == 2


def test_a_cluster_that_is_not_there_is_a_failure_in_words(cluster: Cluster) -> None:
    flow({"id": "a"})
    environment = cluster.environment | {"RAY_ADDRESS": "127.0.0.1:1"}

    done = typed(environment, *BEGIN)

    assert done.returncode == 5
    assert "no Ray cluster answers within 30 s" in done.stderr


def status(cluster: Cluster) -> dict[str, str]:
    document = json.loads(tasktrail(cluster, "run", "dag", "--status", "r1", "--json").stdout)
    return {one["key"]: one["status"] for one in document["data"]["tasks"]}
