"""On a terminal: colours, a live table, ids that fit; and what a command must not import to be quick."""

from __future__ import annotations

import io
import os
import pty
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tasktrail.cli.live import Table
from tasktrail.cli.progress import Follower, Lines, words_of
from tasktrail.cli.text import Ink
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import events_after
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.lifecycle import Ask, Failure
from tasktrail.model.run import Run
from tasktrail.store.opening import open_store
from tests.cli.conftest import Call
from tests.executions.results import write_results

HEAVY = {"asyncio", "pydantic", "rich", "yaml", "jsonschema", "cronsim", "filelock", "markdown_it", "logging"}
# Needed by some commands only, and 1 to 12 ms each.
LATER = {"importlib.metadata", "secrets", "subprocess", "tasktrail.model.workflow", "tempfile"}


def on_a_terminal(*arguments: str, columns: int = 80, typed: str = "", **environ: str) -> tuple[int, str]:
    """Run a command whose input and output are a terminal; return its exit code and all that was written."""
    import fcntl
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    command = [sys.executable, "-m", "tasktrail", *arguments]
    environment = os.environ | {"TERM": "xterm-256color"} | environ
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, stdin=theirs, env=environment) as process:
        os.close(theirs)
        os.write(ours, typed.encode())
        parts = []
        try:
            while part := os.read(ours, 65536):
                parts.append(part)
        except OSError:  # Linux says so when the other end is closed
            pass
        process.wait(timeout=30)
    os.close(ours)
    return process.returncode, b"".join(parts).decode()


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(open_store("memory:"), actor="ann@desk")


@pytest.fixture
def run(ledger: Ledger) -> Run:
    return ledger.create_run(RunDraft("dag", "A", "etl", (TaskDraft("fetch"), TaskDraft("x" * 60))))


@pytest.mark.requirement("BL-108")
def test_a_terminal_gets_colours_and_no_color_takes_them_away(failed: str):
    _, coloured = on_a_terminal("run", "dag", "--status", failed)
    _, plain = on_a_terminal("run", "dag", "--status", failed, NO_COLOR="1")

    assert "\x1b[32m SUCCESS" in coloured
    assert "\x1b[31m FAILED" in coloured
    assert "\x1b" not in plain


def test_a_table_fits_the_terminal(failed: str):
    _, text = on_a_terminal("run", "dag", "--status", failed, "--color", "never", columns=45)

    assert "│ fetch_da…" in text
    assert {len(line) for line in text.splitlines() if line.startswith("│")} == {45}


def test_progress_on_a_terminal_is_a_live_table_that_goes_away(flow: Path):
    Path("mended").touch()

    code, text = on_a_terminal("run", "dag", "flow:etl", "--run-id", "one")

    assert code == 0
    assert "/3" in text, "how far it is"
    assert "fetch_data | fetching" in text
    assert text.rstrip().endswith("┘"), "the table of the document is what stays"
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h"), "the cursor is shown again"


def test_elsewhere_progress_is_a_line_per_change(ledger: Ledger, run: Run):
    out = io.StringIO()
    follower = Follower(ledger, run, Lines(out, ledger, Ink(on=False)))
    task = ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id))[0]
    ledger.ask(task.id, Ask("start"))
    ledger.ask(task.id, Ask("fail", failure=Failure("OSError", "no\nspace"), outcome="error"))
    ledger.ask(task.id, Ask("retry"))
    ledger.ask(task.id, Ask("cancel", reason="enough"))

    follower.look()
    follower.look()

    assert [line.split("  ", 1)[1].split() for line in out.getvalue().splitlines()] == [
        ["fetch", "started"],
        ["fetch", "failed", "(attempt", "1):", "OSError:", "no;", "error", "fp1:52913d0f5d1e43c5"],
        ["fetch", "is", "tried", "again"],
        ["fetch", "cancelled:", "enough"],
    ]


def test_the_live_table_shows_what_runs_and_what_is_tried_again(ledger: Ledger, run: Run):
    out = io.StringIO()
    table = Table(out, ledger, run, color=False)
    follower = Follower(ledger, run, table)
    first, second = ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id))
    ledger.ask(first.id, Ask("start"))
    ledger.ask(second.id, Ask("start"))
    due = ledger.clock.now() + 60_000_000
    ledger.ask(first.id, Ask("retry", failure=Failure("OSError", "no space"), outcome="error", not_before=due))

    follower.watch(ledger.store.read(lambda tx: tx.run(run.id)))
    follower.look()
    table.say("fetch", "50 %\r100 %")
    table.close()

    assert "0/2" in out.getvalue()
    assert "↻ fetch" in out.getvalue()
    assert "next try in 1m 00s  no space" in out.getvalue() or "next try in 59." in out.getvalue()
    assert f"● {'x' * 25}…  " in out.getvalue()
    assert "fetch | 100 %\n" in out.getvalue()


def test_a_view_that_breaks_does_not_stop_the_work(ledger: Ledger, run: Run):
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    follower = Follower(ledger, run, Lines(Closed(), ledger, Ink(on=False)))
    task = ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id))[0]
    ledger.ask(task.id, Ask("start"))

    follower.look()

    assert [words_of(event) for event in events_after(ledger, run, 0) if event.key] == ["started"]


@pytest.mark.crash
def test_nobody_reading_the_progress_does_not_stop_the_run(flow: Path, call: Call):
    Path("mended").touch()
    command = [sys.executable, "-m", "tasktrail", "run", "dag", "flow:etl", "--run-id", "one"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ)
    assert process.stderr is not None
    process.stderr.close()
    process.wait(timeout=30)

    assert call("status", "one", "--json").data["status"] == "completed"


@pytest.mark.parametrize("arguments", [["list-runs"], ["history", "my-dag-123"], ["status", "my-dag-123"], ["--help"]])
def test_reading_imports_nothing_heavy(failed: str, arguments: list[str]):
    code = f"import sys\nfrom tasktrail.cli.app import run\nrun({arguments})\nprint({HEAVY} & sys.modules.keys())"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=True)

    assert done.stdout.splitlines()[-1] == "set()"


@pytest.mark.parametrize("arguments", [["next"], ["list-tasks"], ["add", "Fix it"], ["prime"]], ids=" ".join)
def test_what_an_agent_calls_all_day_imports_neither_workflows_nor_anything_heavy(call: Call, arguments: list[str]):
    call("add", "Set it up")
    code = f"import sys\nfrom tasktrail.cli.app import run\ncode = run({arguments})\nprint(code, *sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=True)

    code, *imported = done.stdout.splitlines()[-1].split()
    assert code == "0"
    assert (HEAVY | LATER) & {*imported} == set()


def test_a_backfill_shows_how_far_it_is():
    write_results(600)

    code, told = on_a_terminal("backfill", "results")

    assert code == 0
    assert "backfill" in told
    assert "100%" in told
    assert told.endswith("Errors: 0\r\n")
