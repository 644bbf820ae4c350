"""The commands on a store in PostgreSQL: those most used, the doctor, moving, backups; and no password is shown."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tasktrail.engine.findings import Check
from tasktrail.engine.server_health import look_at_server
from tasktrail.store import migrate
from tasktrail.store.address import address
from tasktrail.store.opening import open_store
from tests.cli.adding import added_at_once
from tests.cli.conftest import Call
from tests.postgres import Server, binaries

PIPELINE = """
name: pipeline
steps:
  - id: fetch
    run: ["python3", "-c", "print('fetched')"]
  - id: approve
    manual: Look at it
    depends_on: fetch
  - id: bad
    run: ["false"]
    critical: false
    depends_on: fetch
"""
COMMANDS = [
    (["list-runs"], 0, "pipeline"),
    (["scrub", "--check"], 0, ""),
    (["list-runs", "--status", "running", "--kind", "dag", "--workflow", "pipeline"], 0, "p1"),
    (["run", "dag", "--status", "p1"], 0, "Status: RUNNING"),
    (["status", "nope"], 3, "no run"),
    (["history", "p1"], 0, "roll_up"),
    (["history", "p1:fetch"], 0, "start"),
    (["history", "p1", "--limit", "2"], 0, "--cursor"),
    (["logs", "p1"], 0, "fetch | fetched"),
    (["logs", "p1:fetch", "--follow"], 0, "fetched"),
    (["explain", "p1"], 0, "approve waits for a person"),
    (["explain", "p1:approve"], 0, "Look at it"),
    (["graph", "p1"], 0, "fetch"),
    (["graph", "p1", "--format", "mermaid"], 0, "flowchart"),
    (["complete", "p1:approve"], 0, "p1:approve is completed"),
    (["skip", "p1:approve"], 0, "p1:approve is skipped"),
    (["unblock", "p1:approve"], 0, "p1:approve is pending"),
    (["reopen", "p1:fetch"], 0, "p1:fetch is pending"),
    (["block", "p1:bad", "--reason", "no"], 4, "failed"),
    (["pause", "p1"], 0, "p1"),
    (["cancel", "p1"], 0, "p1"),
    (["cancel", "p1:approve"], 0, "p1:approve is cancelled"),
    (["retry", "--all-failed"], 0, "p1"),
    (["retry", "--all-failed", "--dry-run"], 0, "p1"),
    (["resume", "p1", "--no-wait"], 0, "going on with run p1"),
    (["list-executions", "--status", "failed"], 0, "p1:bad"),
    (["last-failed", "--unique"], 0, "fp1:"),
    (["trace", "p1:fetch"], 0, "✗ bad"),
    (["stats"], 0, "success     50 %: 1 of 2, 1 failed"),
    (["sql", "SELECT task, status FROM executions ORDER BY task"], 0, "pipeline:fetch  success"),
    (["sql", "WITH gone AS (DELETE FROM task RETURNING 1) SELECT * FROM gone"], 2, "the store is only read here: "),
    (["sql", "SELECT $1"], 2, "the statement has parameters, for which there are no values"),
    (["sql", "SELECT $1::int"], 2, "the statement has parameters, for which there are no values"),
    (["doctor", "--verify"], 0, "every run's history folds to its rows"),
]


@pytest.fixture
def store(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a store of our own, which the settings name."""
    with server.schema() as url:
        monkeypatch.setenv("TASKTRAIL_STORE", url)
        yield url


PLAN = [
    (["add", "Deploy", "--after", "T1", "--priority", "high"], 0, "T7"),
    (["list-tasks", "--limit", "2"], 0, "--cursor plan/main:T2"),
    (["list-tasks", "--limit", "2", "--cursor", "plan/main:T6"], 0, "T7"),
    (["search", "DEPLOY"], 0, "T7"),
    (["start", "T7"], 4, "task T7 waits for T1 (pending)"),
    (["next", "--claim"], 0, "token "),
    (["complete", "T1", "--force", "--result", "done"], 0, "next: T7 Deploy"),
    (["edit", "T7", "--not-after", "T1", "--set", "a=1"], 0, "main:T7 is edited"),
    (["rm", "T2"], 0, "main:T2 is removed"),
    (["show", "T7"], 0, "a:          1"),
    (["doctor", "--verify"], 0, "every run's history folds to its rows"),
]


@pytest.fixture
def p1(store: str, spawn: Call) -> str:
    """A run that waits for a person, and has a step that failed; whoever began it is gone."""
    Path("pipeline.yaml").write_text(PIPELINE)
    spawn("run", "dag", "pipeline.yaml", "--run-id", "p1", "--no-wait")
    return store


