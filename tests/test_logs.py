"""What is logged, for whom, and what never gets out."""

from __future__ import annotations

import asyncio
import contextvars
import io
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasktrail import logs


def hide(text: str) -> str:
    return text.replace("s3cret", "[secret]")


@pytest.fixture(autouse=True)
def silent_again() -> Iterator[None]:
    yield
    logs.silence()


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


def json_lines(out: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": str(Path(logs.__file__).parents[1])}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ)


def test_the_library_is_silent_by_default() -> None:
    done = run_python("from tasktrail import logs; logs.logger('tasktrail.engine').error('x %s', 1)")
    assert (done.stdout, done.stderr) == ("", "")


def test_logging_is_not_imported_with_the_module() -> None:
    assert run_python("import tasktrail.logs, sys; print('logging' in sys.modules)").stdout == "False\n"


def test_a_program_that_logs_on_its_own_gets_our_lines(caplog: pytest.LogCaptureFixture) -> None:
    logs.logger("tasktrail.engine").warning("seen")
    assert caplog.messages == ["seen"]


@pytest.mark.parametrize("name", ["tasktrail.engine.runner", "engine.runner"])
def test_loggers_stand_below_tasktrail(name: str) -> None:
    assert logs.logger(name).name == "tasktrail.engine.runner"
    assert logs.logger("tasktrail").name == "tasktrail"


def test_a_text_line_has_time_level_logger_message_and_context(out: io.StringIO) -> None:
    logs.setup("info", "text", hide, out)
    with logs.context(run="A", task="T1", attempt=2):
        logs.logger("engine").info("took %d steps", 3)
    assert out.getvalue()[19:] == " INFO tasktrail.engine: took 3 steps [run=A task=T1 attempt=2]\n"


def test_a_json_line_has_the_same_keys_whether_known_or_not(out: io.StringIO) -> None:
    logs.setup("info", "json", hide, out)
    logs.logger("engine").info("grüezi")
    with logs.context(run="A", task="T1", attempt=2, trace="ab" * 16):
        logs.logger("engine").error("x")
    plain, full = json_lines(out)
    assert str(plain.pop("ts")).endswith("Z")
    assert plain == {
        "level": "info",
        "logger": "tasktrail.engine",
        "msg": "grüezi",
        "run": None,
        "task": None,
        "attempt": None,
        "trace": None,
    }
    assert (full["level"], full["run"], full["task"], full["attempt"], full["trace"]) == (
        "error",
        "A",
        "T1",
        2,
        "ab" * 16,
    )


def test_what_is_below_the_level_is_not_logged(out: io.StringIO) -> None:
    logs.setup("warning", "text", hide, out)
    logs.logger("engine").info("no")
    assert out.getvalue() == ""


def test_lines_go_to_stderr_as_it_is_at_that_moment(capsys: pytest.CaptureFixture[str]) -> None:
    logs.setup("info", "text", hide)
    logs.logger("engine").info("here")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "tasktrail.engine: here" in captured.err


def test_a_second_setup_replaces_the_first(out: io.StringIO) -> None:
    first = io.StringIO()
    logs.setup("debug", "text", hide, first)
    logs.setup("info", "json", hide, out)
    logs.logger("engine").info("once")
    assert first.getvalue() == ""
    assert [line["msg"] for line in json_lines(out)] == ["once"]


def test_lines_do_not_reach_other_handlers_unscrubbed(out: io.StringIO, caplog: pytest.LogCaptureFixture) -> None:
    logs.setup("info", "text", hide, out)
    logs.logger("engine").info("s3cret")
    assert caplog.messages == []
    logs.silence()
    logs.logger("engine").warning("after")
    assert caplog.messages == ["after"]


@pytest.mark.parametrize("format", ["text", "json"])
def test_message_arguments_exception_stack_and_names_are_scrubbed(out: io.StringIO, format: str) -> None:
    logs.setup("info", format, hide, out)
    with logs.context(run="A-s3cret", task="mail s3cret"):
        try:
            raise ValueError("s3cret in the error")
        except ValueError:
            logs.logger("engine").exception("s3cret in %s", "s3" + "cret", stack_info=True)
    assert "s3cret" not in out.getvalue()
    assert out.getvalue().count("[secret]") >= 5
    assert "ValueError" in out.getvalue()


def test_a_secret_split_over_message_and_arguments_is_seen(out: io.StringIO) -> None:
    logs.setup("info", "json", hide, out)
    logs.logger("engine").info("s3%s", "cret")
    assert json_lines(out)[0]["msg"] == "[secret]"


def test_a_line_is_withheld_when_the_scrubber_fails(out: io.StringIO) -> None:
    def broken(text: str) -> str:
        raise RuntimeError(text)

    logs.setup("info", "text", broken, out)
    logs.logger("engine").info("s3cret")
    assert out.getvalue().endswith(" (withheld: the scrubber failed with RuntimeError)\n")


def test_arguments_that_do_not_fit_are_said_and_not_shown(out: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    logs.setup("info", "text", hide, out)
    logs.logger("engine").info("%d steps", "s3cret")
    assert out.getvalue().endswith("'%d steps' (its arguments cannot be shown: TypeError)\n")
    assert capsys.readouterr().err == ""


def test_a_closed_stream_ends_nothing_and_shows_nothing(out: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    logs.setup("info", "text", hide, out)
    out.close()
    logs.logger("engine").info("s3cret")
    assert capsys.readouterr().err == ""


def test_a_message_can_neither_forge_a_line_nor_steer_the_terminal(out: io.StringIO) -> None:
    logs.setup("info", "text", hide, out)
    logs.logger("engine").info("a\n2025-01-01 00:00:00 INFO tasktrail: forged\r\x1b[2J\x9b\u202e")
    _, second = out.getvalue().splitlines()
    assert second == r"    2025-01-01 00:00:00 INFO tasktrail: forged\x0d\x1b[2J\x9b\u202e"


def test_contexts_nest_and_end(out: io.StringIO) -> None:
    logs.setup("info", "text", hide, out)
    log = logs.logger("engine")
    with logs.context(run="A", trace="t"):
        with logs.context(task="T1", attempt=0):
            log.info("inner")
            with logs.context(task="T2"):
                log.info("innermost")
        log.info("outer")
    log.info("none")
    assert [line.partition(": ")[2] for line in out.getvalue().splitlines()] == [
        "inner [run=A task=T1 attempt=0 trace=t]",
        "innermost [run=A task=T2 attempt=0 trace=t]",
        "outer [run=A trace=t]",
        "none",
    ]


def test_a_context_ends_with_an_exception(out: io.StringIO) -> None:
    logs.setup("info", "json", hide, out)
    with pytest.raises(KeyError), logs.context(run="A"):
        raise KeyError
    logs.logger("engine").info("after")
    assert json_lines(out)[0]["run"] is None


async def test_tasks_that_take_turns_keep_their_own_context(out: io.StringIO) -> None:
    logs.setup("info", "json", hide, out)
    barrier = asyncio.Barrier(2)

    async def step(name: str) -> None:
        with logs.context(task=name):
            await barrier.wait()
            logs.logger("engine").info(name)

    with logs.context(run="A"):
        await asyncio.gather(step("T1"), step("T2"))
    assert all((line["run"], line["task"]) == ("A", line["msg"]) for line in json_lines(out))


def test_a_thread_has_the_context_it_was_handed(out: io.StringIO) -> None:
    logs.setup("info", "json", hide, out)
    with logs.context(run="A"):
        handed = contextvars.copy_context()
    for target, args in ((handed.run, (logs.logger("e").info, "handed")), (logs.logger("e").info, ("bare",))):
        thread = threading.Thread(target=target, args=args)
        thread.start()
        thread.join()
    assert [(line["msg"], line["run"]) for line in json_lines(out)] == [("handed", "A"), ("bare", None)]


def test_silence_takes_everything_back(out: io.StringIO) -> None:
    logs.setup("debug", "text", hide, out)
    logs.silence()
    root = logging.getLogger("tasktrail")
    assert [type(handler) for handler in root.handlers] == [logging.NullHandler]
    assert (root.level, root.propagate) == (logging.NOTSET, True)
