"""`prune`: says what goes and what stays, asks before, and what went is gone."""

from __future__ import annotations

from pathlib import Path

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
