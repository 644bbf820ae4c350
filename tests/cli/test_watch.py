"""`watch`: what is shown while somebody else executes a run, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tasktrail.cli.board import Board
from tasktrail.cli.live import drawn
from tasktrail.cli.watch import Watcher
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import Event, events_after
from tasktrail.engine.project import open_project
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.lifecycle import Ask, Failure
from tasktrail.model.run import Run
from tasktrail.store.opening import open_store
from tasktrail.testing import FakeClock
from tests.cli.conftest import Call
from tests.cli.test_terminal import on_a_terminal
from tests.mapped import STEPS, do, expand, mapped_run, task_of


@pytest.fixture
def ledger() -> Ledger:
    return open_project()


class Told:
    """A view that keeps what it is told, on a board; it counts how often it is drawn and loads all."""

    def __init__(self, ledger: Ledger, run: Run) -> None:
        self.board = Board(ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id)))
        self.events: list[Event] = []
        self.draws = 0

    def changed(self, event: Event) -> None:
        self.events.append(event)
        self.board.changed(event)

    def draw(self, run: Run, owner: str | None, now: int) -> None:
        self.draws += 1

    def close(self) -> None:
        pass


def watcher_of(ledger: Ledger, run: Run) -> tuple[Watcher, Told]:
    view = Told(ledger, run)
    return Watcher(ledger, run, view, ledger.store.read(lambda tx: int(str((tx.row("last_event") or "0")[0])))), view


def picture(board: Board, ledger: Ledger, run: Run, columns: int = 80, lines: int = 24) -> list[str]:
    run = ledger.store.read(lambda tx: tx.run(run.id))
    return drawn(board, run, None, ledger.clock.now(), columns, lines).plain.split("\n")


def shown(board: Board) -> list[tuple[str, str]]:
    return [(row.name, row.standing) for row in board.shown(10)]


def test_only_what_changed_is_read_and_drawn(ledger: Ledger):
    run = mapped_run(ledger)
    watcher, view = watcher_of(ledger, run)

    watcher.look()
    watcher.look()
    assert (view.draws, len(view.events)) == (1, 0), "nothing happened, so nothing is drawn again"
    do(ledger, run, "parse", 0)
    watcher.look()

    assert view.draws == 2
    assert [event.verb for event in view.events] == ["start", "complete"]


def test_what_runs_comes_first_then_what_is_tried_again_blocked_failed_and_done(ledger: Ledger):
    tasks = [TaskDraft(name, critical=False) for name in ("waits", "done", "failed", "blocked", "again", "runs")]
    run = ledger.create_run(RunDraft("dag", "A", "etl", tuple(tasks)))
    watcher, view = watcher_of(ledger, run)
    due = ledger.clock.now() + 60_000_000
    do(ledger, run, "done")
    do(ledger, run, "failed", -1, Ask("fail", failure=Failure("OSError", "no space"), outcome="error"))
    ledger.ask(task_of(ledger, run, "blocked").id, Ask("block", reason="Look at the pages"))
    do(ledger, run, "again", -1, Ask("retry", failure=Failure("OSError", "no"), outcome="error", not_before=due))
    ledger.ask(task_of(ledger, run, "runs").id, Ask("start"))
    watcher.look()

    expected = [
        ("runs", "running"), ("again", "retrying"), ("blocked", "blocked"), ("failed", "failed"), ("done", "done"),
    ]  # fmt: skip
    assert shown(view.board) == expected
    anew = Board(ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id)))
    assert shown(anew) == expected, "who comes later sees the same"
    lines = picture(view.board, ledger, run)
    assert "↻ again         next try in" in lines[2]
    assert lines[3] == "■ blocked       tasktrail complete A:blocked  Look at the pages"
    assert lines[4] == "✗ failed        no space"


def test_a_step_whose_next_try_came_is_tried_again_no_more(ledger: Ledger):
    run = ledger.create_run(RunDraft("dag", "A", "etl", (TaskDraft("again"),)))
    watcher, view = watcher_of(ledger, run)
    do(ledger, run, "again", -1, Ask("retry", failure=Failure("OSError", "no"), outcome="error", not_before=1))
    watcher.look()
    assert "↻ again         next try is due  no" in picture(view.board, ledger, run)

    do(ledger, run, "again")
    watcher.look()

    assert shown(view.board) == [("again", "done")]


def test_parts_are_counted_in_the_row_of_their_step(ledger: Ledger):
    run = mapped_run(ledger)
    watcher, view = watcher_of(ledger, run)
    do(ledger, run, "parse", 0)
    ledger.ask(task_of(ledger, run, "parse", 1).id, Ask("start"))
    do(ledger, run, "parse", 2, Ask("fail", failure=Failure("OSError", "no space"), outcome="error"))
    watcher.look()

    line = next(line for line in picture(view.board, ledger, run) if "parse" in line)

    assert line.startswith("● parse [1/3]   ")
    assert line.endswith("  1 running, 1 failed")


def test_parts_that_run_are_called_by_their_titles(ledger: Ledger):
    run = mapped_run(ledger)
    parts = [task_of(ledger, run, "parse", index) for index in range(3)]
    board = Board(ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id)), {parts[1].id: "Oslo"})
    for part in parts[:2]:
        ledger.ask(part.id, Ask("start"))
    for event in events_after(ledger, run, 0):
        board.changed(event)

    assert picture(board, ledger, run)[1].endswith("  2 running  Oslo, …")


def test_the_bar_never_goes_back_when_a_step_is_expanded(ledger: Ledger):
    run = ledger.create_run(RunDraft("dag", "A", "etl", STEPS))
    do(ledger, run, "fetch")
    board = Board.of(ledger, run)
    before, progress = picture(board, ledger, run)[0], [board.progress]
    expand(ledger, run, "parse", ["a", "b", "c", "d"])
    board.look(ledger, run)
    progress.append(board.progress)
    expanded = picture(board, ledger, run)[0]
    do(ledger, run, "parse", 0)
    do(ledger, run, "parse", 1)
    board.look(ledger, run)
    progress.append(board.progress)
    halfway = picture(board, ledger, run)[0]
    seen = ledger.store.read(lambda tx: tx.rows("last_event"))[0][0]
    do(ledger, run, "parse", 2)
    do(ledger, run, "parse", 3)
    do(ledger, run, "parse")
    for event in events_after(ledger, run, int(str(seen))):
        board.changed(event)
    progress.append(board.progress)

    assert "  1/3  " in before
    assert "  1/3  0/4 parts  " in expanded
    assert "  1/3  2/4 parts  " in halfway
    assert "  2/3  4/4 parts  " in picture(board, ledger, run)[0]
    assert progress == [1, 1, 1.5, pytest.approx(2)]


def test_a_mapped_step_that_is_done_took_as_long_as_its_parts(ledger: Ledger):
    clock = FakeClock()
    ledger = Ledger(open_store("memory:"), actor="ann@desk", clock=clock)
    run = mapped_run(ledger, items=("a", "b"))
    for index, seconds in enumerate((2, 3)):
        part = task_of(ledger, run, "parse", index)
        ledger.ask(part.id, Ask("start"))
        clock.advance(seconds)
        ledger.ask(part.id, Ask("complete"))
    ledger.ask(task_of(ledger, run, "parse").id, Ask("complete"))

    assert "✓ parse [2/2]   5.0s" in picture(Board.of(ledger, run), ledger, run)


def test_a_picture_never_has_more_lines_or_columns_than_the_terminal(ledger: Ledger):
    tasks = [TaskDraft(f"{'x' * 90}{n}", critical=False) for n in range(100)]
    run = ledger.create_run(RunDraft("dag", "A", "etl", tuple(tasks)))
    for task in ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id)):
        ledger.ask(task.id, Ask("start"))
    board = Board(ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id)))

    lines = picture(board, ledger, run, columns=60, lines=20)

    assert len(lines) < 20
    assert lines[-2] == "  … and 84 more"
    assert max(map(len, lines[1:-1])) <= 60


def test_parts_that_come_later_are_seen(ledger: Ledger):
    run = ledger.create_run(RunDraft("dag", "A", "etl", STEPS))
    do(ledger, run, "fetch")
    board = Board(ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id)))
    expand(ledger, run, "parse", ["a", "b"])

    board.reload(ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id)))
    do(ledger, run, "parse", 0)

    assert board.n_filed() == 0


@pytest.mark.parametrize(("mended", "code"), [(True, 0), (False, 5)])
def test_a_run_that_is_over_is_told_at_once(failed: str, call: Call, mended: bool, code: int):
    if mended:
        Path("mended").touch()
        call("retry", failed)

    answer = call("watch", failed)

    assert answer.code == code
    assert ("is completed, nothing is left to do" if mended else "process failed, and stops the run") in answer.err


def test_json_is_one_document_at_the_end(failed: str, call: Call):
    answer = call("watch", failed, "--json")

    assert (answer.code, answer.document["schema"], answer.data["status"]) == (5, "tasktrail/run@1", "failed")


def test_without_a_run_it_is_the_newest_that_is_running(ledger: Ledger, call: Call):
    nothing = call("watch")

    assert nothing.code == 3
    assert "no run is running" in nothing.err


@contextmanager
def watching(run: str) -> Iterator[subprocess.Popen[str]]:
    """Watch a run in a process of its own, from when it says so; it is killed in the end."""
    command = [sys.executable, "-u", "-m", "tasktrail", "watch", run]
    with subprocess.Popen(
        command, text=True, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            assert process.stderr is not None
            assert process.stderr.readline().startswith(f"following run {run}: ")
            yield process
        finally:
            process.kill()


@pytest.mark.crash
def test_elsewhere_it_is_a_line_per_change_until_the_end(ledger: Ledger):
    run = ledger.create_run(RunDraft("dag", "A", "etl", (TaskDraft("first"), TaskDraft("last"))))
    with watching("A") as process:
        do(ledger, run, "first")
        do(ledger, run, "last")
        out, err = process.communicate(timeout=30)

    assert [line.split()[1:] for line in out.splitlines()] == [
        ["first", "started"], ["first", "completed"], ["last", "started"], ["last", "completed"],
    ]  # fmt: skip
    assert process.returncode == 0
    assert "run A is completed" in err


@pytest.mark.crash
def test_ctrl_c_leaves_the_run_alone(ledger: Ledger, call: Call):
    run = ledger.create_run(RunDraft("dag", "A", "etl", (TaskDraft("first"), TaskDraft("last"))))
    do(ledger, run, "first")
    before = call("history", "A", "--json").data

    with watching("A") as process:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)

    assert process.returncode == 130
    assert call("history", "A", "--json").data == before


def test_on_a_terminal_the_last_picture_stays(failed: str):
    code, text = on_a_terminal("watch", failed)

    assert code == 5
    assert "my-dag-123" in text
    assert "1 failed" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h"), "the cursor is shown again"


def test_nobody_executing_it_says_what_to_type(ledger: Ledger):
    run = mapped_run(ledger)
    board = Board(ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id)))

    assert picture(board, ledger, run)[-1] == "nobody executes it just now: tasktrail explain pages"
    ledger.pause_run(run.id)
    assert picture(board, ledger, run)[-1] == "paused: nothing new starts; to go on: tasktrail resume pages"
