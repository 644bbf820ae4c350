"""What steps print: stored by attempt, with the answer's commit or while they run, and read by any process."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tasktrail.engine.capture import captured
from tasktrail.engine.failures import StepLost
from tasktrail.engine.lookup import Found
from tasktrail.engine.output import KEPT_AT_EACH_END, Piece, keep
from tasktrail.engine.reading import Line, OutputReader
from tasktrail.model.draft import TaskDraft
from tests.engine.executing import SOON_S, Engine, until


@contextmanager
def taken() -> Iterator[list[tuple[str, str]]]:
    """Capture streams; what belongs to no step is in the list. No fixture: pytest gives each phase its own streams."""
    found: list[tuple[str, str]] = []
    with captured(lambda name, line: found.append((name, line))):
        yield found


def lines(engine: Engine, run_id: int, key: str | None = None, attempt: int = 1) -> list[Line]:
    """Return what is stored, of a step or of the run."""
    task = engine.task(run_id, key) if key else None
    return list(OutputReader(engine.ledger, Found(engine.run(run_id), task), attempt).lines())


def texts(found: list[Line]) -> list[str]:
    return [line.text for line in found]


async def test_what_steps_print_is_stored_by_attempt_and_stream(engine: Engine) -> None:
    async def later() -> None:
        print("begun")
        await asyncio.sleep(0)
        print("oh", file=sys.stderr)

    def work() -> None:
        print("password=hunter2secret")

    run_id = engine.new(TaskDraft("a"), TaskDraft("b"), TaskDraft("c"))
    with taken() as shown:
        await engine.execute(run_id, {"a": later, "b": work, "c": lambda: later()}, order=None)
        print("of no step")

    assert [(line.stream, line.text) for line in lines(engine, run_id, "a")] == [("stdout", "begun"), ("stderr", "oh")]
    assert texts(lines(engine, run_id, "b")) == ["password=[secret]"]
    assert texts(lines(engine, run_id, "c")) == ["begun", "oh"], "a function that returns something to wait for"
    assert shown == [("", "of no step")]


async def test_output_costs_no_commit_of_its_own(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    commits: list[object] = []
    commit = engine.ledger.commit

    def counted(*work: Any, **how: Any) -> Any:
        commits.append(work)
        return commit(*work, **how)

    monkeypatch.setattr(engine.ledger, "commit", counted)
    silent, loud = engine.new(TaskDraft("a")), engine.new(TaskDraft("a"))
    commits.clear()

    with taken():
        await engine.execute(silent, {"a": lambda: None})
        n_silent = len(commits)
        await engine.execute(loud, {"a": lambda: print("said")})

    assert texts(lines(engine, loud, "a")) == ["said"]
    assert len(commits) == 2 * n_silent


async def test_what_a_running_step_printed_is_seen_by_others(engine: Engine) -> None:
    run_id = engine.new(TaskDraft("a"))
    seen = asyncio.Event()

    async def long() -> None:
        print("first")
        await seen.wait()
        print("last")

    with taken():
        execution = asyncio.create_task(engine.execute(run_id, {"a": long}))
        await until(lambda: texts(lines(engine, run_id, "a")) == ["first"])
        assert engine.task(run_id, "a").status == "in_progress"
        seen.set()
        await execution

    assert texts(lines(engine, run_id, "a")) == ["first", "last"]


async def test_output_of_a_step_that_is_interrupted_is_kept(engine: Engine) -> None:
    run_id = engine.new(TaskDraft("a"))
    printed = asyncio.Event()

    async def long() -> None:
        print("as far as here", end="")
        printed.set()
        await asyncio.Event().wait()

    with taken():
        execution = asyncio.create_task(engine.execute(run_id, {"a": long}))
        await printed.wait()
        execution.cancel()
        await asyncio.gather(execution, return_exceptions=True)

    assert texts(lines(engine, run_id, "a")) == ["as far as here"]


async def test_output_of_a_thread_that_is_left_behind_is_kept(engine: Engine, gate: threading.Event) -> None:
    run_id = engine.new(TaskDraft("a"))
    printed = threading.Event()

    def hanging() -> None:
        print("as far as here")
        printed.set()
        gate.wait(SOON_S)

    with taken():
        execution = asyncio.create_task(engine.execute(run_id, {"a": hanging}, grace_s=0.02))
        await until(printed.is_set)
        execution.cancel()
        await asyncio.gather(execution, return_exceptions=True)

    assert texts(lines(engine, run_id, "a")) == ["as far as here"]


async def test_output_of_an_abandoned_thread_is_kept_up_to_its_time_out(engine: Engine, gate: threading.Event) -> None:
    def hanging() -> None:
        print("before")
        gate.wait(SOON_S)

    run_id = engine.new(TaskDraft("a", max_retries=0, timeout_ms=30))
    with taken():
        await engine.execute(run_id, {"a": hanging})

    assert texts(lines(engine, run_id, "a")) == ["before"]


async def test_attempts_have_output_of_their_own(engine: Engine) -> None:
    calls: list[int] = []

    async def failing_once() -> None:
        calls.append(1)
        print(f"attempt {len(calls)}")
        if len(calls) == 1:
            raise ValueError("again")

    run_id = engine.new(TaskDraft("a", max_retries=1))
    with taken():
        await engine.execute(run_id, {"a": failing_once})

    assert texts(lines(engine, run_id, "a", 1)) == ["attempt 1"]
    assert texts(lines(engine, run_id, "a", 2)) == ["attempt 2"]
    assert [(line.step, line.attempt) for line in lines(engine, run_id)] == [("a", 1), ("a", 2)]


def test_of_too_much_the_middle_goes_and_the_reader_says_how_much(engine: Engine) -> None:
    task_id = engine.task(engine.new(TaskDraft("a")), "a").id
    size = 64 * 1024
    for number in range(40):
        piece = Piece(task_id, 1, number * size, size, f"1piece {number}\n")
        engine.ledger.store.write(lambda tx, piece=piece: keep(tx, [piece], 1))  # type: ignore[misc]

    found = texts(lines(engine, 1, "a"))

    assert found == [
        *(f"piece {number}" for number in range(8)),
        f"… {24 * size} characters left out …",
        *(f"piece {number}" for number in range(32, 40)),
    ]
    assert 8 * size == KEPT_AT_EACH_END


def test_a_run_that_is_dropped_takes_its_output_along(engine: Engine) -> None:
    run_id = engine.new(TaskDraft("a"))
    task_id = engine.task(run_id, "a").id
    engine.ledger.store.write(lambda tx: keep(tx, [Piece(task_id, 1, 0, 2, "1a\n")], 1))
    engine.ledger.drop_run(run_id)

    assert engine.rows("output_of_attempt", task_id=task_id, attempt=1, after=0, limit=9) == []


# ---------------------------------------------------------------------------------------------------- lost, and ending


async def test_a_step_that_is_killed_from_outside_is_lost_and_starts_again(engine: Engine) -> None:
    calls: list[int] = []

    async def killed_once() -> int:
        calls.append(1)
        if len(calls) == 1:
            raise StepLost("killed by SIGKILL (out of memory?)")
        return 1

    run_id = engine.new(TaskDraft("a", max_retries=0))
    with taken():
        run = await engine.execute(run_id, {"a": killed_once})

    assert run.status == "completed"
    assert [attempt.outcome for attempt in engine.attempts(run_id, "a")] == ["lost", "ok"]
    assert (engine.task(run_id, "a").losses, engine.task(run_id, "a").tries) == (1, 0)
    assert engine.attempts(run_id, "a")[0].error == "killed by SIGKILL (out of memory?)"


async def test_the_third_loss_fails_for_good(engine: Engine) -> None:
    async def killed() -> None:
        raise StepLost("killed by SIGKILL (out of memory?)")

    run_id = engine.new(TaskDraft("a", max_retries=9))
    with taken():
        run = await engine.execute(run_id, {"a": killed})

    assert run.status == "failed"
    assert [attempt.outcome for attempt in engine.attempts(run_id, "a")] == ["lost"] * 3
    assert (engine.task(run_id, "a").losses, engine.task(run_id, "a").tries) == (3, 0)
