"""`doctor --race`: what it proves, that it sees what is broken, and that nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tasktrail.engine import racing
from tasktrail.plan import PlanTools
from tests.cli.conftest import Answer, Call, call
from tests.crash.processes import LONGEST_S, environment
from tests.postgres import Server

pytestmark = pytest.mark.crash
__all__ = ["call"]  # the fixture of the tests of commands

MARK = "TASKTRAIL_TEST_RACE"
TWICE = """
from tasktrail.engine.plans import mark_task
real = racing.end_claim
def end_claim(ledger, plan, key, token, *rest, **more):
    real(ledger, plan, key, token, *rest, **more)
    if key in ("T7", "T8"):
        mark_task(ledger, plan, key, "pending")
racing.end_claim = end_claim
"""
SAID_TWICE = """
real, kept = racing.claim_next, []
def claim_next(*given, **more):
    if len(kept) == 1:
        return kept.append(None) or kept[0]
    found = real(*given, **more)
    if not kept and found.claim:
        kept.append(found)
    return found
racing.claim_next = claim_next
"""
LOST = "real = racing.end_claim\nracing.end_claim = lambda *given, **more: given[2] == 'T9' or real(*given, **more)\n"
DYING = "racing.claim_next = None\n"


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, server: Server) -> Iterator[str]:
    """The URL of a store with a plan in it."""
    with server.schema() as schema:
        url = schema if request.param == "postgres" else "sqlite:///mine/tasks.db"
        Path("mine").mkdir()
        PlanTools(url, "mine").write_task_list([{"id": "T1", "description": "my own"}])
        yield url


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A race of 100 tasks."""
    monkeypatch.setattr(racing, "N_TASKS", 100)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch, few: None) -> Callable[[str], None]:
    """Let racers execute something before they begin."""

    def work(code: str) -> None:
        script = f"from tasktrail.engine import racing\n{code}\nracing.main()"
        monkeypatch.setattr(racing, "BOOT", f"import sys, json; sys.path[:] = json.loads(sys.argv[1])\n{script}")

    return work


def messages(answer: Answer, level: str) -> list[str]:
    return [check["message"] for check in answer.data["checks"] if check["name"] == "race" and check["level"] == level]


def schemas(server: Server) -> list[str]:
    with psycopg.connect(server.url()) as connection:
        rows = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'tasktrail_scratch_%'")
        return [row[0] for row in rows.fetchall()]


def test_a_race_is_judged_and_leaves_nothing_behind(call: Call, few: None, server: Server, store: str) -> None:
    before = PlanTools(store, "mine").read_task_breakdown()

    answer = call("doctor", "--race", "4", "--store", store, "--json")

    assert (answer.code, answer.data["healthy"]) == (0, True), answer.err
    assert messages(answer, "ok") == ["4 processes claimed and finished 100 tasks, each exactly once"]
    assert [check["name"] for check in answer.data["checks"]][-2:] == ["race", "speed"]
    assert answer.err.splitlines() == [f"race: {number} of 100 tasks" for number in range(10, 101, 10)]
    assert PlanTools(store, "mine").read_task_breakdown() == before
    assert call("list-runs", "--store", store, "--json").data[0]["id"] == "mine"
    assert [path.name for path in Path("mine").iterdir() if not path.name.startswith("tasks.db")] == []
    assert schemas(server) == []


def test_a_race_where_there_is_no_store_yet_makes_none(call: Call, few: None) -> None:
    assert call("doctor", "--race", "2").code == 0
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (TWICE, ["claimed more than once: 2 of the tasks, T7, T8"]),
        (SAID_TWICE, ["claimed more than once: "]),
        (LOST, ["never finished: 1 of the tasks, T9"]),
        (DYING, [f"process {n} ended early: TypeError: 'NoneType' object is not callable" for n in range(4)]),
    ],
    ids=["given twice", "taken twice", "lost", "dying"],
)
def test_what_is_broken_is_said_and_ends_with_5(
    call: Call, broken: Callable[[str], None], code: str, words: list[str]
) -> None:
    broken(code)

    answer = call("doctor", "--race", "4", "--json")

    said = messages(answer, "problem")
    assert (answer.code, answer.data["healthy"]) == (5, False), answer.err
    assert [line[: len(word)] for line, word in zip(said, words, strict=False)] == words
    assert messages(answer, "ok") == []
    assert list(Path().iterdir()) == []


def test_a_store_in_memory_is_refused(call: Call) -> None:
    answer = call("doctor", "--race", "4", "--store", "memory:")

    assert answer.code == 2
    assert "no other process sees a store in memory" in answer.err


@contextmanager
def racing_process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A race that has begun."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tasktrail", "doctor", "--race", "3"],
        env={**environment(), MARK: str(tmp_path)}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        assert process.stderr.readline() == "race: 200 of 2,000 tasks\n"
        assert len(ours(tmp_path)) == 4
        yield process
    finally:
        process.kill()
        process.communicate()


def ours(tmp_path: Path) -> list[str]:
    """The processes of a race of this test."""
    mark, found = f"{MARK}={tmp_path}\0".encode(), []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes() + b"\0":
                found.append(folder.name)
        except OSError:
            continue
    return found


def test_ctrl_c_ends_the_processes_and_removes_their_store(tmp_path: Path) -> None:
    with racing_process(tmp_path) as process:
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=LONGEST_S)

        assert (process.returncode, told.splitlines()[-1]) == (130, "error: interrupted")
        assert ours(tmp_path) == []
        assert list(tmp_path.iterdir()) == []


def test_a_race_that_is_killed_leaves_no_process_behind(tmp_path: Path) -> None:
    with racing_process(tmp_path) as process:
        process.kill()
        process.wait(LONGEST_S)

        end = time.monotonic() + LONGEST_S
        while ours(tmp_path):
            assert time.monotonic() < end, "racers outlive the race"
            os.sched_yield()


@pytest.mark.soak
def test_eight_processes_claim_and_finish_two_thousand_tasks_each_once(call: Call, store: str) -> None:
    answer = call("doctor", "--race", "8", "--store", store, "--json")

    assert answer.code == 0, answer.out
    assert messages(answer, "ok") == ["8 processes claimed and finished 2,000 tasks, each exactly once"]
