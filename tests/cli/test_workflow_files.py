"""`run dag FILE.yaml`: a workflow file is executed, waited for, gone on with, and refused before anything runs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Call

FLOW = """\
name: report
params:
  day: {type: string, default: monday}
env: {WHERE: "on {params.day}"}
steps:
  - id: fetch
    run: ["python3", "fetch.py", "{params.day}"]
    retries: {max: 2, delay: 1ms, on: [75]}
    timeout: 90s
  - id: parse
    call: my_steps:parse
    depends_on: [fetch]
    for_each: "{fetch.items}"
    with: {factor: 10}
  - id: shell
    run: echo "hello $WHERE"
    shell: true
    depends_on: parse
    when: "fetch.count > 1 and params.day != 'tuesday'"
  - id: approve
    manual: Look at {shell.stdout}
    depends_on: shell
  - id: end
    call: my_steps:end
    depends_on: [approve, parse]
"""
FETCH = """\
import json, os, sys

print("fetching", sys.argv[1])
if os.environ["TASKTRAIL_ATTEMPT"] == "1":
    sys.exit(75)
with open(os.environ["TASKTRAIL_RESULT"], "w") as file:
    json.dump({"items": [1, 2, 3], "count": 3}, file)
"""
STEPS = """\
def parse(item, index, factor):
    print("parsing", item)
    return item * factor


def end(parse, approve):
    return [sum(parse), approve]
