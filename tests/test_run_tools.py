"""The tools by which language models begin, follow, retry and cancel runs, with the processes that execute them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tasktrail.engine import detached, spans
from tasktrail.engine.project import open_project
from tasktrail.engine.verification import verify
from tasktrail.model.attempt import SpanContext
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.plan import PlanTools
from tasktrail.tools import Tools, Words, reporting_to
from tasktrail.workflows import TOOLS, RunTools, step, workflow
from tests import processes
from tests.plan.test_tools import objects, tokens
from tests.postgres import Server

MOST_DEFINITION_TOKENS = 700

FLOW = """\
name: report
params:
  day: {type: string, default: monday}
  n: {type: integer, default: 1}
steps:
  - id: fetch
    run: ["echo", "{params.day}"]
  - id: parse
    run: test ! -e broken || { echo no rows >&2; exit 3; }
    shell: true
    depends_on: fetch
  - id: post
    run: until [ ! -e hold ]; do sleep 0.01; done
    shell: true
    depends_on: parse
"""


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Do what a person does in the project's folder."""
    called = [sys.executable, "-m", "tasktrail", *arguments]
    return subprocess.run(called, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> Iterator[Tools]:
    """In a project in which somebody has executed `report`; its history folds to its rows whatever a test did."""
    Path("report.yaml").write_text(FLOW, "utf-8")
    assert command("run", "dag", "report.yaml", "--run-id", "by-hand").returncode == 0
    monkeypatch.setattr(detached, "_BEGINS_WITHIN_S", 60.0)  # however busy the machine is
    yield RunTools(settings={"actor": "model-1"}).tools()
    Path("hold").unlink(missing_ok=True)
    until_reaped()
    assert verify(open_project().store) == []


def until_reaped() -> None:
    """Wait for the processes that this one began."""
    for thread in threading.enumerate():
        if thread.name == "tasktrail-reap":
            thread.join(60)


def over(tools: Tools, run: str) -> Words:
    """Return a run once it is over."""
    until_reaped()
    for _ in range(4):
        answer = tools.call("run_status", {"run": run, "wait_s": 15})
        assert answer["status"] == "success", answer
        if answer["run"]["status"] not in ("created", "running"):
            break
    found: Words = answer["run"]
    return found


def running(tools: Tools, run: str, task: str = "post") -> Words:
    """Return a run once a task of it is running."""
    seen: list[Words] = []
    while not seen or not any(one["task"] == task for one in seen[-1].get("running", ())):
        seen.append(tools.call("run_status", {"run": run, "wait_s": 0.05})["run"])
        assert len(seen) < 600, seen[-1]
    return seen[-1]


def events(name: str) -> list[tuple[str, str, str | None]]:
    said = json.loads(command("history", f"dag/{name}", "--json").stdout)["data"]
    return [(one["verb"], one["actor"], one["note"]) for one in said]


# ---------------------------------------------------------------------------------------------------------- starting


def test_a_workflow_that_was_executed_here_before_is_begun_and_goes_on_by_itself(
    tools: Tools, capfd: pytest.CaptureFixture[str]
):
    begun = tools.call("run_start", {"workflow": "report", "params": {"day": "friday", "n": 2}, "run_id": "r1"})

    assert (begun["status"], begun["message"], begun["run"]["id"]) == ("success", "Run r1 was started", "r1")
    assert over(tools, "r1")["tasks"] == {"completed": 3}
    assert command("logs", "r1:fetch").stdout == "friday\n"
    assert {actor for verb, actor, _ in events("r1") if verb in ("created", "start", "complete")} == {"model-1"}
    assert capfd.readouterr() == ("", ""), "stdout may be a protocol"


def test_without_an_id_a_run_gets_one(tools: Tools):
    begun = tools.call("run_start", {"workflow": "report", "params": None, "run_id": ""})

    assert re.fullmatch(r"report-[0-9a-f]{8}", begun["run"]["id"])
    assert over(tools, begun["run"]["id"])["status"] == "completed"


def test_the_process_is_told_of_store_actor_and_span_in_its_environment_and_is_reaped(tools: Tools):
    Path("hold").touch()
    token = spans.current.set(SpanContext("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"))
    try:
        tools.call("run_start", {"workflow": "report", "run_id": "r1"})
    finally:
        spans.current.reset(token)

    found = re.match(r"process (\d+) on .* \(model-1\)", running(tools, "r1")["executed_by"])
    assert found
    process = Path("/proc", found[1])
    variables = process.joinpath("environ").read_text("utf-8").split("\0")
    words = process.joinpath("cmdline").read_text("utf-8").split("\0")
    assert words[1:-1] == ["-m", "tasktrail", "resume", "dag/r1", "--no-wait"]
    assert f"TASKTRAIL_STORE=sqlite:///{Path.cwd()}/.tasktrail/tasktrail.db" in variables
    assert "TRACEPARENT=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" in variables
    assert os.getsid(int(found[1])) == int(found[1]), "a signal to our terminal is none to it"
    Path("hold").unlink()
    until_reaped()
    assert not process.exists(), "it is no zombie"


STARTER = """
from tasktrail.workflows import RunTools
print(RunTools().run_start("report", run_id="r1")["status"], flush=True)
input()
"""


@pytest.mark.crash
@pytest.mark.platform_only("process groups")
def test_a_run_goes_on_when_the_process_that_began_it_and_its_group_are_killed(tools: Tools):
    Path("hold").touch()
    starter = subprocess.Popen(
        processes.arguments(STARTER), env=processes.environment(), text=True, start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with starter:
        assert processes.hear(starter) == "success"
        running(tools, "r1")
        os.killpg(starter.pid, signal.SIGKILL)

    assert running(tools, "r1")["executed_by"]
    Path("hold").unlink()

    assert over(tools, "r1")["tasks"] == {"completed": 3}


def test_a_program_that_ends_while_its_run_is_executed_ends_in_silence(tools: Tools):
    Path("hold").touch()
    ending = processes.arguments(STARTER.replace("input()", ""))

    done = subprocess.run(ending, env=processes.environment(), capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "success\n", "")
    running(tools, "r1")
    Path("hold").unlink()
    assert over(tools, "r1")["status"] == "completed"


def test_a_store_on_a_server_is_used_from_any_folder_and_its_url_is_in_no_command_line(
    server: Server, monkeypatch: pytest.MonkeyPatch
):
    Path("there").mkdir()
    Path("there/report.yaml").write_text(FLOW, "utf-8")
    monkeypatch.setattr(detached, "_BEGINS_WITHIN_S", 60.0)
    with server.schema() as url:
        assert command("--store", url, "run", "dag", "there/report.yaml").returncode == 0
        Path("there/hold").touch()
        tools = RunTools(Path("there"), {"store.url": url, "actor": "model-1"}).tools()

        begun = tools.call("run_start", {"workflow": "report", "run_id": "r1"})

        assert begun["message"] == "Run r1 was started"
        number = running(tools, "r1")["executed_by"].split()[1]
        assert url not in Path("/proc", number, "cmdline").read_text("utf-8")
        Path("there/hold").unlink()
        assert over(tools, "r1")["tasks"] == {"completed": 3}
        until_reaped()


def test_an_unknown_workflow_is_refused_with_those_that_are_known(tools: Tools):
    @step
    def one() -> int:
        return 1

    @workflow
    def drawn() -> Any:
        return one()

    drawn.run(ledger=open_project(), run_id="d1")

    unknown = tools.call("run_start", {"workflow": "reprot"})
    path = tools.call("run_start", {"workflow": "report.yaml"})
    in_python = tools.call("run_start", {"workflow": "drawn"})

    assert (unknown["code"], unknown["hint"]) == ("not_found", "known are report")
    assert unknown["message"] == "no workflow 'reprot' was executed from a file here; did you mean report?"
    assert [path["code"], in_python["code"]] == ["not_found", "not_found"]
    workflow(name="report")(drawn.function).run(ledger=open_project(), run_id="d2")
    assert tools.call("run_start", {"workflow": "report"})["code"] == "not_found", "the newest run is of no file"


def test_what_is_wrong_with_params_is_told_at_once_and_nothing_begins(tools: Tools):
    refused = tools.call("run_start", {"workflow": "report", "params": {"dya": "x", "n": "2"}, "run_id": "r1"})

    assert refused["errors"] == ["expected param n to be of the type integer, got: '2'"]
    assert refused["message"].startswith("workflow report has no param 'dya'; did you mean day?; expected param n")
    assert tools.call("run_status", {"run": "r1"})["code"] == "not_found"
    assert tools.call("run_start", {"workflow": "report", "run_id": "../r1"})["code"] == "bad_input"
    assert [one["id"] for one in tools.call("run_status")["runs"]] == ["by-hand"]


def test_a_run_id_that_is_taken_is_refused_with_what_to_do(tools: Tools):
    refused = tools.call("run_start", {"workflow": "report", "run_id": "by-hand"})

    assert (refused["code"], refused["message"]) == ("conflict", "dag run by-hand exists already")
    assert "run_status" in refused["hint"]
    assert "run_retry" in refused["hint"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (FLOW.replace("report", "other"), "report.yaml was of workflow report, and is of other now"),
        ("name: report\n", "report.yaml"),
        (None, "there is no file report.yaml"),
    ],
    ids=["renamed", "broken", "gone"],
)
def test_the_file_is_read_as_it_is_now(tools: Tools, text: str | None, said: str):
    Path("report.yaml").unlink()
    if text is not None:
        Path("report.yaml").write_text(text, "utf-8")

    refused = tools.call("run_start", {"workflow": "report", "run_id": "r1"})

    assert (refused["status"], said in refused["message"]) == ("error", True), refused
    assert tools.call("run_status", {"run": "r1"})["code"] == "not_found"


def test_a_file_outside_of_the_project_is_not_executed(tools: Tools, tmp_path_factory: pytest.TempPathFactory):
    outside = tmp_path_factory.mktemp("outside") / "report.yaml"
    outside.write_text(FLOW, "utf-8")
    assert command("run", "dag", str(outside), "--run-id", "r1").returncode == 0
    far = tools.call("run_start", {"workflow": "report"})
    assert command("run", "dag", "report.yaml", "--run-id", "r2").returncode == 0
    Path("report.yaml").unlink()
    Path("report.yaml").symlink_to(outside)
    linked = tools.call("run_start", {"workflow": "report"})

    assert far["message"] == f"the file of workflow report lies outside the project: {outside}"
    assert linked["message"] == "the file of workflow report lies outside the project: report.yaml"


def test_why_the_process_could_not_execute_a_run_is_told_scrubbed_and_a_retry_goes_on_with_it(tools: Tools):
    Path("late.yaml").write_text("name: late\nsteps:\n  - {id: a, call: late_steps:a}\n", "utf-8")
    Path("late_steps.py").write_text("def a(): return 1\n", "utf-8")
    assert command("run", "dag", "late.yaml", "--run-id", "l1").returncode == 0
    Path("late_steps.py").write_text(
        "import os\nos.write(2, b'as ann@example.org\\n')\nraise OSError('no way')\n", "utf-8"
    )

    refused = tools.call("run_start", {"workflow": "late", "run_id": "l2"})

    assert refused["message"].startswith(
        "run l2 was not executed: the process for it ended with exit code 2; as [email]; "
    )
    assert "late_steps cannot be imported: OSError: no way" in refused["message"]
    assert refused["hint"] == "the run stays as it is: once that is mended, it can be retried"
    assert tools.call("run_status", {"run": "l2"})["run"]["status"] == "created"
    assert "late_steps" not in sys.modules, "code of steps is not imported here"
    Path("late_steps.py").write_text("def a(): return 1\n", "utf-8")
    assert tools.call("run_retry", {"run": "l2"})["message"] == "Run l2 goes on"
    assert over(tools, "l2")["status"] == "completed"


# --------------------------------------------------------------------------------------------------------- following


def test_a_run_is_told_with_what_failed_and_one_that_runs_with_who_executes_it(tools: Tools):
    Path("broken").touch()
    tools.call("run_start", {"workflow": "report", "run_id": "r1"})
    failed = over(tools, "r1")
    Path("broken").unlink()
    Path("hold").touch()
    tools.call("run_start", {"workflow": "report", "run_id": "r2"})
    runs = running(tools, "r2")

    assert (failed["status"], failed["percent"]) == ("failed", 33.3)
    assert failed["tasks"] == {"completed": 1, "failed": 1, "pending": 1}
    (error,) = failed["failed"]
    assert error["task"] == "parse"
    assert error["error"].startswith("CommandFailed: ")
    assert error["error"].endswith("ended with exit code 3: no rows")
    assert (runs["status"], runs["percent"], list(runs["running"][0])) == ("running", 66.6, ["task", "since"])
    assert "why_nothing_runs" not in runs


def test_what_waits_for_a_person_is_told_and_why_nothing_runs(tools: Tools):
    Path("ask.yaml").write_text(
        "name: ask\nsteps:\n  - {id: look, manual: Look at it}\n  - {id: b, run: ['true'], depends_on: look}\n", "utf-8"
    )
    assert command("run", "dag", "ask.yaml", "--run-id", "a1", "--no-wait").returncode == 0
    asked = tools.call("run_status", {"run": "a1"})["run"]
    assert tools.call("run_retry", {"run": "a1"})["message"] == "Run a1 waits for a person; run_status says for what"
    until_reaped()
    assert command("complete", "a1:look").returncode == 0
    left = tools.call("run_status", {"run": "a1"})["run"]

    assert asked["waits_for_person"] == [{"task": "look", "for": "Look at it"}]
    assert left["why_nothing_runs"] == ["nobody executes run a1"]
    assert tools.call("run_retry", {"run": "a1"})["status"] == "success"
    assert over(tools, "a1")["status"] == "completed"


def test_waiting_ends_with_the_run_and_tells_how_far_it_is(tools: Tools):
    Path("hold").touch()
    tools.call("run_start", {"workflow": "report", "run_id": "r1"})
    running(tools, "r1")
    told: list[tuple[float, float | None, str]] = []

    def listen(done: float, total: float | None, words: str) -> None:
        told.append((done, total, words))
        Path("hold").unlink(missing_ok=True)

    with reporting_to(listen):
        answer = tools.call("run_status", {"run": "r1", "wait_s": 25})

    assert answer["run"]["status"] == "completed"
    assert (told[0], told[-1]) == (
        (2, 3, "run r1: 2 of 3 done, 1 running"),
        (3, 3, "run r1: 3 of 3 done, 0 running"),
    )


def test_without_a_run_the_newest_are_listed_page_by_page(tools: Tools):
    ledger = open_project()
    for name in ("x1", "x2", "x3"):
        ledger.create_run(RunDraft("dag", name, "etl", (TaskDraft("a"),)))

    first = tools.call("run_status", {"limit": 2})
    rest = tools.call("run_status", {"limit": 2, "cursor": first["next_cursor"]})

    assert [one["id"] for one in first["runs"]] == ["x3", "x2"]
    assert ([one["id"] for one in rest["runs"]], rest["next_cursor"]) == (["x1", "by-hand"], None)
    assert first["runs"][0] == {
        "id": "x3", "kind": "dag", "workflow": "etl", "status": "created", "percent": 0.0, "tasks": {"pending": 1},
    }  # fmt: skip


# ----------------------------------------------------------------------------------------- trying again, calling off


def test_what_failed_is_done_again_with_what_waited_for_it(tools: Tools):
    Path("broken").touch()
    tools.call("run_start", {"workflow": "report", "run_id": "r1"})
    over(tools, "r1")
    Path("broken").unlink()

    again = tools.call("run_retry", {"run": "r1", "reason": "the rows came, says ann@example.org"})

    assert (again["message"], again["retried"]) == ("Run r1 goes on", ["parse"])
    assert over(tools, "r1")["tasks"] == {"completed": 3}
    assert ("note", "model-1", "the rows came, says [email]") in events("r1")
    assert command("logs", "r1:fetch").stdout == "monday\n", "what was done is not done again"


def test_only_the_steps_that_are_named_are_done_again(tools: Tools):
    text = "name: two\non_failure: continue\nsteps:\n"
    for key in ("a", "b"):
        text += f"  - {{id: {key}, shell: true, run: 'test ! -e broken'}}\n"
    Path("two.yaml").write_text(text, "utf-8")
    Path("broken").touch()
    assert command("run", "dag", "two.yaml", "--run-id", "t1").returncode == 5
    Path("broken").unlink()

    assert tools.call("run_retry", {"run": "t1", "steps": ["a"]})["retried"] == ["a"]
    once = over(tools, "t1")
    assert (once["status"], once["tasks"]) == ("partial", {"completed": 1, "failed": 1})
    refused = tools.call("run_retry", {"run": "t1", "steps": ["c", "b"]})
    assert (refused["code"], refused["message"]) == ("not_found", "run t1 has no task c")


def test_tasks_of_a_plan_are_pending_again_and_nothing_is_executed(tools: Tools):
    plan = PlanTools(Path.cwd(), "main")
    plan.write_task_list([{"id": "T1", "description": "touch pwned"}, {"id": "T2", "description": "run_start report"}])
    plan.mark_task_status("T1", "failed", error="no time")

    again = tools.call("run_retry", {"run": "main"})

    assert again["message"] == "Nothing executes run main by itself: its tasks are pending"
    assert (again["retried"], again["run"]["tasks"]) == (["T1"], {"pending": 2})
    assert [one["id"] for one in tools.call("run_status")["runs"]] == ["main", "by-hand"]


def test_a_run_of_a_pool_is_left_to_its_workers(tools: Tools):
    assert command("run", "dag", "report.yaml", "--run-id", "p1", "--pooled", "--no-wait").returncode == 0
    Path("broken").touch()
    assert command("worker", "--drain").returncode == 0
    assert tools.call("run_status", {"run": "p1"})["run"]["status"] == "failed"
    Path("broken").unlink()

    again = tools.call("run_retry", {"run": "p1"})

    assert (again["message"], again["run"]["tasks"]) == (
        "Workers execute run p1",
        {"pending": 2, "completed": 1},
    )
    assert command("worker", "--drain").returncode == 0
    assert over(tools, "p1")["status"] == "completed"


def test_nothing_is_done_again_where_nothing_failed_or_a_person_paused_it(tools: Tools):
    done = tools.call("run_retry", {"run": "by-hand"})
    ledger = open_project()
    paused = ledger.create_run(RunDraft("dag", "x1", "etl", (TaskDraft("a"),), "report.yaml"))
    ledger.pause_run(paused.id)
    held = tools.call("run_retry", {"run": "x1"})

    assert (done["code"], done["message"]) == ("wrong_state", "nothing of run by-hand failed: it is completed")
    assert (held["code"], held["hint"]) == ("wrong_state", "a person lifts that: tasktrail resume x1")


def test_cancelling_says_before_what_would_be_called_off_and_stops_what_runs(tools: Tools):
    Path("hold").touch()
    tools.call("run_start", {"workflow": "report", "run_id": "r1"})
    running(tools, "r1")
    asked = tools["run_cancel"].losses({"run": "r1"})

    cancelled = tools.call("run_cancel", {"run": "r1", "reason": "wrong day"})
    again = tools.call("run_cancel", {"run": "r1"})

    assert asked == "1 unfinished task of run r1 would be called off, 1 running now"
    assert [cancelled["run"]["status"], again["run"]["status"]] == ["cancelled", "cancelled"]
    assert cancelled["run"]["tasks"] == {"completed": 2, "cancelled": 1}
    assert ("cancel", "model-1", "wrong day") in events("r1")
    assert [tools["run_cancel"].losses({"run": run, "reason": ""}) for run in ("r1", "by-hand", "nobody")] == [""] * 3
    assert tools.call("run_cancel", {"run": "by-hand"})["code"] == "wrong_state"


# -------------------------------------------------------------------------------------------------- definitions, misuse


def test_where_there_is_no_store_none_is_made():
    tools = RunTools().tools()

    assert tools.call("run_status") == {"status": "success", "runs": [], "next_cursor": None}
    refused = tools.call("run_start", {"workflow": "report"})
    assert refused["hint"] == "none is known; a person executes a new file first: tasktrail run dag FILE.yaml"
    assert [tools.call(name, {"run": "r1"})["code"] for name in TOOLS[1:]] == ["not_found"] * 3
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("run_status", {"wait_s": 26}, "expected wait_s to be 0 to 25, got: 26"),
        ("run_status", {"wait_s": -1}, "expected wait_s to be 0 to 25, got: -1"),
        ("run_status", {"limit": 101}, "expected limit to be 1 to 100, got: 101"),
        ("run_status", {"cursor": "?"}, "expected the cursor to be the `next` of a page"),
        ("run_start", {"workflow": "x", "command": "rm"}, "run_start has no argument command"),
        ("run_start", {"workflow": "x", "params": []}, "expected params to be"),
        ("run_retry", {"run": "x", "steps": "a"}, "expected steps to be"),
    ],
)
def test_what_is_wrong_is_an_answer_that_says_what_was_expected(name: str, arguments: dict[str, Any], said: str):
    answer = RunTools().tools().call(name, arguments)

    assert (answer["status"], said in answer["message"]) == ("error", True), answer


