"""`run dag TARGET`, `--retry` and `resume`: executing code that the command imports."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from tasktrail.engine.project import open_project
from tasktrail.model.draft import RunDraft, TaskDraft
from tests.cli.conftest import Call


@pytest.mark.requirement("BL-107")
def test_a_dag_is_executed_and_its_table_printed(flow: Path, call: Call):
    Path("mended").touch()

    answer = call("run", "dag", "flow:etl", "--run-id", "one")

    assert answer.code == 0
    assert answer.out.startswith("DAG Run: one (etl)\nStatus: SUCCESS\n")
    assert answer.err.startswith("run one\n")
    assert "fetch_data | fetching\n" in answer.err
    assert "completed" in answer.err


@pytest.mark.parametrize("target", ["flow:etl", "flow.py:etl", "./flow.py:etl"])
def test_code_is_found_as_a_module_and_as_a_file(flow: Path, call: Call, target: str):
    assert call("run", "dag", target).code == 5
    assert call("list-runs", "--json").data[0]["target"] == "flow.py:etl"


def test_code_in_a_folder_is_found_again_from_anywhere_in_the_project(flow: Path, call: Call):
    (Path("flows") / "deep").mkdir(parents=True)
    open_project()
    flow.rename("flows/my-flow.py")
    assert call("run", "dag", "flows/my-flow.py:etl", "--run-id", "one").code == 5
    Path("flows/deep/mended").touch()

    answer = call("-C", "flows/deep", "resume", "one")

    assert answer.code == 0
    assert answer.out.startswith("DAG Run: one (etl)\nStatus: SUCCESS\n")


def test_a_failed_run_ends_with_5_and_a_partial_one_too(flow: Path, call: Call):
    assert call("run", "dag", "flow:etl").code == 5

    answer = call("run", "dag", "flow:partial")

    assert answer.code == 5
    assert "Status: PARTIAL_SUCCESS\n" in answer.out


@pytest.mark.requirement("BL-104", "BL-111")
def test_retry_executes_what_failed_and_keeps_the_history(failed: str, call: Call):
    Path("mended").touch()

    answer = call("run", "dag", "--retry", failed)

    assert answer.code == 0
    assert "fetch_data" not in answer.err, "it was finished, so it was not executed again"
    assert answer.out.count("SUCCESS") == 4
    tasks = {task["key"]: task["attempts"] for task in call("status", failed, "--json").data["tasks"]}
    assert tasks == {"fetch_data": 1, "process": 5, "save": 1}
    errors = [one for one in call("history", f"{failed}:process", "--json").data if one["verb"] in ("retry", "fail")]
    assert len(errors) == 5, "four failures, and the retry that was asked for"


@pytest.mark.requirement("BL-104")
def test_retry_of_what_did_not_fail_is_refused(flow: Path, call: Call):
    Path("mended").touch()
    call("run", "dag", "flow:etl", "--run-id", "fine")

    answer = call("run", "dag", "--retry", "fine")

    assert (answer.code, answer.out) == (4, "")
    assert answer.err == (
        "error: run fine is completed; retry needs a step that failed\n"
        "hint: tasktrail run dag --retry fine --from STEP\n"
    )


@pytest.mark.requirement("BL-109")
def test_retry_of_an_unknown_run_ends_with_3(call: Call):
    assert call("run", "dag", "--retry", "nope").code == 3


@pytest.mark.requirement("BL-104", "BL-111")
@pytest.mark.parametrize("target", ["flow:etl", "./flow.py:etl"])
def test_retry_from_a_step_does_it_and_all_that_follow_again(flow: Path, call: Call, target: str):
    Path("mended").touch()
    call("run", "dag", target, "--run-id", "fine")

    answer = call("run", "dag", "--retry", "fine", "--from", "process")

    assert answer.code == 0
    assert answer.err.startswith("run fine: from process on, 2 of 3 steps are done again\n")
    tasks = {task["key"]: task["attempts"] for task in call("status", "fine", "--json").data["tasks"]}
    assert tasks == {"fetch_data": 1, "process": 2, "save": 2}


@pytest.mark.requirement("BL-104")
def test_retry_from_a_step_in_a_graph_leaves_alone_what_does_not_need_it(flow: Path, call: Call):
    Path("mended").touch()
    Path("fan.py").write_text(
        "from tasktrail.dag import ParallelStatefulDAGRunner\n"
        "def build():\n"
        "    runner = ParallelStatefulDAGRunner('fan')\n"
        "    for key, needs in (('a', ''), ('b', 'a'), ('c', 'a'), ('d', 'b')):\n"
        "        runner.register_step(key, lambda: 1, dependencies=list(needs))\n"
        "    return runner\n"
    )
    call("run", "dag", "fan:build", "--run-id", "fan")

    assert call("run", "dag", "--retry", "fan", "--from", "b").code == 0
    tasks = {task["key"]: task["attempts"] for task in call("status", "fan", "--json").data["tasks"]}
    assert tasks == {"a": 1, "b": 2, "c": 1, "d": 2}


def test_retry_from_an_unknown_step_names_what_was_meant_and_takes_nothing_back(failed: str, call: Call):
    answer = call("run", "dag", "--retry", failed, "--from", "proces")

    assert (answer.code, answer.out) == (3, "")
    assert answer.err == (
        "error: run my-dag-123 has no task proces; did you mean process?\n"
        "hint: tasktrail run dag --retry my-dag-123 --from process\n"
    )
    assert "no task fet; did you mean fetch_data?" in call("run", "dag", "--retry", failed, "--from", "fet").err
    assert call("run", "dag", "--retry", failed, "--from", "zzz").err == (
        "error: run my-dag-123 has no task zzz\nhint: tasktrail run dag --status my-dag-123\n"
    )
    assert call("status", failed, "--json").data["tasks"][0]["attempts"] == 1


def test_retry_from_a_step_whose_code_is_not_there_any_more_takes_nothing_back(failed: str, flow: Path, call: Call):
    flow.write_text(flow.read_text().replace('register_step("save"', 'register_step("store"'))

    answer = call("run", "dag", "--retry", failed, "--from", "fetch_data")

    assert answer.code == 2
    assert "Step save not registered" in answer.err
    assert call("status", failed, "--json").data["tasks"][0]["status"] == "completed"


def test_a_runner_of_somebody_elses_making_cannot_go_back_to_a_step(failed: str, flow: Path, call: Call):
    flow.write_text(
        "from tasktrail.dag import IDAGRunner, StatefulDAGRunner\n"
        "class Own(IDAGRunner):\n"
        "    def __init__(self, inner): self.inner = inner\n"
        "    dag_run = property(lambda self: self.inner.dag_run)\n"
        "    def register_step(self, *arguments, **options): self.inner.register_step(*arguments, **options)\n"
        "    async def execute(self, step_order=None): return await self.inner.execute(step_order)\n"
        "    async def cancel(self): await self.inner.cancel()\n"
        "    def get_status(self): return self.inner.get_status()\n"
        "def etl(): return Own(StatefulDAGRunner('etl'))\n"
    )

    answer = call("run", "dag", "--retry", failed, "--from", "process")

    assert (answer.code, answer.out) == (2, "")
    assert "--from needs a StatefulDAGRunner; the runner of run my-dag-123 is of the class Own" in answer.err


def test_resume_goes_on_and_resume_of_what_is_completed_changes_nothing(failed: str, call: Call):
    Path("mended").touch()

    assert call("resume", failed).code == 0
    events = len(call("history", failed, "--json").data)
    again = call("resume", failed)

    assert (again.code, again.err) == (0, "run my-dag-123 is completed; nothing is left to do\n")
    assert len(call("history", failed, "--json").data) == events


def test_run_id_goes_on_with_a_run_that_exists(failed: str, call: Call):
    Path("mended").touch()

    answer = call("run", "dag", "flow:etl", "--run-id", failed)

    assert answer.code == 0
    assert answer.err.startswith("going on with run my-dag-123: 1 of 3 steps are done\n")


def test_a_run_of_a_script_cannot_be_resumed_here_and_the_error_says_how(call: Call):
    open_project().create_run(RunDraft("dag", "scripted", "etl", (TaskDraft("a"),)))

    answer = call("resume", "scripted")

    assert answer.code == 1
    assert "was begun by a Python script" in answer.err
    assert "hint: run that script again; or: tasktrail run dag FILE.py:RUNNER --run-id scripted" in answer.err


def test_a_run_whose_code_is_gone_says_so(failed: str, flow: Path, call: Call):
    flow.unlink()

    answer = call("resume", failed)

    assert answer.code == 3
    assert "the code of run my-dag-123 is gone: there is no file flow.py" in answer.err


def test_a_runner_that_names_its_run_does_not_take_another_id(flow: Path, call: Call):
    answer = call("run", "dag", "flow:named", "--run-id", "mine")

    assert answer.code == 2
    assert "names its run itself: its-own-name, not mine" in answer.err
    assert call("run", "dag", "flow:named").out.startswith("DAG Run: its-own-name (etl)")


@pytest.mark.parametrize(
    ("target", "code", "words"),
    [
        ("flow", 2, "expected TARGET to be FILE.yaml, MODULE:ATTRIBUTE"),
        ("flow.py", 2, "names no runner in the file"),
        ("wf.yaml", 3, "there is no file wf.yaml"),
        ("nope:etl", 3, "no module is called nope"),
        ("nope.py:etl", 3, "there is no file nope.py"),
        ("flow:elt", 3, "flow has no elt; did you mean etl?"),
        ("flow:runner_less", 2, "to be a runner or a function that returns one, got: int"),
        ("flow:wrong", 2, "got: int"),
        ("flow:later", 2, "got: coroutine"),
        ("flow:demanding", 2, "cannot be called without arguments: missing a required argument: 'size'"),
        ("broken:etl", 2, "broken cannot be imported: ZeroDivisionError: division by zero"),
        ("leaves:etl", 2, "leaves cannot be imported: SystemExit: 3"),
    ],
)
def test_a_target_that_is_none_is_told_and_nothing_is_stored(
    flow: Path, call: Call, target: str, code: int, words: str
):
    Path("broken.py").write_text("1 / 0")
    Path("leaves.py").write_text("raise SystemExit(3)")

    answer = call("run", "dag", target)

    assert (answer.code, answer.out) == (code, "")
    assert words in answer.err
    assert call("list-runs", "--json").data == []


def test_a_store_is_not_made_for_code_that_is_not_there(call: Call, tmp_path: Path):
    call("run", "dag", "nope:etl")

    assert list(tmp_path.iterdir()) == []


def test_the_stack_of_code_that_cannot_be_imported_comes_with_v(call: Call):
    Path("broken.py").write_text("def inner():\n    1 / 0\ninner()\n")

    assert "in inner" in call("-v", "run", "dag", "broken:etl").err


@pytest.mark.requirement("BL-106")
def test_output_dir_has_a_folder_per_step_with_result_and_output(flow: Path, call: Call):
    Path("mended").touch()

    answer = call("run", "dag", "flow:etl", "--run-id", "one", "--output-dir", "out")

    assert answer.code == 0
    files = {path.relative_to("out").as_posix(): path.read_text() for path in Path("out").rglob("*") if path.is_file()}
    assert json.loads(files.pop("index.json")) == {
        "run": "one",
        "steps": {"fetch_data": "fetch_data", "process": "process", "save": "save"},
    }
    assert {name: text if name.endswith("txt") else json.loads(text) for name, text in files.items()} == {
        "fetch_data/output.txt": "fetching\n",
        "fetch_data/result.json": {"rows": [1, 2, 3]},
        "process/output.txt": "processing 3\n",
        "process/result.json": 3,
        "save/output.txt": "saving\n",
        "save/result.json": {"saved": 3},
    }
    assert stat.S_IMODE(Path("out/save/result.json").stat().st_mode) == 0o600


@pytest.mark.requirement("BL-106")
def test_output_of_all_attempts_and_results_of_earlier_executions_are_written(failed: str, call: Call):
    call("run", "dag", "--retry", failed, "--output-dir", "out")
    Path("mended").touch()
    call("run", "dag", "--retry", failed, "--output-dir", "out")

    assert Path("out/process/output.txt").read_text().count("processing 3\n") == 9
    assert Path("out/process/output.txt").read_text().count("--- again, ") == 8
    assert Path("out/fetch_data/result.json").exists(), "it was finished before anybody asked for files"


@pytest.mark.requirement("BL-106")
def test_what_steps_print_is_scrubbed_before_it_is_written_or_shown(call: Call):
    Path("leaky.py").write_text(
        "from tasktrail.dag import StatefulDAGRunner\n"
        "def leak():\n"
        "    print('password=hunter2secret', end='')\n"
        "def build():\n"
        "    runner = StatefulDAGRunner('leaky')\n"
        "    runner.register_step('leak', leak)\n"
        "    return runner\n"
    )

    answer = call("run", "dag", "leaky:build", "--output-dir", "out")

    assert Path("out/leak/output.txt").read_text() == "password=[secret]\n"
    assert "leak | password=[secret]\n" in answer.err
    assert "hunter2secret" not in answer.err


@pytest.mark.requirement("BL-106")
def test_no_step_id_becomes_a_path(call: Call, tmp_path: Path):
    Path("odd.py").write_text(
        "from tasktrail.dag import StatefulDAGRunner\n"
        "def build():\n"
        "    runner = StatefulDAGRunner('odd')\n"
        "    for key in ['../../up', 'a/b', 'Same', 'same', 'index.json', 'CON', '.hidden', '🚀', 'x' * 200]:\n"
        "        runner.register_step(key, lambda key=key: key)\n"
        "    return runner\n"
    )

    assert call("run", "dag", "odd:build", "--output-dir", "inside/out").code == 0

    out = tmp_path / "inside" / "out"
    by_folder = json.loads((out / "index.json").read_text())["steps"]
    assert {json.loads((out / name / "result.json").read_text()) for name in by_folder} == set(by_folder.values())
    assert len({name.lower() for name in by_folder}) == 9
    assert all(name.isascii() and "/" not in name and not name.startswith(".") for name in by_folder)
    assert {path.name for path in (tmp_path / "inside").iterdir()} == {"out"}


def test_a_folder_holds_one_run_and_never_what_is_none_of_ours(flow: Path, call: Call):
    call("run", "dag", "flow:etl", "--run-id", "one", "--output-dir", "out")
    Path("other").mkdir()
    Path("other/index.json").write_text("[]")

    assert "out holds the files of run one" in call("run", "dag", "flow:etl", "--output-dir", "out").err
    assert "is none of ours" in call("run", "dag", "flow:etl", "--output-dir", "other").err


def test_stdout_is_the_commands_own_whatever_steps_print(flow: Path, spawn: Call):
    Path("loud.py").write_text(
        "import os, subprocess, sys\n"
        "from tasktrail.dag import StatefulDAGRunner\n"
        "print('imported')\n"
        "def shout():\n"
        "    print('out'); print('err', file=sys.stderr); sys.stdout.flush()\n"
        "    return sys.stdout.isatty()\n"
        "def build():\n"
        "    runner = StatefulDAGRunner('loud')\n"
        "    runner.register_step('shout', shout)\n"
        "    return runner\n"
    )

    answer = spawn("run", "dag", "loud:build", "--json", "--run-id", "one")

    assert answer.code == 0
    assert answer.data["status"] == "completed"
    assert answer.err.splitlines()[:2] == ["imported", "run one"]
    assert {"shout | out", "shout | err"} <= set(answer.err.splitlines())


def test_steps_keep_their_parameters_context_and_code_version(call: Call):
    Path("kinds.py").write_text(
        "from functools import partial\n"
        "from tasktrail.dag import ParallelStatefulDAGRunner\n"
        "def first(ctx): return ctx.attempt\n"
        "class Adds:\n"
        "    def __call__(self, first): return first + 1\n"
        "    async def later(self, first): return first + 2\n"
        "async def both(adds, later, extra=0): return [adds, later, extra]\n"
        "def build():\n"
        "    runner = ParallelStatefulDAGRunner('kinds')\n"
        "    runner.register_step('first', first)\n"
        "    runner.register_step('adds', Adds(), dependencies=['first'])\n"
        "    runner.register_step('later', Adds().later, dependencies=['first'])\n"
        "    runner.register_step('both', partial(both, extra=9), dependencies=['adds', 'later'])\n"
        "    runner.register_step('lazy', lambda both: both_later(both), dependencies=['both'])\n"
        "    return runner\n"
        "async def both_later(both): print('lazily'); return both\n"
    )

    answer = call("run", "dag", "kinds:build", "--output-dir", "out", "--run-id", "k")

    assert answer.code == 0
    assert json.loads(Path("out/lazy/result.json").read_text()) == [2, 3, 9]
    assert Path("out/lazy/output.txt").read_text() == "lazily\n"
    ledger = open_project()
    run = ledger.store.read(lambda tx: tx.runs("runs_by_name", name="k", kind="dag"))[0]
    attempts = ledger.store.read(lambda tx: tx.attempts("attempts_of_run", run_id=run.id))
    assert len([attempt for attempt in attempts if attempt.code_version]) == 4, "all but the object with __call__"


# --------------------------------------------------------------------------------------------------------- max-parallel

WIDE = """
import asyncio, os
from tasktrail.dag import ParallelStatefulDAGRunner, StatefulDAGRunner