"""


@pytest.fixture
def report() -> Path:
    """A workflow file with everything in it, and what it calls, beside it."""
    Path("fetch.py").write_text(FETCH, "utf-8")
    Path("my_steps.py").write_text(STEPS, "utf-8")
    path = Path("report.yaml")
    path.write_text(FLOW, "utf-8")
    return path


def statuses(call: Call, run: str) -> dict[str, str]:
    tasks = call("run", "dag", "--status", run, "--json").data["tasks"]
    return {task["key"]: task["status"] for task in tasks if task["id"].count("#") == 0}


@pytest.mark.requirement("BL-105")
def test_a_workflow_file_runs_until_a_person_is_asked_and_goes_on_with_the_answer(report: Path, call: Call) -> None:
    first = call("run", "dag", str(report), "--run-id", "r1", "--no-wait")

    assert first.code == 0, first.err
    assert "approve waits for a person: Look at hello on monday" in first.err
    assert "tasktrail complete r1:approve" in first.err
    assert statuses(call, "r1") == {
        "fetch": "completed", "parse": "completed", "shell": "completed", "approve": "blocked", "end": "pending",
    }  # fmt: skip

    assert call("complete", "r1:approve", "--value", '"fine"').code == 0
    resumed = call("resume", "r1")

    assert resumed.code == 0, resumed.err
    assert set(statuses(call, "r1").values()) == {"completed"}
    assert '[60,"fine"]' in call("history", "r1:end").out
    assert call("doctor", "--verify").code == 0


def test_what_steps_print_is_shown_by_step_and_kept(report: Path, call: Call) -> None:
    done = call("run", "dag", str(report), "--run-id", "r1", "--no-wait")

    assert "fetch | fetching monday" in done.err
    assert "parse#1 | parsing 2" in done.err
    assert "hello on monday" in call("logs", "r1:shell").out


def test_a_function_is_told_the_folder_of_the_file_wherever_the_command_was_typed(call: Call) -> None:
    folder = Path("flows")
    folder.mkdir()
    (folder / "here.py").write_text("import os\ndef where(folder): return [folder, os.getcwd()]\n", "utf-8")
    steps = "  - id: where\n    call: here:where\n    with: {folder: '{run.folder}'}\n  - id: pwd\n    run: [pwd]\n"
    (folder / "one.yaml").write_text(f"name: one\nsteps:\n{steps}", "utf-8")

    assert call("run", "dag", "flows/one.yaml", "--run-id", "r1").code == 0

    found = call("history", "r1:where", "--json").data
    output = next(one["changes"]["output"][1] for one in found if one["verb"] == "complete")
    assert json.loads(output) == [str(folder.resolve()), str(Path.cwd())]
    assert call("logs", "r1:pwd").out == f"{folder.resolve()}\n"


def test_parts_are_shown_by_their_titles(report: Path, call: Call) -> None:
    report.write_text(FLOW.replace("    with: {factor", '    title: "page {item}"\n    with: {factor'), "utf-8")

    done = call("run", "dag", str(report), "--run-id", "r1", "--no-wait")

    assert "parse#1 page 2  started\n" in done.err
    assert "│ parse#1 page 2 " in call("run", "dag", "--status", "r1", "-v").out
    assert "parse#1 page 2 | parsing 2\n" in call("logs", "r1").out
    record = next(task for task in call("status", "r1", "--json").data["tasks"] if task["id"] == "r1:parse#1")
    assert record["title"] == "page 2"


def test_a_title_that_cannot_be_filled_is_a_fault_of_the_file(call: Call) -> None:
    path = Path("bad.yaml")
    path.write_text("name: bad\nsteps:\n  - id: a\n    call: m:f\n    for_each: [1]\n    title: '{itme.x}'\n", "utf-8")

    refused = call("run", "dag", str(path))

    assert (refused.code, "bad.yaml:6:14: there is no step itme; did you mean item?" in refused.err) == (2, True)


def test_params_come_from_the_command_line(report: Path, call: Call) -> None:
    assert call("run", "dag", str(report), "--run-id", "r1", "--no-wait", "-p", "day=tuesday").code == 0

    assert statuses(call, "r1")["shell"] == "skipped"
    wrong = call("run", "dag", str(report), "-p", "dya=monday")
    assert (wrong.code, "workflow report has no param 'dya'; did you mean day?" in wrong.err) == (2, True)
    assert call("run", "dag", str(report), "-p", "day").code == 2


def test_a_failure_ends_the_run_with_5_and_a_retry_tries_it_again(report: Path, call: Call) -> None:
    Path("fetch.py").write_text("import sys; print('no'); sys.exit(3)", "utf-8")
    failed = call("run", "dag", str(report), "--run-id", "r1", "--no-wait")
    assert (failed.code, statuses(call, "r1")["fetch"]) == (5, "failed")
    assert "ended with exit code 3" in failed.err

    Path("fetch.py").write_text(FETCH.replace('== "1"', '== "0"'), "utf-8")
    again = call("run", "dag", "--retry", "r1", "--no-wait")

    assert again.code == 0, again.err
    assert statuses(call, "r1")["fetch"] == "completed"


def test_parts_count_as_steps_when_it_is_said_how_many_are_done_again(report: Path, call: Call) -> None:
    assert call("run", "dag", str(report), "--run-id", "r1", "--no-wait").code == 0

    again = call("run", "dag", "--retry", "r1", "--from", "parse", "--no-wait")

    assert "run r1: from parse on, 7 of 8 steps are done again\n" in again.err


def test_a_changed_file_is_told_and_taken_over_only_when_asked(report: Path, call: Call) -> None:
    assert call("run", "dag", str(report), "--run-id", "r1", "--no-wait").code == 0
    report.write_text(FLOW.replace("timeout: 90s", "timeout: 30s"), "utf-8")

    told = call("run", "dag", str(report), "--run-id", "r1")
    assert told.code == 4
    assert "step fetch: timeout 90s -> 30s" in told.err
    assert "tasktrail resume r1 --accept-changes" in told.err
    assert call("resume", "r1").code == 4

    assert call("resume", "r1", "--accept-changes", "--no-wait").code == 0
    assert call("resume", "r1", "--no-wait").code == 0


def test_code_that_changed_is_told_and_taken_over_only_when_asked(report: Path, call: Call) -> None:
    assert call("run", "dag", str(report), "--run-id", "r1", "--no-wait").code == 0
    Path("my_steps.py").write_text(STEPS.replace("[sum(parse), approve]", "sum(parse) + 1"), "utf-8")

    for command in (["resume", "r1"], ["run", "dag", str(report), "--run-id", "r1"]):
        told = call(*command, "--no-wait")
        assert (told.code, "step end: its code changed" in told.err) == (4, True)
        assert "tasktrail resume r1 --accept-changes" in told.err
    assert call("resume", "r1", "--accept-changes", "--no-wait").code == 0
    assert call("complete", "r1:approve").code == 0

    assert call("resume", "r1").code == 0
    assert "61" in call("history", "r1:end").out


@pytest.mark.parametrize("command", [["retry"], ["run", "dag", "--retry"], ["retry", "--all-failed", "--run"]])
def test_a_retry_takes_over_changes_when_asked(report: Path, call: Call, command: list[str]) -> None:
    report.write_text("name: one\nsteps:\n  - id: end\n    call: my_steps:work\n", "utf-8")
    Path("my_steps.py").write_text("def work(): raise OSError\n", "utf-8")
    assert call("run", "dag", str(report), "--run-id", "r1").code == 5
    Path("my_steps.py").write_text("def work(): return 7\n", "utf-8")
    which = [] if "--all-failed" in command else ["r1"]

    assert not which or call(*command, *which).code == 4
    assert call(*command, *which, "--accept-changes").code == 0

    assert statuses(call, "r1")["end"] == "completed"


def test_a_completed_run_whose_file_has_more_says_what_differs(report: Path, call: Call) -> None:
    assert call("run", "dag", str(report), "--run-id", "r1", "--no-wait").code == 0
    assert call("complete", "r1:approve").code == 0
    assert call("resume", "r1").code == 0
    assert "nothing is left to do" in call("resume", "r1").err
    more = "  - id: more\n    run: [echo, '{params.note}']\n    depends_on: end\n"
    report.write_text(FLOW.replace("params:\n", "params:\n  note:\n") + more, "utf-8")

    told = call("resume", "r1")
    assert (told.code, "nothing is left" in told.err) == (4, False)
    assert "step more added" in told.err
    missing = call("resume", "r1", "--accept-changes")
    assert (missing.code, "param note (string) is missing" in missing.err) == (2, True)

    assert call("resume", "r1", "--accept-changes", "-p", "note=late").code == 0
    assert "late" in call("logs", "r1:more").out


def test_a_completed_run_whose_file_is_gone_has_nothing_left_to_do(report: Path, call: Call) -> None:
    report.write_text("name: one\nsteps:\n  - id: a\n    run: ['true']\n", "utf-8")
    assert call("run", "dag", str(report), "--run-id", "r1").code == 0
    report.unlink()

    resumed = call("resume", "r1")

    assert (resumed.code, "nothing is left to do" in resumed.err) == (0, True)


def test_a_file_that_is_no_workflow_is_refused_with_every_fault_and_nothing_is_stored(call: Call) -> None:
    Path("bad.yaml").write_text(
        "name: bad\nsteps:\n  - id: a\n    run: [x]\n    retrys: 3\n  - id: b\n    call: m:f\n    depends_on: [c]\n",
        "utf-8",
    )

    refused = call("run", "dag", "bad.yaml")

    assert refused.code == 2
    assert "bad.yaml:5:5: unknown key retrys; did you mean retries?" in refused.err
    assert "bad.yaml:8:18: there is no step c" in refused.err
    assert not Path(".tasktrail").exists()


def test_a_function_that_is_not_there_is_told_before_anything_is_written(report: Path, call: Call) -> None:
    Path("my_steps.py").write_text("def parse(item, factor): pass\n", "utf-8")

    refused = call("run", "dag", str(report), "--run-id", "r1")

    assert refused.code == 2
    assert refused.err.startswith(
        "error: report.yaml is no workflow that can be executed: 1 fault\n"
        "  report.yaml:24:11: module my_steps has no function end\n"
        "    24 |     call: my_steps:end\n"
        "       |           ^\n"
    )
    assert not Path(".tasktrail").exists()


@pytest.mark.platform_only("SIGKILL")
def test_a_killed_run_goes_on_and_repeats_nothing(report: Path, call: Call) -> None:
    """The process is killed while its third part of three runs."""
    marks = Path("marks")
    marks.mkdir()
    Path("my_steps.py").write_text(
        "import os, pathlib, time\n"
        "def parse(item, index, factor):\n"
        "    with open(f'marks/{item}', 'a') as file: file.write('x')\n"
        "    if item == 3 and not os.path.exists('calm'):\n"
        "        pathlib.Path('ready').touch(); time.sleep(60)\n"
        "    return item * factor\n"
        "def end(parse, approve): return parse\n",
        "utf-8",
    )
    command = [sys.executable, "-m", "tasktrail", "run", "dag", str(report), "--run-id", "r1", "--max-parallel", "1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not Path("ready").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    Path("calm").touch()

    assert call("resume", "r1", "--no-wait").code == 0

    assert {path.name: len(path.read_text("utf-8")) for path in marks.iterdir()} == {"1": 1, "2": 1, "3": 2}
    assert call("doctor", "--verify").code == 0


def test_a_command_that_waits_says_what_to_type_and_goes_on_by_itself(report: Path, call: Call) -> None:
    command = [sys.executable, "-m", "tasktrail", "run", "dag", str(report), "--run-id", "r1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = iter(process.stderr.readline, "")
        assert any("tasktrail complete r1:approve" in line for line in said)
        assert call("complete", "r1:approve").code == 0
        process.communicate(timeout=60)

    assert process.returncode == 0
    assert set(statuses(call, "r1").values()) == {"completed"}


PARAMS = """\
name: asking
params:
  day: {type: string}
  n: {type: integer, default: 1}
  rows: {type: list, default: []}
  dry: false
