"""`backfill`: result files of an earlier scheduler become executions, in the words of document 001."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasktrail.executions import RawStore
from tests.cli.conftest import Call
from tests.executions.results import FOLDER, write_both, write_result, write_results

INSTALLED = str(Path(sys.executable).with_name("tasktrail"))
FOUND = "Found 2 task result files (daily_reflection, idea_generation)"


def summary(total: int, created: int, duplicate: int, skipped: int, errors: int) -> str:
    return f"Total: {total}\nCreated: {created}\nDuplicate: {duplicate}\nSkipped: {skipped}\nErrors: {errors}\n"


@pytest.mark.requirement("AX-071", "AX-074")
def test_a_dry_run_lists_what_is_found_and_writes_nothing(call: Call):
    write_both()

    answer = call("backfill", "results", "--dry-run")

    assert answer.code == 0
    assert answer.out == f"{FOUND}\n{summary(2, 2, 0, 0, 0)}"
    assert answer.err == "nothing was written\n"
    assert [path.name for path in Path().iterdir()] == ["results"], "not even a store"


@pytest.mark.requirement("AX-010", "AX-074")
def test_the_second_time_all_are_duplicates(call: Call):
    write_both()

    assert call("backfill", "results").out == f"{FOUND}\n{summary(2, 2, 0, 0, 0)}"
    assert call("backfill", "results", "--dry-run").out == f"{FOUND}\n{summary(2, 0, 2, 0, 0)}"
    assert call("backfill", "results").out == f"{FOUND}\n{summary(2, 0, 2, 0, 0)}"


@pytest.mark.requirement("AX-072")
def test_the_documented_options_work(call: Call, monkeypatch: pytest.MonkeyPatch):
    write_both()
    Path("persona_space/tasks").mkdir(parents=True)
    assert call("backfill", "--results-dir", "results", "--db-path", "a.db", "--verbose").code == 0
    FOLDER.rename("persona_space/tasks/results")

    assert call("backfill", "--db-path", "b.db").code == 0
    for name in ("a.db", "b.db"):
        with RawStore(name) as store:
            assert store.count_experiences() == 2
    assert not Path(".tasktrail").exists()


@pytest.mark.requirement("AX-073")
def test_one_folder_is_named_once(call: Call):
    answer = call("backfill", "results", "--results-dir", "results")

    assert (answer.code, answer.out) == (2, "")
    assert "give one of DIR and --results-dir, not both" in answer.err


@pytest.mark.requirement("AX-073")
@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_without_a_folder_it_fails_and_makes_nothing(call: Call, options: list[str]):
    answer = call("backfill", *options)

    assert (answer.code, answer.out) == (1, "")
    assert "there is no folder persona_space/tasks/results with results" in answer.err
    assert list(Path().iterdir()) == []


@pytest.mark.requirement("AX-073", "AX-074")
@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_a_file_that_is_no_result_is_named_and_the_rest_goes_on(call: Call, options: list[str]):
    write_both()
    write_result("timeless.json", completed_at=None)
    (FOLDER / "broken\x1b.json").write_text("{")

    answer = call("backfill", "results", *options)

    assert answer.code == 1
    assert answer.out == f"{FOUND}\n{summary(4, 2, 0, 1, 1)}"
    assert "skipped: timeless.json has no completed_at\n" in answer.err
    assert r"error: broken\x1b.json:1:2: the text ends too early" in answer.err


@pytest.mark.requirement("AX-072")
def test_twenty_are_named_and_with_verbose_all(call: Call):
    for index in range(25):
        write_result(f"{index:02}.json", started_at=None)

    short = call("backfill", "results")
    long = call("backfill", "results", "--verbose")

    assert (short.code, long.code) == (0, 0)
    assert short.err.splitlines()[-1] == "and 5 files more; -v names them all"
    assert [short.err.count("skipped: "), long.err.count("skipped: ")] == [20, 25]


def test_json_tells_all_of_it(call: Call):
    write_both()
    (FOLDER / "broken.json").write_text("[]")

    answer = call("backfill", "results", "--json")

    assert (answer.code, answer.document["schema"]) == (1, "tasktrail/backfill@1")
    assert answer.data == {
        "id": "results",
        "dry_run": False,
        "found": 2,
        "tasks": ["daily_reflection", "idea_generation"],
        "total": 3,
        "created": 2,
        "duplicate": 0,
        "skipped": 0,
        "errors": 1,
        "unread": [
            {
                "file": "broken.json",
                "reason": "broken.json:1:1: expected the document to be an object, got: []",
                "error": True,
            }
        ],
    }


def test_many_tasks_are_not_all_listed(call: Call):
    for index in range(12):
        write_result(f"{index:02}.json", task_id=f"t{index:02}")

    found = call("backfill", "results", "--dry-run").out.splitlines()[0]

    assert found == "Found 12 task result files (t00, t01, t02, t03, t04, t05, t06, t07, t08, t09, 2 more)"


@pytest.mark.requirement("AX-052")
@pytest.mark.parametrize(
    "command", [[sys.executable, "-m", "tasktrail"], [str(Path(sys.executable).parent / "tasktrail")]]
)
def test_it_works_from_any_folder_as_a_module_and_as_a_command(command: list[str]):
    write_both()
    elsewhere = Path("elsewhere")
    elsewhere.mkdir()

    done = subprocess.run(
        [*command, "backfill", str(FOLDER.resolve()), "--db-path", "tasks.db"],
        cwd=elsewhere, env=os.environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(FOUND)
    with RawStore("elsewhere/tasks.db") as store:
        assert store.list_recent()[0].content.structured["legacy_result_file"].startswith("idea_generation_")


def test_who_stops_it_hears_what_is_stored(call: Call, monkeypatch: pytest.MonkeyPatch):
    import tasktrail.cli.backfill as face

    write_results(700)
    told = face._Progress.__call__

    def stop(self: face._Progress, counts: object) -> None:
        told(self, counts)  # type: ignore[arg-type]  # as it was given
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(face._Progress, "__call__", stop)
        answer = call("backfill", "results")

    assert (answer.code, answer.out) == (130, "")
    assert "500 executions stored so far; the same command brings the rest" in answer.err
    assert summary(700, 200, 500, 0, 0) in call("backfill", "results").out
