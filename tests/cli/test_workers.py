"""Pooled runs and the workers that execute them, as processes of their own, on a file and on a server."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Call
from tests.cli.matrices import begin_pooled

pytestmark = [pytest.mark.platform_only("SIGKILL"), pytest.mark.crash]

CODE = '''\
import os, pathlib, signal, time

def note(name, word):
    with open(name, "a") as file:
        file.write(f"{word}\\n")

def until(name):
    while not os.path.exists(name):
        time.sleep(0.01)

def done(item, index):
    note("done", index)
    return item

def first():
    note("began", os.getpid())
    if not os.path.exists("go"):
        pathlib.Path("ready").touch()
        until("go")
    return "by " + str(os.getpid())

def research(item, group):
    return f"{item} of {group}" if item != "ch00" or first() else None

def content(item, research):
    note("written", item)
    return research

def post(content):
    return content

def poison():
    os.kill(os.getpid(), signal.SIGKILL)

def within(most):
    """Refuse to run beside more than `most` others, in whatever process."""
    mine = pathlib.Path(f"beside-{os.getpid()}-{time.monotonic_ns()}")
    mine.touch()
    until("go")
    n = len(list(pathlib.Path().glob("beside-*")))
    if n > most:
        note("too-many", n)
    time.sleep(0.02)
    mine.unlink()

def flaky():
    note("tries", "x")
    if len(open("tries").readlines()) < 3:
        raise TimeoutError("not yet")
    return "at last"
'''


@pytest.fixture(params=["sqlite", "postgres"], autouse=True)
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A store that settings name, and code that steps call, in the folder of the test."""
    Path("own.py").write_text(CODE, "utf-8")
    if request.param == "sqlite":
        yield
        return
    with request.getfixturevalue("server").schema() as url:
        monkeypatch.setenv("TASKTRAIL_STORE", url)
        yield


