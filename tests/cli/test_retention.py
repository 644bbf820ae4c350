"""`prune` and `erase`: they say what goes and what stays, ask before, and what went is gone."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from tasktrail.engine.project import open_project
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.lifecycle import Ask
from tests.cli.conftest import Call
from tests.cli.test_terminal import on_a_terminal

STORE = Path(".tasktrail/tasktrail.db")
OLD = ("--older-than", "1ms")


@pytest.fixture
def store() -> Path:
    """A run that is over, one that failed, one that is open."""
    ledger = open_project()
    for name, verbs in (("done", ("start", "complete")), ("bad", ("start", "fail")), ("open", ())):
        run = ledger.create_run(RunDraft("dag", name, "etl", (TaskDraft("a"),)))
        (task,) = ledger.store.read(lambda tx, run=run: tx.tasks("tasks_of_run", run_id=run.id))  # type: ignore[misc]
        for verb in verbs:
            ledger.ask(task.id, Ask(verb))  # type: ignore[arg-type]  # they are verbs
    ledger.store.close()
    return STORE


def names(spawn: Call) -> list[str]:
    return sorted(one["id"] for one in spawn("list-runs", "--json").data)


def test_it_says_what_it_would_remove_and_changes_nothing(store: Path, spawn: Call):
    before = store.read_bytes()

    answer = spawn("prune", *OLD, "--keep-failures", "--dry-run")

    assert answer.out == "old: 1 run, 1 task, 1 attempt, 5 events\nkept: 1 failed (--keep-failures)\n"
    assert answer.err == "nothing was changed: this is what prune would do\n"
    assert store.read_bytes() == before


def test_what_went_is_gone_and_the_doctor_knows_of_it(store: Path, spawn: Call):
    answer = spawn("prune", *OLD, "--yes", "--vacuum", "--json")

    assert answer.data == {
        "id": "pruned",
        "dry_run": False,
        "rows": {"runs": 2, "tasks": 2, "attempts": 2, "events": 10},
        "kept": {},
        "files": [],
        "spare_bytes": 0,
    }
    assert names(spawn) == ["open"]
    doctor = spawn("doctor", "--verify", "--json")
    assert doctor.code == 0
    (check,) = [check for check in doctor.data["checks"] if check["name"] == "pruned"]
    assert check["message"].startswith("2 runs, 2 tasks, 2 attempts, 10 events; ")


def test_a_file_that_went_unnoticed_is_not_said_to_be_there(store: Path, call: Call):
    connection = apsw.Connection(str(store))
    connection.execute("INSERT INTO document (id, path, codec) VALUES (1, 'gone.json', 'run-json@1')")
    connection.execute("UPDATE run SET document_id = 1 WHERE name = 'done'")
    connection.close()

    _, kept, file = call("prune", *OLD, "--dry-run").out.splitlines()

    assert kept == "kept: 1 attached to a file, which was there when it was last looked at"
    assert file.endswith("/gone.json")


def test_without_a_terminal_it_wants_to_be_told(store: Path, spawn: Call):
    answer = spawn("prune", *OLD, "--keep-failures")

    assert (answer.code, names(spawn)) == (2, ["bad", "done", "open"])
    assert "hint: tasktrail prune --older-than 1ms --keep-failures --yes\n" in answer.err


@pytest.mark.parametrize(("said", "code", "left"), [("y", 0, ["open"]), ("n", 1, ["bad", "done", "open"])])
def test_on_a_terminal_it_asks_and_shows_how_far_it_is(store: Path, spawn: Call, said: str, code: int, left: list[str]):
    ended, shown = on_a_terminal("prune", *OLD, typed=f"{said}\n")

    assert ended == code
    assert "remove what is older than 1ms? [y/N]: " in shown
    assert ("\r2 of 2" in shown) == (code == 0)
    assert names(spawn) == left


@pytest.mark.parametrize("said", ["banana", "90", "-1d", ""])
def test_an_age_that_is_none_is_refused(store: Path, spawn: Call, said: str):
    answer = spawn("prune", "--older-than", said, "--yes")

    assert (answer.code, names(spawn)) == (2, ["bad", "done", "open"])


def test_where_there_is_no_store_there_is_nothing_to_do_and_none_is_made(spawn: Call):
    answer = spawn("prune", *OLD, "--yes")

    assert (answer.code, answer.out) == (0, "old: nothing\nremoved: nothing\n")
    assert list(Path().iterdir()) == []


# ---------------------------------------------------------------------------------------------------------------- erase


@pytest.fixture
def noted(store: Path, spawn: Call) -> Path:
    spawn("note", "open:a", "Zoë Example asked")
    spawn("note", "open:a", "ZOË EXAMPLE again")
    Path(".tasktrail/tasktrail.db.before-version-4-from-3").write_bytes(b"an older copy")
    return store


def test_a_dry_run_says_where_it_stands_and_never_what_is_around_it(noted: Path, spawn: Call):
    answer = spawn("erase", "--match", "zoë example", "--dry-run")

    assert (answer.code, answer.out) == (0, "event.note  2 rows\n")
    assert "not changed, and may have it: " in answer.err
    assert answer.err.endswith("nothing was changed: this is where it stands\n")
    assert "asked" not in answer.out + answer.err
    assert "Zoë Example asked" in spawn("history", "open").out


def test_it_is_gone_from_all_files_and_the_copy_beside_is_named(noted: Path, spawn: Call):
    answer = spawn("erase", "--match", "zoë example", "--yes", "--json")

    assert (answer.code, answer.data["places"], answer.data["in_the_way"]) == (0, {"event.note": 2}, [])
    assert [Path(one).name for one in answer.data["copies"]] == ["tasktrail.db.before-version-4-from-3"]
    assert "“[erased] asked”" in spawn("history", "open").out
    for path in noted.parent.iterdir():
        assert path.is_dir() or "zoë example".encode() not in path.read_bytes().lower()
    assert spawn("doctor", "--verify").code == 0


def test_a_name_is_refused_and_listed(noted: Path, spawn: Call):
    answer = spawn("erase", "--match", "done", "--yes")

    assert answer.code == 4
    assert "run name done" in answer.err
    assert names(spawn) == ["bad", "done", "open"]


@pytest.mark.parametrize(("said", "code"), [("y", 0), ("n", 1)])
def test_on_a_terminal_erase_asks(noted: Path, spawn: Call, said: str, code: int):
    ended, shown = on_a_terminal("erase", "--match", "Zoë Example", typed=f"{said}\n")

    assert ended == code
    assert "erase it in 2 places? [y/N]: " in shown
    assert ("[erased]" in spawn("history", "open").out) == (code == 0)


@pytest.mark.parametrize("text", ["ab", "  a ", "[erased]"])
def test_a_text_that_cannot_be_erased_is_refused(noted: Path, spawn: Call, text: str):
    assert spawn("erase", "--match", text, "--yes").code == 2


def test_without_a_terminal_erase_wants_to_be_told(noted: Path, spawn: Call):
    answer = spawn("erase", "--match", "Zoë Example")

    assert answer.code == 2
    assert "hint: tasktrail erase --match TEXT --yes\n" in answer.err
    assert "Zoë Example asked" in spawn("history", "open").out
