"""The command over stdio, with bytes as they are: nothing but the protocol on stdout, whatever comes in or happens."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tasktrail.plan import PlanTools

HELLO = {
    "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}},
}  # fmt: skip
READY = {"jsonrpc": "2.0", "method": "notifications/initialized"}
PATIENCE_S = 60


@contextmanager
def started(
    *arguments: str, options: Sequence[str] = (), env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Start the command in the working directory."""
    argv = [sys.executable, "-m", "tasktrail", *options, "mcp", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, env=env) as process:
        try:
            yield process
        finally:
            process.kill()


class Wire:
    """What goes in and out of a server, as it is."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.messages: list[Any] = []
        self._process, self._stdin, self._stdout = process, process.stdin, process.stdout

    def send(self, *lines: bytes) -> None:
        """Send lines."""
        self._stdin.write(b"".join(line + b"\n" for line in lines))
        self._stdin.flush()

    def ask(self, line: bytes) -> Any:
        """Send a request, and return its answer; a byte that is no protocol is no JSON."""
        self.send(line)
        number = json.loads(line)["id"]
        while (message := json.loads(self._stdout.readline())).get("id") != number:
            self.messages.append(message)
        self.messages.append(message)
        return message

    def greet(self) -> None:
        """Shake hands."""
        self.ask(json.dumps(HELLO).encode())
        self.send(json.dumps(READY).encode())

    def end(self) -> tuple[str, int]:
        """Leave; return what was on stderr, and the exit code."""
        out, err = self._process.communicate(timeout=PATIENCE_S)
        self.messages += [json.loads(line) for line in out.splitlines()]
        return err.decode(), self._process.returncode


def conversation(*calls: bytes, arguments: Sequence[str] = (), options: Sequence[str] = ()) -> tuple[Any, str, int]:
    """Send calls, each when the one before is answered; return the messages, what was on stderr, and the exit code."""
    with started(*arguments, options=options) as process:
        wire = Wire(process)
        wire.greet()
        for line in calls:
            wire.ask(line)
        err, code = wire.end()
    return wire.messages, err, code


def call_of(number: int, name: str, **arguments: Any) -> bytes:
    """Return a call as a line."""
    params = {"name": name, "arguments": arguments}
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}).encode()


def by_id(messages: Sequence[Any]) -> dict[int, Any]:
    """Return the answers by the number of what they answer."""
    return {one["id"]: one for one in messages if "id" in one}


def said(message: Any) -> dict[str, Any]:
    """Return what a tool said."""
    words: dict[str, Any] = json.loads(message["result"]["content"][0]["text"])
    return words


def test_every_byte_on_stdout_is_protocol():
    messages, err, code = conversation(
        call_of(1, "write_task_list", tasks=[{"id": "T1", "description": "Draw\nthe schema \u2028 \x1b[31m"}]),
        call_of(2, "tasks_last_failed"),
        call_of(3, "get_next_task", claim=True),
        b'{"jsonrpc":"2.0","id":4,"method":"tools/list"}',
        arguments=["--toolsets", "all"],
    )

    assert all(one["jsonrpc"] == "2.0" for one in messages)
    assert by_id(messages).keys() == {0, 1, 2, 3, 4}
    assert said(by_id(messages)[3])["task"]["description"] == "Draw\nthe schema \u2028 \x1b[31m"
    assert (err, code) == ("", 0)


def test_what_code_prints_does_not_reach_the_protocol(tmp_path: Path):
    """A scrubber of one's own is code of somebody else that runs in the server."""
    package = tmp_path / "noisy"
    package.mkdir()
    (package / "noisy_scrubber.py").write_text("def clean(text):\n    print('NOISE')\n    return text\n")
    info = package / "noisy-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: noisy\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[tasktrail.scrubbers]\nnoisy = noisy_scrubber:clean\n")
    PlanTools(tmp_path, "main").write_task_list([{"id": "T1", "description": "Draw the schema"}])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(package), *sys.path])}

    with started(env=environment) as process:
        wire = Wire(process)
        wire.greet()
        wire.ask(call_of(1, "read_task_breakdown"))
        err, _ = wire.end()

    assert "NOISE" in err
    assert [one["id"] for one in wire.messages] == [0, 1]