steps:
  - {id: a, run: ["true"]}
"""


def test_every_wrong_param_is_said_at_once_and_nothing_is_written(call: Call) -> None:
    Path("asking.yaml").write_text(PARAMS, "utf-8")
    wrong = ["rows=[1,", "n=many", "dry=yes", "dai=x", "n=2", "alone", "=x"]

    refused = call("run", "dag", "asking.yaml", "--json", *(part for one in wrong for part in ("-p", one)))

    error = refused.document["error"]
    assert (refused.code, [error["message"], *error["details"]]) == (2, [
        "param rows is no JSON: Expecting value: line 1 column 4 (char 3)",
        "param n is given twice",
        "expected --param to be NAME=VALUE, got: 'alone'",
        "expected --param to be NAME=VALUE, got: '=x'",
        "expected param rows to be of the type list, got: '[1,'",
        "expected param n to be of the type integer, got: 'many'",
        "expected param dry to be of the type boolean, got: 'yes'",
        "workflow asking has no param 'dai'; did you mean day?",
        "param day (string) is missing",
    ])  # fmt: skip
    assert error["hint"] == "--param NAME=VALUE; asking has day, n, rows, dry"
    assert [path.name for path in Path.cwd().iterdir()] == ["asking.yaml"]


def test_wrong_params_of_a_run_that_exists_change_nothing_and_none_is_missing(call: Call) -> None:
    Path("asking.yaml").write_text(PARAMS, "utf-8")
    begin = ("run", "dag", "asking.yaml", "--run-id", "r")
    assert call(*begin, "-p", "day=monday", "-p", "n=3").code == 0
    before = call("history", "r", "--json").data

    assert call(*begin, "-p", "n=NaN").code == 2
    assert call(*begin, "-p", "n=" + "[" * 100_000).code == 2
    changed = call(*begin, "-p", "n=4")
    assert (changed.code, "param n: 3 -> 4" in changed.err) == (4, True)
    assert call("history", "r", "--json").data == before
    assert call(*begin).code == 0


def test_params_for_a_runner_in_python_are_refused(flow: Path, call: Call) -> None:
    refused = call("run", "dag", "flow:etl", "-p", "day=monday")

    assert (refused.code, "--param goes with a workflow file" in refused.err) == (2, True)
    assert not Path(".tasktrail").exists()


@pytest.mark.platform_only("SIGKILL")
def test_a_step_that_was_killed_each_time_is_shown_like_any_other(call: Call) -> None:
    """Nobody knows how long a lost attempt worked, and here there is no other."""
    Path("k.yaml").write_text("name: k\nsteps:\n  - {id: a, run: kill -9 $$, shell: true}\n", "utf-8")

    ran = call("run", "dag", "k.yaml", "--run-id", "k1")

    assert (ran.code, "a failed: StepLost: kill -9 $$ was killed by SIGKILL (out of memory?)" in ran.err) == (5, True)
    assert "│ a        │ FAILED  │ 0/0      │ -       │" in call("run", "dag", "--status", "k1").out


def test_the_progress_says_why_a_step_failed_that_never_started_and_one_whose_error_has_no_words(call: Call) -> None:
    Path("my_steps.py").write_text("def full(): raise MemoryError\n", "utf-8")
    Path("f.yaml").write_text(
        "name: f\non_failure: continue\nparams: {all: {type: object, default: {}}}\n"
        "steps:\n  - {id: a, call: my_steps:full}\n"
        '  - {id: b, call: my_steps:full, for_each: "{params.all.items}"}\n',
        "utf-8",
    )

    said = call("run", "dag", "f.yaml").err

    assert "a             failed (attempt 1): MemoryError; error fp1:" in said
    assert "b             failed: BadInput: there is no params.all.items: params.all has nothing; error fp1:" in said


def test_a_file_that_is_not_utf_8_is_refused_with_the_place(call: Call) -> None:
    Path("old.yaml").write_bytes("name: x\nname: Zoë\n".encode("latin-1"))

    refused = call("run", "dag", "old.yaml")

    assert (refused.code, refused.err) == (
        2,
        "error: old.yaml:2:9: expected UTF-8, got: byte 0xEB\nhint: save it as UTF-8\n",
    )


def test_a_workflow_file_may_be_json(call: Call) -> None:
    Path("flow.json").write_text('{"name": "j", "steps": [{"id": "a", "manual": "Look"}]}', "utf-8")

    assert call("run", "dag", "flow.json", "--run-id", "j1", "--no-wait").code == 0
    assert call("complete", "j1:a").code == 0
    assert call("resume", "j1").code == 0
    assert statuses(call, "j1") == {"a": "completed"}


def test_a_folder_with_the_name_of_a_workflow_file_is_told_apart_from_none(call: Call) -> None:
    Path("flow.yaml").mkdir()

    assert call("run", "dag", "flow.yaml").err.startswith("error: flow.yaml is no file\n")
    assert call("run", "dag", "flows.yaml").err.startswith("error: there is no file flows.yaml\n")


def test_a_coroutine_that_does_not_end_when_told_keeps_neither_the_run_nor_the_command(spawn: Call) -> None:
    Path("my_steps.py").write_text(
        "import asyncio\n"
        "async def deaf():\n"
        "    while True:\n"
        "        try: await asyncio.sleep(60)\n"
        "        except asyncio.CancelledError: pass\n",
        "utf-8",
    )
    Path("deaf.yaml").write_text("name: deaf\nsteps:\n  - {id: a, call: my_steps:deaf, timeout: 10ms}\n", "utf-8")

    ended = spawn("run", "dag", "deaf.yaml", "--run-id", "d1")

    assert (ended.code, "a failed: TimeoutError: step 'a' did not end within 0.01 s" in ended.err) == (5, True)


def test_a_run_in_a_store_elsewhere_goes_on_from_any_folder(call: Call, tmp_path: Path) -> None:
    for name in ("here", "there", "stores"):
        Path(name).mkdir()
    store = ("--store", str(tmp_path / "stores" / "own.db"))
    Path("here/flow.yaml").write_text(
        'name: f\nsteps:\n  - {id: a, manual: Look}\n  - {id: b, run: ["true"], depends_on: a}\n', "utf-8"
    )
    assert (
        call("-C", str(tmp_path / "here"), *store, "run", "dag", "flow.yaml", "--run-id", "f1", "--no-wait").code == 0
    )
    assert call("-C", str(tmp_path / "there"), *store, "complete", "f1:a").code == 0

    assert call("-C", str(tmp_path / "there"), *store, "resume", "f1").code == 0
    assert call(*store, "status", "f1", "--json").data["status"] == "completed"


def test_a_run_whose_file_is_gone_says_how_to_go_on_with_another(report: Path, call: Call) -> None:
    assert call("run", "dag", str(report), "--run-id", "r1", "--no-wait").code == 0
    report.rename("moved.yaml")

    gone = call("resume", "r1")

    assert (gone.code, gone.err) == (
        3,
        "error: the code of run r1 is gone: there is no file report.yaml\n"
        "hint: tasktrail run dag FILE.yaml --run-id r1\n",
    )
    assert call("run", "dag", "moved.yaml", "--run-id", "r1", "--no-wait").code == 0
    assert call("resume", "r1", "--no-wait").code == 0
    assert call("doctor", "--verify").code == 0
