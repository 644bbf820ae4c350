"""Errors as commands tell them: one table of exit codes, words on stderr, JSON on stdout."""

from __future__ import annotations

import json
import os
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module

import pytest

import tasktrail
from tasktrail.cli import errors
from tasktrail.cli.app import ALIASES, COMMANDS
from tasktrail.model.errors import TasktrailError
from tasktrail.tracker import ItemRemovedError, WeekNotFoundError
from tests.cli.conftest import Call


def every_error() -> Iterator[type[TasktrailError]]:
    """Yield every class of error that any of our files defines."""
    for module in pkgutil.walk_packages(tasktrail.__path__, "tasktrail."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    todo: list[type[TasktrailError]] = [TasktrailError]
    while todo:
        kind = todo.pop()
        yield kind
        todo.extend(kind.__subclasses__())


def test_every_error_has_an_exit_code_or_is_of_a_kind_that_has_one():
    def has_one(kind: type[TasktrailError]) -> bool:
        return any(code in errors.EXIT_CODES for code in (kind.code, *errors.kinds_of(kind)[:-1]))

    assert [kind.__name__ for kind in every_error() if not has_one(kind)] == []
    assert errors.kinds_of(WeekNotFoundError) == ["not_found", "error"]
    assert errors.trouble_of(ItemRemovedError("x")).exit_code == errors.EXIT_CODES["not_found"]


def test_every_exit_code_has_a_meaning():
    assert set(errors.EXIT_CODES.values()) <= set(errors.MEANINGS)


def test_an_error_is_a_line_its_details_and_what_to_type(capsys: pytest.CaptureFixture[str]):
    trouble = errors.Trouble("ambiguous", "T1 names 2 tasks", "say dag/a:T1", ["dag/a:T1", "plan/b:T1"])

    assert errors.tell(trouble, as_json=False) == 4
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == "error: T1 names 2 tasks\n  dag/a:T1\n  plan/b:T1\nhint: say dag/a:T1\n"


def test_with_json_stdout_has_the_error_and_stderr_the_words(call: Call):
    answer = call("list-runs", "--cursor", "nonsense", "--json")

    assert answer.code == 2
    assert answer.document["schema"] == "tasktrail/error@1"
    assert answer.document["error"]["code"] == "bad_input"
    assert answer.err.startswith("error: expected the cursor")


def test_a_message_cannot_pass_for_a_line_of_ours_or_steer_the_terminal(capsys: pytest.CaptureFixture[str]):
    errors.tell(errors.Trouble("error", "one\nhint: rm -r /\x1b[2J"), as_json=False)

    assert capsys.readouterr().err == "error: one\n    hint: rm -r /\\x1b[2J\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["lst-runs"], "no command is called lst-runs; did you mean list-runs"),
        (["list-runs", "--kidn", "dag"], "no such option --kidn; did you mean --kind?"),
        (["list-runs", "--kind", "dog"], "dog is not one of plan, dag, matrix, job, cards"),
        (["list-runs", "--limit", "0"], "0 is not in the range"),
        (["skip"], "missing argument"),
        (["config"], "tasktrail config needs a command"),
        (["run", "dag"], "give one of TARGET, --status and --retry, got: none"),
        (["run", "dag", "a:b", "--status", "c"], "got: TARGET, --status"),
        (["run", "dag", "--status", "c", "--run-id", "d"], "--run-id goes with TARGET"),
        (["run", "dag", "a:b", "--from", "c"], "--from goes with --retry"),
        (["run", "dag", "--status", "c", "--from", "d"], "--from goes with --retry"),
        (["-C", "not-there", "list-runs"], "cannot work in not-there"),
        (["list-runs", "--color", "blue"], "blue is not one of auto, always, never"),
    ],
)
def test_what_cannot_be_understood_is_told_with_exit_code_2(call: Call, arguments: list[str], words: str):
    answer = call(*arguments)

    assert (answer.code, answer.out) == (2, "")
    assert words in answer.err
    assert "\nhint: tasktrail" in answer.err


def test_usage_errors_are_json_too(call: Call):
    answer = call("list-runs", "--nope", "--json")

    assert answer.document["error"]["code"] == "usage"


def test_what_nobody_expected_is_one_scrubbed_line_and_with_v_a_stack(call: Call, monkeypatch: pytest.MonkeyPatch):
    import tasktrail.cli.listing

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a bug, password=hunter2secret")

    monkeypatch.setattr(tasktrail.cli.listing, "list_runs", broken)

    short, long = call("list-runs"), call("list-runs", "-v")

    assert short.code == long.code == 1
    assert short.err == (
        "error: unexpected RuntimeError: a bug, password=[secret]\n"
        "hint: the same command with -v shows where it happened\n"
    )
    assert "Traceback" in long.err
    assert "hunter2secret" not in long.err


def test_a_store_that_is_none_gives_exit_code_6(call: Call, tmp_path):
    (tmp_path / "notes.txt").write_text("these are notes\n" * 10)

    answer = call("--store", "notes.txt", "list-runs", "--json")

    assert (answer.code, answer.document["error"]["code"]) == (6, "not_a_store")


def test_a_reader_that_had_enough_gets_no_stack():
    process = subprocess.Popen(
        [sys.executable, "-m", "tasktrail", "help", "run", "dag"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.close()
    _, err = process.communicate(timeout=60)

    assert (process.returncode, err) == (1, b"")


def test_help_lists_exit_codes_for_people_and_programs(call: Call):
    assert "not_found" in call("help", "exit-codes").out
    assert [one["id"] for one in call("help", "exit-codes", "--json").data] == list(errors.MEANINGS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(call: Call, name: str):
    answer = call(name, "--help")

    assert answer.code == 0
    assert answer.out.startswith(f"Usage: tasktrail {name}")
    assert answer.out == call("help", name).out


def test_aliases_lead_to_commands():
    assert {words[0] for words in ALIASES.values()} <= set(COMMANDS)
    assert not set(ALIASES) & set(COMMANDS)


def test_help_on_nothing_lists_the_commands_and_on_the_unknown_is_an_error(call: Call):
    assert "list-runs" in call().out
    assert call("help", "nope").code == 2


def test_errors_are_documents_of_one_line():
    assert json.loads(errors.document(errors.Trouble("busy", "später", None, ["a"])))["error"]["details"] == ["a"]
