"""A real PgBouncer in transaction mode between us and a server: the contract, a chain, workers, and one that dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tasktrail.engine.verification import verify
from tasktrail.store.address import address
from tasktrail.store.postgres import PostgresStore
from tasktrail.testing import StoreContract
from tasktrail.testing.stored import task_of
from tests.pgbouncer.pooler import PgBouncer
from tests.postgres import Server
from tests.store.stores import fill, names_in
from tests.store.test_postgres import own_server

STEPS = """\
import os, pathlib, time

def done(item):
    with open("done", "a") as file:
        file.write(f"{item}\\n")
    if item == 100 and not os.path.exists("go"):
        pathlib.Path("held").write_text(str(os.getpid()))
        while not os.path.exists("go"):
            time.sleep(0.01)
    return item

def first():
    return 1

def second(first):
    return first + 1

def third(second):
    return second + 1
"""
CHAIN = """\
name: chain
steps:
  - {id: first, call: "own:first"}
  - {id: second, call: "own:second", depends_on: first}
  - {id: third, call: "own:third", depends_on: second}
"""
HINT = "hint: add pooler=transaction to the URL"


@pytest.fixture(scope="module")
def pooler(server: Server) -> Iterator[PgBouncer]:
    pooler = PgBouncer(server)
    yield pooler
    pooler.close()


@pytest.fixture
def url(server: Server, pooler: PgBouncer, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A store behind the pooler, which settings name, and code that steps call, in the folder of the test."""
    Path("own.py").write_text(STEPS, "utf-8")
    with server.schema() as direct:
        url = pooler.through(direct)
        monkeypatch.setenv("TASKTRAIL_STORE", url)
        yield url


class TestThroughPgBouncer(StoreContract):
    database = "postgres"
    examples = 10

    @pytest.fixture
    def store(self, url: str) -> Iterator[PostgresStore]:
        with closing(PostgresStore(url, busy_s=10)) as store:
            yield store


def test_transactions_of_one_connection_have_many_sessions(url: str) -> None:
    """Else these tests would show nothing."""
    with closing(PostgresStore(url)) as store:
        store.write(lambda tx: (tx.rows("run_ids"), backend(store)))  # two transactions at once need two sessions

        assert len({backend(store) for _ in range(6)}) > 1
        assert len(store._idle) == 1


def backend(store: PostgresStore) -> object:
    return store._asking(lambda wire: wire.ask("SELECT pg_backend_pid()").fetchall()[0][0])


def test_a_write_survives_the_end_of_its_session(url: str, server: Server) -> None:
    """The pooler closes the connection of whoever had it."""
    with closing(PostgresStore(url, busy_s=20)) as store:
        ledger = fill(store)
        run = store.read(lambda tx: tx.runs("runs_by_name", name="r", kind="dag"))[0]
        with psycopg.connect(server.url(), autocommit=True) as boss:
            query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tasktrail'"
            assert boss.execute(query).rowcount > 0
        ledger.note(task_of(store, run, "a"), "once")

        notes = [row[8] for row in store.read(lambda tx: tx.rows("events_of_run", run_id=run.id, after=0, limit=99))]
        assert notes.count("once") == 1
        assert (names_in(store), verify(store)) == (["r"], [])


def test_a_chain_is_executed(url: str) -> None:
    Path("chain.yaml").write_text(CHAIN, "utf-8")
    assert tasktrail("run", "dag", "chain.yaml", "--run-id", "c").returncode == 0

    found = status("c")
    assert (found["status"], [one["result"] for one in found["tasks"]]) == ("completed", [1, 2, 3])
    assert tasktrail("doctor", "--verify").returncode == 0


@pytest.mark.crash
def test_200_tasks_are_done_once_by_two_workers(url: str) -> None:
    Path("go").touch()
    begin_200()
    with two_workers("--drain") as workers:
        assert [one.wait(120) for one in workers] == [0, 0]

    assert_each_once()


@pytest.mark.crash
@pytest.mark.platform_only("SIGKILL")
def test_what_a_killed_worker_had_is_taken_over_after_its_lease(url: str) -> None:
    begin_200()
    with two_workers("--lease", "2") as workers:
        until(Path("held").exists)
        (other,) = [one for one in workers if str(one.pid) != Path("held").read_text()]
        (dying,) = [one for one in workers if one is not other]
        dying.kill()
        dying.wait(60)
        Path("go").touch()
        until(lambda: status("r")["status"] == "completed")
        other.send_signal(signal.SIGTERM)
        assert other.wait(60) == 0

    counted = executed()
    parts = [task for task in status("r")["tasks"] if task["index"] is not None]
    lost = {str(one["index"]) for one in parts if "lost" in {attempt["outcome"] for attempt in one["attempt_list"]}}
    assert set(counted) == {str(number) for number in range(200)}
    assert "100" in lost
    assert {number for number, times in counted.items() if times > 1} <= lost, "twice only what is recorded as lost"
    assert tasktrail("doctor", "--verify").returncode == 0


@pytest.mark.crash
def test_workers_go_on_when_the_server_behind_the_pooler_was_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("own.py").write_text(STEPS, "utf-8")
    with own_server() as server, closing(PgBouncer(server)) as pooler:
        monkeypatch.setenv("TASKTRAIL_STORE", pooler.through(server.url(schema="work")))
        begin_200()
        with two_workers("--drain") as workers:
            until(Path("held").exists)
            server.crash()
            Path("go").touch()  # its answer has to wait for the server
            server.start()
            assert [one.wait(120) for one in workers] == [0, 0]

        assert_each_once()


def test_a_pooler_that_lets_nobody_in_is_one_line(url: str) -> None:
    said = tasktrail("--store", url.replace("postgres@", "nobody@"), "list-runs")

    assert said.returncode == 6
    assert said.stderr.startswith(f"error: {address(url).where.partition('?')[0]}")
    assert len(said.stderr.splitlines()) == 2


def test_a_pooler_that_the_url_does_not_speak_of_is_named_with_what_to_do(url: str) -> None:
    with closing(PostgresStore(url)) as store:
        fill(store)
    silent = url.replace("&pooler=transaction", "")

    # One after the other leaves its statements in a session, until one meets them.
    until(lambda: (said := tasktrail("--store", silent, "list-runs")).returncode == 6 and HINT in said.stderr)


def begin_200() -> None:
    text = f"name: all\nsteps:\n  - {{id: one, call: 'own:done', for_each: {list(range(200))}}}\n"
    Path("all.yaml").write_text(text, "utf-8")
    assert tasktrail("run", "dag", "all.yaml", "--pooled", "--no-wait", "--run-id", "r").returncode == 0


def executed() -> Counter[str]:
    """How often each task was begun."""
    return Counter(line.split()[0] for line in Path("done").read_text("utf-8").splitlines())


def assert_each_once() -> None:
    assert executed() == {str(number): 1 for number in range(200)}
    assert status("r")["status"] == "completed"
    assert tasktrail("doctor", "--verify").returncode == 0


@contextmanager
def two_workers(*arguments: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Workers that live as long as the block, at most."""
    command = [sys.executable, "-m", "tasktrail", "worker", *arguments]
    workers = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(2)]
    try:
        yield workers
    finally:
        for one in workers:
            one.kill()
            one.wait(60)


def tasktrail(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tasktrail", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ, timeout=120, check=False)


def status(run: str) -> Any:
    return json.loads(tasktrail("status", run, "--json").stdout)["data"]


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)