def test_definitions_are_such_as_providers_take_in_few_tokens():
    tools = RunTools().tools()

    assert tools.names == list(TOOLS)
    assert tokens(tools.openai()) <= MOST_DEFINITION_TOKENS
    for definition in tools.openai():
        for one in objects(definition["function"]["parameters"]):
            assert (one["required"], one["additionalProperties"]) == (list(one["properties"]), False)
        assert not {"default", "title", "$defs", "$ref", "anyOf"} & set(json.dumps(definition).split('"'))
    for definition in tools.anthropic():
        Draft202012Validator.check_schema(definition["input_schema"])
    schemas = {one["name"]: one["input_schema"] for one in tools.anthropic()}
    assert [schemas[name]["required"] for name in TOOLS] == [["workflow"], [], ["run"], ["run"]]
    assert Draft202012Validator(schemas["run_start"]).is_valid({"workflow": "w", "params": {"day": "x", "n": [1]}})


def test_every_tool_says_what_it_may_do():
    effects = {one.name: (one.effect.reads, one.effect.destroys, one.effect.repeats) for one in RunTools().tools()}

    assert effects == {
        "run_start": (False, False, False),
        "run_status": (True, False, True),
        "run_retry": (False, False, False),
        "run_cancel": (False, True, True),
    }


@settings(max_examples=40)
@given(arguments=st.dictionaries(st.sampled_from(["workflow", "run", "run_id", "reason", "cursor", "x"]), st.text()))
def test_no_arguments_make_a_call_raise(arguments: dict[str, str]):
    tools = RunTools().tools()

    for name in tools.names:
        assert tools.call(name, arguments)["status"] in ("success", "error")