NEEDS = [f"s{number}" for number in range(10)]
at_once = most = 0

async def step():
    global at_once, most
    at_once += 1
    most = max(most, at_once)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    at_once -= 1

def fill(runner, **needs):
    for name in NEEDS:
        runner.register_step(name, step)
    runner.register_step("last", lambda: most, **needs)
    return runner

def free(): return fill(ParallelStatefulDAGRunner("wide"), dependencies=NEEDS)
def said(): return fill(ParallelStatefulDAGRunner("wide", max_concurrent_steps=3), dependencies=NEEDS)
def serial(): return fill(StatefulDAGRunner("narrow"))
"""


@pytest.mark.requirement("BL-125")
@pytest.mark.parametrize(
    ("target", "setting", "flag", "most"),
    [
        ("wide:free", None, None, 5),
        ("wide:free", "2", None, 2),
        ("wide:free", "2", "7", 7),
        ("wide:said", "2", None, 3),
        ("wide:said", "2", "4", 4),
    ],
)
def test_how_many_steps_run_at_once_is_said_by_flag_code_and_setting_in_this_order(
    call: Call, monkeypatch: pytest.MonkeyPatch, target: str, setting: str | None, flag: str | None, most: int
):
    Path("wide.py").write_text(WIDE)
    monkeypatch.setenv("TASKTRAIL_MAX_PARALLEL", setting or "")

    answer = call("run", "dag", target, "--output-dir", "out", *(["--max-parallel", flag] if flag else []))

    assert answer.code == 0
    assert json.loads(Path("out/last/result.json").read_text()) == most
    assert "no effect" not in answer.err


def test_where_steps_go_one_after_another_the_flag_is_said_to_have_no_effect(
    call: Call, monkeypatch: pytest.MonkeyPatch
):
    Path("wide.py").write_text(WIDE)
    words = "--max-parallel has no effect: this runner is no ParallelStatefulDAGRunner\n"

    assert words in call("run", "dag", "wide:serial", "--max-parallel", "4").err
    monkeypatch.setenv("TASKTRAIL_MAX_PARALLEL", "4")
    assert words not in call("run", "dag", "wide:serial").err, "a setting is for all runners"


def test_a_limit_that_is_none_is_refused_before_anything_is_executed(call: Call):
    Path("wide.py").write_text(WIDE)

    answer = call("run", "dag", "wide:free", "--max-parallel", "0")

    assert (answer.code, answer.out) == (2, "")
    assert "flag --max-parallel: expected run.max_parallel to be a whole number, 1 or more, got: 0" in answer.err


@pytest.mark.requirement("BL-106")
def test_a_runner_that_keeps_its_run_in_a_store_of_its_own_is_shown_from_there(call: Call):
    Path("elsewhere").mkdir()
    Path("elsewhere/tasktrail.toml").write_text('[store]\nurl = "own.db"\n')
    Path("apart.py").write_text(
        "from tasktrail.dag import DAGRunStore, StatefulDAGRunner\n"
        "def build():\n"
        "    runner = StatefulDAGRunner('apart', DAGRunStore('elsewhere/runs'))\n"
        "    runner.register_step('only', lambda: print('here') or 7)\n"
        "    return runner\n"
    )

    answer = call("run", "dag", "apart:build", "--run-id", "one", "--output-dir", "out")

    assert answer.code == 0
    assert answer.out.startswith("DAG Run: one (apart)\nStatus: SUCCESS\n")
    assert "only | here\n" in answer.err
    assert json.loads(Path("out/only/result.json").read_text()) == 7
    assert call("-C", "elsewhere", "status", "one").code == 0
