"""Workers on other machines than the server: the link is cut, the server ends, in the middle of many short tasks."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from tasktrail.engine.verification import verify
from tasktrail.store.opening import open_store
from tests.crash.machines import Cable, Machine, why_not
from tests.crash.processes import LONGEST_S, environment
from tests.postgres import Server

N_TASKS = 200
GATES = (49, 99, 149, 199)
"""Tasks that end only when the test lets them: something runs whenever a link is cut."""
NOTICED = {"keepalives_idle": "1", "keepalives_interval": "1", "keepalives_count": "2", "tcp_user_timeout": "2000"}
"""How fast a worker notices that the link is cut, in the URL."""
NOTICES = ("tcp_keepalives_idle=1", "tcp_keepalives_interval=1", "tcp_keepalives_count=2", "tcp_user_timeout=2000")
"""How fast the server does."""

CODE = """
import os, time
from pathlib import Path

def work(number, ctx):
    with open("journal", "a") as journal:
        journal.write(f"{number} {ctx.attempt} {os.environ['MACHINE']}\\n")
    while number in %s and not Path("gate").exists():
        time.sleep(0.01)
    return number
"""

pytestmark = [pytest.mark.crash, pytest.mark.platform_only("network namespaces")]


class Site:
    """A server on one machine, workers on two others, and a project that all see."""

    def __init__(self, stack: contextlib.ExitStack, n_tasks: int = N_TASKS) -> None:
        self._stack, self.n_tasks = stack, n_tasks
        self.server_machine, self.machines = Machine(), {"a": Machine(), "b": Machine()}
        for machine in (self.server_machine, *self.machines.values()):
            stack.callback(machine.close)
        self.cables = {
            name: Cable(self.server_machine, machine, number)
            for number, (name, machine) in enumerate(self.machines.items())
        }
        addresses = ",".join(cable.address for cable in self.cables.values())
        self.server = Server([f"listen_addresses={addresses}", *NOTICES])
        stack.callback(self.server.close)
        with (self.server.data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all 10.77.0.0/16 trust\n")
        self.start_server()
        self.url = self.server.url()
        Path("work.py").write_text(CODE % (GATES,))
        Path("tasktrail.toml").touch()

    def start_server(self) -> None:
        with self.server_machine.entered():
            self.server.start()

    def begin(self, run_id: str) -> None:
        """Begin a pooled run of the tasks."""
        steps = "\n".join(f"  - {{id: t{n}, call: 'work:work', with: {{number: {n}}}}}" for n in range(self.n_tasks))
        Path("flow.yaml").write_text(f"name: flow\nmax_parallel: 8\nsteps:\n{steps}\n")
        self.command("run", "dag", "flow.yaml", "--pooled", "--no-wait", "--run-id", run_id)

    def command(self, *words: str) -> str:
        command = [sys.executable, "-m", "tasktrail", "--store", self.url, *words]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=LONGEST_S)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def worker(self, name: str, *, busy_s: float = 30) -> subprocess.Popen[str]:
        """Start a worker on a machine."""
        more = {"host": self.cables[name].address, "application_name": name, **NOTICED}
        url = "postgresql://postgres@/postgres?" + "&".join(f"{key}={value}" for key, value in more.items())
        command = [sys.executable, "-m", "tasktrail", "--store", url, "--busy-timeout", str(busy_s)]
        said = Path(f"said-{name}").open("a")  # noqa: SIM115 - closed with the site
        self._stack.callback(said.close)
        with self.machines[name].entered():
            process = subprocess.Popen(
                [*command, "worker", "--concurrency", "4"],
                env={**environment(), "MACHINE": name},
                stderr=said,
                text=True,
            )
        self._stack.callback(process.wait, LONGEST_S)
        self._stack.callback(process.kill)
        return process

    def ask(self, text: str, *params: object) -> list[tuple[object, ...]]:
        with psycopg.connect(self.url, options="-c search_path=tasktrail") as connection:
            return connection.execute(text, params).fetchall()

    def sessions(self, name: str) -> int:
        """Return how many sessions of a machine the server believes in."""
        found = self.ask("SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", name)
        return int(str(found[0][0]))

    def completed(self) -> int:
        return int(str(self.ask("SELECT count(*) FROM task WHERE status = 'completed'")[0][0]))

    def late(self) -> set[str]:
        """Return the tasks of which an answer came late."""
        rows = self.ask("SELECT key FROM event JOIN task ON task.id = task_id WHERE verb = 'late'")
        return {str(key) for (key,) in rows}

    def attempts(self) -> dict[tuple[str, int], str]:
        """Return the outcome of each attempt, by key and number."""
        rows = self.ask("SELECT key, n, outcome FROM attempt JOIN task ON task.id = task_id")
        return {(str(key), int(str(number))): str(outcome) for key, number, outcome in rows}

    def check(self, n_runs: int = 1) -> None:
        """Everything is done, each execution is an attempt, and of each task one counts."""
        assert self.completed() == self.n_tasks * n_runs
        journal, attempts = executed(), self.attempts()
        assert {(f"t{number}", attempt) for number, attempt, _ in journal} <= set(attempts)
        assert max(Counter((number, attempt) for number, attempt, _ in journal).values()) == n_runs
        assert set(attempts.values()) <= {"ok", "lost", "released"}
        counted = self.ask("SELECT count(*), count(DISTINCT task_id) FROM attempt WHERE outcome = 'ok'")
        assert counted == [(self.n_tasks * n_runs, self.n_tasks * n_runs)]
        store = open_store(self.url)
        try:
            assert verify(store) == []
        finally:
            store.close()


def executed() -> list[tuple[int, int, str]]:
    """Return the journal: which task, which attempt of it, on which machine."""
    path = Path("journal")
    lines = path.read_text().splitlines() if path.exists() else []
    return [(int(number), int(attempt), name) for number, attempt, name in map(str.split, lines)]


def until(condition: Callable[[], bool], what: str) -> None:
    """Return once it holds."""
    end = time.monotonic() + LONGEST_S
    while not condition():
        assert time.monotonic() < end, f"never: {what}\n" + "".join(
            f"{path}: {path.read_text()[-3000:]}\n" for path in sorted(Path().glob("said-*"))
        )
        time.sleep(0.01)


def stopped(process: subprocess.Popen[str]) -> int:
    """Tell a worker to stop and return what it ended with."""
    process.send_signal(signal.SIGTERM)
    return process.wait(LONGEST_S)


@pytest.fixture
def site() -> Iterator[Site]:
    if reason := why_not():
        pytest.skip(reason)
    with contextlib.ExitStack() as stack:
        yield Site(stack)


def test_a_worker_whose_link_was_cut_goes_on_by_itself(site: Site) -> None:
    site.begin("r")
    worker = site.worker("a")
    until(lambda: len(executed()) > 100, "half is done")
    site.cables["a"].cut()
    Path("gate").touch()
    until(lambda: site.sessions("a") == 0, "the server notices")
    assert site.completed() < N_TASKS
    site.cables["a"].mend()
    until(lambda: site.completed() == N_TASKS, "all is done")
    assert stopped(worker) == 0
    site.check()


@pytest.mark.parametrize("how", ["restart", "crash"])
def test_a_worker_outlives_its_server(site: Site, how: str) -> None:
    site.begin("r")
    worker = site.worker("a")
    until(lambda: len(executed()) > 100, "half is done")
    if how == "crash":
        site.server.crash()
    else:
        site.server.stop()
    Path("gate").touch()
    site.start_server()
    until(lambda: site.completed() == N_TASKS, "all is done")
    assert stopped(worker) == 0
    site.check()


def test_workers_do_not_take_each_other_for_dead_when_their_server_ended(site: Site) -> None:
    workers = [site.worker("a"), site.worker("b")]
    until(lambda: min(site.sessions("a"), site.sessions("b")) > 1, "both are there")
    site.begin("r")
    until(lambda: len(executed()) > 100, "half is done")
    site.server.stop()
    site.start_server()
    until(lambda: min(site.sessions("a"), site.sessions("b")) > 1, "both are back")
    Path("gate").touch()
    until(lambda: site.completed() == N_TASKS, "all is done")
    assert [stopped(worker) for worker in workers] == [0, 0]
    assert set(site.attempts().values()) == {"ok"}
    site.check()


def test_a_link_that_is_cut_for_longer_than_a_write_waits_loses_nothing(site: Site) -> None:
    site.begin("r")
    worker = site.worker("a", busy_s=0.5)
    until(lambda: len(executed()) > 100, "half is done")
    site.cables["a"].cut()
    Path("gate").touch()
    until(lambda: "cannot be reached" in Path("said-a").read_text(), "the worker gives up")
    until(lambda: site.sessions("a") == 0, "the server notices")
    site.cables["a"].mend()
    until(lambda: site.completed() == N_TASKS, "all is done")
    assert stopped(worker) == 0
    site.check()


def test_another_machine_takes_over_from_one_that_is_cut_off(site: Site) -> None:
    site.begin("r")
    first = site.worker("a")
    until(lambda: len(executed()) > 100, "half is done")
    site.cables["a"].cut()
    second = site.worker("b")
    until(lambda: site.attempts()["t49", 1] == "lost", "the other one takes over")
    Path("gate").touch()
    until(lambda: site.completed() == N_TASKS, "all is done")
    site.cables["a"].mend()
    until(lambda: site.late() >= {"t49", "t99"}, "the answers come late")
    assert site.attempts()["t49", 1] == site.attempts()["t99", 1] == "lost"
    assert stopped(second) == stopped(first) == 0
    site.check()


def test_one_that_was_taken_for_dead_and_dies_later_is_noticed(site: Site) -> None:
    site.begin("r")
    first = site.worker("a")
    until(lambda: len(executed()) > 100, "half is done")
    site.cables["a"].cut()
    second = site.worker("b")
    until(lambda: site.attempts()["t49", 1] == "lost", "the other one takes over")
    Path("gate").touch()
    until(lambda: site.completed() == N_TASKS, "all is done")
    assert stopped(second) == 0
    site.cables["a"].mend()
    Path("gate").unlink()
    site.begin("s")
    until(lambda: executed().count((49, 1, "a")) == 2, "the first one goes on")
    first.kill()
    site.worker("b")
    until(lambda: executed().count((49, 2, "b")) == 2, "what it had is taken over")
    Path("gate").touch()
    until(lambda: site.completed() == 2 * N_TASKS, "all is done")
    site.check(2)


@pytest.mark.soak
@pytest.mark.parametrize("how", ["cut", "restart", "crash"])
def test_a_thousand_tasks_of_two_machines_outlast_half_a_minute(how: str) -> None:
    """Longer than a write waits here, and than a lease; the other machine goes on where it can."""
    if reason := why_not():
        pytest.skip(reason)
    with contextlib.ExitStack() as stack:
        site = Site(stack, 1_000)
        site.begin("r")
        workers = [site.worker(name, busy_s=5) for name in "ab"]
        until(lambda: len(executed()) > 300, "a third is done")
        if how == "cut":
            site.cables["a"].cut()
        elif how == "restart":
            site.server.stop()
        else:
            site.server.crash()
        time.sleep(30)
        if how == "cut":
            site.cables["a"].mend()
        else:
            site.start_server()
        Path("gate").touch()
        until(lambda: site.completed() == site.n_tasks, "all is done")
        assert [stopped(worker) for worker in workers] == [0, 0]
        site.check()
