"""`scrub`: files and stdin without what is private, and what of that the store holds."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tasktrail.engine.scrub_check import KEYS
from tasktrail.executions import RawStore
from tasktrail.store.described import text_columns
from tests.cli.conftest import Call
from tests.executions.told import told
from tests.store.stores import sql

STORE = Path(".tasktrail/tasktrail.db")
COLUMNS = [(table, column) for table, columns in text_columns().items() for column in columns]


@pytest.fixture
def plant(failed: str, call: Call) -> None:
    """A store with a row in every table that holds text; nothing private is in it."""
    assert call("scrub", "--check").code == 0
    sql(
        STORE,
        "DROP TRIGGER event_is_never_changed",
        "INSERT INTO error (fingerprint, first_at, last_at) VALUES ('f1', 1, 1)",
        "INSERT INTO reader (name) VALUES ('mail')",
        "INSERT INTO delivery (event_seq, reader, target) VALUES (1, 'mail', 'x')",
    )


# --------------------------------------------------------------------------------------------------------------- check


@pytest.mark.usefixtures("plant")
@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=".".join)
def test_every_column_that_is_kept_as_text_is_looked_over(call: Call, table: str, column: str) -> None:
    sql(STORE, f"UPDATE {table} SET {column} = '1ann@example.org bob@example.org password=hunter2'")
    answer = call("scrub", "--check", "--json")

    assert answer.code == 5
    assert answer.document["schema"] == "tasktrail/scrub-check@1"
    assert answer.data["clean"] is False
    assert {(one["table"], one["column"]) for one in answer.data["found"]} == {(table, column)}
    assert answer.data["found"][0]["kinds"] == {"email": 2, "secret": 1}
    assert "ann@" not in answer.out + answer.err
    assert "hunter2" not in answer.out + answer.err


def test_every_table_with_text_has_what_tells_its_rows() -> None:
    assert KEYS.keys() == text_columns().keys()


def test_what_is_found_is_named_as_people_name_it(failed: str, call: Call) -> None:
    text = "cannot reach ann@example.org, password=hunter2"
    sql(
        STORE,
        f"UPDATE task SET error = '{text}' WHERE key = 'process'",
        f"UPDATE attempt SET stack = '{text}' WHERE n = 2",
        f"UPDATE run SET declared_error = '{text}'",
    )
    answer = call("scrub", "--check")

    assert answer.code == 5
    assert [line.split(maxsplit=1) for line in answer.out.splitlines()[1:]] == [
        ["my-dag-123", "run.declared_error  email, secret"],
        ["my-dag-123:process", "task.error          email, secret"],
        ["my-dag-123:process", "attempt 2  attempt.stack       email, secret"],
    ]
    assert answer.err == "3 texts with what does not belong there\n"


@pytest.mark.usefixtures("failed")
def test_the_profile_strict_looks_for_more_and_what_is_allowed_is_not_found(call: Call) -> None:
    sql(STORE, "UPDATE task SET reason = 'at 10.0.0.1'")

    assert call("scrub", "--check").code == 0
    strict = call("scrub", "--check", "--profile", "strict", "--json")
    assert (strict.code, {tuple(one["kinds"]) for one in strict.data["found"]}) == (5, {("ip",)})
    Path("tasktrail.toml").write_text('[scrub]\nallow = ["10.0.0.1"]\n', "utf-8")
    assert call("scrub", "--check", "--profile", "strict").err == "nothing was found\n"


def test_a_recording_is_named_by_its_id(call: Call) -> None:
    with RawStore() as store:
        kept = store.append_experience(told(response_text="all is well"))
        store.append_observation("so it is", [kept], experience_id="obs-1")
    assert call("scrub", "--check", "--profile", "strict").code == 0
    sql(STORE, "UPDATE attempt SET response = 'ask ann@example.org'")

    answer = call("scrub", "--check", "--json")

    assert answer.code == 5
    assert [(one["row"], one["column"]) for one in answer.data["found"]] == [(kept, "response"), ("obs-1", "response")]


def test_a_check_makes_no_store(call: Call) -> None:
    assert call("scrub", "--check").code == 0
    assert not STORE.exists()


def test_a_check_takes_no_file(call: Call) -> None:
    Path("log").write_text("", "utf-8")
    assert call("scrub", "--check", "log").code == 2


# --------------------------------------------------------------------------------------------------------------- texts


def test_a_file_is_printed_scrubbed_byte_for_byte_otherwise(spawn: Call) -> None:
    Path("log").write_bytes(b"ann@example.org\r\nbob@example.org \xff\n10.0.0.1")
    done = subprocess.run([sys.executable, "-m", "tasktrail", "scrub", "log"], capture_output=True, check=True)

    assert done.stdout == b"[email:1]\r\n[email:2] \xff\n10.0.0.1"
    Path("log").write_text("ann@example.org bob@example.org at 10.0.0.1", "utf-8")
    assert spawn("scrub", "log", "--profile", "strict").out == "[email:1] [email:2] at [ip]"
    answer = spawn("scrub", "log", "--json")
    assert (answer.document["schema"], answer.data["text"][:9]) == ("tasktrail/scrubbed-text@1", "[email:1]")


def test_stdin_is_read_when_no_file_is_named() -> None:
    command = [sys.executable, "-m", "tasktrail", "scrub"]
    for more in ([], ["-"]):
        done = subprocess.run([*command, *more], input=b"to ann@example.org\n", capture_output=True, check=True)
        assert done.stdout == b"to [email]\n"


@pytest.mark.platform_only("/proc")
def test_a_long_file_is_never_in_memory_as_a_whole_and_names_equal_values_alike() -> None:
    line = "2026-03-01 12:30:45 ann@example.org wrote to user number {} @example.org about this and that, again\n"
    with Path("log").open("w", encoding="utf-8") as log:
        log.writelines(line.format(number) for number in range(600_000))
    script = (  # not ru_maxrss, which a child inherits from a large parent
        "import sys; from tasktrail.cli.app import run; code = run(['scrub', 'log']); "
        "sys.stderr.write(open('/proc/self/status').read()); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    lines = done.stdout.splitlines()
    assert len(lines) == 600_000
    assert {text.split()[2] for text in lines} == {"[email]"}
    peak_kib = int(re.search(r"VmHWM:\s+(\d+) kB", done.stderr)[1])  # type: ignore[index]  # every status has it
    assert peak_kib < 90_000, "the file has 60,000"


def test_a_file_that_is_not_there_is_named(call: Call) -> None:
    answer = call("scrub", "nope")
    assert (answer.code, "nope" in answer.err) == (2, True)
