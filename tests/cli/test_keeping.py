"""`backup`, `restore`, `doctor`, `init`, `config show`, `completion`: the store and the project as a whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tasktrail.engine.findings import Check
from tasktrail.engine.health import SOUND_SQLITE, examine
from tasktrail.engine.project import open_project
from tasktrail.model.draft import RunDraft, TaskDraft
from tests.cli.conftest import Call

STORE = Path(".tasktrail/tasktrail.db")


@pytest.fixture
def store() -> Path:
    ledger = open_project()
    ledger.create_run(RunDraft("dag", "A", "etl", (TaskDraft("a"),)))
    ledger.store.close()  # else this process would be somebody who has it open
    return STORE


def names_of(spawn: Call) -> list[str]:
    return [one["id"] for one in spawn("list-runs", "--json").data]


def test_a_backup_is_a_store_that_can_be_put_back(store: Path, spawn: Call):
    assert spawn("backup", "copy.db").out == "copy.db\n"
    assert Path("copy.db").stat().st_mode & 0o777 == 0o600
    spawn("cancel", "A")

    answer = spawn("restore", "copy.db", "--force")

    assert (answer.code, answer.out) == (0, ".tasktrail/tasktrail.db\n")
    assert "1 run; what was there is now .tasktrail/tasktrail.db.before-restore-" in answer.err
    assert spawn("list-runs", "--json").data[0]["status"] == "created"
    assert spawn("doctor", "--verify").code == 0
    (kept,) = Path(".tasktrail").glob("*.before-restore-*")
    assert spawn("--store", str(kept), "list-runs", "--json").data[0]["status"] == "cancelled"


def test_restore_makes_a_store_where_there_is_none(store: Path, spawn: Call):
    spawn("backup", "copy.db")
    Path("elsewhere").mkdir()

    answer = spawn("-C", "elsewhere", "--store", ".tasktrail/tasktrail.db", "restore", "../copy.db", "--json")

    assert answer.data == {
        "id": str(Path("elsewhere/.tasktrail/tasktrail.db").resolve()),
        "path": str(Path("elsewhere/.tasktrail/tasktrail.db").resolve()),
        "runs": 1,
        "kept": None,
    }
    assert Path("elsewhere/.tasktrail/.gitignore").exists()


def test_a_backup_never_overwrites_and_a_restore_only_when_told(store: Path, spawn: Call):
    spawn("backup", "copy.db")

    again, back = spawn("backup", "copy.db"), spawn("restore", "copy.db")

    assert (again.code, back.code) == (6, 4)
    assert "a restore would replace it\nhint: tasktrail restore copy.db --force\n" in back.err


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (None, 3, "there is no file copy.db"),
        (b"these are notes\n" * 100, 6, "copy.db is no Tasktrail store"),
        (b"SQLite format 3\0" + b"\xff" * 4096, 6, "copy.db"),
    ],
)
def test_what_is_no_backup_changes_nothing(store: Path, spawn: Call, content: bytes | None, code: int, words: str):
    if content is not None:
        Path("copy.db").write_bytes(content)
    before = sorted(path.name for path in STORE.parent.iterdir())

    answer = spawn("restore", "copy.db", "--force")

    assert answer.code == code
    assert words in answer.err
    assert ".restore-" not in answer.err, "our own copy is nobody's business"
    assert names_of(spawn) == ["A"]
    assert sorted(path.name for path in STORE.parent.iterdir()) == before


def test_a_damaged_backup_is_refused(store: Path, spawn: Call):
    ledger = open_project()
    for n in range(50):
        ledger.create_run(RunDraft("dag", f"run-{n}", "etl", tuple(TaskDraft(f"t{i}") for i in range(20))))
    ledger.store.close()
    spawn("backup", "copy.db")
    data = bytearray(Path("copy.db").read_bytes())
    data[20_000:28_000] = b"\xa5" * 8_000
    Path("copy.db").write_bytes(data)

    answer = spawn("restore", "copy.db", "--force")

    assert answer.code == 6
    assert len(names_of(spawn)) == 20


def test_a_damaged_store_is_replaced_and_kept(store: Path, spawn: Call):
    spawn("backup", "copy.db")
    STORE.write_bytes(b"gone" * 1000)

    assert spawn("list-runs").code == 6
    answer = spawn("restore", "copy.db", "--force")

    assert answer.code == 0
    assert names_of(spawn) == ["A"]
    (kept,) = STORE.parent.glob("*.before-restore-*")
    assert kept.read_bytes() == b"gone" * 1000


def test_a_store_with_changes_in_its_journal_is_no_backup(store: Path, spawn: Call):
    Path("copied.db").write_bytes(STORE.read_bytes())
    Path("copied.db-wal").write_bytes(b"x")

    answer = spawn("restore", "copied.db", "--force")

    assert (answer.code, "no backup" in answer.err) == (2, True)


def test_restore_refuses_while_somebody_has_the_store_open(store: Path, spawn: Call):
    spawn("backup", "copy.db")
    ledger = open_project()
    ledger.store.read(lambda tx: tx.rows("run_ids"))

    held = spawn("restore", "copy.db", "--force")
    ledger.store.close()

    assert held.code == 4
    assert "another process has " in held.err
    assert list(STORE.parent.glob("*restore*")) == []


@pytest.mark.crash
def test_restore_refuses_while_somebody_works(store: Path, spawn: Call):
    spawn("backup", "copy.db")
    Path("slow.py").write_text(
        "import time\nfrom tasktrail.dag import StatefulDAGRunner\n"
        "def build():\n"
        "    runner = StatefulDAGRunner('slow')\n"
        "    runner.register_step('wait', lambda: print('waiting', flush=True) or time.sleep(60))\n"
        "    return runner\n"
    )
    command = [sys.executable, "-m", "tasktrail", "run", "dag", "slow:build", "--run-id", "busy"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=os.environ) as process:
        assert process.stderr is not None
        while b"waiting" not in process.stderr.readline():
            pass
        held = spawn("restore", "copy.db", "--force")
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)

    assert held.code == 4
    assert f"is in use by process {process.pid} on " in held.err
    assert spawn("restore", "copy.db", "--force").code == 0
    assert names_of(spawn) == ["A"]


def test_without_a_store_there_is_nothing_to_back_up(call: Call):
    answer = call("backup", "copy.db")

    assert answer.code == 3
    assert not Path("copy.db").exists()


def test_the_doctor_of_a_healthy_store_finds_nothing(store: Path, call: Call):
    answer = call("doctor", "--verify")

    assert (answer.code, answer.err) == (0, "")
    assert {line.split()[0] for line in answer.out.splitlines()} == {"ok"}
    assert "history folds to its rows" in answer.out
    checks = call("doctor", "--json").data["checks"]
    assert {"versions", "store", "mode", "disk", "sqlite", "workers"} <= {one["id"] for one in checks}


def test_the_doctor_makes_no_store(call: Call, tmp_path: Path):
    answer = call("doctor")

    assert answer.code == 0
    assert "there is none yet" in answer.out
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_others_may_open_is_a_warning_and_a_folder_that_anybody_writes_a_problem(store: Path, call: Call):
    STORE.chmod(0o644)
    STORE.parent.chmod(0o777)

    answer = call("doctor")

    assert answer.code == 5
    assert "warning  mode         others on this machine may open the store (0644)" in answer.out
    assert "PROBLEM  folder" in answer.out
    assert f"to do: chmod 600 {STORE.resolve()}" in answer.out
    assert answer.err == "1 problem\n"


def test_a_history_that_does_not_fold_is_a_problem(store: Path, spawn: Call):
    import apsw

    connection = apsw.Connection(str(STORE))
    connection.execute("UPDATE run SET n_pending = 7")
    connection.close()

    answer = spawn("doctor", "--verify", "--json")

    assert answer.code == 5
    assert answer.data["healthy"] is False
    assert "n_pending" in next(one["message"] for one in answer.data["checks"] if one["level"] == "problem")


def test_a_store_that_cannot_be_opened_is_a_problem(call: Call):
    STORE.parent.mkdir()
    STORE.write_text("these are notes\n" * 10)

    answer = call("doctor")

    assert answer.code == 5
    assert "PROBLEM  open" in answer.out


def test_an_old_sqlite_and_a_network_file_system_are_problems(store: Path, monkeypatch: pytest.MonkeyPatch):
    import tasktrail.engine.health as health
    from tasktrail.config import load

    monkeypatch.setattr(health, "SOUND_SQLITE", (99, 0, 0))
    monkeypatch.setattr(health, "_file_system", lambda path: "nfs4")

    problems = {check.name: check for check in examine(load()) if check.level == "problem"}

    assert set(problems) == {"sqlite", "file system"}
    assert problems["sqlite"].hint == "pip install --upgrade apsw"
    assert SOUND_SQLITE == (3, 51, 3)
    assert isinstance(problems["sqlite"], Check)


def test_init_writes_settings_that_set_nothing_and_never_overwrites(call: Call):
    before = call("config", "show", "--json").data
    first, second = call("init"), call("init")

    assert (first.code, first.out) == (0, "tasktrail.toml\n")
    assert second.code == 2
    after = call("config", "show", "--json").data
    assert [(one["id"], one["value"]) for one in after] == [(one["id"], one["value"]) for one in before]


def test_config_show_says_where_each_value_came_from(call: Call, monkeypatch: pytest.MonkeyPatch):
    Path("tasktrail.toml").write_text("[run]\nmax_parallel = 3\n")
    monkeypatch.setenv("TASKTRAIL_SYNCHRONOUS", "normal")

    said = {one["id"]: (one["value"], one["origin"]) for one in call("--as", "ann", "config", "show", "--json").data}

    assert said["actor"] == ("ann", "flag --as")
    assert said["store.synchronous"] == ("normal", "environment TASKTRAIL_SYNCHRONOUS")
    assert said["run.max_parallel"] == (3, f"{Path('tasktrail.toml').resolve()} line 2")
    assert said["color"] == ("auto", "default")
    assert call("config", "show").out.startswith("SETTING")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_each_shell(call: Call, shell: str):
    answer = call("completion", shell)

    assert answer.code == 0
    assert "_TASKTRAIL_COMPLETE" in answer.out


@pytest.mark.parametrize(
    ("words", "completions"),
    [
        ("tasktrail list-r", ["list-runs"]),
        ("tasktrail run dag --st", ["--status"]),
        ("tasktrail run dag --status A", ["A"]),
        ("tasktrail history A", ["A"]),
        ("tasktrail --store nope.db history A", []),
        ("tasktrail --store /dev/null/x history A", []),
    ],
)
def test_a_shell_completes_commands_options_and_run_ids(store: Path, spawn: Call, words: str, completions: list[str]):
    count = str(len(words.split()) - 1)

    answer = spawn(COMP_WORDS=words, COMP_CWORD=count, _TASKTRAIL_COMPLETE="bash_complete")

    assert answer.out.split() == [f"plain,{one}" for one in completions]


def test_the_version_is_told(call: Call):
    from tasktrail import __version__

    assert call("--version").out == f"tasktrail {__version__}\n"