@pytest.mark.parametrize(("arguments", "code", "words"), COMMANDS, ids=[" ".join(one) for one, _, _ in COMMANDS])
def test_a_command_works_there_as_on_a_file(p1: str, call: Call, arguments: list[str], code: int, words: str):
    answer = call(*arguments)

    assert (answer.code, words in answer.out + answer.err) == (code, True), answer.out + answer.err


def test_all_of_it_in_json_too(p1: str, call: Call):
    for arguments, code, _ in COMMANDS[:13]:
        if "--follow" not in arguments:
            answer = call(*arguments, "--json")
            assert (answer.code, "schema" in answer.document) == (code, True), arguments


def test_a_run_is_watched_until_it_is_over(p1: str, spawn: Call):
    with subprocess.Popen(
        [sys.executable, "-m", "tasktrail", "watch", "p1"], stderr=subprocess.PIPE, text=True, env=os.environ
    ) as watching:
        assert watching.stderr is not None
        first = watching.stderr.readline()
        assert spawn("complete", "p1:approve").code == 0
        told = first + watching.stderr.read()

    assert "following run p1: 1 of 3 steps are done" in told
    assert "bad failed: CommandFailed" in told
    assert watching.returncode == 5


def test_reading_makes_nothing(store: str, server: Server, call: Call):
    schema = address(store).schema

    assert call("list-runs", "--json").data == []
    assert "there is none yet; the first write makes postgresql://" in call("doctor").out
    assert call("history", "p1").code == 3

    with psycopg.connect(server.url()) as connection:
        assert connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,)).fetchone() is None


# ----------------------------------------------------------------------------------------------------------- the doctor


def found(url: str) -> dict[str, Check]:
    store = open_store(url)
    try:
        return {check.name: check for check in look_at_server(store, "here")}
    finally:
        store.close()


def test_the_doctor_says_what_the_server_is_and_promises(p1: str, call: Call):
    answer = call("doctor", "--json")

    checks = {one["id"]: one for one in answer.data["checks"]}
    assert answer.code == 0
    assert list(checks) == ["versions", "store", "server", "schema", "durability", "connections", "clock", "workers"]
    assert re.fullmatch(r"PostgreSQL \d\d\.\d.*", checks["server"]["message"])
    assert re.fullmatch(rf"version {migrate.latest('postgres')}, 0\.\d MB", checks["schema"]["message"])
    assert re.fullmatch(r"\d+ of 197 connections are free", checks["connections"]["message"])
    assert re.fullmatch(r"the server's clock is 0\.0 s (ahead of|behind) ours", checks["clock"]["message"])


def test_durability_that_is_switched_off_is_a_warning(p1: str, call: Call):
    """The server of these tests has fsync and full_page_writes off; a setting of the connection does the third."""
    lines = call("--store", f"{p1}&options=-csynchronous_commit%3Doff", "doctor").out.splitlines()

    warned = [line.split()[2] for line in lines if line.startswith("warning")]
    assert warned == ["synchronous_commit", "fsync", "full_page_writes"]
    assert any("to do: fsync = on in postgresql.conf" in line for line in lines)


def test_a_server_that_takes_no_writes_is_a_problem(p1: str):
    check = found(f"{p1}&options=-cdefault_transaction_read_only%3Don")["server"]

    assert check.level == "problem"
    assert "takes no writes" in check.message


def test_a_database_that_does_not_keep_unicode_is_a_problem(server: Server):
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")

    check = found(server.url("latin"))["server"]

    assert (check.level, "keeps texts as LATIN1" in check.message) == ("problem", True)


def test_a_server_that_cannot_be_reached_is_a_problem(call: Call):
    answer = call("--store", "postgresql://ann:s3cret@127.0.0.1:1/x", "doctor")

    assert answer.code == 5
    assert "PROBLEM  open         postgresql://127.0.0.1:1/x cannot be reached" in answer.out


def test_a_clock_that_is_off_and_few_connections_are_warnings(p1: str, monkeypatch: pytest.MonkeyPatch):
    import tasktrail.engine.server_health as health

    monkeypatch.setattr(health, "_OFF_BY_US", -1)
    monkeypatch.setattr(health, "_FEW_CONNECTIONS", 10_000)

    checks = found(p1)

    assert (checks["clock"].level, checks["connections"].level) == ("warning", "warning")


# ------------------------------------------------------------------------------------------------------ moving, backups