class Worker:
    """A worker in a process of its own."""

    def __init__(self, *arguments: str, folder: Path | None = None) -> None:
        self._log = Path(f"worker-{time.monotonic_ns()}.log").resolve()
        with self._log.open("wb") as log:
            command = [sys.executable, "-m", "tasktrail", "worker", *arguments]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)

    @property
    def said(self) -> str:
        """Return all that it said so far."""
        return self._log.read_text("utf-8")

    def stop(self) -> int:
        """Tell it to end; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def kill(self) -> None:
        self.process.kill()
        assert self.process.wait(60) == -signal.SIGKILL


@contextmanager
def workers(number: int = 1, *arguments: str) -> Iterator[list[Worker]]:
    """Workers that live as long as the block, at most."""
    started = [Worker(*arguments) for _ in range(number)]
    with ExitStack() as stack:
        for one in started:
            stack.callback(one.process.wait, 60)
            stack.callback(one.process.kill)
        yield started


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 40
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def begin(call: Call, steps: str, run: str = "r", head: str = "") -> None:
    """Begin a pooled run of these steps."""
    Path(f"{run}.yaml").write_text(f"name: {run}\n{head}steps:\n{steps}", "utf-8")
    answer = call("run", "dag", f"{run}.yaml", "--pooled", "--no-wait", "--run-id", run)
    assert (answer.code, answer.out) == (0, f"{run}\n"), answer.err


def seen(call: Call, run: str = "r") -> dict[str, Any]:
    found: dict[str, Any] = call("status", run, "--json").data
    return found


def task(call: Call, key: str, run: str = "r") -> dict[str, Any]:
    return next(one for one in seen(call, run)["tasks"] if one["key"] == key)


def is_over(call: Call, *runs: str) -> bool:
    return all(seen(call, run)["status"] not in ("created", "running") for run in runs or ("r",))


def lines(name: str) -> list[str]:
    path = Path(name)
    return path.read_text("utf-8").split() if path.exists() else []


def test_two_workers_execute_a_run_together_and_each_task_once(call: Call) -> None:
    begin(call, f"  - {{id: all, call: 'own:done', for_each: {list(range(60))}}}\n")

    with workers(2, "--drain", "--concurrency", "3") as both:
        codes = [one.process.wait(60) for one in both]

    assert codes == [0, 0]
    assert seen(call)["status"] == "completed"
    assert Counter(lines("done")) == {str(index): 1 for index in range(60)}
    assert task(call, "all")["result"] == list(range(60))
    assert call("doctor", "--verify").code == 0


def test_what_a_killed_worker_had_is_taken_over_and_recorded_as_lost(call: Call) -> None:
    begin(call, "  - {id: one, call: 'own:first'}\n")

    with workers() as (dying,):
        until(Path("ready").exists)
        with workers() as (other,):
            dying.kill()
            until(lambda: len(lines("began")) == 2)
            Path("go").touch()
            until(lambda: is_over(call))
            assert other.stop() == 0
            assert "took over r:one" in other.said

    one = task(call, "one")
    assert [attempt["outcome"] for attempt in one["attempt_list"]] == ["lost", "ok"]
    assert one["attempt_list"][0]["error_type"] == "WorkerDied"
    assert one["result"] == f"by {other.process.pid}"
    assert "lapse" in call("history", "r:one").out


def test_sigterm_lets_a_worker_finish_what_runs_and_take_nothing_more(call: Call) -> None:
    begin(call, "  - {id: one, call: 'own:first'}\n  - {id: two, run: ['true'], depends_on: one}\n")

    with workers() as (worker,):
        until(Path("ready").exists)
        worker.process.send_signal(signal.SIGTERM)
        until(lambda: "stopping" in worker.said)
        Path("go").touch()
        assert worker.process.wait(60) == 0

    assert [one["status"] for one in seen(call)["tasks"]] == ["completed", "pending"]
    assert [one["state"] for one in call("list-workers", "--all", "--json").data] == ["stopped"]


def test_without_grace_what_runs_is_given_back_and_another_does_it(call: Call) -> None:
    begin(call, "  - {id: one, run: 'touch ready; until [ -e go ]; do sleep 0.02; done', shell: true}\n")

    with workers(1, "--grace", "0") as (worker,):
        until(Path("ready").exists)
        assert worker.stop() == 0
    assert task(call, "one")["status"] == "pending"
    Path("go").touch()
    with workers(1, "--drain") as (worker,):
        assert worker.process.wait(60) == 0

    assert [attempt["outcome"] for attempt in task(call, "one")["attempt_list"]] == ["released", "ok"]


def test_an_idle_worker_stops_at_once_though_a_step_waits_for_a_person(call: Call) -> None:
    begin(call, "  - {id: ask, manual: Look}\n")

    with workers(1, "--grace", "600") as (worker,):
        until(lambda: task(call, "ask")["status"] == "blocked")
        assert worker.stop() == 0


def test_a_task_that_kills_its_worker_fails_after_three_losses_and_harms_no_other(call: Call) -> None:
    steps = "  - {id: poison, call: 'own:poison', retries: 9, critical: false}\n"
    begin(call, steps + f"  - {{id: all, call: 'own:done', for_each: {list(range(20))}}}\n")

    for _ in range(3):
        with workers() as (worker,):
            assert worker.process.wait(60) == -signal.SIGKILL
    with workers(1, "--drain") as (worker,):
        assert worker.process.wait(60) == 0

    poison = task(call, "poison")
    assert (poison["status"], poison["losses"]) == ("failed", 3)
    assert [attempt["outcome"] for attempt in poison["attempt_list"]] == ["lost"] * 3
    assert task(call, "all")["result"] == list(range(20))
    lost = [part for part in seen(call)["tasks"] if part["key"] == "all" and part["losses"] > 1]
    assert lost == [], "after its first loss it is executed alone"


def test_the_more_urgent_run_goes_first_and_then_the_older(call: Call) -> None:
    step = "  - {{id: all, run: 'echo {0} >> order', shell: true, priority: {1}, for_each: [1, 2]}}\n"
    begin(call, step.format("late", 3), "late")
    begin(call, step.format("later", 3), "later")
    begin(call, step.format("urgent", 1), "urgent")

    with workers(1, "--drain", "--concurrency", "1") as (worker,):
        assert worker.process.wait(60) == 0

    assert lines("order") == ["urgent"] * 2 + ["late"] * 2 + ["later"] * 2


@pytest.mark.parametrize(
    ("head", "words"), [("", "limits: {api: 2}"), ("max_parallel: 2\n", "priority: 3")], ids=["limits", "max_parallel"]
)
def test_a_limit_holds_across_workers_and_keeps_no_other_run_waiting(call: Call, head: str, words: str) -> None:
    step = f"  - {{id: all, call: 'own:within', with: {{most: 2}}, for_each: {list(range(8))}, {words}}}\n"
    begin(call, step, "narrow", head)
    begin(call, "  - {id: beside, run: ['touch', 'go']}\n", "wide")

    with workers(2, "--drain", "--concurrency", "4") as both:
        assert [one.process.wait(60) for one in both] == [0, 0]

    assert (seen(call, "narrow")["status"], seen(call, "wide")["status"]) == ("completed", "completed")
    assert lines("too-many") == []


def test_a_step_is_tried_again_when_its_time_has_come(call: Call) -> None:
    begin(call, "  - {id: one, call: 'own:flaky', retries: {max: 5, delay: 20ms}}\n")

    with workers(2) as both:
        until(lambda: is_over(call))
        assert [one.stop() for one in both] == [0, 0]

    assert [attempt["outcome"] for attempt in task(call, "one")["attempt_list"]] == ["error", "error", "ok"]


def test_a_pooled_run_goes_on_when_a_person_completes_a_step(call: Call) -> None:
    begin(call, "  - {id: ask, manual: Look}\n  - {id: then, run: ['true'], depends_on: ask}\n")

    with workers() as (worker,):
        until(lambda: task(call, "ask")["status"] == "blocked")
        assert worker.process.poll() is None
        assert call("complete", "r:ask").code == 0
        until(lambda: is_over(call))
        assert worker.stop() == 0

    assert seen(call)["status"] == "completed"


def test_what_must_not_be_done_twice_is_asked_about_after_a_death(call: Call) -> None:
    begin(call, "  - {id: pay, call: 'own:first', effect: at_most_once}\n  - {id: b, run: ['true'], depends_on: pay}\n")

    with workers(2, "--concurrency", "1") as both:
        until(Path("ready").exists)
        by_pid = {str(one.process.pid): one for one in both}
        by_pid[lines("began")[0]].kill()
        until(lambda: task(call, "pay")["status"] == "blocked")
        assert "was it done?" in call("explain", "r").out
        assert call("complete", "r:pay").code == 0
        until(lambda: is_over(call))

    assert (seen(call)["status"], len(lines("began"))) == ("completed", 1)


def test_a_worker_without_the_code_of_a_run_leaves_it_to_others_and_says_so(call: Call, tmp_path: Path) -> None:
    begin(call, "  - {id: one, call: 'own:flaky', retries: {max: 5, delay: 1ms}}\n")
    begin(call, "  - {id: one, run: ['true']}\n", "other")
    Path("own.py").rename("hidden")

    with workers() as (strange,):
        until(lambda: is_over(call, "other"))
        until(lambda: "run r is left to others" in strange.said)
        assert seen(call)["status"] == "created"
        Path("hidden").rename("own.py")
        with workers() as (able,):
            until(lambda: is_over(call))
            assert able.stop() == 0
        assert strange.stop() == 0

    assert task(call, "one")["result"] == "at last"


def test_workers_are_listed_with_what_they_serve_and_hold(call: Call) -> None:
    begin(call, "  - {id: one, call: 'own:first'}\n")

    with workers(1, "--queue", "default", "--queue", "slow", "--label", "gpu") as (worker,):
        until(Path("ready").exists)
        (alive,) = call("list-workers", "--json").data
        assert (alive["state"], alive["tasks"], alive["queues"]) == ("alive", 1, ["default", "slow"])
        assert (alive["pid"], alive["labels"][0]) == (worker.process.pid, "gpu")
        worker.kill()
        until(lambda: call("list-workers", "--json").data[0]["state"] == "dead")
        assert call("list-workers", "--json").data[0]["tasks"] == 1
        assert "dead" in call("list-workers").out
        assert "one was in progress when its worker died; the next worker takes it over" in call("explain", "r").out
    with workers(1, "--queue", "default", "--drain") as (heir,):
        Path("go").touch()
        assert heir.process.wait(60) == 0

    assert call("list-workers", "--json").data == []
    ended = [(one["pid"], one["state"]) for one in call("list-workers", "--all", "--json").data]
    assert ended == [(heir.process.pid, "stopped"), (worker.process.pid, "dead")]


def test_a_queue_that_nobody_serves_is_left_alone(call: Call) -> None:
    begin(call, "  - {id: one, run: ['true'], queue: slow}\n  - {id: two, run: ['true']}\n")

    with workers(1, "--drain") as (worker,):
        assert worker.process.wait(60) == 0
    assert [one["status"] for one in seen(call)["tasks"]] == ["pending", "completed"]
    with workers(1, "--drain", "--queue", "slow") as (worker,):
        assert worker.process.wait(60) == 0

    assert seen(call)["status"] == "completed"


# steering


def test_going_on_with_a_pooled_run_takes_nothing_from_the_worker_that_executes_it(call: Call) -> None:
    steps = "  - {id: long, call: 'own:first'}\n  - {id: bad, run: [test, -e, mended], critical: false}\n"
    begin(call, steps)

    with workers() as (worker,):
        until(lambda: Path("ready").exists() and task(call, "bad")["status"] == "failed")
        Path("mended").touch()
        for again in (
            ("resume", "r"),
            ("run", "dag", "r.yaml", "--run-id", "r"),
            ("run", "dag", "r.yaml", "--run-id", "r", "--pooled"),
        ):
            answer = call(*again, "--no-wait")
            assert (answer.code, answer.out) == (0, "r\n"), answer.err
        until(lambda: task(call, "bad")["status"] == "completed")
        assert f"process {worker.process.pid} on " in call("explain", "r:long").out
        Path("go").touch()
        assert call("resume", "r").code == 0
        assert worker.stop() == 0

    assert (task(call, "long")["attempts"], len(lines("began"))) == (1, 1)
    assert seen(call)["status"] == "completed"


def test_failed_steps_of_a_pooled_run_are_retried_by_its_workers(call: Call) -> None:
    begin(call, "  - {id: bad, run: [test, -e, mended]}\n  - {id: then, run: ['true'], depends_on: bad}\n")

    with workers() as (worker,):
        until(lambda: is_over(call))
        Path("mended").touch()
        assert call("retry", "r").code == 0
        assert seen(call)["status"] == "completed"
        for again in (("retry", "r", "--from", "bad"), ("run", "dag", "--retry", "r", "--from", "bad")):
            assert call(*again).code == 0
        assert call("retry", "r:then").code == 0
        assert worker.stop() == 0

    assert (task(call, "bad")["attempts"], task(call, "then")["attempts"]) == (4, 4)


def test_a_step_is_not_taken_back_from_a_worker_that_executes_it(call: Call) -> None:
    begin(call, "  - {id: one, run: ['true']}\n  - {id: two, call: 'own:first', depends_on: one}\n")

    with workers():
        until(Path("ready").exists)
        refused = call("retry", "r", "--from", "one", "--no-wait")

    assert refused.code == 4
    assert "a worker executes r:two" in refused.err
    assert task(call, "one")["status"] == "completed"


def test_cancelling_a_pooled_run_reaches_what_its_workers_execute(call: Call) -> None:
    begin(call, "  - {id: long, run: 'touch ready; exec sleep 600', shell: true}\n")

    with workers() as (worker,):
        until(Path("ready").exists)
        assert call("cancel", "r").code == 0
        (listed,) = call("list-workers", "--json").data
        assert listed["tasks"] == 0
        assert worker.stop() == 0, "nothing runs any more"
        assert seen(call)["status"] == "cancelled"

    Path("r.yaml").write_text(Path("r.yaml").read_text().replace("exec sleep 600", "true"))
    with workers():
        assert call("resume", "r").code == 4, "the file says something else now"
        assert call("resume", "r", "--accept-changes").code == 0
    assert seen(call)["status"] == "completed"


def test_a_paused_pooled_run_waits_until_it_is_resumed(call: Call) -> None:
    begin(call, "  - {id: one, call: 'own:first'}\n  - {id: two, run: ['true'], depends_on: one}\n")

    with workers() as (worker,):
        until(Path("ready").exists)
        assert call("pause", "r").code == 0
        Path("go").touch()
        until(lambda: task(call, "one")["status"] == "completed")
        begin(call, "  - {id: beside, run: ['true']}\n", "other")
        until(lambda: is_over(call, "other"))
        assert task(call, "two")["status"] == "pending"
        assert call("resume", "r").code == 0
        assert worker.stop() == 0

    assert seen(call)["status"] == "completed"


def test_a_step_that_is_new_in_a_pooled_run_is_executed_by_the_worker_that_has_the_run(call: Call) -> None:
    begin(call, "  - {id: one, call: 'own:first'}\n")

    with workers() as (worker,):
        until(Path("ready").exists)
        with Path("r.yaml").open("a") as file:
            file.write("  - {id: new, run: ['true'], depends_on: one}\n")
        assert call("resume", "r", "--accept-changes", "--no-wait").code == 0
        Path("go").touch()
        until(lambda: is_over(call))
        assert worker.stop() == 0

    assert [one["status"] for one in seen(call)["tasks"]] == ["completed", "completed"]


def test_a_run_that_is_not_pooled_does_not_become_so(call: Call) -> None:
    Path("r.yaml").write_text("name: r\nsteps:\n  - {id: one, run: ['true']}\n", "utf-8")
    assert call("run", "dag", "r.yaml", "--run-id", "r").code == 0

    refused = call("run", "dag", "r.yaml", "--run-id", "r", "--pooled")

    assert (refused.code, "run r is not pooled" in refused.err) == (2, True)


def test_explain_says_which_worker_is_missing(call: Call) -> None:
    steps = "  - {id: one, run: ['true']}\n  - {id: two, run: ['true'], queue: slow, labels: [gpu, big]}\n"
    begin(call, steps)

    nobody = call("explain", "r").out
    with workers(1, "--queue", "slow", "--label", "gpu") as (worker,):
        until(lambda: call("list-workers", "--json").data)
        without_label = call("explain", "r:two").out
        assert worker.stop() == 0
    with workers(1, "--queue", "slow", "--label", "gpu", "--label", "big", "--drain") as (worker,):
        assert worker.process.wait(60) == 0

    assert "to go on: tasktrail worker --queue default\n" in call("run", "dag", "--status", "r").err
    assert "one waits for a worker that serves queue default; none is alive" in nobody
    missing = "two waits for a worker that serves queue slow and offers gpu, big; none is alive"
    todo = "to do: tasktrail worker --queue slow --label gpu --label big"
    assert (missing in nobody, todo in nobody) == (True, True)
    assert (missing in without_label, todo in without_label) == (True, True)
    assert [one["status"] for one in seen(call)["tasks"]] == ["pending", "completed"]


def test_parts_of_a_step_ask_for_its_labels(call: Call) -> None:
    begin(call, "  - {id: all, run: ['true'], labels: [gpu], for_each: [1, 2]}\n")

    with workers(1, "--label", "gpu", "--drain") as (able,):
        assert able.process.wait(60) == 0

    assert seen(call)["status"] == "completed"


@pytest.mark.requirement("CN-079")
def test_workers_execute_a_matrix_and_take_over_the_cell_of_one_that_is_killed(call: Call) -> None:
    items = [f"ch{number:02}" for number in range(12)]
    begin_pooled(items, "research:own:research", "content:own:content", "post:own:post")

    with workers(2, "--concurrency", "2") as both:
        until(Path("ready").exists)
        dying = next(one for one in both if str(one.process.pid) == lines("began")[0])
        dying.kill()
        until(lambda: len(lines("began")) == 2)
        Path("go").touch()
        until(lambda: is_over(call, "A"))
        (other,) = (one for one in both if one is not dying)
        assert other.stop() == 0
    assert "took over A:ch00/research" in other.said

    run = seen(call, "A")
    assert (run["status"], run["counts"]["completed"]) == ("completed", 25)
    outcomes = {one["id"]: [attempt["outcome"] for attempt in one["attempt_list"]] for one in run["tasks"]}
    assert outcomes["A:ch00/research"] == ["lost", "ok"]
    written = Counter(lines("written"))
    assert written.keys() == set(items)
    twice = [item for item, times in written.items() if times > 1]
    assert [outcomes[f"A:{item}/content"] for item in twice] == [["lost", "ok"]] * len(twice), "only what the kill met"
    post = next(one for one in run["tasks"] if one["id"] == "A:post")
    assert post["result"] == {item: f"{item} of A" for item in items}
    assert call("doctor", "--verify").code == 0