HOSTILE = {
    "no JSON": b"{hello",
    "nothing": b"",
    "half a character": b'{"jsonrpc":"2.0","id":7,"method":"ping","params":{"x":"\\ud800"}}',
    "no UTF-8": b'{"jsonrpc":"2.0","id":7,"method":"\xff\xfe"}',
    "a number": b"42",
    "a batch": b'[{"jsonrpc":"2.0","id":7,"method":"ping"}]',
    "no method": b'{"jsonrpc":"2.0","id":7}',
    "another version": b'{"jsonrpc":"1.0","id":7,"method":"ping"}',
    "an unknown method": b'{"jsonrpc":"2.0","id":7,"method":"tools/destroy"}',
    "an id that is an object": b'{"jsonrpc":"2.0","id":{},"method":"ping"}',
    "a number of 6,000 digits": b'{"jsonrpc":"2.0","id":' + b"9" * 6_000 + b',"method":"ping"}',
    "NaN": b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"tasks_list","arguments":{"limit":NaN}}}',
    "100,000 levels": b'{"jsonrpc":"2.0","id":7,"method":"ping","params":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "arguments 5,000 levels deep": b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"write_task_list",'
    b'"arguments":{"tasks":' + b"[" * 5_000 + b"]" * 5_000 + b"}}}",
    "arguments that are a list": b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"tasks_list",'
    b'"arguments":[1]}}',
    "a text of 8 MiB": b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"tasks_list","arguments":'
    b'{"task_id":"' + b"x" * 8_388_608 + b'"}}}',
    "a NUL": b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"tasks_by_trace","arguments":'
    b'{"trace_id":"\\u0000"}}}',
}  # fmt: skip


def test_hostile_messages_are_answered_or_passed_over_and_the_next_is_served():
    with started() as process:
        wire = Wire(process)
        wire.greet()
        for number, message in enumerate(HOSTILE.values(), 100):
            wire.send(message)
            assert said(wire.ask(call_of(number, "tasks_last_failed")))["status"] == "success"
        err, code = wire.end()

    assert code == 0
    assert "Traceback" not in err


@pytest.mark.parametrize("kind", ["no JSON", "no UTF-8", "a batch", "100,000 levels", "an id that is an object"])
def test_a_server_bears_a_hostile_message_before_the_handshake(kind: str):
    with started() as process:
        wire = Wire(process)
        wire.send(HOSTILE[kind])
        wire.greet()
        answer = wire.ask(call_of(99, "tasks_last_failed"))
        err, code = wire.end()

    assert said(answer)["status"] == "success"
    assert code == 0
    assert "Traceback" not in err


def test_a_client_that_vanishes_in_the_middle_ends_the_server_and_what_was_told_is_kept():
    with started() as process:
        wire = Wire(process)
        wire.greet()
        wire.ask(call_of(1, "write_task_list", tasks=[{"id": "T1", "description": "Draw the schema"}]))
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b'{"jsonrpc":"2.0","id":2,"method":"tools/ca')
        process.stdin.close()
        process.stdout.close()

        code = process.wait(PATIENCE_S)

    assert code in (0, 1)
    assert PlanTools(Path.cwd(), "main").read_task_breakdown()["total_tasks"] == 1


def test_a_store_that_is_none_is_told_in_the_answer_and_the_server_goes_on(tmp_path: Path):
    (tmp_path / ".tasktrail").mkdir()
    (tmp_path / ".tasktrail" / "tasktrail.db").write_bytes(b"this is no database at all, whatever it is called" * 40)

    messages, _, code = conversation(call_of(1, "tasks_last_failed"), call_of(2, "get_next_task", claim=True))

    first, second = said(by_id(messages)[1]), said(by_id(messages)[2])
    assert first["status"] == second["status"] == "error"
    assert "is no" in first["message"]
    assert by_id(messages)[1]["result"]["isError"] is True
    assert code == 0


def test_a_server_that_cannot_be_reached_is_told_in_the_answer():
    url = "postgresql://nobody:hush@127.0.0.1:1/none"

    messages, err, _ = conversation(call_of(1, "tasks_last_failed"), options=["--store", url])

    answer = said(by_id(messages)[1])
    assert (answer["status"], answer["code"]) == ("error", "unreachable")
    assert "cannot be reached" in err, "whoever started the server is told, too"
    assert "hush" not in f"{messages}{err}"


def test_a_setting_that_cannot_be_ends_the_command_with_the_reason():
    with started("--toolsets", "nonsense") as process:
        out, err = process.communicate(b"", PATIENCE_S)

    assert (out, process.returncode) == (b"", 2)
    assert b"there is no toolset 'nonsense'" in err