def test_a_move_ends_with_a_table_and_what_to_do_next(flow: Path, spawn: Call, server: Server):
    spawn("run", "dag", "flow:etl", "--run-id", "one")
    with server.schema() as url:
        answer = spawn("move", "--to", url)

        assert answer.code == 0
        lines = [line.split() for line in answer.out.splitlines()]
        assert lines[0] == ["TABLE", "ROWS"]
        assert {"run": "1", "task": "3"}.items() <= {line[0]: line[1] for line in lines if len(line) == 2}.items()
        assert re.search(
            r"^1 run verified on both sides; history [0-9a-f]{16} on both sides$", answer.out, re.MULTILINE
        )
        assert f"to use the copy: TASKTRAIL_STORE, or url under [store] in tasktrail.toml: {url}" in answer.err
        again = spawn("move", "--to", url)
        assert (again.code, "is not empty; rows it has: attempt" in again.err) == (4, True)

        back = spawn("move", "--from", url, "--to", "back.db", "--json").data

    assert (back["from"], back["to"]) == (url, f"sqlite:///{Path('back.db').resolve()}")
    assert back["rows"]["run"] == 1
    assert back["runs_verified"] == {"from": 1, "to": 1}
    assert back["history_digest"]["from"] == back["history_digest"]["to"]
    assert spawn("--store", "back.db", "doctor", "--verify").code == 0


def test_backup_and_restore_name_commands_that_work(p1: str, spawn: Call, server: Server):
    """What stands in the hints is typed, as a shell would take it: what was there after the dump is gone again."""
    dump = spawn("backup", "a copy.dump")
    assert (dump.code, "the server's own tools copy it" in dump.err) == (2, True)
    typed(dump.err)
    spawn("complete", "p1:approve")

    back = spawn("restore", "a copy.dump")
    assert back.code == 2
    typed(back.err)

    assert spawn("explain", "p1").out.startswith("approve waits for a person")
    assert spawn("doctor", "--verify").code == 0
    assert spawn("complete", "p1:approve").code == 0, "new events get numbers behind the old ones"


def typed(told: str) -> None:
    hint = told.partition("hint: ")[2].strip()
    words = shlex.split(hint)
    subprocess.run([str(binaries() / words[0]), *words[1:]], check=True, timeout=60)


# ------------------------------------------------------------------------------------------------------------ passwords

SECRETS = [
    "postgresql://ann:s3cret@127.0.0.1:1/x",
    "postgresql://ann@127.0.0.1:1/x?password=s3cret",
    "postgresql://ann:s3cret/more@127.0.0.1:1/x",
    "postgresql://ann:1/s3cret@127.0.0.1:1/x",
    "postgresql://ann:1#s3cret@127.0.0.1:1/x",
    "postgresql://ann:1?s3cret@127.0.0.1:1/x",
    "postgresql://ann:%zzs3cret@127.0.0.1:1/x",
    "postgresql://ann:[s3cret@127.0.0.1:1/x",
    "postgresql://ann:s3cret:x@127.0.0.1:port/x",
    "postgresql://ann:a@s3cret@127.0.0.1:1/x?nonsense=1",
]


@pytest.mark.parametrize("url", SECRETS)
@pytest.mark.parametrize(
    "arguments",
    [
        ["config", "show"],
        ["list-runs", "-vv"],
        ["doctor", "--json"],
        ["backup", "copy.dump"],
        ["restore", "copy.dump"],
        ["move", "--to", "copy.db"],
    ],
    ids=lambda words: words[0],
)
def test_a_password_is_never_shown(call: Call, url: str, arguments: list[str]):
    """Whatever a person got wrong about the URL, too."""
    for flag in (["--store", url], ["--store", url, "--log-level", "debug"]):
        answer = call(*arguments, *flag)
        assert "s3cret" not in answer.out + answer.err
    if arguments[0] == "move":
        answer = call("move", "--to", url)
        assert "s3cret" not in answer.out + answer.err


def test_the_password_is_used_all_the_same():
    assert "password=s3cret" in address("postgresql://ann:s3cret@db/x?schema=y").conninfo
    assert "password=s/c" in address("postgresql://ann:s%2Fc@db/x").conninfo


@pytest.mark.crash
def test_tasks_of_a_plan_are_added_at_once_and_worked_through(store: str, call: Call):
    assert sorted(added_at_once(6)) == ["T1", "T2", "T3", "T4", "T5", "T6"]

    for arguments, code, words in PLAN:
        answer = call(*arguments)
        assert (answer.code, words in answer.out + answer.err) == (code, True), (arguments, answer)