def test_without_the_extra_the_command_says_what_to_install(tmp_path: Path):
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['mcp'] = None\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}

    done = subprocess.run(
        [sys.executable, "-m", "tasktrail", "mcp"], capture_output=True, text=True, env=environment, timeout=PATIENCE_S,
        check=False,
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: the package mcp is not installed\nhint: pip install 'tasktrail[mcp]'\n"


def test_a_call_is_one_log_line_that_has_no_arguments_in_it():
    options = ["-v", "--log-format", "json"]

    _, err, _ = conversation(call_of(1, "tasks_list", task_id="secret-plan"), options=options)

    logged = [json.loads(line) for line in err.splitlines()]
    (line,) = [one for one in logged if one["msg"].startswith("call ")]
    assert {name: line[name] for name in ("level", "tool", "status", "rows")} == {
        "level": "info", "tool": "tasks_list", "status": "success", "rows": 0,
    }  # fmt: skip
    assert line["latency_ms"] > 0
    assert len(line["args_hash"]) == 12
    assert "secret-plan" not in err


def test_two_servers_on_one_file_see_each_other():
    with started() as first, started() as second:
        one, two = Wire(first), Wire(second)
        one.greet()
        two.greet()
        written = said(one.ask(call_of(1, "write_task_list", tasks=[{"id": "T1", "description": "Draw the schema"}])))
        claimed = said(two.ask(call_of(1, "get_next_task", claim=True)))
        seen = said(one.ask(call_of(2, "get_next_task", claim=True)))

    assert (written["status"], claimed["task"]["id"], seen["task"]) == ("success", "T1", None)
    assert sqlite3.connect(".tasktrail/tasktrail.db").execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_though_its_client_stays(number: signal.Signals):
    with started() as process:
        wire = Wire(process)
        wire.greet()

        process.send_signal(number)

        assert process.wait(PATIENCE_S) == 0


def test_a_stdout_that_nobody_reads_ends_the_server_with_the_reason():
    with started() as process:
        wire = Wire(process)
        wire.greet()
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        wire.send(b'{"jsonrpc":"2.0","id":1,"method":"ping"}')

        code = process.wait(PATIENCE_S)
        err = process.stderr.read()

    assert code == 1
    assert b"stdout cannot be written to any more" in err
    assert b"Traceback" not in err


def test_a_server_ends_though_a_call_waits_for_a_lock():
    PlanTools(Path.cwd(), "main").write_task_list([{"id": "T1", "description": "Draw the schema"}])
    locked = sqlite3.connect(".tasktrail/tasktrail.db", isolation_level=None)
    locked.execute("BEGIN EXCLUSIVE")
    environment = {**os.environ, "TASKTRAIL_MCP_TIMEOUT_S": "0.1", "TASKTRAIL_BUSY_TIMEOUT_S": "600"}

    with started(env=environment) as process:
        wire = Wire(process)
        wire.greet()
        answer = wire.ask(call_of(1, "mark_task_status", task_id="T1", status="completed"))
        _, code = wire.end()
    locked.close()

    assert said(answer)["code"] == "timeout"
    assert code == 0


def test_who_sends_no_message_hears_so():
    with started() as process:
        wire = Wire(process)
        wire.greet()
        wire.send(b"{hello", b'{"jsonrpc":"2.0","id":7,"method":"ping","params":{"x":"\\ud800"}}')
        wire.ask(b'{"jsonrpc":"2.0","id":8,"method":"ping"}')
        wire.end()

    refused = [one["error"] for one in wire.messages if "error" in one and one["id"] is None]
    assert [one["code"] for one in refused] == [-32700, -32700]


def test_half_a_character_and_what_is_no_number_in_the_store_do_not_break_the_protocol():
    PlanTools(Path.cwd(), "main").write_task_list([{"id": "T1", "description": "Draw the schema"}])
    stored = sqlite3.connect(".tasktrail/tasktrail.db")
    stored.execute("""UPDATE task SET metadata = '{"file": "caf\\udce9", "ratio": NaN}'""")
    stored.commit()
    stored.close()
    read = {"jsonrpc": "2.0", "id": 2, "method": "resources/read", "params": {"uri": "task://main%3AT1"}}

    messages, err, code = conversation(call_of(1, "read_task_breakdown"), json.dumps(read).encode())

    answer = by_id(messages)[1]["result"]
    (task,) = json.loads(answer["content"][0]["text"], parse_constant=pytest.fail)["tasks"]
    assert (task["file"], task["ratio"]) == ("caf\\udce9", "[nan]")
    assert answer["structuredContent"]["tasks"] == [task]
    json.loads(by_id(messages)[2]["result"]["contents"][0]["text"], parse_constant=pytest.fail)
    assert (err, code) == ("", 0)
